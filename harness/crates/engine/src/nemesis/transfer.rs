//! Transfers leadership through the system's own interface.
//!
//! Nothing fails: it is what an operator does before maintenance, and a system must stay correct
//! meanwhile. Evidence: soon after the request another replica leads, in a later term. If the
//! system refuses at that moment, the fault is skipped.

use super::aim::reject_single_host;
use super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Skip, Target, selector,
};
use crate::system::{AdminReply, Feature, Leadership, System, find_leadership};
use anyhow::{Context as _, Result};
use futures_util::future::{BoxFuture, ready};
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// How long another leader may take to be reported.
const LEADER_TIMEOUT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

const VARIANTS: &[(&str, &str)] = &[("any", "from the leader to a random other replica")];

/// A graceful change of leaders.
pub(super) struct Transfer;

impl Nemesis for Transfer {
    fn name(&self) -> &'static str {
        "transfer"
    }

    fn doc(&self) -> &'static str {
        "transfers leadership to another replica, through the system's own interface"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (300, 1_200)
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        reject_single_host(self.name(), VARIANTS, aim, hosts)
    }

    fn reject_system(&self, system: &dyn System) -> Option<String> {
        (!system.has_feature(Feature::LeaderTransfer)).then(|| {
            let (nemesis, system) = (self.name(), system.name());
            format!("nemesis {nemesis:?}: {system} has no interface to transfer leadership")
        })
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        let leader = view.leader?;
        let mut others = view.shuffle_free_hosts(rng);
        others.retain(|host| *host != leader);
        let to = match selector::is_list(variant) {
            true => {
                let named = selector::parse_hosts(variant, view.count).ok()?;
                selector::resolve_hosts(&named, view)?
                    .into_iter()
                    .find(|host| others.contains(host))?
            }
            false => *others.first()?,
        };
        let text = format!("{leader} to {to}");
        Some(Target { text, ..Target::of_replicas(variant, vec![to]) })
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            let to = *target.hosts.first().context("a transfer needs a target; this is a bug")?;
            let before = find_leadership(cluster.clients()).await;
            let before = before.ok_or(Skip::because("there is no leader"))?;
            let transfer = cluster.client(before.leader)?.leader_transfer();
            let transfer = transfer.context("this client transfers no leadership")?;
            if let AdminReply::Refused(why) = transfer.transfer_leadership(to).await {
                return Err(Skip::because(why).into());
            }
            let evidence = await_other_leader(cluster, before, to).await?;
            Ok(Box::new(RequestedTransfer(evidence)) as Box<dyn ActiveFault>)
        })
    }
}

/// A transfer that was requested, and what came of it.
struct RequestedTransfer(Evidence);

impl ActiveFault for RequestedTransfer {
    fn end_fault<'a>(&'a mut self, _: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        Ok(self.0.clone())
    }
}

async fn await_other_leader(cluster: &Cluster, before: Leadership, to: HostId) -> Result<Evidence> {
    let began = Instant::now();
    loop {
        let evidence = weigh_leadership(before, find_leadership(cluster.clients()).await, to);
        let is_confirmed = evidence.as_ref().is_ok_and(|evidence| evidence.confirmed);
        if is_confirmed || began.elapsed() > LEADER_TIMEOUT {
            return evidence;
        }
        sleep(POLL).await;
    }
}

/// What leaders say of the transfer. Without a leader it is skipped: another fault may have stopped
/// the replicas that would elect one.
fn weigh_leadership(before: Leadership, now: Option<Leadership>, to: HostId) -> Result<Evidence> {
    let Leadership { leader: old, term } = before;
    let none = || Skip::because(format!("no leader after {old} in term {term}"));
    let Leadership { leader, term: later } = now.ok_or_else(none)?;
    let confirmed = leader != old && later > term;
    let instead =
        if confirmed && leader != to { format!(" (and not {to})") } else { String::new() };
    let text = format!("{old} led term {term}, then {leader} led term {later}{instead}");
    Ok(Evidence { confirmed, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::grudge;

    fn sample_view(leader: Option<u8>) -> ClusterView {
        let free = grudge::all_hosts(3).into_iter().collect();
        ClusterView { count: 3, leader: leader.map(HostId), free }
    }

    #[test]
    fn it_aims_at_a_replica_that_does_not_lead() {
        let aim = |variant: &str, view: &ClusterView| {
            Transfer.choose_target(variant, view, &mut Rng::new(3)).map(|target| target.hosts)
        };
        assert!(aim("any", &sample_view(Some(1))).is_some_and(|to| to != [HostId(1)]));
        assert_eq!(aim("n3", &sample_view(Some(1))), Some(vec![HostId(2)]));
        assert_eq!(
            (aim("n2", &sample_view(Some(1))), aim("any", &sample_view(None))),
            (None, None)
        );
        let rejects = |aim| Transfer.reject_aim(aim, 3).is_some();
        assert!(rejects("n1 n2") && rejects("n9") && rejects("two") && !rejects("n3"));
    }

    #[test]
    fn only_another_leader_of_a_later_term_is_evidence() {
        let led = |leader: u8, term| Leadership { leader: HostId(leader), term };
        let weigh = |now| weigh_leadership(led(0, 4), now, HostId(1));
        let confirmed = |now| weigh(now).is_ok_and(|evidence| evidence.confirmed);
        assert!(weigh(None).is_err_and(|why| why.is::<Skip>()));
        assert!(confirmed(Some(led(1, 5))) && confirmed(Some(led(2, 6))));
        assert!(!confirmed(Some(led(0, 5))) && !confirmed(Some(led(1, 4))) && !confirmed(None));
    }
}
