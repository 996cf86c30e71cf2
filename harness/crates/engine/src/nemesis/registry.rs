//! The list of all nemeses.

use super::fault::Nemesis;
use super::{clock, crash_loop, disk, kill, membership, no_faults, packet, partition, pause};
use super::{starve, transfer};

/// Every nemesis, in order of name.
pub const NEMESES: &[&dyn Nemesis] = &[
    &disk::BIT_ROT,
    &clock::ClockSkew,
    &crash_loop::CrashLoop,
    &disk::DISK_ERROR,
    &disk::DISK_FULL,
    &kill::Kill,
    &disk::LOST_WRITE,
    &membership::Removal,
    &disk::MISDIRECTED_WRITE,
    &no_faults::NoFaults,
    &packet::Packet,
    &partition::Partition,
    &pause::Pause,
    &disk::PowerLoss,
    &membership::Replace,
    &disk::SLOW_DISK,
    &starve::Starve,
    &transfer::Transfer,
    &disk::TRUNCATE,
];

/// The nemesis of that name.
pub fn find_nemesis(name: &str) -> Option<&'static dyn Nemesis> {
    NEMESES.iter().copied().find(|nemesis| nemesis.name() == name)
}
