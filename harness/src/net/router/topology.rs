//! Says who is whose neighbour: a grid, as Maelstrom has it unless asked for something else. Pure.

use crate::net::plan::hosts;
use std::collections::BTreeMap;

/// The neighbours of each node in a grid that is about as wide as it is high.
pub(super) fn topology(count: u8) -> BTreeMap<String, Vec<String>> {
    let width = (1..=count).find(|side| side.saturating_mul(*side) >= count).unwrap_or(1);
    let place = |number: u8| (number / width, number % width);
    let near = |one: u8, other: u8| {
        let ((row, column), (other_row, other_column)) = (place(one), place(other));
        row.abs_diff(other_row) + column.abs_diff(other_column) == 1
    };
    let around = |one: u8| hosts(count).filter(move |other| near(one, other.0));
    let names = |one: u8| around(one).map(|other| other.to_string()).collect();
    hosts(count).map(|one| (one.to_string(), names(one.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_nodes_are_a_grid_of_three_columns() {
        let told = topology(5);
        let of = |name: &str| told[name].join(" ");
        assert_eq!(
            ["n1", "n2", "n3", "n4", "n5"].map(of),
            ["n2 n4", "n1 n3 n5", "n2", "n1 n5", "n2 n4"]
        );
    }

    #[test]
    fn everybody_is_reached_and_neighbours_are_mutual() {
        for count in 1..=9 {
            let told = topology(count);
            let mut reached = vec!["n1".to_owned()];
            for place in 0..usize::from(count) {
                let new = told[&reached[place]].iter().filter(|it| !reached.contains(it));
                let new: Vec<String> = new.cloned().collect();
                reached.extend(new);
            }
            assert_eq!(reached.len(), usize::from(count));
            for (one, others) in &told {
                assert!(others.iter().all(|other| told[other].contains(one)), "{count}: {told:?}");
            }
        }
    }
}
