//! Lets leadership be handed on, through the system's own interface.
//!
//! Nothing breaks: it is what an operator does before maintenance, and a system must be as right while it happens as at any
//! other time. Evidence: soon after the wish another replica leads, in a later term. A system that will not hand on at
//! this moment has refused, and the fault is skipped.

use super::ground::Ground;
use super::{Before, Fault, Nemesis, NotNow, Scene, Seen, Target, no_variant, who};
use crate::system::{Handing, Leadership, System, leadership};
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::net::plan::{HostId, LinkPlan};
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// How long another leader may take to show itself.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

const VARIANTS: &[(&str, &str)] = &[("any", "from the leader to a random other replica")];

/// A graceful change of leaders.
pub(crate) struct Transfer;

impl Nemesis for Transfer {
    fn name(&self) -> &'static str {
        "transfer"
    }

    fn doc(&self) -> &'static str {
        "lets the leader hand leadership to another replica, through the system's own interface"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (300, 1_200)
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        let unknown = no_variant(self.name(), VARIANTS, aim)?;
        if !who::is_list(aim) {
            return Some(format!("{unknown}, or a host by name (`n3`)"));
        }
        match who::hosts(aim, count) {
            Ok(hosts) => (hosts.len() != 1).then(|| "one replica leads: name one host".to_owned()),
            Err(why) => Some(why),
        }
    }

    fn refuses_system(&self, system: &dyn System) -> Option<String> {
        (!system.hands_on()).then(|| {
            format!(
                "nemesis \"transfer\": {} has no interface through which leadership could be handed on",
                system.name()
            )
        })
    }

    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        let leader = scene.leader?;
        let mut others: Vec<HostId> =
            scene.free.iter().copied().filter(|host| *host != leader).collect();
        rng.shuffle(&mut others);
        let to = match who::is_list(variant) {
            true => {
                let named = who::resolve(&who::hosts(variant, scene.count).ok()?, scene)?;
                named.into_iter().find(|host| others.contains(host))?
            }
            false => *others.first()?,
        };
        let text = format!("{leader} to {to}");
        let links = LinkPlan::healed();
        Some(Target { hosts: vec![to], links, skew: None, dice: u64::from(leader.0), text })
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            let to = *target.hosts.first().context("somebody is to lead")?;
            let before =
                leadership(ground.clients()).await.ok_or(NotNow::because("nobody leads"))?;
            let leader = ground.clients().get(usize::from(before.leader.0));
            let asked = leader.context("the leader is one of the hosts")?.hand_on(to).await;
            if let Handing::Refused(why) = asked {
                return Err(NotNow::because(why).into());
            }
            ground.handed = Some(look(ground, before, to).await);
            ground.samples(&target.hosts)
        })
    }

    fn end<'a>(&'a self, _: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move { ground.handed.take().context("nobody looked who led") })
    }
}

/// Waits until another leads in a later term, or patience ends.
async fn look(ground: &Ground, before: Leadership, to: HostId) -> Seen {
    let began = Instant::now();
    loop {
        let now = leadership(ground.clients()).await;
        let seen = seen(before, now, to);
        if seen.bit || began.elapsed() > PATIENCE {
            return seen;
        }
        sleep(PAUSE).await;
    }
}

fn seen(before: Leadership, now: Option<Leadership>, to: HostId) -> Seen {
    let Leadership { leader: old, term } = before;
    let Some(now) = now else {
        return Seen { bit: false, text: format!("nobody led after {old} in term {term}") };
    };
    let bit = now.leader != old && now.term > term;
    let instead = if bit && now.leader != to { format!(" (and not {to})") } else { String::new() };
    let (leader, later) = (now.leader, now.term);
    let text = format!("{old} led term {term}, then {leader} term {later}{instead}");
    Seen { bit, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::grudge;

    fn scene(leader: Option<u8>) -> Scene {
        Scene { count: 3, leader: leader.map(HostId), free: grudge::all(3).into_iter().collect() }
    }

    #[test]
    fn it_aims_at_whoever_does_not_lead() {
        let aim = |variant: &str, scene: &Scene| {
            Transfer.aim(variant, scene, &mut Rng::new(3)).map(|target| target.hosts)
        };
        assert!(aim("any", &scene(Some(1))).is_some_and(|to| to != [HostId(1)]));
        assert_eq!(aim("n3", &scene(Some(1))), Some(vec![HostId(2)]));
        assert_eq!((aim("n2", &scene(Some(1))), aim("any", &scene(None))), (None, None));
        assert!(Transfer.refuses("n1 n2", 3).is_some() && Transfer.refuses("n9", 3).is_some());
        assert!(Transfer.refuses("two", 3).is_some() && Transfer.refuses("n3", 3).is_none());
    }

    #[test]
    fn only_another_leader_of_a_later_term_is_evidence() {
        let led = |leader: u8, term| Leadership { leader: HostId(leader), term };
        let bit = |now| seen(led(0, 4), now, HostId(1)).bit;
        assert!(bit(Some(led(1, 5))) && bit(Some(led(2, 6))));
        assert!(!bit(Some(led(0, 5))) && !bit(Some(led(1, 4))) && !bit(None));
    }
}
