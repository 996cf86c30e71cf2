//! Parses hosts by name (`n1 n3`, `leader`, `rest`) in the aim of a fault, and resolves them when
//! it begins. Pure.
//!
//! What is wrong whatever happens is rejected when the aim is parsed. Only the leader is looked up
//! later.

use super::ClusterView;
use std::collections::BTreeSet;
use testbed::net::plan::HostId;

/// Separates groups that do not hear each other.
const BOTH_WAYS: &str = "|";
/// Separates a group from one that does not hear it.
const ONE_WAY: &str = "-/->";

/// A host, or a way to find some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostSelector {
    /// This one.
    Host(HostId),
    /// The leader.
    Leader,
    /// All that are in no other group.
    Rest,
}

/// Groups of hosts that do not hear each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupCut {
    /// The groups.
    pub(super) groups: Vec<Vec<HostSelector>>,
    /// Only the second does not hear the first.
    pub(super) one_way: bool,
}

/// Whether this is meant as a list of hosts, valid or not.
pub(super) fn is_list(text: &str) -> bool {
    let mut words = text.split_whitespace().peekable();
    // `leader` alone is a variant, and means the same.
    text != "leader" && words.peek().is_some() && words.all(|word| parse_word(word).is_some())
}

/// Whether this is meant as groups of hosts, valid or not.
pub(super) fn is_cut(text: &str) -> bool {
    text.contains(BOTH_WAYS) || text.contains(ONE_WAY)
}

/// Parses `n1 n3` or `leader n2` for so many hosts.
pub(super) fn parse_hosts(text: &str, count: usize) -> Result<Vec<HostSelector>, String> {
    let group = parse_group(text, count)?;
    if group.contains(&HostSelector::Rest) {
        return Err("\"rest\" is what other groups leave over; name hosts, or say \"all\" or \
                    \"followers\""
            .to_owned());
    }
    Ok(group)
}

/// Parses `leader|rest` or `n1 -/-> n2 n3` for so many hosts.
pub(super) fn parse_cut(text: &str, count: usize) -> Result<GroupCut, String> {
    let one_way = text.contains(ONE_WAY);
    let separator = if one_way { ONE_WAY } else { BOTH_WAYS };
    let groups: Vec<Vec<HostSelector>> =
        text.split(separator).map(|part| parse_group(part, count)).collect::<Result<_, _>>()?;
    if groups.len() < 2 || (one_way && groups.len() > 2) {
        return Err(format!(
            "{text:?} must have two groups of hosts, with one {separator:?} between"
        ));
    }
    let mut seen = BTreeSet::new();
    match groups.iter().flatten().find(|selector| !seen.insert(**selector)) {
        Some(HostSelector::Rest) => {
            Err("only one group can be \"rest\"; name the hosts of the other".to_owned())
        }
        Some(_) => Err(format!("{text:?} names a host twice; leave it in one group")),
        None => Ok(GroupCut { groups, one_way }),
    }
}

fn parse_group(text: &str, count: usize) -> Result<Vec<HostSelector>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err(format!("a group names no host; there are n1 to n{count}, leader and rest"));
    }
    let one = |word: &&str| match parse_word(word) {
        Some(HostSelector::Host(host)) if usize::from(host.0) >= count => {
            Err(format!("there is no host {word:?}; there are n1 to n{count} (--nodes {count})"))
        }
        Some(selector) => Ok(selector),
        None => Err(format!("{word:?} is no host; there are n1 to n{count}, leader and rest")),
    };
    words.iter().map(one).collect()
}

fn parse_word(word: &str) -> Option<HostSelector> {
    match word {
        "leader" => Some(HostSelector::Leader),
        "rest" => Some(HostSelector::Rest),
        _ => {
            let number: u8 = word.strip_prefix('n')?.parse().ok()?;
            (word == format!("n{number}")).then_some(())?;
            Some(HostSelector::Host(HostId(number.checked_sub(1)?)))
        }
    }
}

/// The hosts of a list now, in order; `None` where it needs a leader and there is none.
pub(super) fn resolve_hosts(list: &[HostSelector], view: &ClusterView) -> Option<Vec<HostId>> {
    resolve_groups(&[list.to_vec()], view)?.pop()
}

/// The hosts of every group now; `None` where there is no leader, or the leader is in two groups.
pub(super) fn resolve_groups(
    groups: &[Vec<HostSelector>],
    view: &ClusterView,
) -> Option<Vec<Vec<HostId>>> {
    let mut named = BTreeSet::new();
    let mut found = Vec::new();
    for group in groups {
        let mut hosts = BTreeSet::new();
        for selector in group {
            match selector {
                HostSelector::Host(host) => hosts.insert(*host),
                HostSelector::Leader => hosts.insert(view.leader?),
                HostSelector::Rest => false,
            };
        }
        if !named.is_disjoint(&hosts) {
            return None;
        }
        named.extend(&hosts);
        found.push(hosts);
    }
    let left =
        super::grudge::all_hosts(view.count).into_iter().filter(|host| !named.contains(host));
    if let Some(rest) = groups.iter().position(|group| group.contains(&HostSelector::Rest)) {
        found[rest].extend(left);
    }
    let found: Vec<Vec<HostId>> = found.into_iter().map(Vec::from_iter).collect();
    found.iter().all(|hosts| !hosts.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_view(leader: Option<u8>) -> ClusterView {
        let free = super::super::grudge::all_hosts(5).into_iter().collect();
        ClusterView { count: 5, leader: leader.map(HostId), free }
    }

    fn resolve_cut(text: &str, leader: Option<u8>) -> Option<String> {
        let groups =
            resolve_groups(&parse_cut(text, 5).expect("it is a cut").groups, &sample_view(leader))?;
        let names: Vec<String> =
            groups.iter().map(|group| super::super::grudge::host_names(group)).collect();
        Some(names.join("|"))
    }

    #[test]
    fn groups_are_resolved_when_the_fault_begins() {
        assert_eq!(resolve_cut("leader|rest", Some(2)).as_deref(), Some("n3|n1 n2 n4 n5"));
        assert_eq!(resolve_cut("n1 n2|n4 n5", None).as_deref(), Some("n1 n2|n4 n5"));
        assert_eq!(resolve_cut("leader n1 -/-> rest", Some(0)).as_deref(), Some("n1|n2 n3 n4 n5"));
        assert_eq!(resolve_cut("leader|rest", None), None, "there is no leader");
        assert_eq!(resolve_cut("leader|n1", Some(0)), None, "the leader is in both groups");
        assert_eq!(resolve_cut("n1 n2 n3 n4 n5|rest", None), None, "no host is left");
    }

    #[test]
    fn an_aim_that_names_no_host_is_rejected_with_those_there_are() {
        let refusal = |text| parse_cut(text, 5).expect_err("it is rejected");
        let hosts = "there are n1 to n5";
        for (text, message) in [
            ("n1|n6", format!("there is no host \"n6\"; {hosts} (--nodes 5)")),
            ("n1|bob", format!("\"bob\" is no host; {hosts}, leader and rest")),
            ("n1|", format!("a group names no host; {hosts}, leader and rest")),
            ("rest|rest", "only one group can be \"rest\"; name the hosts of the other".to_owned()),
            ("n1|n1 n2", "\"n1|n1 n2\" names a host twice; leave it in one group".to_owned()),
            (
                "n1 -/-> n2 -/-> n3",
                "\"n1 -/-> n2 -/-> n3\" must have two groups of hosts, with one \"-/->\" between"
                    .to_owned(),
            ),
        ] {
            assert_eq!(refusal(text), message);
        }
        assert!(parse_hosts("rest", 5).is_err_and(|why| why.contains("followers")));
        assert!(!is_list("one") && !is_list("n01") && !is_list("n0") && !is_list("n300"));
    }
}
