//! Explains why a fault found no target, by what would have to be different for it to find one.
//! Pure.

use super::grudge;
use super::target::ClusterView;

/// The reason in a sentence. `has_target` aims once more at another view, and `busy` says of every
/// host that is not free why.
pub(super) fn explain_no_target(
    view: &ClusterView,
    busy: &[String],
    has_target: impl Fn(&ClusterView) -> bool,
) -> String {
    let all = grudge::all_hosts(view.count);
    let free = ClusterView { free: all.iter().copied().collect(), ..view.clone() };
    if has_target(&free) {
        return busy.join(", ");
    }
    let led_by = |host| ClusterView { leader: Some(host), ..free.clone() };
    let needs_leader = all.iter().any(|host| has_target(&led_by(*host)));
    match view.leader {
        None if needs_leader => "there was no leader, and none came in time".to_owned(),
        Some(leader) if needs_leader => format!("it needs another leader than {leader}"),
        _ => format!("{} hosts are too few", view.count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::find_nemesis;
    use testbed::net::plan::HostId;
    use workloads::Rng;

    fn explain(aim: (&str, &str), count: usize, leader: Option<u8>, busy: &[u8]) -> String {
        let (kind, variant) = aim;
        let nemesis = find_nemesis(kind).expect("there is one");
        let is_busy = |host: &HostId| busy.contains(&host.0);
        let free = grudge::all_hosts(count).into_iter().filter(|host| !is_busy(host)).collect();
        let view = ClusterView { count, leader: leader.map(HostId), free };
        let has_target =
            |view: &ClusterView| nemesis.choose_target(variant, view, &mut Rng::new(1)).is_some();
        assert!(!has_target(&view), "it has a target");
        let busy: Vec<_> = busy.iter().map(|it| format!("{} is held", HostId(*it))).collect();
        explain_no_target(&view, &busy, has_target)
    }

    #[test]
    fn the_reason_is_what_would_have_to_change() {
        assert_eq!(explain(("kill", "n2"), 3, None, &[1]), "n2 is held");
        assert_eq!(explain(("kill", "leader"), 3, Some(0), &[0]), "n1 is held");
        assert_eq!(explain(("kill", "all"), 3, Some(0), &[0, 2]), "n1 is held, n3 is held");
        let leaderless = "there was no leader, and none came in time";
        assert_eq!(explain(("kill", "leader"), 3, None, &[]), leaderless);
        assert_eq!(explain(("kill", "followers"), 3, None, &[1]), leaderless);
        let led = "it needs another leader than n1";
        assert_eq!(explain(("partition", "leader|n1"), 3, Some(0), &[]), led);
        assert_eq!(explain(("kill", "minority"), 1, Some(0), &[]), "1 hosts are too few");
    }
}
