//! Tests each combinator.

use super::*;
use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Next, repeat_with};
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;

fn context(thread: usize, time: u64) -> Context {
    Context { thread, time }
}

fn named(name: &'static str) -> BoxGenerator {
    repeat_with(move |_| Call::Read { key: name.to_owned() })
}

/// What the generator returns to thread 0, asked this many times: one word each.
fn ask(generator: &mut BoxGenerator, turns: u64) -> String {
    let word = |next| match next {
        Next::Call(call) => match call {
            Call::Read { key } => key,
            other => format!("{other:?}"),
        },
        Next::Pending => "…".to_owned(),
        Next::Done => "done".to_owned(),
    };
    let words: Vec<String> =
        (0..turns).map(|time| word(generator.next(&context(0, time)))).collect();
    words.join(" ")
}

fn answer(generator: &mut BoxGenerator, reply: &Reply) {
    generator.observe(0, &Call::Read { key: "any".to_owned() }, reply);
}

#[test]
fn a_limit_ends_after_its_calls() {
    assert_eq!(ask(&mut limit(2, named("a")), 4), "a a done done");
}

#[test]
fn a_flip_flop_alternates_and_waits_for_a_pending_part() {
    assert_eq!(ask(&mut flip_flop(named("a"), named("b")), 5), "a b a b a");
    let late = stagger(Rng::new(1), 0, limit(1, named("b")));
    assert_eq!(ask(&mut flip_flop(named("a"), late), 4), "a b a done");
}

#[test]
fn a_mix_follows_its_weights_and_skips_finished_parts() {
    let parts = vec![(3, named("a")), (1, named("b"))];
    let words = ask(&mut mix(Rng::new(5), parts), 4000);
    let count = words.matches('a').count();
    assert!((2800..3200).contains(&count), "{count}");
    let parts = vec![(1, limit(1, named("a"))), (1, limit(2, named("b")))];
    let words = ask(&mut mix(Rng::new(5), parts), 5);
    assert!(words.ends_with("done done") && words.matches('b').count() == 2, "{words}");
}

#[test]
fn phases_wait_for_answers() {
    let mut two = phases([limit(2, named("a")), limit(1, named("b"))]);
    assert_eq!(ask(&mut two, 4), "a a … …");
    answer(&mut two, &Reply::ok());
    assert_eq!(ask(&mut two, 1), "…");
    answer(&mut two, &Reply::info("timeout"));
    assert_eq!(ask(&mut two, 2), "b …");
    answer(&mut two, &Reply::ok());
    assert_eq!(ask(&mut two, 1), "done");
}

#[test]
fn a_stagger_spreads_its_calls() {
    let words = ask(&mut stagger(Rng::new(2), 10, named("a")), 10_000);
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
        let mut generator = until_ok(named("a"));
        assert_eq!(ask(&mut generator, 1), "a");
        answer(&mut generator, &reply);
        assert_eq!(ask(&mut generator, 1), if done { "done" } else { "a" }, "{reply:?}");
    }
    let mut drain = until(named("a"), |reply| reply.outcome == Outcome::Fail);
    answer(&mut drain, &Reply::ok());
    assert_eq!(ask(&mut drain, 1), "a");
}

#[test]
fn each_thread_has_its_own_generator() {
    let mut own = each_thread(|thread| limit(thread as u64, named("a")));
    let done: Vec<bool> =
        (0..3).map(|thread| own.next(&context(thread, 0)) == Next::Done).collect();
    assert_eq!(done, [true, false, false]);
    let mut reserved = reserve(2, named("a"), limit(0, named("b")));
    let done: Vec<bool> =
        (0..3).map(|thread| reserved.next(&context(thread, 0)) == Next::Done).collect();
    assert_eq!(done, [false, false, true]);
}

#[test]
fn a_reply_reaches_only_the_generator_of_its_thread() {
    let mut own = each_thread(|_| until_ok(named("a")));
    drop((own.next(&context(0, 0)), own.next(&context(1, 0))));
    answer(&mut own, &Reply::ok());
    assert_eq!(
        (own.next(&context(0, 0)) == Next::Done, own.next(&context(1, 0)) == Next::Done),
        (true, false)
    );
}
