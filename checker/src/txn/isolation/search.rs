//! Searches for a commit order that explains every read, given all forced edges.
//!
//! For serializability a transaction is one point in the order. For snapshot isolation it is two:
//! it reads at the first and writes at the second (Cerone and Gotsman, JACM 2018, characterize this
//! by cycles without two adjacent anti-dependencies). The open choices are the orders of each two
//! writers of a key; each choice implies that the readers of the first read before the second
//! writes. If one choice would close a cycle, the other is forced (saturation). After saturation, a
//! likely total order is tried as a whole, and the search branches on the first choice that it
//! violates. An exhausted search proves that no order exists; an exhausted budget proves nothing.

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

/// Searches for an order that contains `edges`.
pub(super) fn search_commit_order(
    facts: &Facts<'_, '_>,
    edges: &[CommitEdge],
    points: Points,
    limits: &Limits<'_>,
) -> Result<(), Failure> {
    let bytes = required_bytes(facts, points);
    if bytes > limits.memory_bytes / 2 {
        let why = format!(
            "ordering the writes of {} transactions takes {} MB, more than half of the memory \
             budget",
            facts.len(),
            bytes >> 20
        );
        return Err(Failure::BudgetExceeded(why));
    }
    let problem = SearchProblem::of(facts, points);
    let mut state = SearchState::new(&problem);
    if !state.cycle.is_empty() {
        return Err(Failure::Violation(problem.cycle_finding(&state.cycle)));
    }
    let forced = edges.iter().map(|edge| (edge.from, edge.to, edge.key));
    for (from, to, key) in forced {
        if (limits.expired)() {
            return Err(budget_exceeded(0));
        }
        if !state.decide_pair(&problem, WriterPair { key, one: from, other: to }) {
            return Err(Failure::Violation(problem.no_order_finding(from, to, key)));
        }
    }
    let most = (limits.memory_bytes / 2 / bytes.max(1)).max(1);
    match (OrderSearch { problem: &problem, limits, most, tried: 0 }).search_orders(state) {
        SearchOutcome::ComponentCycles => Ok(()),
        SearchOutcome::Stuck(choice) => {
            Err(Failure::Violation(problem.no_order_finding(choice.one, choice.other, choice.key)))
        }
        SearchOutcome::Exhausted(tried) => {
            Err(Failure::Violation(problem.exhausted_finding(tried)))
        }
        SearchOutcome::TimedOut(tried) => Err(budget_exceeded(tried)),
    }
}

fn budget_exceeded(tried: usize) -> Failure {
    Failure::BudgetExceeded(format!("budget exhausted after {tried} attempts to order two writes"))
}

enum SearchOutcome {
    ComponentCycles,
    /// The forced edges allow neither order of this pair.
    Stuck(WriterPair),
    /// Every branch failed.
    Exhausted(usize),
    TimedOut(usize),
}

struct OrderSearch<'p, 'f, 'l, 'h> {
    problem: &'p SearchProblem<'f, 'l, 'h>,
    limits: &'p Limits<'p>,
    /// The maximum number of states in memory.
    most: usize,
    tried: usize,
}

impl OrderSearch<'_, '_, '_, '_> {
    fn search_orders(&mut self, mut state: SearchState) -> SearchOutcome {
        match state.saturate(self.problem, self.limits.expired) {
            Ok(()) => {}
            Err(Halt::Stuck(choice)) => return SearchOutcome::Stuck(choice),
            Err(Halt::TimedOut) => return SearchOutcome::TimedOut(self.tried),
        }
        // The other branch of each choice whose first branch is being explored.
        let mut stack: Vec<(SearchState, WriterPair)> = Vec::new();
        loop {
            // A correct guess needs no more memory; a wrong one needs another state.
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
                if tried.decide_pair(self.problem, choice) {
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
