//! Holds the partial order of the search: a transitive closure as bit sets, and the open choices.

use super::problem::{SearchProblem, WriterPair};

/// The partial order of points, and the undecided pairs of writers.
#[derive(Clone)]
pub(super) struct SearchState {
    pub(super) words: usize,
    /// The successors of each point, as bit sets.
    pub(super) after: Vec<u64>,
    pub(super) open: Vec<WriterPair>,
    /// Points on a cycle of the edges that every order contains.
    pub(super) cycle: Vec<usize>,
}

impl SearchState {
    pub(super) fn new(problem: &SearchProblem<'_, '_, '_>) -> Self {
        let count = problem.point_count();
        let words = count.div_ceil(64);
        let open = problem.choices.clone();
        let mut state = Self { words, after: vec![0; words * count], open, cycle: Vec::new() };
        state.close_transitively(count, &problem.forced_edges());
        state
    }

    /// Computes the transitive closure of edges, from the last point to the first.
    pub(super) fn close_transitively(&mut self, count: usize, edges: &[(usize, usize)]) {
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
        self.cycle = (0..count).filter(|point| open[*point] > 0).collect();
        for point in order.into_iter().rev() {
            for next in &later[point] {
                self.add_successors(point, *next);
            }
        }
    }

    pub(super) fn is_after(&self, point: usize, than: usize) -> bool {
        self.after[than * self.words + point / 64] >> (point % 64) & 1 == 1
    }

    /// Adds `next` and its successors to the successors of `point`.
    pub(super) fn add_successors(&mut self, point: usize, next: usize) {
        let (point, from) = (point * self.words, next * self.words);
        for word in 0..self.words {
            self.after[point + word] |= self.after[from + word];
        }
        self.after[point + next / 64] |= 1 << (next % 64);
    }

    /// Orders one point before another; false if that closes a cycle.
    pub(super) fn order_points(&mut self, from: usize, to: usize) -> bool {
        if from == to || self.is_after(from, to) {
            return false;
        }
        if !self.is_after(to, from) {
            let count = self.after.len() / self.words;
            for point in (0..count).filter(|point| *point != from) {
                if self.is_after(from, point) {
                    self.add_successors(point, to);
                }
            }
            self.add_successors(from, to);
        }
        true
    }

    /// Whether `one` can precede `other`.
    pub(super) fn can_order(
        &self,
        problem: &SearchProblem<'_, '_, '_>,
        choice: WriterPair,
    ) -> bool {
        let mut edges = problem.implied_edges(choice.key, choice.one, choice.other);
        edges.all(|(from, to)| from != to && !self.is_after(from, to))
    }

    /// Orders `one` before `other`; false if that closes a cycle.
    pub(super) fn decide_pair(
        &mut self,
        problem: &SearchProblem<'_, '_, '_>,
        choice: WriterPair,
    ) -> bool {
        let edges: Vec<_> = problem.implied_edges(choice.key, choice.one, choice.other).collect();
        edges.into_iter().all(|(from, to)| self.order_points(from, to))
    }

    /// Decides pairs for which only one order is possible, until none is left.
    pub(super) fn saturate(
        &mut self,
        problem: &SearchProblem<'_, '_, '_>,
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
                let back = WriterPair { one: choice.other, other: choice.one, ..*choice };
                let left = match (self.can_order(problem, *choice), self.can_order(problem, back)) {
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
                if !self.decide_pair(problem, left) {
                    stuck = stuck.or(Some(*choice));
                }
                false
            });
            self.open = open;
            match stuck {
                Some(choice) => return Err(Halt::Stuck(choice)),
                None if late => return Err(Halt::TimedOut),
                None if !changed => return Ok(()),
                None => {}
            }
        }
    }
}

/// Why saturation stopped.
pub(super) enum Halt {
    /// Neither order of this pair is possible.
    Stuck(WriterPair),
    /// The time limit is exceeded.
    TimedOut,
}
