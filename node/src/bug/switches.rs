//! Defines sets of switches: one bit for each, so that asking costs next to nothing.

use core::marker::PhantomData;

/// Something that is on or off.
pub trait Switch: Copy {
    /// Returns its number, below 128.
    fn bit(self) -> u32;
}

/// The switches of one kind that are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches<T> {
    bits: u128,
    kind: PhantomData<T>,
}

impl<T> Default for Switches<T> {
    fn default() -> Self {
        Self { bits: 0, kind: PhantomData }
    }
}

impl<T: Switch> Switches<T> {
    /// Whether a switch is on.
    pub fn contains(self, switch: T) -> bool {
        self.bits & (1 << switch.bit()) != 0
    }

    /// Whether all are off.
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }
}

impl<T: Switch> FromIterator<T> for Switches<T> {
    fn from_iter<I: IntoIterator<Item = T>>(switches: I) -> Self {
        let bits = switches.into_iter().fold(0, |bits, switch| bits | 1 << switch.bit());
        Self { bits, kind: PhantomData }
    }
}

impl<T: Switch, const N: usize> From<[T; N]> for Switches<T> {
    fn from(switches: [T; N]) -> Self {
        switches.into_iter().collect()
    }
}
