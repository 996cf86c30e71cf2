//! Tests each combinator.

use super::*;
use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Next, repeat_with};
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;

fn make_context(thread: usize, time: u64) -> Context {
    Context { thread, time }
}

fn named_reads(name: &'static str) -> BoxGenerator {
    repeat_with(move |_| Call::Read { key: name.to_owned() })
}

/// What the generator returns to thread 0, asked this many times: one word each.
fn next_keys(generator: &mut BoxGenerator, turns: u64) -> String {
    let word = |next| match next {
        Next::Call(call) => match call {
            Call::Read { key } => key,
            other => format!("{other:?}"),
        },
        Next::Pending => "…".to_owned(),
        Next::Done => "done".to_owned(),
    };
    let words: Vec<String> =
        (0..turns).map(|time| word(generator.next_call(&make_context(0, time)))).collect();
    words.join(" ")
}

fn observe_reply(generator: &mut BoxGenerator, reply: &Reply) {
    generator.observe_reply(0, &Call::Read { key: "any".to_owned() }, reply);
}

#[test]
fn a_limit_ends_after_its_calls() {
    assert_eq!(next_keys(&mut limit(2, named_reads("a")), 4), "a a done done");
}

#[test]
fn a_flip_flop_alternates_and_waits_for_a_pending_part() {
    assert_eq!(next_keys(&mut flip_flop(named_reads("a"), named_reads("b")), 5), "a b a b a");
    let late = stagger(Rng::new(1), 0, limit(1, named_reads("b")));
    assert_eq!(next_keys(&mut flip_flop(named_reads("a"), late), 4), "a b a done");
}

#[test]
fn a_mix_follows_its_weights_and_skips_finished_parts() {
    let parts = vec![(3, named_reads("a")), (1, named_reads("b"))];
    let words = next_keys(&mut mix(Rng::new(5), parts), 4000);
    let count = words.matches('a').count();
    assert!((2800..3200).contains(&count), "{count}");
    let parts = vec![(1, limit(1, named_reads("a"))), (1, limit(2, named_reads("b")))];
    let words = next_keys(&mut mix(Rng::new(5), parts), 5);
    assert!(words.ends_with("done done") && words.matches('b').count() == 2, "{words}");
}

#[test]
fn phases_wait_for_answers() {
    let mut two = phases([limit(2, named_reads("a")), limit(1, named_reads("b"))]);
    assert_eq!(next_keys(&mut two, 4), "a a … …");
    observe_reply(&mut two, &Reply::ok());
    assert_eq!(next_keys(&mut two, 1), "…");
    observe_reply(&mut two, &Reply::info("timeout"));
    assert_eq!(next_keys(&mut two, 2), "b …");
    observe_reply(&mut two, &Reply::ok());
    assert_eq!(next_keys(&mut two, 1), "done");
}

#[test]
fn a_stagger_spreads_its_calls() {
    let words = next_keys(&mut stagger(Rng::new(2), 10, named_reads("a")), 10_000);
    let count = words.matches('a').count();
    assert!((900..1100).contains(&count), "{count}");
}

#[test]
fn until_ok_ends_with_a_success_or_a_mismatch() {
    for (reply, done) in [
        (Reply::ok(), true),
        (Reply::mismatch(), true),
        (Reply::fail("no-leader"), false),
        (Reply::info("timeout"), false),
    ] {
        let mut generator = until_ok(named_reads("a"));
        assert_eq!(next_keys(&mut generator, 1), "a");
        observe_reply(&mut generator, &reply);
        assert_eq!(next_keys(&mut generator, 1), if done { "done" } else { "a" }, "{reply:?}");
    }
    let mut drain = until(named_reads("a"), |reply| reply.outcome == Outcome::Fail);
    observe_reply(&mut drain, &Reply::ok());
    assert_eq!(next_keys(&mut drain, 1), "a");
}

#[test]
fn each_thread_has_its_own_generator() {
    let mut own = each_thread(|thread| limit(thread as u64, named_reads("a")));
    let done: Vec<bool> =
        (0..3).map(|thread| own.next_call(&make_context(thread, 0)) == Next::Done).collect();
    assert_eq!(done, [true, false, false]);
    let mut reserved = reserve(2, named_reads("a"), limit(0, named_reads("b")));
    let done: Vec<bool> =
        (0..3).map(|thread| reserved.next_call(&make_context(thread, 0)) == Next::Done).collect();
    assert_eq!(done, [false, false, true]);
}

#[test]
fn a_reply_reaches_only_the_generator_of_its_thread() {
    let mut own = each_thread(|_| until_ok(named_reads("a")));
    drop((own.next_call(&make_context(0, 0)), own.next_call(&make_context(1, 0))));
    observe_reply(&mut own, &Reply::ok());
    assert_eq!(
        (
            own.next_call(&make_context(0, 0)) == Next::Done,
            own.next_call(&make_context(1, 0)) == Next::Done
        ),
        (true, false)
    );
}
