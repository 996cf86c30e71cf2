//! Searches for an order in which every read is right, once everything that is forced is known.
//!
//! For serializability a transaction is one point in the order, for snapshot isolation two: it reads at the first and
//! writes at the second (Cerone and Gotsman, JACM 2018, put the same as cycles without two anti-dependencies in a
//! row). What remains open is, for any two writers of a key, which comes first; either way whoever read the first
//! must read before the second writes. A way that would close a circle is impossible, so the other holds (saturation);
//! when that ends, a likely order is guessed and tried as a whole; the first choice that it gets wrong is made both
//! ways. Finding nothing is a proof, and running out of time or memory is neither proof nor disproof.

mod guess;

use rustc_hash::FxHashMap;

use self::guess::Guess;
use super::No;
use super::facts::Facts;
use super::order::Edge;
use crate::finding::Finding;
use crate::verdict::Limits;

/// How many points a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Points {
    /// It reads and writes at one moment.
    One,
    /// It reads at one and writes at a later one.
    Two,
}

/// Two writers of a key, the first before the second or the other way round.
#[derive(Clone, Copy, Debug)]
struct Choice {
    key: u32,
    one: u32,
    other: u32,
}

/// Looks for an order; `edges` are what any order must contain.
pub(super) fn run(
    facts: &Facts<'_, '_>,
    edges: &[Edge],
    points: Points,
    limits: &Limits<'_>,
) -> Result<(), No> {
    let bytes = need(facts, points);
    if bytes > limits.memory_bytes / 2 {
        let why = format!(
            "to order the writes of {} transactions takes {} MB, more than half of what there is",
            facts.len(),
            bytes >> 20
        );
        return Err(No::Answer(why));
    }
    let problem = Problem::of(facts, points);
    let mut state = State::new(&problem);
    if !state.circle.is_empty() {
        return Err(No::Order(problem.circle(&state.circle)));
    }
    let forced = edges.iter().map(|edge| (edge.from, edge.to, edge.key));
    for (from, to, key) in forced {
        if (limits.expired)() {
            return Err(late(0));
        }
        if !state.decide(&problem, Choice { key, one: from, other: to }) {
            return Err(No::Order(problem.stuck(from, to, key)));
        }
    }
    let most = (limits.memory_bytes / 2 / bytes.max(1)).max(1);
    match (Search { problem: &problem, limits, most, tried: 0 }).solve(state) {
        Outcome::Found => Ok(()),
        Outcome::Stuck(choice) => {
            Err(No::Order(problem.stuck(choice.one, choice.other, choice.key)))
        }
        Outcome::Exhausted(tried) => Err(No::Order(problem.exhausted(tried))),
        Outcome::Late(tried) => Err(late(tried)),
    }
}

fn late(tried: usize) -> No {
    No::Answer(format!("time or memory was up after {tried} tries at the order of writes"))
}

/// The bytes of one state of the search, and of what is drawn up before it: known before any of it is made.
fn need(facts: &Facts<'_, '_>, points: Points) -> usize {
    let keys = facts.log.keys.len();
    let (mut writers, mut fresh) = (vec![0_usize; keys], vec![0_usize; keys]);
    facts.writes.iter().flatten().for_each(|key| writers[*key as usize] += 1);
    let of_start = facts.reads.iter().flatten().filter(|read| read.source == facts.start());
    of_start.for_each(|read| fresh[read.key as usize] += 1);
    let pairs = writers.iter().map(|count| count.saturating_mul(*count) / 2);
    let pairs = pairs.fold(0_usize, usize::saturating_add).saturating_mul(size_of::<Choice>());
    let first = writers.iter().zip(&fresh).map(|(writers, fresh)| writers.saturating_mul(*fresh));
    let first = first.fold(0_usize, usize::saturating_add).saturating_mul(2 * size_of::<u64>());
    let points = if points == Points::One { facts.len() } else { 2 * facts.len() };
    let closure = points.div_ceil(64).saturating_mul(8).saturating_mul(points);
    closure.saturating_add(pairs.saturating_mul(2)).saturating_add(first)
}

/// What does not change while the search goes on.
struct Problem<'f, 'l, 'h> {
    facts: &'f Facts<'l, 'h>,
    points: Points,
    /// Who read each key from each writer.
    readers: FxHashMap<(u32, u32), Vec<u32>>,
    choices: Vec<Choice>,
}

impl<'f, 'l, 'h> Problem<'f, 'l, 'h> {
    fn of(facts: &'f Facts<'l, 'h>, points: Points) -> Self {
        let mut readers: FxHashMap<(u32, u32), Vec<u32>> = FxHashMap::default();
        for (node, reads) in facts.reads.iter().enumerate() {
            for read in reads {
                let all = readers.entry((read.key, read.source)).or_default();
                if all.last() != Some(&(node as u32)) {
                    all.push(node as u32);
                }
            }
        }
        let mut writers: Vec<Vec<u32>> = vec![Vec::new(); facts.log.keys.len()];
        for (node, keys) in facts.writes.iter().enumerate() {
            keys.iter().for_each(|key| writers[*key as usize].push(node as u32));
        }
        let mut choices = Vec::new();
        for (key, writers) in writers.iter().enumerate() {
            for (place, one) in writers.iter().enumerate() {
                let others = writers[place + 1..].iter();
                choices.extend(others.map(|other| Choice {
                    key: key as u32,
                    one: *one,
                    other: *other,
                }));
            }
        }
        Self { facts, points, readers, choices }
    }

    /// How many points there are.
    fn count(&self) -> usize {
        match self.points {
            Points::One => self.facts.len(),
            Points::Two => 2 * self.facts.len(),
        }
    }

    /// Where a transaction reads.
    fn reads(&self, node: u32) -> usize {
        match self.points {
            Points::One => node as usize,
            Points::Two => 2 * node as usize,
        }
    }

    /// Where it writes.
    fn writes(&self, node: u32) -> usize {
        match self.points {
            Points::One => node as usize,
            Points::Two => 2 * node as usize + 1,
        }
    }

    /// What holds in any order: sessions, who read whom, and that nobody writes before a read of the initial state.
    fn base(&self) -> Vec<(usize, usize)> {
        let facts = self.facts;
        let mut edges = Vec::new();
        for node in 0..facts.len() as u32 {
            if self.points == Points::Two {
                edges.push((self.reads(node), self.writes(node)));
            }
            let before = facts.before[node as usize];
            if (before as usize) < facts.len() {
                edges.push((self.writes(before), self.reads(node)));
            }
            for read in facts.reads[node as usize].iter().filter(|it| it.source != facts.start()) {
                edges.push((self.writes(read.source), self.reads(node)));
            }
            for key in &facts.writes[node as usize] {
                let fresh = self.readers.get(&(*key, facts.start())).into_iter().flatten();
                let fresh = fresh.filter(|reader| **reader != node);
                edges.extend(fresh.map(|reader| (self.reads(*reader), self.writes(node))));
            }
        }
        edges
    }

    /// What follows if one writer of a key comes before another.
    fn consequences(&self, key: u32, one: u32, other: u32) -> impl Iterator<Item = (usize, usize)> {
        let first = (self.writes(one), self.reads(other));
        let readers = self.readers.get(&(key, one)).into_iter().flatten();
        let readers = readers.filter(move |reader| **reader != other);
        [first].into_iter().chain(readers.map(move |it| (self.reads(*it), self.writes(other))))
    }

    fn stuck(&self, one: u32, other: u32, key: u32) -> Finding {
        let facts = self.facts;
        let name = facts.key(key);
        let message = format!(
            "T1 wrote {} to key {name} and T2 wrote {}, and neither can have been first, by what was read: T1 = {}, T2 = {}",
            facts.left(one, key),
            facts.left(other, key),
            facts.told(one),
            facts.told(other)
        );
        let operations = [one, other].into_iter().filter(|node| *node != facts.start());
        Finding {
            name: "no-write-order".to_owned(),
            count: 1,
            message,
            operations: operations.map(|node| facts.invoked(node)).collect(),
            ..Finding::default()
        }
    }

    /// Of points that cannot be put in order the first few transactions.
    fn circle(&self, points: &[usize]) -> Finding {
        let facts = self.facts;
        let mut nodes: Vec<u32> = points.iter().map(|point| transaction(self, *point).0).collect();
        nodes.dedup();
        let shown =
            nodes.iter().take(3).zip(1..).map(|(node, n)| format!("T{n} = {}", facts.told(*node)));
        let message = format!(
            "reads of the initial state come before its first writes, and with sessions and who read whom that puts \
             {} transactions in a circle, among them {}",
            nodes.len(),
            shown.collect::<Vec<_>>().join(", ")
        );
        let operations = nodes.iter().take(3).map(|node| facts.invoked(*node)).collect();
        Finding {
            name: "no-write-order".to_owned(),
            count: 1,
            message,
            operations,
            ..Finding::default()
        }
    }

    fn exhausted(&self, tried: usize) -> Finding {
        let message = format!(
            "no order of the {} transactions explains every read: each of {tried} ways to order two writes that were tried ends in a circle",
            self.facts.len()
        );
        Finding { name: "no-write-order".to_owned(), count: 1, message, ..Finding::default() }
    }
}

/// Which points come before which, and what is not decided.
#[derive(Clone)]
struct State {
    words: usize,
    /// Of each point all that come after it, as bits.
    after: Vec<u64>,
    open: Vec<Choice>,
    /// Points that cannot be put in order whatever is chosen.
    circle: Vec<usize>,
}

impl State {
    fn new(problem: &Problem<'_, '_, '_>) -> Self {
        let count = problem.count();
        let words = count.div_ceil(64);
        let open = problem.choices.clone();
        let mut state = Self { words, after: vec![0; words * count], open, circle: Vec::new() };
        state.close(count, &problem.base());
        state
    }

    /// The closure of edges, from the last point to the first.
    fn close(&mut self, count: usize, edges: &[(usize, usize)]) {
        let (mut later, mut open) = (vec![Vec::new(); count], vec![0_u32; count]);
        for (from, to) in edges {
            later[*from].push(*to);
            open[*to] += 1;
        }
        let mut order: Vec<usize> = (0..count).filter(|point| open[*point] == 0).collect();
        let mut at = 0;
        while let Some(point) = order.get(at).copied() {
            at += 1;
            for next in &later[point] {
                open[*next] -= 1;
                if open[*next] == 0 {
                    order.push(*next);
                }
            }
        }
        self.circle = (0..count).filter(|point| open[*point] > 0).collect();
        for point in order.into_iter().rev() {
            for next in &later[point] {
                self.take(point, *next);
            }
        }
    }

    fn is_after(&self, point: usize, than: usize) -> bool {
        self.after[than * self.words + point / 64] >> (point % 64) & 1 == 1
    }

    /// Everything after `next`, and `next`, comes after `point`.
    fn take(&mut self, point: usize, next: usize) {
        let (point, from) = (point * self.words, next * self.words);
        for word in 0..self.words {
            self.after[point + word] |= self.after[from + word];
        }
        self.after[point + next / 64] |= 1 << (next % 64);
    }

    /// Puts one point before another; false if that closes a circle.
    fn put(&mut self, from: usize, to: usize) -> bool {
        if from == to || self.is_after(from, to) {
            return false;
        }
        if !self.is_after(to, from) {
            let count = self.after.len() / self.words;
            for point in (0..count).filter(|point| *point != from) {
                if self.is_after(from, point) {
                    self.take(point, to);
                }
            }
            self.take(from, to);
        }
        true
    }

    /// Whether one writer can come before the other.
    fn allows(&self, problem: &Problem<'_, '_, '_>, choice: Choice) -> bool {
        let mut edges = problem.consequences(choice.key, choice.one, choice.other);
        edges.all(|(from, to)| from != to && !self.is_after(from, to))
    }

    /// Puts one writer before the other; false if that closes a circle.
    fn decide(&mut self, problem: &Problem<'_, '_, '_>, choice: Choice) -> bool {
        let edges: Vec<_> = problem.consequences(choice.key, choice.one, choice.other).collect();
        edges.into_iter().all(|(from, to)| self.put(from, to))
    }

    /// Decides whatever only one way is left for, until nothing changes.
    fn saturate(
        &mut self,
        problem: &Problem<'_, '_, '_>,
        expired: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        loop {
            let mut changed = false;
            let mut late = false;
            let mut open = std::mem::take(&mut self.open);
            let mut stuck = None;
            open.retain(|choice| {
                if late || stuck.is_some() {
                    return true;
                }
                let back = Choice { one: choice.other, other: choice.one, ..*choice };
                let left = match (self.allows(problem, *choice), self.allows(problem, back)) {
                    (true, true) => return true,
                    (true, false) => *choice,
                    (false, true) => back,
                    (false, false) => {
                        stuck = stuck.or(Some(*choice));
                        return true;
                    }
                };
                changed = true;
                late = expired();
                if !self.decide(problem, left) {
                    stuck = stuck.or(Some(*choice));
                }
                false
            });
            self.open = open;
            match stuck {
                Some(choice) => return Err(Halt::Stuck(choice)),
                None if late => return Err(Halt::Late),
                None if !changed => return Ok(()),
                None => {}
            }
        }
    }
}

/// Why no more can be decided.
enum Halt {
    /// No way is left for this choice.
    Stuck(Choice),
    /// Time is up.
    Late,
}

enum Outcome {
    Found,
    /// What is forced already leaves no way for this one.
    Stuck(Choice),
    /// Every way was tried.
    Exhausted(usize),
    Late(usize),
}

struct Search<'p, 'f, 'l, 'h> {
    problem: &'p Problem<'f, 'l, 'h>,
    limits: &'p Limits<'p>,
    /// How many states there is memory for.
    most: usize,
    tried: usize,
}

impl Search<'_, '_, '_, '_> {
    fn solve(&mut self, mut state: State) -> Outcome {
        match state.saturate(self.problem, self.limits.expired) {
            Ok(()) => {}
            Err(Halt::Stuck(choice)) => return Outcome::Stuck(choice),
            Err(Halt::Late) => return Outcome::Late(self.tried),
        }
        // The second way of each choice whose first is being tried.
        let mut stack: Vec<(State, Choice)> = Vec::new();
        loop {
            // A guess that is right needs no more memory; one that is wrong needs another state.
            let choice = match guess::guess(self.problem, &state, self.limits.expired) {
                Guess::Right => return Outcome::Found,
                Guess::Wrong(choice) => choice,
                Guess::Late => return Outcome::Late(self.tried),
            };
            let back = Choice { one: choice.other, other: choice.one, ..choice };
            if stack.len() >= self.most {
                return Outcome::Late(self.tried);
            }
            stack.push((state.clone(), back));
            let mut next = (state, choice);
            state = loop {
                let (mut tried, choice) = next;
                self.tried += 1;
                if tried.decide(self.problem, choice) {
                    match tried.saturate(self.problem, self.limits.expired) {
                        Ok(()) => break tried,
                        Err(Halt::Stuck(_)) => {}
                        Err(Halt::Late) => return Outcome::Late(self.tried),
                    }
                }
                match stack.pop() {
                    Some(other) => next = other,
                    None => return Outcome::Exhausted(self.tried),
                }
            };
        }
    }
}

/// The transaction of a point, and whether it writes there.
fn transaction(problem: &Problem<'_, '_, '_>, point: usize) -> (u32, bool) {
    match problem.points {
        Points::One => (point as u32, true),
        Points::Two => ((point / 2) as u32, point % 2 == 1),
    }
}
