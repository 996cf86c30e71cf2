//! Computes the neighbours of each node in Maelstrom's topologies, by Maelstrom's names. Pure.

use crate::net::plan::host_ids;
use std::collections::BTreeMap;

/// A shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// About as wide as it is high.
    #[default]
    Grid,
    /// One after the other.
    Line,
    /// Every node with every other.
    Total,
    /// Each with so many below it, the first node on top.
    Tree(u8),
}

/// Every shape and its name.
pub const TOPOLOGIES: [(Topology, &str); 7] = [
    (Topology::Grid, "grid"),
    (Topology::Line, "line"),
    (Topology::Total, "total"),
    (Topology::Tree(2), "tree"),
    (Topology::Tree(2), "tree2"),
    (Topology::Tree(3), "tree3"),
    (Topology::Tree(4), "tree4"),
];

impl Topology {
    /// The shape of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        TOPOLOGIES.iter().find(|(_, known)| *known == name).map(|(topology, _)| *topology)
    }

    /// The neighbours of each of so many nodes.
    pub(super) fn neighbours(self, count: u8) -> BTreeMap<String, Vec<String>> {
        let width = (1..=count).find(|side| side.saturating_mul(*side) >= count).unwrap_or(1);
        let around =
            |one: u8| host_ids(count).filter(move |other| self.are_neighbours(one, other.0, width));
        let names = |one: u8| around(one).map(|other| other.to_string()).collect();
        host_ids(count).map(|one| (one.to_string(), names(one.0))).collect()
    }

    /// Whether two nodes are neighbours, in a grid of that width.
    fn are_neighbours(self, one: u8, other: u8, width: u8) -> bool {
        let place = |number: u8| (number / width, number % width);
        let above = |number: u8, branches: u8| number.checked_sub(1).map(|it| it / branches);
        match self {
            Self::Total => one != other,
            Self::Line => one.abs_diff(other) == 1,
            Self::Tree(branches) => {
                above(one, branches) == Some(other) || above(other, branches) == Some(one)
            }
            Self::Grid => {
                let ((row, column), (other_row, other_column)) = (place(one), place(other));
                row.abs_diff(other_row) + column.abs_diff(other_column) == 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe_topology(name: &str, count: u8) -> String {
        let told = Topology::from_name(name).expect("there is one").neighbours(count);
        let node =
            |(node, others): (&String, &Vec<String>)| format!("{node}: {}", others.join(" "));
        told.iter().map(node).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_shape_is_what_its_name_says() {
        for (name, count, neighbours) in [
            ("grid", 5, "n1: n2 n4; n2: n1 n3 n5; n3: n2; n4: n1 n5; n5: n2 n4"),
            ("line", 4, "n1: n2; n2: n1 n3; n3: n2 n4; n4: n3"),
            ("total", 3, "n1: n2 n3; n2: n1 n3; n3: n1 n2"),
            ("tree", 6, "n1: n2 n3; n2: n1 n4 n5; n3: n1 n6; n4: n2; n5: n2; n6: n3"),
            ("tree3", 6, "n1: n2 n3 n4; n2: n1 n5 n6; n3: n1; n4: n1; n5: n2; n6: n2"),
            ("tree4", 6, "n1: n2 n3 n4 n5; n2: n1 n6; n3: n1; n4: n1; n5: n1; n6: n2"),
        ] {
            assert_eq!(describe_topology(name, count), neighbours, "{name}");
        }
        assert_eq!(describe_topology("tree", 9), describe_topology("tree2", 9));
        assert_eq!(Topology::from_name("star"), None);
    }

    #[test]
    fn every_node_is_reached_and_neighbours_are_mutual() {
        for (topology, name) in TOPOLOGIES {
            for count in 1..=9 {
                let told = topology.neighbours(count);
                let mut reached = vec!["n1".to_owned()];
                for place in 0..usize::from(count) {
                    let new = told[&reached[place]].iter().filter(|it| !reached.contains(it));
                    let new: Vec<String> = new.cloned().collect();
                    reached.extend(new);
                }
                assert_eq!(reached.len(), usize::from(count), "{name} {count}");
                for (one, others) in &told {
                    let mutual = others.iter().all(|other| told[other].contains(one));
                    assert!(mutual && !others.contains(one), "{name} {count}: {told:?}");
                }
            }
        }
    }
}
