//! Guesses a total order of all points that is likely to be valid.

use rustc_hash::FxHashMap;

use super::problem::{SearchProblem, WriterPair, transaction_of};
use super::state::SearchState;

/// The result of a guess.
pub(super) enum Guess {
    /// The likely order explains everything.
    Right,
    /// The first pair that the likely order violates, in the opposite order.
    Wrong(WriterPair),
    /// The time limit is exceeded.
    TimedOut,
}

/// Checks a likely order of all points.
pub(super) fn check_likely_order(
    problem: &SearchProblem<'_, '_, '_>,
    state: &SearchState,
    expired: &dyn Fn() -> bool,
) -> Guess {
    let Some(place) = find_likely_order(problem, state, expired) else { return Guess::TimedOut };
    let wrong = |choice: &&WriterPair| {
        let first =
            place[problem.write_point(choice.one)] < place[problem.write_point(choice.other)];
        let (one, other) =
            if first { (choice.one, choice.other) } else { (choice.other, choice.one) };
        problem.implied_edges(choice.key, one, other).any(|(from, to)| place[from] > place[to])
    };
    let Some(choice) = state.open.iter().find(wrong).copied() else { return Guess::Right };
    // The opposite order is more often right.
    let first = place[problem.write_point(choice.one)] < place[problem.write_point(choice.other)];
    Guess::Wrong(if first {
        WriterPair { one: choice.other, other: choice.one, ..choice }
    } else {
        choice
    })
}

/// The position of each point; `None` if the time limit is exceeded.
///
/// Greedy: prefer points that overwrite no version with pending readers; then writes, so that a
/// transaction that has begun ends before others begin and writers of a key do not overlap; then
/// the order of completion.
fn find_likely_order(
    problem: &SearchProblem<'_, '_, '_>,
    state: &SearchState,
    expired: &dyn Fn() -> bool,
) -> Option<Vec<usize>> {
    let (facts, count) = (problem.facts, problem.point_count());
    let mut open: Vec<usize> = vec![0; count];
    for point in 0..count {
        for (other, open) in open.iter_mut().enumerate() {
            *open += usize::from(state.is_after(other, point));
        }
    }
    let mut waiting: FxHashMap<(u32, u32), usize> =
        problem.readers.iter().map(|(read, readers)| (*read, readers.len())).collect();
    let mut last: FxHashMap<u32, u32> = FxHashMap::default();
    let mut ready: Vec<usize> = (0..count).filter(|point| open[*point] == 0).collect();
    let mut place = vec![0; count];
    for at in 0..count {
        if at % 64 == 0 && expired() {
            return None;
        }
        let cost = |point: &usize| {
            let (node, writes) = transaction_of(problem, *point);
            let harm = facts.writes[node as usize].iter().filter(|key| {
                let now = last.get(*key).copied().unwrap_or(facts.start());
                let own = facts.reads[node as usize].iter();
                let own = own.filter(|read| read.key == **key && read.source == now).count();
                // Its own read at an earlier point is not pending.
                let own = if *point == problem.read_point(node) { own.min(1) } else { 0 };
                waiting.get(&(**key, now)).copied().unwrap_or(0) > own
            });
            let completed = facts.table.txns[facts.txns[node as usize] as usize].completed;
            (harm.count(), !writes, completed, *point)
        };
        let Some(next) = ready.iter().enumerate().min_by_key(|(_, point)| cost(point)) else {
            break;
        };
        let point = ready.swap_remove(next.0);
        place[point] = at;
        let (node, writes) = transaction_of(problem, point);
        if point == problem.read_point(node) {
            let mut done: Vec<_> =
                facts.reads[node as usize].iter().map(|read| (read.key, read.source)).collect();
            done.sort_unstable();
            done.dedup();
            for read in done {
                waiting.entry(read).and_modify(|count| *count = count.saturating_sub(1));
            }
        }
        if writes {
            last.extend(facts.writes[node as usize].iter().map(|key| (*key, node)));
        }
        for (other, open) in open.iter_mut().enumerate() {
            if state.is_after(other, point) {
                *open -= 1;
                if *open == 0 {
                    ready.push(other);
                }
            }
        }
    }
    Some(place)
}
