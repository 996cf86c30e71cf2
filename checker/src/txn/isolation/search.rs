//! Searches for an order in which every read is right, once everything that is forced is known.
//!
//! For serializability a transaction is one point in the order, for snapshot isolation two: it reads at the first and
//! writes at the second (Cerone and Gotsman, JACM 2018, put the same as cycles without two anti-dependencies in a
//! row). What remains open is, for any two writers of a key, which comes first; either way whoever read the first
//! must read before the second writes. A way that would close a cycle is impossible, so the other holds (saturation);
//! when that ends, a likely order is guessed and tried as a whole; the first choice that it gets wrong is made both
//! ways. Finding nothing is a proof, and running out of time or memory is neither proof nor disproof.

mod guess;
mod problem;
mod state;

pub(super) use self::problem::Points;

use self::guess::Guess;
use self::problem::{SearchProblem, WriterPair, required_bytes};
use self::state::{Halt, SearchState};
use super::facts::Facts;
use super::failure::Failure;
use super::order::CommitEdge;
use crate::verdict::Limits;

/// Looks for an order; `edges` are what any order must contain.
pub(super) fn search_commit_order(
    facts: &Facts<'_, '_>,
    edges: &[CommitEdge],
    points: Points,
    limits: &Limits<'_>,
) -> Result<(), Failure> {
    let bytes = required_bytes(facts, points);
    if bytes > limits.memory_bytes / 2 {
        let why = format!(
            "to order the writes of {} transactions takes {} MB, more than half of what there is",
            facts.len(),
            bytes >> 20
        );
        return Err(Failure::BudgetExceeded(why));
    }
    let problem = SearchProblem::of(facts, points);
    let mut state = SearchState::new(&problem);
    if !state.cycle.is_empty() {
        return Err(Failure::Violation(problem.cycle(&state.cycle)));
    }
    let forced = edges.iter().map(|edge| (edge.from, edge.to, edge.key));
    for (from, to, key) in forced {
        if (limits.expired)() {
            return Err(budget_exceeded(0));
        }
        if !state.decide(&problem, WriterPair { key, one: from, other: to }) {
            return Err(Failure::Violation(problem.stuck(from, to, key)));
        }
    }
    let most = (limits.memory_bytes / 2 / bytes.max(1)).max(1);
    match (OrderSearch { problem: &problem, limits, most, tried: 0 }).solve(state) {
        SearchOutcome::ComponentCycles => Ok(()),
        SearchOutcome::Stuck(choice) => {
            Err(Failure::Violation(problem.stuck(choice.one, choice.other, choice.key)))
        }
        SearchOutcome::Exhausted(tried) => Err(Failure::Violation(problem.exhausted(tried))),
        SearchOutcome::TimedOut(tried) => Err(budget_exceeded(tried)),
    }
}

fn budget_exceeded(tried: usize) -> Failure {
    Failure::BudgetExceeded(format!(
        "time or memory was up after {tried} tries at the order of writes"
    ))
}

enum SearchOutcome {
    ComponentCycles,
    /// What is forced already leaves no way for this one.
    Stuck(WriterPair),
    /// Every way was tried.
    Exhausted(usize),
    TimedOut(usize),
}

struct OrderSearch<'p, 'f, 'l, 'h> {
    problem: &'p SearchProblem<'f, 'l, 'h>,
    limits: &'p Limits<'p>,
    /// How many states there is memory for.
    most: usize,
    tried: usize,
}

impl OrderSearch<'_, '_, '_, '_> {
    fn solve(&mut self, mut state: SearchState) -> SearchOutcome {
        match state.saturate(self.problem, self.limits.expired) {
            Ok(()) => {}
            Err(Halt::Stuck(choice)) => return SearchOutcome::Stuck(choice),
            Err(Halt::TimedOut) => return SearchOutcome::TimedOut(self.tried),
        }
        // The second way of each choice whose first is being tried.
        let mut stack: Vec<(SearchState, WriterPair)> = Vec::new();
        loop {
            // A guess that is right needs no more memory; one that is wrong needs another state.
            let choice = match guess::check_likely_order(self.problem, &state, self.limits.expired)
            {
                Guess::Right => return SearchOutcome::ComponentCycles,
                Guess::Wrong(choice) => choice,
                Guess::TimedOut => return SearchOutcome::TimedOut(self.tried),
            };
            let back = WriterPair { one: choice.other, other: choice.one, ..choice };
            if stack.len() >= self.most {
                return SearchOutcome::TimedOut(self.tried);
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
                        Err(Halt::TimedOut) => return SearchOutcome::TimedOut(self.tried),
                    }
                }
                match stack.pop() {
                    Some(other) => next = other,
                    None => return SearchOutcome::Exhausted(self.tried),
                }
            };
        }
    }
}
