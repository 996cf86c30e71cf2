//! Damages what replicas had synced, while they are down, and starts them on what is left.
//!
//! Never more than a minority at once, and only while nothing else has hold of any replica: enough good copies are
//! left. A damaged replica is started only when the others have gone on without it, so that what it may have
//! forgotten is known to enough of them; where they do not go on, it gets its good copy at once, and nothing was done to
//! it but a restart. One that refuses what it finds does as it should: when the fault ends, it
//! is given back its good copy. One that has gone on with damage may find it later, and stop then: that is doubtful, not
//! unasked. Evidence: bytes below the replica changed, and another process was started on them.

use super::super::ground::Ground;
use super::super::{
    Before, Fault, Nemesis, NotNow, Scene, Seen, Target, aim_at_replicas, grudge, refuses_replicas,
    who,
};
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::host::disk::{self, Damage};
use testbed::net::plan::HostId;
use tokio::time::Instant;
use workloads::{Call, Outcome, Rng};

/// How long the others may take to go on without those that are damaged, and those to say something.
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);
/// What they are asked about: no workload knows this key.
const KEY: &str = "ready";

const VARIANTS: &[(&str, &str)] =
    &[("leader", "the leader"), ("minority", "a random minority"), ("one", "one random replica")];

/// One way in which a disk forgets.
pub(in super::super) struct Damaging {
    name: &'static str,
    doc: &'static str,
    damage: Damage,
}

/// Flipped bits.
pub(in super::super) const BIT_ROT: Damaging = Damaging {
    name: "bit-rot",
    doc: "flips some bits of what a replica had synced, while it is down, and starts it on that; never of a majority",
    damage: Damage::Flip,
};
/// Sectors that were never written.
pub(in super::super) const LOST_WRITE: Damaging = Damaging {
    name: "lost-write",
    doc: "zeroes a sector of what a replica had synced, as if it had never been written; never of a majority",
    damage: Damage::Lost,
};
/// Sectors in the wrong place.
pub(in super::super) const MISDIRECTED_WRITE: Damaging = Damaging {
    name: "misdirected-write",
    doc: "puts one sector of what a replica had synced in the place of another one; never of a majority",
    damage: Damage::Misdirected,
};
/// Files that end too early.
pub(in super::super) const TRUNCATE: Damaging = Damaging {
    name: "truncate",
    doc: "cuts up to half of a file that a replica had synced, while it is down, and starts it on that; never of a majority",
    damage: Damage::Cut,
};

impl Nemesis for Damaging {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_000, 3_000)
    }

    fn needs_disks(&self) -> bool {
        true
    }

    fn unable(&self) -> Option<String> {
        disk::unable().map(|why| format!("{why}; do without {}", self.name))
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        let refused = refuses_replicas(self.name, aim, count);
        let named = who::hosts(aim, count).map_or(0, |hosts| hosts.len());
        let too_many = || {
            format!(
                "{} replicas of {count} are no minority: what they had could be nowhere else",
                named
            )
        };
        refused.or_else(|| (who::is_list(aim) && named > budget(count)).then(too_many))
    }

    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        let target = aim_at_replicas(variant, scene, rng)?;
        let affordable = target.hosts.len() <= budget(scene.count);
        let calm = scene.free.len() == scene.count;
        let dice = rng.below(u64::MAX);
        (affordable && calm).then_some(Target { dice, ..target })
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            let before = ground.samples(&target.hosts)?;
            target.hosts.iter().try_for_each(|host| ground.kill(*host))?;
            let damaged = ground.damage_all(&target.hosts, self.damage, target.dice).await;
            for host in &target.hosts {
                if damaged.is_err() {
                    // Nobody will end a fault that never began.
                    ground.give_back(*host)?;
                }
                ground.restart(*host)?;
                ground.slot(*host).touched = damaged.is_ok();
            }
            damaged.map(|()| before)
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let mut looks = Vec::new();
            for host in &fault.target.hosts {
                ground.await_word(*host).await;
                looks.push(ground.settle_damage(*host)?);
            }
            Ok(seen(&fault.target.hosts, &looks))
        })
    }
}

/// How many replicas may be damaged at once.
fn budget(count: usize) -> usize {
    count.saturating_sub(1) / 2
}

/// What was damaged; how the replica ended that was started on it, if it did; and whether it could be given back what it had.
type Look = (String, Option<String>, bool);

fn seen(hosts: &[HostId], looks: &[Look]) -> Seen {
    let told = |(host, (damaged, ended, healed)): (&HostId, &Look)| {
        let then = match ended {
            Some(how) if *healed => {
                format!("it refused that ({how}) and was given back what it had")
            }
            Some(how) => format!(
                "it changed that, stopped ({how}) and was started again on what it had made of it"
            ),
            None => "it went on with that".to_owned(),
        };
        format!("{host}: {damaged}; {then}")
    };
    Seen {
        bit: !looks.is_empty(),
        text: hosts.iter().zip(looks).map(told).collect::<Vec<_>>().join(". "),
    }
}

impl Ground {
    /// Damages what these dead replicas had synced, unless too few others know what they may have forgotten.
    async fn damage_all(&mut self, hosts: &[HostId], damage: Damage, dice: u64) -> Result<()> {
        hosts.iter().try_for_each(|host| self.damage(*host, damage, dice))?;
        if self.goes_on_without(hosts).await {
            return Ok(());
        }
        let names = grudge::names(hosts);
        let why = format!("the others did not go on without {names}, so nothing stayed damaged");
        Err(NotNow::because(why).into())
    }

    /// Damages what a dead replica had synced.
    fn damage(&mut self, host: HostId, damage: Damage, dice: u64) -> Result<()> {
        let slot = self.slot(host);
        let disk = slot.disk.as_mut().context("it has no disk that can fail")?;
        let dice = dice.wrapping_add(u64::from(host.0));
        let scar = tokio::task::block_in_place(|| disk.damage(damage, dice))?;
        let nothing = || NotNow::because(format!("{host} keeps nothing that this would change"));
        slot.scar = Some(scar.ok_or_else(nothing)?);
        Ok(())
    }

    /// Gives a dead replica back what it had, and says whether that could be done.
    fn give_back(&mut self, host: HostId) -> Result<bool> {
        let slot = self.slot(host);
        let disk = slot.disk.as_mut().context("it has no disk that can fail")?;
        match slot.scar.take() {
            Some(scar) => tokio::task::block_in_place(|| disk.heal(&scar)),
            None => Ok(true),
        }
    }

    /// Whether the others accept a change in time.
    async fn goes_on_without(&mut self, hosts: &[HostId]) -> bool {
        let others = grudge::all(self.count()).into_iter().zip(self.clients());
        let others: Vec<_> = others
            .filter(|(host, _)| !hosts.contains(host))
            .map(|(_, client)| client.clone())
            .collect();
        let call = Call::Write { key: KEY.to_owned(), value: 1 };
        let deadline = Instant::now() + PATIENCE;
        for client in others.iter().cycle() {
            if Instant::now() > deadline {
                break;
            }
            if client.call(&call).await.outcome == Outcome::Ok {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// Waits until a replica has exited or answers, or patience ends: it may still be reading what is left.
    async fn await_word(&mut self, host: HostId) {
        let client = self.clients()[usize::from(host.0)].clone();
        let call = Call::Read { key: KEY.to_owned() };
        let deadline = Instant::now() + PATIENCE;
        while self.slot(host).replica.exited().is_none() && Instant::now() < deadline {
            if client.call(&call).await.outcome == Outcome::Ok {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Looks what became of a damaged replica; one that has stopped gets its good copy and is started again.
    fn settle_damage(&mut self, host: HostId) -> Result<Look> {
        let slot = self.slot(host);
        let damaged = slot.scar.as_ref().map(|scar| scar.text.clone());
        let damaged = damaged.context("it was not damaged; this is a bug")?;
        let ended = slot.replica.exited();
        slot.touched = false;
        let mut healed = false;
        if ended.is_some() {
            healed = self.give_back(host)?;
            self.restart(host)?;
        }
        let slot = self.slot(host);
        slot.scar = None;
        slot.damaged |= !healed;
        Ok((damaged, ended, healed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::grudge;
    use super::*;

    #[test]
    fn a_majority_is_never_damaged_and_nobody_while_another_fault_is_on() {
        let mut scene =
            Scene { count: 3, leader: Some(HostId(0)), free: grudge::all(3).into_iter().collect() };
        let target = TRUNCATE.aim("minority", &scene, &mut Rng::new(1)).expect("one of three");
        assert_eq!(target.hosts.len(), 1);
        assert_eq!(TRUNCATE.aim("n1 n2", &scene, &mut Rng::new(1)), None);
        assert!(TRUNCATE.refuses("n1 n2", 3).is_some_and(|why| why.contains("no minority")));
        assert_eq!(TRUNCATE.refuses("n1 n2", 5), None);
        scene.free.remove(&HostId(2));
        assert_eq!(TRUNCATE.aim("one", &scene, &mut Rng::new(1)), None);
    }

    #[test]
    fn what_became_of_the_damaged_is_told() {
        let hosts = [HostId(0), HostId(1)];
        let refused = ("bytes 7+1 of x".to_owned(), Some("exit status: 1".to_owned()), true);
        let seen = seen(&hosts, &[refused, ("the last 3 of 9 bytes of y".to_owned(), None, false)]);
        assert!(seen.bit);
        assert_eq!(
            seen.text,
            "n1: bytes 7+1 of x; it refused that (exit status: 1) and was given back what it had. \
             n2: the last 3 of 9 bytes of y; it went on with that"
        );
    }
}
