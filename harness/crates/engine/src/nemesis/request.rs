//! Parses what `--nemesis` asks for: `partition:leader,kill`.

use super::{ClusterView, NEMESES, Nemesis, Requirement, find_nemesis, grudge};
use anyhow::{Result, bail};
use std::fmt;
use testbed::net::plan::HostId;
use workloads::Rng;

/// The word for every nemesis.
const ALL: &str = "all";
/// The word for all disk faults.
const DISK: &str = "disk";
/// The word for the leader in an aim.
const LEADER: &str = "leader";
/// The nemesis that injects nothing.
const NONE: &str = "none";

/// A kind of fault that was asked for, with the variant where one was named.
#[derive(Clone)]
pub struct RequestedNemesis {
    /// The kind.
    pub nemesis: &'static dyn Nemesis,
    /// How it must aim.
    pub variant: Option<String>,
    /// The system does not report its leader, so that nothing can aim at that.
    pub leader_unknown: bool,
}

impl RequestedNemesis {
    fn new(nemesis: &'static dyn Nemesis, variant: Option<&str>) -> Self {
        Self { nemesis, variant: variant.map(str::to_owned), leader_unknown: false }
    }

    /// The ways in which it may aim among so many hosts: those that find a target in a cluster
    /// without faults.
    pub fn usable_variants(&self, count: usize) -> Vec<String> {
        let free = grudge::all_hosts(count).into_iter().collect();
        let leader = (!self.leader_unknown).then_some(HostId(0));
        let view = ClusterView { count, leader, free };
        let known = || self.nemesis.variants().iter().map(|(name, _)| (*name).to_owned());
        let mut variants = self.variant.clone().map_or_else(|| known().collect(), |one| vec![one]);
        variants.retain(|name| self.nemesis.choose_target(name, &view, &mut Rng::new(0)).is_some());
        variants
    }

    /// The aims that hit the leader, named or with hosts behind a variant (`lossy leader`); none
    /// where another variant was named or the system does not report its leader.
    pub fn leader_aims(&self, count: usize) -> Vec<String> {
        let usable = self.usable_variants(count);
        if usable.is_empty() || self.leader_unknown {
            return Vec::new();
        }
        let is_named = |name: &String| name.split([' ', '-']).any(|word| word == LEADER);
        let named: Vec<String> = usable.iter().filter(|name| is_named(name)).cloned().collect();
        if !named.is_empty() || self.variant.is_some() {
            return named;
        }
        let behind = usable.iter().map(|name| format!("{name} {LEADER}"));
        behind.filter(|aim| self.nemesis.reject_aim(aim, count).is_none()).collect()
    }
}

impl fmt::Display for RequestedNemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{}:{variant}", self.nemesis.name()),
            None => f.write_str(self.nemesis.name()),
        }
    }
}

/// Parses a list of nemeses. `disk` is all disk faults, `all` is every nemesis and `none` is none;
/// the last two stand alone.
pub fn parse_request(text: &str) -> Result<Vec<RequestedNemesis>> {
    let faults = NEMESES.iter().filter(|nemesis| nemesis.name() != NONE);
    if text.trim() == ALL {
        return Ok(faults.map(|nemesis| RequestedNemesis::new(*nemesis, None)).collect());
    }
    let disks = faults.filter(|nemesis| nemesis.requirements().contains(&Requirement::Disks));
    let disks: Vec<&str> = disks.map(|nemesis| nemesis.name()).collect();
    let mut requested = Vec::<RequestedNemesis>::new();
    let parts = text.split(',').map(str::trim);
    for part in parts.flat_map(|part| if part == DISK { disks.clone() } else { vec![part] }) {
        let one = parse_one(part)?;
        if requested.iter().any(|other| other.nemesis.name() == one.nemesis.name()) {
            bail!("nemesis {:?} is named twice", one.nemesis.name());
        }
        requested.push(one);
    }
    let has_none = requested.iter().any(|one| one.nemesis.name() == NONE);
    match (has_none, requested.len()) {
        (true, 1) => Ok(Vec::new()),
        (true, _) => bail!("nemesis \"none\" stands alone: it means a run without faults"),
        (false, _) => Ok(requested),
    }
}

fn parse_one(part: &str) -> Result<RequestedNemesis> {
    let (name, variant) =
        part.split_once(':').map_or((part, None), |(name, variant)| (name, Some(variant)));
    if name == ALL {
        bail!("nemesis \"all\" stands alone: it includes every other, in every variant");
    }
    let Some(nemesis) = find_nemesis(name) else {
        let names: Vec<_> = NEMESES.iter().map(|nemesis| nemesis.name()).collect();
        bail!("there is no nemesis {name:?}; there are: {}", names.join(", "));
    };
    match variant.and_then(|variant| nemesis.reject_aim(variant, usize::from(u8::MAX))) {
        Some(why) => bail!(why),
        None => Ok(RequestedNemesis::new(nemesis, variant)),
    }
}
