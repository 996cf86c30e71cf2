//! Does harm on purpose: each [`Nemesis`] aims purely, and then does one thing to the ground and undoes it.
//!
//! Whoever begins a fault also says how it can be seen that the fault bit. One nemesis = one file + one line in
//! [`NEMESES`]; names, `--help`, `harness list` and validation come from there.

pub(crate) mod agenda;
mod clock;
mod crash_loop;
mod disk;
pub(crate) mod executor;
mod farewell;
pub mod ground;
pub(crate) mod grudge;
mod kill;
pub(crate) mod membership;
mod none;
mod packet;
mod partition;
mod pause;
pub mod schedule;
pub mod script;
mod starve;
mod transfer;
mod vitals;
mod who;

use crate::system::System;
use anyhow::{Result, bail};
use futures_util::future::BoxFuture;
use ground::Ground;
use std::collections::BTreeSet;
use testbed::host::clock::Skew;
use testbed::net::plan::{HostId, LinkPlan};
use workloads::Rng;

/// A kind of fault.
pub trait Nemesis: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it does, in a sentence.
    fn doc(&self) -> &'static str;
    /// The ways it can aim, name and sentence, in order of name.
    fn variants(&self) -> &'static [(&'static str, &'static str)];
    /// How long a fault lasts, from and below, in milliseconds.
    fn duration_ms(&self) -> (u64, u64) {
        (700, 3_000)
    }
    /// Whether a fault may turn straight into another one of its kind.
    fn chains(&self) -> bool {
        false
    }
    /// Whether replicas must write to a [`testbed::host::disk::Disk`] from the start.
    fn needs_disks(&self) -> bool {
        false
    }
    /// Whether it shapes links, which not every network can.
    fn shapes(&self) -> bool {
        false
    }
    /// Whether each replica needs a host of its own, where all reach it at one address.
    fn needs_hosts(&self) -> bool {
        false
    }
    /// Why this machine cannot do it, and what to do; `None` where it can, as was tried just now.
    fn unable(&self) -> Option<String> {
        None
    }
    /// Why it cannot be done to that system; `None` where it can.
    fn refuses_system(&self, _system: &dyn System) -> Option<String> {
        None
    }
    /// Why it cannot aim like this among so many hosts, whatever happens; `None` where it can.
    fn refuses(&self, aim: &str, _count: usize) -> Option<String> {
        no_variant(self.name(), self.variants(), aim)
    }
    /// Whom it hits; `None` where there is no target now.
    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target>;
    /// Begins the fault, and returns what must be remembered to see later that it bit.
    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>>;
    /// Lets a fault that has not bitten yet last a little longer, where waiting may help. It may be changed for that.
    fn linger<'a>(&'a self, _: &'a mut Fault, _: &'a mut Ground) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    /// Ends the fault, and says what was seen of it.
    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>>;
}

/// Every nemesis, in order of name.
pub const NEMESES: &[&dyn Nemesis] = &[
    &disk::BIT_ROT,
    &clock::Clock,
    &crash_loop::CrashLoop,
    &disk::DISK_ERROR,
    &disk::DISK_FULL,
    &kill::Kill,
    &disk::LOST_WRITE,
    &membership::Membership,
    &disk::MISDIRECTED_WRITE,
    &none::None,
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

/// What is known when a fault aims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// How many hosts there are.
    pub count: usize,
    /// Who leads, where anybody says so.
    pub leader: Option<HostId>,
    /// Hosts whose replica runs and is left alone so far.
    pub free: BTreeSet<HostId>,
}

/// Whom a fault hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The hosts whose replica is touched.
    pub hosts: Vec<HostId>,
    /// The links that are cut or shaped.
    pub links: LinkPlan,
    /// How their clocks are wrong; when that begins is not known yet.
    pub(crate) skew: Option<Skew>,
    /// Decides what else is to be chosen; drawn from the fault's own stream.
    pub(crate) dice: u64,
    /// The same for a reader.
    pub text: String,
}

/// What was measured of the touched replicas when a fault began, in order of the target's hosts.
pub(crate) type Before = Vec<testbed::host::process::Sample>;

/// A fault that is on.
pub struct Fault {
    /// Its plan.
    pub(crate) planned: agenda::Planned,
    /// What does it.
    pub nemesis: &'static dyn Nemesis,
    /// Whom it hits.
    pub target: Target,
    /// What was measured when it began.
    pub before: Before,
    /// When it was on, in nanoseconds since the run began.
    pub started: u64,
}

/// Why a fault that the system would not have at that moment did not begin, or came to nothing: it is skipped, and
/// nobody's failure.
#[derive(Debug)]
pub(crate) struct NotNow(String);

impl NotNow {
    fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl std::fmt::Display for NotNow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotNow {}

/// What was seen of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether it proves that the fault bit.
    pub(crate) bit: bool,
    /// In words, with numbers.
    pub text: String,
}

/// A kind of fault that was asked for, with the variant where one was named.
#[derive(Clone)]
pub struct Wanted {
    /// The kind.
    pub nemesis: &'static dyn Nemesis,
    /// How it must aim.
    pub variant: Option<String>,
    /// Whether nobody can tell who leads, so that it cannot aim at that.
    pub(crate) leaderless: bool,
}

impl Wanted {
    /// The ways in which it may aim among so many hosts: those that find a target while nothing is broken.
    pub(crate) fn variants(&self, count: usize) -> Vec<String> {
        let free = grudge::all(count).into_iter().collect();
        let scene = Scene { count, leader: (!self.leaderless).then_some(HostId(0)), free };
        let named = self.nemesis.variants().iter().map(|(name, _)| (*name).to_owned());
        let able = match &self.variant {
            Some(variant) => vec![variant.clone()],
            None => named.collect(),
        };
        able.into_iter()
            .filter(|name| self.nemesis.aim(name, &scene, &mut Rng::new(0)).is_some())
            .collect()
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{}:{variant}", self.nemesis.name()),
            None => f.write_str(self.nemesis.name()),
        }
    }
}

/// The word for every nemesis there is.
const ALL: &str = "all";

/// The word for every nemesis that harms disks.
const DISK: &str = "disk";

/// Reads `partition:leader,kill`. `disk` wants all that harms disks. `none` wants nothing, `all` wants everything, and
/// both are nobody's companion.
pub fn wanted(text: &str) -> Result<Vec<Wanted>> {
    if text.trim() == ALL {
        let harm = NEMESES.iter().filter(|nemesis| nemesis.name() != "none");
        return Ok(harm
            .map(|nemesis| Wanted { nemesis: *nemesis, variant: None, leaderless: false })
            .collect());
    }
    let mut all = Vec::<Wanted>::new();
    let disks = NEMESES.iter().filter(|nemesis| nemesis.needs_disks());
    let disks: Vec<&str> = disks.map(|nemesis| nemesis.name()).collect();
    let parts = text.split(',').map(str::trim);
    for part in parts.flat_map(|part| if part == DISK { disks.clone() } else { vec![part] }) {
        let one = one_wanted(part)?;
        if all.iter().any(|other| other.nemesis.name() == one.nemesis.name()) {
            bail!("nemesis {:?} is named twice", one.nemesis.name());
        }
        all.push(one);
    }
    let nothing = all.iter().any(|one| one.nemesis.name() == "none");
    match (nothing, all.len()) {
        (true, 1) => Ok(Vec::new()),
        (true, _) => bail!("nemesis \"none\" stands alone: it means that nothing goes wrong"),
        (false, _) => Ok(all),
    }
}

fn one_wanted(part: &str) -> Result<Wanted> {
    let (name, variant) =
        part.split_once(':').map_or((part, None), |(name, variant)| (name, Some(variant)));
    if name == ALL {
        bail!("nemesis \"all\" stands alone: it already has every other, and in every variant");
    }
    let Some(nemesis) = named(name) else {
        let names: Vec<_> = NEMESES.iter().map(|nemesis| nemesis.name()).collect();
        bail!("there is no nemesis {name:?}; there are: {}", names.join(", "));
    };
    let refusal = variant.and_then(|variant| nemesis.refuses(variant, usize::from(u8::MAX)));
    match refusal {
        Some(why) => bail!(why),
        None => Ok(Wanted { nemesis, variant: variant.map(str::to_owned), leaderless: false }),
    }
}

/// Says that an aim is no variant, and what the variants are.
fn no_variant(name: &str, variants: &[(&str, &str)], aim: &str) -> Option<String> {
    let known: Vec<_> = variants.iter().map(|(name, _)| *name).collect();
    (!known.contains(&aim))
        .then(|| format!("nemesis {name:?} has no variant {aim:?}; it has: {}", known.join(", ")))
}

/// The nemesis of that name.
pub fn named(name: &str) -> Option<&'static dyn Nemesis> {
    NEMESES.iter().copied().find(|nemesis| nemesis.name() == name)
}

/// The ways in which a fault of single replicas aims.
pub(crate) const REPLICA_VARIANTS: &[(&str, &str)] = &[
    ("all", "every replica"),
    ("followers", "every replica but the leader"),
    ("leader", "the leader"),
    ("majority", "a random majority"),
    ("minority", "a random minority"),
    ("one", "one random replica"),
];

/// Why replicas cannot be aimed at like this.
pub(crate) fn refuses_replicas(name: &str, aim: &str, count: usize) -> Option<String> {
    let variants = named(name).map_or(REPLICA_VARIANTS, |nemesis| nemesis.variants());
    let unknown = no_variant(name, variants, aim)?;
    if !who::is_list(aim) {
        return Some(format!("{unknown}, or hosts by name (`n1 n3`)"));
    }
    who::hosts(aim, count).err()
}

/// Aims at single replicas that nothing else has hit.
pub(crate) fn aim_at_replicas(variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
    if who::is_list(variant) {
        let hosts = who::resolve(&who::hosts(variant, scene.count).ok()?, scene)?;
        let free = hosts.iter().all(|host| scene.free.contains(host));
        let text = grudge::names(&hosts);
        return free.then_some(Target {
            hosts,
            links: LinkPlan::healed(),
            skew: None,
            dice: 0,
            text,
        });
    }
    let mut hosts: Vec<HostId> = scene.free.iter().copied().collect();
    rng.shuffle(&mut hosts);
    let majority = scene.count / 2 + 1;
    let wanted = match variant {
        "leader" => {
            hosts.retain(|host| scene.leader == Some(*host));
            1
        }
        "followers" => {
            let leader = scene.leader?;
            hosts.retain(|host| *host != leader);
            scene.count.checked_sub(1).filter(|followers| *followers > 0)?
        }
        "one" => 1,
        "minority" if majority > 1 => 1 + rng.below(majority as u64 - 1) as usize,
        "minority" => return None,
        "majority" => majority,
        _ => scene.count,
    };
    hosts.truncate(wanted);
    hosts.sort_unstable();
    let text = grudge::names(&hosts);
    (hosts.len() == wanted).then_some(Target {
        hosts,
        links: LinkPlan::healed(),
        skew: None,
        dice: 0,
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kebab(name: &str) -> bool {
        name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    }

    fn scene() -> Scene {
        Scene { count: 5, leader: Some(HostId(2)), free: grudge::all(5).into_iter().collect() }
    }

    #[test]
    fn names_are_sorted_kebab_case_and_explained() {
        assert!(NEMESES.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        for nemesis in NEMESES {
            assert!(kebab(nemesis.name()) && nemesis.doc().len() > 20, "{}", nemesis.name());
            assert!(nemesis.variants().windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert!(nemesis.variants().iter().all(|(name, doc)| kebab(name) && doc.len() > 8));
        }
    }

    #[test]
    fn every_variant_finds_a_target_in_a_whole_cluster_of_five() {
        for nemesis in NEMESES {
            for (variant, _) in nemesis.variants() {
                let target = nemesis.aim(variant, &scene(), &mut Rng::new(1));
                assert!(target.is_some(), "{}:{variant}", nemesis.name());
            }
        }
    }

    #[test]
    fn a_replica_that_something_else_has_hit_is_nobodys_target() {
        let mut scene = scene();
        scene.free.remove(&HostId(2));
        assert_eq!(aim_at_replicas("leader", &scene, &mut Rng::new(1)), None);
        for seed in 0..20 {
            let target =
                aim_at_replicas("one", &scene, &mut Rng::new(seed)).expect("four are free");
            assert_ne!(target.hosts, [HostId(2)]);
        }
    }

    #[test]
    fn all_is_every_nemesis_but_none_and_stands_alone() {
        let all = wanted("all").expect("it is a word");
        assert_eq!(all.len(), NEMESES.len() - 1);
        assert!(all.iter().all(|it| it.variant.is_none() && it.nemesis.name() != "none"));
        let error = wanted("kill,all").err().expect("it has company");
        assert!(error.to_string().contains("stands alone"), "{error}");
    }

    #[test]
    fn disk_is_every_nemesis_that_harms_disks() {
        let all = wanted("kill,disk").expect("both are words");
        assert_eq!(all.iter().filter(|it| it.nemesis.needs_disks()).count() + 1, all.len());
        assert!(wanted("disk,power-loss").is_err(), "it is in there already");
    }

    #[test]
    fn what_is_wanted_is_read_and_nonsense_is_refused_with_the_names_there_are() {
        let names =
            |text| wanted(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            names("partition:leader, kill").expect("both exist"),
            ["partition:leader", "kill"]
        );
        assert_eq!(names("none").expect("it exists"), [""; 0]);
        let refusal = |text| names(text).expect_err("it is nonsense").to_string();
        insta::assert_snapshot!(refusal("fire"), @r#"there is no nemesis "fire"; there are: bit-rot, clock, crash-loop, disk-error, disk-full, kill, lost-write, membership, misdirected-write, none, packet, partition, pause, power-loss, replace, slow-disk, starve, transfer, truncate"#);
        insta::assert_snapshot!(refusal("kill:two"), @r#"nemesis "kill" has no variant "two"; it has: all, followers, leader, majority, minority, one, staggered, or hosts by name (`n1 n3`)"#);
        insta::assert_snapshot!(refusal("kill,none"), @r#"nemesis "none" stands alone: it means that nothing goes wrong"#);
        insta::assert_snapshot!(refusal("kill,kill:all"), @r#"nemesis "kill" is named twice"#);
    }
}
