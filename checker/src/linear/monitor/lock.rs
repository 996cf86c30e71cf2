//! Decides locks whose holders each do one thing at a time, so that each release belongs to a known
//! grant.
//!
//! A grant and its release form a block: nothing else happens in between. Blocks can be ordered iff
//! their zones can ([`super::zones`]). A grant that was never released is a block that nothing
//! follows: its release begins at the end of time. A grant of unknown outcome after which its
//! holder did nothing is left out, because removing it from the end of a legal order leaves a legal
//! order. A release of unknown outcome may be taken to happen, however late.

use std::collections::BTreeMap;

use super::view::{NEVER, OpInterval, PrefixView};
use super::zones::{Zone, can_order_zones};
use crate::history::Value;
use crate::model::Response;

/// Whether the operations are legal; undecided with refusals, and where a holder's operations
/// overlap.
pub(super) fn is_legal(view: &PrefixView<'_>) -> Option<bool> {
    if !view.fresh {
        return None;
    }
    let mut holders: BTreeMap<&Value, Vec<(bool, OpInterval)>> = BTreeMap::new();
    for (op, span) in view.ops() {
        if op.call.response == Response::Mismatch {
            return None;
        }
        holders.entry(&op.call.input).or_default().push((op.call.f == "acquire", span));
    }
    let mut zones = Vec::new();
    for deeds in holders.values() {
        if deeds.windows(2).any(|pair| pair[0].1.latest_end() > pair[1].1.begin) {
            return None;
        }
        let alternate = (0..).zip(deeds).all(|(place, (takes, _))| *takes == (place % 2 == 0));
        if !alternate {
            return reject_if_certain(deeds);
        }
        zones.extend(deeds.chunks(2).filter_map(block_zone));
    }
    Some(can_order_zones(&zones))
}

/// Two grants or two releases in a row; the last one may be left out if its outcome is unknown.
fn reject_if_certain(deeds: &[(bool, OpInterval)]) -> Option<bool> {
    let known = |(_, span): &(bool, OpInterval)| span.end.is_some();
    if deeds.iter().all(known) { Some(false) } else { None }
}

fn block_zone(deeds: &[(bool, OpInterval)]) -> Option<Zone> {
    let (_, grant) = deeds.first()?;
    let mut zone = Zone::EMPTY;
    match deeds.get(1) {
        Some((_, release)) => zone.include(release.begin, release.latest_end()),
        None if grant.end.is_none() => return None,
        None => zone.include(NEVER, NEVER),
    }
    zone.include(grant.begin, grant.latest_end());
    Some(zone)
}
