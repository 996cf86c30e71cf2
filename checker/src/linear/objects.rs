//! Judges objects one by one under one budget, on several threads, so that neither a hard object nor the number of
//! threads decides what is found out about the others.
//!
//! An object that no monitor knows and whose history can be cut ([`segments`]) is judged piece by piece, as if each
//! were an object; it is wrong if one piece is. Of several, each gets a small number of steps first, and those that
//! need more get more in the next round, when all have had their turn. A round is always finished, so what is known
//! after it depends on the history alone; once one is wrong there is no further round. Each may use the same share of
//! the memory however many are judged at the same time, and those that need more get all of it, one after the other,
//! at last. Only time can still come between: then what was not decided is unknown.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::engine::{Budget, Spent, Stop};
use super::monitor;
use super::partition::Object;
use super::search::{Outcome, Question};
use super::segments::{self, Piece};
use crate::history::Value;
use crate::model::Model;
use crate::verdict::{Algorithm, Limits};

/// Configurations that an object may cost in the first round, and how many times as many in each later one.
const FIRST_STEPS: usize = 1 << 16;
const MORE: usize = 8;

/// The most objects that are judged at the same time, each with its share of the memory.
const SHARES: usize = 8;

/// What is judged, and how.
struct Docket<'a> {
    model: &'a dyn Model,
    initial: &'a [Value],
    jobs: usize,
    /// The fewest operations of a piece.
    least: usize,
}

/// A piece of one object's history, and what is known of it.
struct Case<'a> {
    object: usize,
    piece: Piece<'a>,
    found: Outcome,
}

/// The answers in the order of the objects.
pub(super) fn answers(
    objects: &[Object<'_>],
    model: &dyn Model,
    initial: &[Value],
    limits: &Limits<'_>,
) -> Vec<Outcome> {
    answers_by(objects, model, initial, (limits, segments::LEAST))
}

/// The same by pieces of at least so many operations.
fn answers_by(
    objects: &[Object<'_>],
    model: &dyn Model,
    initial: &[Value],
    (limits, least): (&Limits<'_>, usize),
) -> Vec<Outcome> {
    let whole = Budget::of(limits);
    let docket = Docket { model, initial, jobs: limits.jobs.clamp(1, SHARES), least };
    let share = Budget { memory_bytes: limits.memory_bytes / SHARES, ..whole };
    let mut steps = FIRST_STEPS;
    let budget = if objects.len() == 1 { whole } else { Budget { steps, ..share } };
    let all: Vec<(usize, &Object<'_>)> = objects.iter().enumerate().collect();
    let first = docket.round(&all, |(number, object)| docket.first(*number, object, budget));
    let mut cases: Vec<Case<'_>> = first.into_iter().flatten().collect();
    let unasked = |case: &Case<'_>| case.found.algorithm == Algorithm::None;
    docket.ask_again(&mut cases, unasked, Budget { steps, ..share });
    while cases.iter().any(wants(Spent::Steps)) && !somebody_is_wrong(&cases) {
        steps = steps.saturating_mul(MORE);
        docket.ask_again(&mut cases, wants(Spent::Steps), Budget { steps, ..share });
    }
    for place in 0..cases.len() {
        if wants(Spent::Memory)(&cases[place]) && !somebody_is_wrong(&cases) {
            cases[place].found = docket.piece(&cases[place].piece, whole);
        }
    }
    cases.chunk_by(|one, other| one.object == other.object).map(whole_of).collect()
}

/// What the pieces of an object say together.
fn whole_of(pieces: &[Case<'_>]) -> Outcome {
    let mut whole = Outcome::default();
    for Case { piece, found, .. } in pieces {
        whole.explored += found.explored;
        whole.algorithm = whole.algorithm.max(found.algorithm);
        if whole.answer.is_ok() {
            whole.explained += found.explained;
        }
        match &found.answer {
            Err(Stop::Illegal(op)) if !matches!(whole.answer, Err(Stop::Illegal(_))) => {
                whole.answer = Err(Stop::Illegal(piece.from + op));
            }
            Err(Stop::Spent(why)) if whole.answer.is_ok() => {
                whole.answer = Err(Stop::Spent(*why));
            }
            Ok(()) | Err(_) => {}
        }
    }
    whole
}

fn somebody_is_wrong(cases: &[Case<'_>]) -> bool {
    cases.iter().any(|case| matches!(case.found.answer, Err(Stop::Illegal(_))))
}

/// Whether a case had too little of this.
fn wants(what: Spent) -> impl Fn(&Case<'_>) -> bool {
    move |case| case.found.answer == Err(Stop::Spent(what))
}

impl<'a> Docket<'a> {
    /// A monitor's answer, where one knows it; else the search's, or pieces that have yet to be searched.
    fn first(&self, number: usize, object: &'a Object<'_>, budget: Budget<'_>) -> Vec<Case<'a>> {
        let case = |piece, found| Case { object: number, piece, found };
        let whole = Piece { from: 0, ops: &object.ops, state: None };
        if let Some(known) = monitor::outcome(self.model, self.initial, &object.ops, budget) {
            return vec![case(whole, known)];
        }
        let shaped = || Question::new(self.model, self.initial, &object.ops, budget).shapes_hold();
        let pieces = segments::cut(self.model, &object.ops, self.least, shaped);
        if let [piece] = pieces.as_slice() {
            let found = self.search(piece, budget);
            return vec![case(whole, found)];
        }
        let later = || Outcome { answer: Err(Stop::Spent(Spent::Steps)), ..Outcome::default() };
        pieces.into_iter().map(|piece| case(piece, later())).collect()
    }

    fn question<'q>(&'q self, piece: &'q Piece<'q>, budget: Budget<'q>) -> Question<'q> {
        Question::new(self.model, piece.initial(self.initial), piece.ops, budget)
    }

    fn search(&self, piece: &Piece<'_>, budget: Budget<'_>) -> Outcome {
        self.question(piece, budget).decide()
    }

    /// One of many pieces goes without the narrowest walk: where that fails now and then, a long walk finds out once,
    /// but many short ones find out again and again, and where it does not, a wider one is no wider.
    fn piece(&self, piece: &Piece<'_>, budget: Budget<'_>) -> Outcome {
        if !piece.is_first() && (budget.expired)() {
            let (answer, algorithm) = (Err(Stop::Spent(Spent::Time)), Algorithm::Breadth);
            return Outcome { answer, algorithm, ..Outcome::default() };
        }
        let question = self.question(piece, budget);
        if piece.is_first() { question } else { question.wider() }.decide()
    }

    /// Searches the cases of a kind, all of them.
    fn ask_again(
        &self,
        cases: &mut [Case<'_>],
        these: impl Fn(&Case<'_>) -> bool,
        budget: Budget<'_>,
    ) {
        let places: Vec<usize> = (0..cases.len()).filter(|place| these(&cases[*place])).collect();
        let found = self.round(&places, |place| self.piece(&cases[*place].piece, budget));
        places.into_iter().zip(found).for_each(|(place, found)| cases[place].found = found);
    }

    /// Asks about each of these; the answers come in their order, whichever thread found them.
    fn round<T: Sync, A: Send>(&self, these: &[T], ask: impl Fn(&T) -> A + Sync) -> Vec<A> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::with_capacity(these.len()));
        let work = || {
            while let Some((number, it)) = claim(these, &next) {
                let answer = ask(it);
                found.lock().unwrap_or_else(PoisonError::into_inner).push((number, answer));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.jobs.min(these.len()) {
                // A thread that the machine refuses is done without: this one does the work of all.
                drop(std::thread::Builder::new().spawn_scoped(scope, work));
            }
            work();
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, answer)| answer).collect()
    }
}

fn claim<'t, T>(these: &'t [T], next: &AtomicUsize) -> Option<(usize, &'t T)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    these.get(number).map(|it| (number, it))
}

#[cfg(test)]
mod tests;
