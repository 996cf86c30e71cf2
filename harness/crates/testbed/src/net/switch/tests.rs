//! Sends frames through links and exchanges without any device, and compares the results with those
//! of a slow reference implementation.

use super::exchange::{Exchange, FrameOutcome, MAC_PREFIX};
use super::link::{Fate, PacketCounts, ShapedLink};
use super::shape::Shape;
use crate::net::plan::{CLIENTS, HostId, LinkPlan};
use crate::random::Rng;
use proptest::prelude::*;

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const MS: u64 = 1_000_000;

/// A frame for a host, with a number in it.
fn make_frame(to: HostId, number: u32) -> Vec<u8> {
    [&MAC_PREFIX[..], &[to.0], &[0; 8], &number.to_be_bytes()].concat()
}

fn frame_number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame.last_chunk().expect("it has a number"))
}

fn new_exchange(seed: u64) -> Exchange {
    Exchange::new(3, &Rng::new(seed))
}

fn shaped_plan(shape: Shape) -> LinkPlan {
    LinkPlan { shapes: [((A, B), shape)].into(), ..LinkPlan::healed() }
}

fn link_counts(exchange: &Exchange) -> PacketCounts {
    let mut all = exchange.link_counts();
    all.find(|(pair, _)| *pair == (A, B)).expect("the link exists").1
}

/// What arrives at B, and when, of frames that A sends one per `gap`.
fn collect_arrivals(exchange: &mut Exchange, begin: u64, frames: u32, gap: u64) -> Vec<(u64, u32)> {
    let mut arrived = Vec::new();
    for n in 0..frames {
        let now = begin + u64::from(n) * gap;
        drain_due(exchange, now, &mut arrived);
        let sent = make_frame(B, n);
        if let FrameOutcome::Now(to) = exchange.accept_frame(now, 0, &sent) {
            assert_eq!(to, 1);
            arrived.push((now, n));
        }
    }
    drain_due(exchange, u64::MAX, &mut arrived);
    arrived
}

fn drain_due(exchange: &mut Exchange, until: u64, arrived: &mut Vec<(u64, u32)>) {
    while let Some(at) = exchange.next_due().filter(|at| *at <= until) {
        if let Some((to, frame)) = exchange.pop_due(at) {
            assert_eq!(to, 1);
            arrived.push((at, frame_number(&frame)));
        }
    }
}

fn frame_numbers(arrived: &[(u64, u32)]) -> Vec<u32> {
    arrived.iter().map(|(_, number)| *number).collect()
}

#[test]
fn a_plain_link_delivers_each_frame_at_once_to_its_address() {
    let mut exchange = new_exchange(1);
    assert_eq!(exchange.accept_frame(5, 0, &make_frame(B, 1)), FrameOutcome::Now(1));
    assert_eq!(
        exchange.accept_frame(5, 1, &make_frame(CLIENTS, 1)),
        FrameOutcome::Now(3),
        "the controller is last"
    );
    assert_eq!(exchange.accept_frame(5, 3, &make_frame(HostId(2), 1)), FrameOutcome::Now(2));
    for stray in
        [make_frame(HostId(3), 1), make_frame(A, 1), vec![0xff; 60], vec![2, 0x77], Vec::new()]
    {
        assert_eq!(exchange.accept_frame(5, 0, &stray), FrameOutcome::Stray, "{stray:?}");
    }
    assert_eq!((link_counts(&exchange).offered, link_counts(&exchange).delivered), (1, 1));
}

#[test]
fn a_cut_takes_what_is_sent_and_what_is_under_way_and_nothing_of_the_way_back() {
    let mut exchange = new_exchange(1);
    exchange.apply_plan(0, &shaped_plan(Shape { delay_us: 10_000, ..Shape::default() }));
    assert!(matches!(
        exchange.accept_frame(0, 0, &make_frame(B, 1)),
        FrameOutcome::Later { fate: Fate::Passed, .. }
    ));
    exchange.apply_plan(5 * MS, &LinkPlan::with_cuts([(A, B)]));
    assert!(matches!(
        exchange.accept_frame(6 * MS, 0, &make_frame(B, 2)),
        FrameOutcome::Later { fate: Fate::Cut, .. }
    ));
    assert_eq!(exchange.accept_frame(6 * MS, 1, &make_frame(A, 3)), FrameOutcome::Now(0));
    assert_eq!(exchange.pop_due(20 * MS), None);
    assert_eq!((link_counts(&exchange).cut, link_counts(&exchange).delivered), (2, 0));
    exchange.apply_plan(30 * MS, &LinkPlan::healed());
    assert_eq!(exchange.accept_frame(31 * MS, 0, &make_frame(B, 4)), FrameOutcome::Now(1));
}

#[test]
fn delay_and_jitter_keep_order_and_bounds() {
    let mut exchange = new_exchange(2);
    let shape = Shape { delay_us: 50_000, jitter_us: 20_000, ..Shape::default() };
    exchange.apply_plan(0, &shaped_plan(shape));
    let arrived = collect_arrivals(&mut exchange, 0, 500, MS);
    assert_eq!(frame_numbers(&arrived), Vec::from_iter(0..500));
    for (at, number) in &arrived {
        let late = at - u64::from(*number) * MS;
        assert!((50 * MS..70 * MS).contains(&late), "{number}: {late} ns");
    }
    assert_eq!((link_counts(&exchange).delayed, link_counts(&exchange).overtaken), (500, 0));
}

#[test]
fn order_is_kept_when_a_delay_ends() {
    let mut exchange = new_exchange(2);
    exchange.apply_plan(0, &shaped_plan(Shape { delay_us: 50_000, ..Shape::default() }));
    exchange.accept_frame(0, 0, &make_frame(B, 1));
    exchange.apply_plan(MS, &LinkPlan::healed());
    assert!(matches!(
        exchange.accept_frame(2 * MS, 0, &make_frame(B, 2)),
        FrameOutcome::Later { .. }
    ));
    let mut arrived = Vec::new();
    drain_due(&mut exchange, u64::MAX, &mut arrived);
    assert_eq!(arrived, [(50 * MS, 1), (50 * MS, 2)]);
    assert_eq!(exchange.accept_frame(51 * MS, 0, &make_frame(B, 3)), FrameOutcome::Now(1));
}

/// A share of 4000 frames whose chance is `chance` of 1000 lies within five standard deviations.
fn is_likely(count: u64, chance: u16) -> bool {
    let chance = f64::from(chance) / 1_000.0;
    let deviation = (4_000.0 * chance * (1.0 - chance)).sqrt();
    (count as f64 - 4_000.0 * chance).abs() < 5.0 * deviation
}

#[test]
fn chances_are_what_they_are_said_to_be_for_every_seed() {
    for (seed, chance) in [50, 200, 400, 700].into_iter().enumerate() {
        let run = |shape: Shape| {
            let mut exchange = new_exchange(seed as u64);
            exchange.apply_plan(0, &shaped_plan(shape));
            let arrived = collect_arrivals(&mut exchange, 0, 4_000, MS).len() as u64;
            (link_counts(&exchange), arrived)
        };
        let (lossy, arrived) = run(Shape { loss: chance, ..Shape::default() });
        assert!(is_likely(lossy.lost, chance) && arrived + lossy.lost == 4_000, "{lossy:?}");
        let (twice, arrived) = run(Shape { duplicate: chance, ..Shape::default() });
        assert!(
            is_likely(twice.duplicated, chance) && arrived == 4_000 + twice.duplicated,
            "{twice:?}"
        );
        let (corrupt, arrived) = run(Shape { corrupt: chance, ..Shape::default() });
        assert!(is_likely(corrupt.corrupted, chance) && arrived == 4_000, "{corrupt:?}");
        assert_eq!((lossy.duplicated, twice.lost, corrupt.delayed), (0, 0, 0));
    }
}

#[test]
fn what_is_reordered_comes_once_and_is_counted_when_it_was_overtaken() {
    let mut exchange = new_exchange(3);
    exchange.apply_plan(0, &shaped_plan(Shape { reorder: 300, ..Shape::default() }));
    let arrived = frame_numbers(&collect_arrivals(&mut exchange, 0, 1_000, MS));
    let late = arrived.iter().enumerate();
    let late = late.filter(|(i, n)| arrived[..*i].iter().any(|before| before > n)).count();
    assert!(late > 200, "{late}");
    assert_eq!(link_counts(&exchange).overtaken, late as u64);
    let mut sorted = arrived;
    sorted.sort_unstable();
    assert_eq!(sorted, Vec::from_iter(0..1_000));
}

#[test]
fn a_corrupted_frame_differs_in_one_bit_behind_its_addresses() {
    let mut link = ShapedLink::new(Rng::new(4));
    link.set_shape(0, false, Shape { corrupt: 1_000, ..Shape::default() });
    for n in 0..200 {
        let sent = make_frame(B, n);
        let (_, deliveries) = link.accept_frame(0, &sent);
        let differ = deliveries[0].frame.iter().zip(&sent).map(|(a, b)| (a ^ b).count_ones());
        assert_eq!(differ.sum::<u32>(), 1);
        assert_eq!(deliveries[0].frame[..14], sent[..14]);
    }
    assert_eq!(link.accept_frame(0, &[1, 2, 3]).1[0].frame, [1, 2, 3], "nothing to corrupt");
}

#[test]
fn a_throttled_link_carries_its_rate_and_loses_what_does_not_fit_its_queue() {
    let mut exchange = new_exchange(5);
    exchange.apply_plan(0, &shaped_plan(Shape { rate: Some(18_000), ..Shape::default() }));
    // 18 bytes each, so 1000 a second fit; 2000 a second are sent for two seconds.
    let arrived = collect_arrivals(&mut exchange, 0, 4_000, MS / 2);
    let end = 2_000 * MS + 300 * MS;
    assert!(arrived.iter().all(|(at, _)| *at <= end + 2 * MS));
    assert!((2_300..2_600).contains(&arrived.len()), "{}", arrived.len());
    let counts = link_counts(&exchange);
    assert_eq!(counts.queue_full + counts.delivered, 4_000);
    assert!(counts.throttled > 1_000, "{counts:?}");
    assert!(arrived.is_sorted());
}

#[test]
fn a_flapping_link_is_up_and_down_in_turns_from_when_it_begins() {
    let mut exchange = new_exchange(6);
    exchange
        .apply_plan(100 * MS, &shaped_plan(Shape { flap_ms: Some((30, 20)), ..Shape::default() }));
    let arrived = frame_numbers(&collect_arrivals(&mut exchange, 100 * MS, 100, MS));
    let up = (0..100).filter(|ms| ms % 50 < 30).collect::<Vec<u32>>();
    assert_eq!(arrived, up);
    assert_eq!(link_counts(&exchange).down, 40);
}

#[test]
fn what_is_held_comes_in_order_when_it_is_released() {
    let mut exchange = new_exchange(7);
    exchange.apply_plan(0, &shaped_plan(Shape { hold: true, ..Shape::default() }));
    for n in 0..5_000 {
        let kept = matches!(
            exchange.accept_frame(n, 0, &make_frame(B, n as u32)),
            FrameOutcome::Later { fate: Fate::Held, .. }
        );
        assert_eq!(kept, n < 4_096, "{n}");
    }
    assert_eq!((exchange.pop_due(u64::MAX), link_counts(&exchange).queue_full), (None, 904));
    exchange.apply_plan(9 * MS, &LinkPlan::healed());
    let mut arrived = Vec::new();
    drain_due(&mut exchange, u64::MAX, &mut arrived);
    assert_eq!(frame_numbers(&arrived), Vec::from_iter(0..4_096));
    assert!(arrived.iter().all(|(at, _)| *at == 9 * MS));
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let chance = || prop_oneof![Just(0), 0..=1_000_u16];
    let micros = || prop_oneof![Just(0), 0..30_000_u32];
    let flap = prop::option::of((1..20_u32, 1..20_u32));
    (flap, any::<bool>(), [chance(), chance()], micros(), micros(), [chance(), chance()]).prop_map(
        |(flap_ms, hold, [loss, corrupt], delay_us, jitter_us, [reorder, duplicate])| Shape {
            flap_ms: flap_ms.filter(|_| !hold),
            hold,
            loss,
            corrupt,
            rate: None,
            delay_us,
            jitter_us,
            reorder,
            duplicate,
        },
    )
}

/// A switch as one would write it without thinking of speed: every frame in one list, the next one
/// searched for.
fn reference_arrivals(seed: u64, phases: &[(Shape, bool)]) -> Vec<(u64, u32)> {
    let mut link = ShapedLink::new(Rng::new(seed).fork("n1 to n2"));
    let mut under_way: Vec<(u64, u64, u32, usize)> = Vec::new();
    let mut order = 0;
    let mut arrived = Vec::new();
    let mut cuts = Vec::new();
    for (phase, (shape, cut)) in phases.iter().enumerate() {
        let begin = phase as u64 * 100 * MS;
        cuts.push((begin, *cut));
        let mut push = |all: Vec<super::link::Delivery>| {
            for delivery in all {
                under_way.push((delivery.at, order, frame_number(&delivery.frame), phase));
                order += 1;
            }
        };
        push(link.set_shape(begin, *cut, *shape));
        for n in 0..50 {
            push(
                link.accept_frame(
                    begin + n * 2 * MS,
                    &make_frame(B, (phase as u64 * 50 + n) as u32),
                )
                .1,
            );
        }
    }
    under_way.sort_unstable();
    for (at, _, number, phase) in under_way {
        // What is due at the very moment of a change has left before it, unless the change released
        // it.
        let last = cuts.iter().rposition(|(begin, _)| *begin < at).unwrap_or(0).max(phase);
        let is_cut = cuts[last].1;
        if !is_cut {
            arrived.push((at, number));
        }
    }
    arrived
}

proptest! {
    #[test]
    fn an_exchange_does_what_its_slow_twin_does(
        seed in 0..1_000_u64,
        phases in prop::collection::vec((any_shape(), prop::bool::weighted(0.2)), 1..5),
    ) {
        let mut exchange = new_exchange(seed);
        let mut arrived = Vec::new();
        for (phase, (shape, cut)) in phases.iter().enumerate() {
            let begin = phase as u64 * 100 * MS;
            drain_due(&mut exchange, begin, &mut arrived);
            let cuts = cut.then_some((A, B)).into_iter().collect();
            exchange.apply_plan(begin, &LinkPlan { cuts, ..shaped_plan(*shape) });
            for n in 0..50 {
                let now = begin + n * 2 * MS;
                drain_due(&mut exchange, now, &mut arrived);
                let sent = (phase as u64 * 50 + n) as u32;
                if let FrameOutcome::Now(_) = exchange.accept_frame(now, 0, &make_frame(B, sent)) {
                    arrived.push((now, sent));
                }
            }
        }
        drain_due(&mut exchange, u64::MAX, &mut arrived);
        let counts = link_counts(&exchange);
        prop_assert_eq!(counts.delivered, arrived.len() as u64);
        prop_assert_eq!(arrived, reference_arrivals(seed, &phases));
    }
}
