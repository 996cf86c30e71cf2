//! Holds each combinator to its sentence.

use super::*;
use crate::{Outcome, Rng};

fn turn(thread: usize, time: u64) -> Turn {
    Turn { thread, time }
}

fn named(name: &'static str) -> Any {
    calls(move |_| Call::Read { key: name.to_owned() })
}

/// What the generator says to thread 0 in each of so many turns, as words.
fn told(generator: &mut Any, turns: u64) -> String {
    let word = |next| match next {
        Next::Call(call) => match call {
            Call::Read { key } => key,
            other => format!("{other:?}"),
        },
        Next::Pending => "…".to_owned(),
        Next::Done => "done".to_owned(),
    };
    let words: Vec<String> = (0..turns).map(|time| word(generator.next(&turn(0, time)))).collect();
    words.join(" ")
}

fn answer(generator: &mut Any, reply: &Reply) {
    generator.observe(0, &Call::Read { key: "any".to_owned() }, reply);
}

#[test]
fn a_limit_ends() {
    assert_eq!(told(&mut limit(2, named("a")), 4), "a a done done");
}

#[test]
fn a_flip_flop_alternates_and_waits_for_whose_turn_it_is() {
    assert_eq!(told(&mut flip_flop(named("a"), named("b")), 5), "a b a b a");
    let late = stagger(Rng::new(1), 0, limit(1, named("b")));
    assert_eq!(told(&mut flip_flop(named("a"), late), 4), "a b a done");
}

#[test]
fn a_mix_keeps_its_weights_and_fills_in() {
    let parts = vec![(3, named("a")), (1, named("b"))];
    let told_all = told(&mut mix(Rng::new(5), parts), 4000);
    let often = told_all.matches('a').count();
    assert!((2800..3200).contains(&often), "{often}");
    let parts = vec![(1, limit(1, named("a"))), (1, limit(2, named("b")))];
    let told_all = told(&mut mix(Rng::new(5), parts), 5);
    assert!(told_all.ends_with("done done") && told_all.matches('b').count() == 2, "{told_all}");
}

#[test]
fn phases_wait_for_answers() {
    let mut two = phases([limit(2, named("a")), limit(1, named("b"))]);
    assert_eq!(told(&mut two, 4), "a a … …");
    answer(&mut two, &Reply::ok());
    assert_eq!(told(&mut two, 1), "…");
    answer(&mut two, &Reply::info("timeout"));
    assert_eq!(told(&mut two, 2), "b …");
    answer(&mut two, &Reply::ok());
    assert_eq!(told(&mut two, 1), "done");
}

#[test]
fn a_stagger_spreads_its_calls() {
    let told_all = told(&mut stagger(Rng::new(2), 10, named("a")), 10_000);
    let often = told_all.matches('a').count();
    assert!((900..1100).contains(&often), "{often}");
}

#[test]
fn until_ok_hears_what_happened_and_what_was_observed() {
    for (reply, done) in [
        (Reply::ok(), true),
        (Reply::mismatch(), true),
        (Reply::fail("no-leader"), false),
        (Reply::info("timeout"), false),
    ] {
        let mut generator = until_ok(named("a"));
        assert_eq!(told(&mut generator, 1), "a");
        answer(&mut generator, &reply);
        assert_eq!(told(&mut generator, 1), if done { "done" } else { "a" }, "{reply:?}");
    }
    let mut drain = until(named("a"), |reply| reply.outcome == Outcome::Fail);
    answer(&mut drain, &Reply::ok());
    assert_eq!(told(&mut drain, 1), "a");
}

#[test]
fn threads_have_their_own() {
    let mut own = each_thread(|thread| limit(thread as u64, named("a")));
    let done: Vec<bool> = (0..3).map(|thread| own.next(&turn(thread, 0)) == Next::Done).collect();
    assert_eq!(done, [true, false, false]);
    let mut reserved = reserve(2, named("a"), limit(0, named("b")));
    let done: Vec<bool> =
        (0..3).map(|thread| reserved.next(&turn(thread, 0)) == Next::Done).collect();
    assert_eq!(done, [false, false, true]);
}

#[test]
fn a_reply_reaches_the_generator_of_its_thread_only() {
    let mut own = each_thread(|_| until_ok(named("a")));
    drop((own.next(&turn(0, 0)), own.next(&turn(1, 0))));
    answer(&mut own, &Reply::ok());
    assert_eq!(
        (own.next(&turn(0, 0)) == Next::Done, own.next(&turn(1, 0)) == Next::Done),
        (true, false)
    );
}
