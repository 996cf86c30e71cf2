//! The ways in which links go bad: each package is a [`Shape`] whose strength the fault's own
//! stream decides.

use testbed::net::switch::PacketCounts;
use testbed::net::switch::shape::Shape;
use workloads::Rng;

/// The packages, name and sentence, in order of name.
pub(super) const VARIANTS: &[(&str, &str)] = &[
    ("corrupt", "a bit of 5 to 40 % of packets is flipped; checksums make losses of most"),
    ("duplicate", "20 to 90 % of packets come twice"),
    ("flaky", "some of everything: late, lost, twice, out of order, corrupted"),
    ("flapping", "links that are up and down in turns, several times a second"),
    ("hold", "packets are held until the fault is over, and then all come at once"),
    ("lossy", "5 to 40 % of packets are lost"),
    ("reorder", "20 to 60 % of packets are overtaken by later ones"),
    ("slow", "packets come 20 to 150 ms late, with jitter"),
    ("throttled", "links of 4 to 40 kB/s with a short queue"),
];

/// What a shape does to packets, and the counter of that.
pub(super) struct Effect {
    pub(super) name: &'static str,
    expected: fn(&Shape) -> bool,
    pub(super) count: fn(&PacketCounts) -> u64,
}

const EFFECTS: &[Effect] = &[
    Effect { name: "dropped while down", expected: |it| it.flap_ms.is_some(), count: |it| it.down },
    Effect { name: "held", expected: |it| it.hold, count: |it| it.held },
    Effect { name: "lost", expected: |it| it.loss > 0, count: |it| it.lost },
    Effect { name: "corrupted", expected: |it| it.corrupt > 0, count: |it| it.corrupted },
    Effect { name: "throttled", expected: |it| it.rate.is_some(), count: |it| it.throttled },
    Effect { name: "delayed", expected: |it| it.delay_us > 0, count: |it| it.delayed },
    Effect { name: "overtaken", expected: |it| it.reorder > 0, count: |it| it.overtaken },
    Effect { name: "duplicated", expected: |it| it.duplicate > 0, count: |it| it.duplicated },
];

/// The effects that such a shape must have had.
pub(super) fn expected_effects(shape: &Shape) -> impl Iterator<Item = &'static Effect> {
    EFFECTS.iter().filter(move |effect| (effect.expected)(shape))
}

/// A shape of that package.
pub(super) fn choose_shape(name: &str, rng: &mut Rng) -> Option<Shape> {
    let plain = Shape::default();
    let mut some = |low: u16, high: u16| rng.between(u64::from(low), u64::from(high)) as u16;
    Some(match name {
        "corrupt" => Shape { corrupt: some(50, 400), ..plain },
        "duplicate" => Shape { duplicate: some(200, 900), ..plain },
        "flaky" => Shape {
            loss: some(20, 100),
            corrupt: some(10, 50),
            delay_us: u32::from(some(1, 20)) * 1_000,
            jitter_us: u32::from(some(5, 50)) * 1_000,
            reorder: some(50, 200),
            duplicate: some(50, 200),
            ..plain
        },
        "flapping" => {
            Shape { flap_ms: Some((some(50, 400).into(), some(50, 400).into())), ..plain }
        }
        "hold" => Shape { hold: true, ..plain },
        "lossy" => Shape { loss: some(50, 400), ..plain },
        "reorder" => Shape { reorder: some(200, 600), ..plain },
        "slow" => Shape {
            delay_us: u32::from(some(20, 150)) * 1_000,
            jitter_us: u32::from(some(5, 50)) * 1_000,
            ..plain
        },
        "throttled" => Shape { rate: Some(u64::from(some(4, 40)) * 1_000), ..plain },
        _ => return None,
    })
}
