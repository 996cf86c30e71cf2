//! Reads hosts by name (`n1 n3`, `leader`, `rest`) where a fault says whom it hits, and finds them in the scene. Pure.
//!
//! What can be known to be wrong before a run is refused when it is read; who leads is asked when the fault begins.

use super::Scene;
use std::collections::BTreeSet;
use testbed::net::plan::HostId;

/// What stands between two groups that refuse each other.
const BOTH_WAYS: &str = "|";
/// What stands behind a group that the next one does not hear.
const ONE_WAY: &str = "-/->";

/// A host, or a way to find some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// This one.
    Host(HostId),
    /// Whoever leads.
    Leader,
    /// All that no other group names.
    Rest,
}

/// Groups of hosts that refuse each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The groups.
    pub(super) groups: Vec<Vec<Who>>,
    /// Only the first is refused, by the second.
    pub(super) one_way: bool,
}

/// Whether this is meant as a list of hosts, right or wrong.
pub(super) fn is_list(text: &str) -> bool {
    let mut words = text.split_whitespace().peekable();
    // `leader` alone is a variant, and means the same.
    text != "leader" && words.peek().is_some() && words.all(|word| read(word).is_some())
}

/// Whether this is meant as groups of hosts, right or wrong.
pub(super) fn is_cut(text: &str) -> bool {
    text.contains(BOTH_WAYS) || text.contains(ONE_WAY)
}

/// The hosts that `n1 n3` or `leader n2` name among so many.
pub(super) fn hosts(text: &str, count: usize) -> Result<Vec<Who>, String> {
    let group = group(text, count)?;
    if group.contains(&Who::Rest) {
        return Err("\"rest\" is what other groups leave over; name hosts, or say \"all\" or \
                    \"followers\""
            .to_owned());
    }
    Ok(group)
}

/// The groups that `leader|rest` or `n1 -/-> n2 n3` name among so many hosts.
pub(super) fn cut(text: &str, count: usize) -> Result<Cut, String> {
    let one_way = text.contains(ONE_WAY);
    let separator = if one_way { ONE_WAY } else { BOTH_WAYS };
    let groups: Vec<Vec<Who>> =
        text.split(separator).map(|part| group(part, count)).collect::<Result<_, _>>()?;
    if groups.len() < 2 || (one_way && groups.len() > 2) {
        return Err(format!(
            "{text:?} must have two groups of hosts, with one {separator:?} between"
        ));
    }
    let mut seen = BTreeSet::new();
    match groups.iter().flatten().find(|who| !seen.insert(**who)) {
        Some(Who::Rest) => {
            Err("only one group can be \"rest\"; name the hosts of the other".to_owned())
        }
        Some(_) => Err(format!("{text:?} names a host twice; leave it in one group")),
        None => Ok(Cut { groups, one_way }),
    }
}

fn group(text: &str, count: usize) -> Result<Vec<Who>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err(format!("a group names no host; there are n1 to n{count}, leader and rest"));
    }
    let one = |word: &&str| match read(word) {
        Some(Who::Host(host)) if usize::from(host.0) >= count => {
            Err(format!("there is no host {word:?}; there are n1 to n{count} (--nodes {count})"))
        }
        Some(who) => Ok(who),
        None => Err(format!("{word:?} is no host; there are n1 to n{count}, leader and rest")),
    };
    words.iter().map(one).collect()
}

fn read(word: &str) -> Option<Who> {
    match word {
        "leader" => Some(Who::Leader),
        "rest" => Some(Who::Rest),
        _ => {
            let number: u8 = word.strip_prefix('n')?.parse().ok()?;
            (word == format!("n{number}")).then_some(())?;
            Some(Who::Host(HostId(number.checked_sub(1)?)))
        }
    }
}

/// The hosts of a list now, in order; `None` where it needs a leader and nobody leads.
pub(super) fn resolve(list: &[Who], scene: &Scene) -> Option<Vec<HostId>> {
    resolve_groups(&[list.to_vec()], scene)?.pop()
}

/// The hosts of every group now; `None` where there is no leader, or the leader is in two groups.
pub(super) fn resolve_groups(groups: &[Vec<Who>], scene: &Scene) -> Option<Vec<Vec<HostId>>> {
    let mut named = BTreeSet::new();
    let mut found = Vec::new();
    for group in groups {
        let mut hosts = BTreeSet::new();
        for who in group {
            match who {
                Who::Host(host) => hosts.insert(*host),
                Who::Leader => hosts.insert(scene.leader?),
                Who::Rest => false,
            };
        }
        if !named.is_disjoint(&hosts) {
            return None;
        }
        named.extend(&hosts);
        found.push(hosts);
    }
    let left = super::grudge::all(scene.count).into_iter().filter(|host| !named.contains(host));
    if let Some(rest) = groups.iter().position(|group| group.contains(&Who::Rest)) {
        found[rest].extend(left);
    }
    let found: Vec<Vec<HostId>> = found.into_iter().map(Vec::from_iter).collect();
    found.iter().all(|hosts| !hosts.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(leader: Option<u8>) -> Scene {
        let free = super::super::grudge::all(5).into_iter().collect();
        Scene { count: 5, leader: leader.map(HostId), free }
    }

    fn found(text: &str, leader: Option<u8>) -> Option<String> {
        let groups = resolve_groups(&cut(text, 5).expect("it is a cut").groups, &scene(leader))?;
        let told: Vec<String> =
            groups.iter().map(|group| super::super::grudge::names(group)).collect();
        Some(told.join("|"))
    }

    #[test]
    fn groups_are_found_in_the_scene() {
        assert_eq!(found("leader|rest", Some(2)).as_deref(), Some("n3|n1 n2 n4 n5"));
        assert_eq!(found("n1 n2|n4 n5", None).as_deref(), Some("n1 n2|n4 n5"));
        assert_eq!(found("leader n1 -/-> rest", Some(0)).as_deref(), Some("n1|n2 n3 n4 n5"));
        assert_eq!(found("leader|rest", None), None, "nobody leads");
        assert_eq!(found("leader|n1", Some(0)), None, "the leader refuses itself");
        assert_eq!(found("n1 n2 n3 n4 n5|rest", None), None, "nobody is left");
    }

    #[test]
    fn what_names_nobody_is_refused_with_who_there_is() {
        let refusal = |text| cut(text, 5).expect_err("it is nonsense");
        insta::assert_snapshot!(refusal("n1|n6"), @r#"there is no host "n6"; there are n1 to n5 (--nodes 5)"#);
        insta::assert_snapshot!(refusal("n1|bob"), @r#""bob" is no host; there are n1 to n5, leader and rest"#);
        insta::assert_snapshot!(refusal("n1|"), @"a group names no host; there are n1 to n5, leader and rest");
        insta::assert_snapshot!(refusal("rest|rest"), @r#"only one group can be "rest"; name the hosts of the other"#);
        insta::assert_snapshot!(refusal("n1|n1 n2"), @r#""n1|n1 n2" names a host twice; leave it in one group"#);
        insta::assert_snapshot!(refusal("n1 -/-> n2 -/-> n3"), @r#""n1 -/-> n2 -/-> n3" must have two groups of hosts, with one "-/->" between"#);
        assert!(hosts("rest", 5).is_err_and(|why| why.contains("followers")));
        assert!(!is_list("one") && !is_list("n01") && !is_list("n0") && !is_list("n300"));
    }
}
