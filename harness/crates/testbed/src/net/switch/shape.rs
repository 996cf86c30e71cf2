//! Defines what a directed link does to packets: a [`Shape`] is a value, and the plain one does
//! nothing.

use serde::Serialize;
use std::fmt;

/// Chances are in parts of this.
pub const PER_MILLE: u16 = 1_000;

/// What happens to the packets of a directed link, in the order in which it happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// The link is up and down in turns, for so many milliseconds each.
    pub flap_ms: Option<(u32, u32)>,
    /// Everything is kept until this is over, then delivered in order.
    pub hold: bool,
    /// How many of 1000 packets are lost.
    pub loss: u16,
    /// How many have a bit flipped.
    pub corrupt: u16,
    /// Bytes per second, behind a short queue.
    pub rate: Option<u64>,
    /// How long every packet takes, in microseconds.
    pub delay_us: u32,
    /// How much longer it may take; order is kept.
    pub jitter_us: u32,
    /// How many of 1000 wait so that later ones overtake them.
    pub reorder: u16,
    /// How many come twice.
    pub duplicate: u16,
}

impl Shape {
    /// Packets pass as they come.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chance = |chance: u16, what: &str| {
            (chance > 0).then(|| format!("{}.{} % {what}", chance / 10, chance % 10))
        };
        let ms = |us: u32| format!("{}.{}", us / 1_000, us / 100 % 10);
        let parts = [
            self.flap_ms.map(|(up, down)| format!("{up} ms up, {down} ms down in turns")),
            self.hold.then(|| "everything held".to_owned()),
            chance(self.loss, "lost"),
            chance(self.corrupt, "corrupted"),
            self.rate.map(|rate| format!("{} kB/s", rate / 1_000)),
            (self.delay_us + self.jitter_us > 0).then(|| {
                format!("{} to {} ms late", ms(self.delay_us), ms(self.delay_us + self.jitter_us))
            }),
            chance(self.reorder, "reordered"),
            chance(self.duplicate, "duplicated"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "plain" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}
