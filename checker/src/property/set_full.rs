//! Judges every read of a set: whether elements stay once they are there, and how long they take.
//!
//! An element is *known* once its add was acknowledged or a read that shows it completed. It is *lost* if a read
//! that began after it was known, and after every read that shows it had completed, does not show it; *stale* if
//! a read that began after it was known does not show it but a later one does. A stale read is wrong only of a
//! linearizable set. An element that no read shows or misses after it was known was never read.
//!
//! Reads are sorted once by their invocation; for an element the last read that misses it is found by walking back
//! along the reads that show it, so that the whole takes O(n log n) of the elements shown.

use rustc_hash::{FxHashMap, FxHashSet};

use super::distribution::distribution_ms;
use super::objects::{Object, Op, brief, objects, of_key};
use super::set_final::{after, functions, shown, unexpected};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

/// What is promised of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// What is there stays, but a read may be of the past.
    Eventual,
    /// A read shows everything that was known when it began.
    Linearizable,
}

/// Jepsen's set-full.
pub(crate) struct SetFull(pub(crate) Promise);

impl Check for SetFull {
    fn name(&self) -> &'static str {
        match self.0 {
            Promise::Eventual => "set-full",
            Promise::Linearizable => "set-full-linearizable",
        }
    }

    fn doc(&self) -> &'static str {
        match self.0 {
            Promise::Eventual => {
                "no element of a set that was acknowledged or read is missing for good, shown twice \
                 by one `read` or shown unasked; measures how long elements take to be seen"
            }
            Promise::Linearizable => {
                "the same as set-full, and no `read` misses what was acknowledged or read before it"
            }
        }
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(self, history, limits).unwrap_or_else(|why| meaningless(self.name(), why))
    }
}

const KINDS: &[&str] = &["lost", "unexpected", "duplicated", "stale"];

fn judge(check: &SetFull, history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(check.name(), KINDS);
    let mut delays = Delays::default();
    for object in objects(history, limits.keyed)? {
        object.ops.iter().try_for_each(functions)?;
        let before = tally.wrongs();
        Set::new(&object).judge(check.0, &mut tally, &mut delays);
        tally.count(object.ops.len(), before);
    }
    let stable = delays.stable.len();
    for (name, number) in [("never_read", delays.never_read), ("stale", delays.stale)] {
        tally.add(name, number);
    }
    tally.add("stable", stable);
    tally.measure("stable_latency_ms", distribution_ms(delays.stable));
    tally.measure("lost_latency_ms", distribution_ms(delays.lost));
    if stable == 0 {
        tally.doubt(|| "no read shows any element, so nothing is proved".to_owned());
    }
    Ok(tally.verdict(&format!("all {stable} elements that were read stay")))
}

/// How long elements took, in nanoseconds after they were known.
#[derive(Default)]
struct Delays {
    stable: Vec<i64>,
    lost: Vec<i64>,
    stale: usize,
    never_read: usize,
}

/// The reads of one set in order of invocation, and what they show.
struct Set<'o, 'h> {
    key: Option<&'h Value>,
    adds: Vec<&'o Op<'h>>,
    reads: Vec<&'o Op<'h>>,
    /// Of each element the reads that show it, by place, ascending.
    showing: FxHashMap<&'h Value, Vec<usize>>,
    /// The elements in order of first mention.
    elements: Vec<&'h Value>,
}

impl<'o, 'h> Set<'o, 'h> {
    fn new(object: &'o Object<'h>) -> Self {
        let adds: Vec<_> = object.ops.iter().filter(|op| op.f == "add").collect();
        let reads: Vec<_> =
            object.ops.iter().filter(|op| op.f == "read" && op.output.is_some()).collect();
        let mut set =
            Self { key: object.key, adds, reads, showing: FxHashMap::default(), elements: vec![] };
        for place in 0..set.adds.len() {
            set.mention(set.adds[place].input);
        }
        for place in 0..set.reads.len() {
            for element in shown(set.reads[place]) {
                let places = set.mention(element);
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        set
    }

    fn mention(&mut self, element: &'h Value) -> &mut Vec<usize> {
        let elements = &mut self.elements;
        self.showing.entry(element).or_insert_with(|| {
            elements.push(element);
            Vec::new()
        })
    }

    fn judge(&self, promise: Promise, tally: &mut Tally, delays: &mut Delays) {
        self.duplicated(tally);
        let known = self.known();
        let asked = self.asked();
        for element in &self.elements {
            self.unasked(element, &asked, tally);
            match known.get(element) {
                Some(known) => self.element(element, known, promise, (tally, delays)),
                None => delays.never_read += 1,
            }
        }
    }

    fn duplicated(&self, tally: &mut Tally) {
        let mut seen = FxHashSet::default();
        for read in &self.reads {
            seen.clear();
            for element in shown(read).iter().filter(|element| !seen.insert(*element)) {
                tally.found("duplicated", || Case {
                    message: format!(
                        "{} shows element {}{} twice",
                        read.named(),
                        brief(element),
                        of_key(self.key)
                    ),
                    operations: vec![read.begin],
                    ..Case::default()
                });
            }
        }
    }

    /// When each element may first have been there: the first invocation that may have added it.
    fn asked(&self) -> FxHashMap<&'h Value, u64> {
        let mut asked = FxHashMap::default();
        for add in self.adds.iter().filter(|add| add.possible()) {
            asked.entry(add.input).or_insert(add.begin);
        }
        asked
    }

    fn unasked(&self, element: &Value, asked: &FxHashMap<&Value, u64>, tally: &mut Tally) {
        let possible_from = asked.get(element).copied().unwrap_or(u64::MAX);
        let too_early = |place: &&usize| self.reads[**place].end < possible_from;
        if let Some(place) = self.showing[element].iter().find(too_early) {
            let read = self.reads[*place];
            tally.found("unexpected", || unexpected(self.key, element, read, &self.adds));
        }
    }

    /// The operation that first made sure that an element is there.
    fn known(&self) -> FxHashMap<&'h Value, &'o Op<'h>> {
        let mut known: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
        let mut tell = |element, op: &'o Op<'h>| {
            let first = known.entry(element).or_insert(op);
            if op.end < first.end {
                *first = op;
            }
        };
        self.adds.iter().filter(|add| add.output.is_some()).for_each(|add| tell(add.input, add));
        for read in &self.reads {
            shown(read).iter().for_each(|element| tell(element, read));
        }
        known
    }

    fn element(
        &self,
        element: &Value,
        known: &Op<'h>,
        promise: Promise,
        (tally, delays): (&mut Tally, &mut Delays),
    ) {
        let showing = &self.showing[element];
        let missing = self.last_missing(showing).filter(|read| read.begin > known.end);
        let told = showing.iter().map(|place| self.reads[*place]).max_by_key(|read| read.end);
        let lost_by = missing.filter(|read| told.is_none_or(|told| told.end < read.begin));
        match (lost_by, told, missing) {
            (Some(read), ..) => {
                let last = told.unwrap_or(known);
                delays.lost.push(after_known(last.told_at(), known));
                tally.found("lost", || self.lost(element, known, told, read));
            }
            (None, Some(_), Some(read)) => {
                delays.stale += 1;
                delays.stable.push(after_known(read.asked_at() + 1, known));
                if promise == Promise::Linearizable {
                    tally.found("stale", || self.stale(element, known, read));
                }
            }
            (None, Some(_), None) => delays.stable.push(0),
            (None, None, _) => delays.never_read += 1,
        }
    }

    /// The last-invoked read that does not show the element.
    fn last_missing(&self, showing: &[usize]) -> Option<&'o Op<'h>> {
        let mut showing = showing.iter().rev().copied().peekable();
        let place = (0..self.reads.len()).rev().find(|place| showing.next_if_eq(place).is_none());
        place.map(|place| self.reads[place])
    }

    fn lost(&self, element: &Value, known: &Op<'_>, told: Option<&Op<'_>>, read: &Op<'_>) -> Case {
        let element = brief(element);
        let also = told.filter(|told| told.begin != known.begin);
        let seen =
            also.map_or_else(String::new, |told| format!(", {} still shows it", told.named()));
        Case {
            message: format!(
                "element {element}{} is lost: {} made it known{seen}, and {} does not show it, nor \
                 does any read after",
                of_key(self.key),
                known.named(),
                read.named()
            ),
            steps: [Some(known), also]
                .into_iter()
                .flatten()
                .map(|op| op.step(read, "realtime", after(op, read)))
                .collect(),
            operations: [Some(known), also, Some(read)]
                .into_iter()
                .flatten()
                .map(|op| op.begin)
                .collect(),
        }
    }

    fn stale(&self, element: &Value, known: &Op<'_>, read: &Op<'_>) -> Case {
        Case {
            message: format!(
                "{} misses element {}{}, which {} had made known before it began",
                read.named(),
                brief(element),
                of_key(self.key),
                known.named()
            ),
            steps: vec![known.step(read, "realtime", after(known, read))],
            operations: vec![known.begin, read.begin],
        }
    }
}

fn after_known(time: u64, known: &Op<'_>) -> i64 {
    time.saturating_sub(known.told_at()) as i64
}
