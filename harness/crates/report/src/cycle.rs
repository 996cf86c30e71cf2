//! Draws a dependency cycle: operations on an ellipse, an arrow for each dependency.

use super::markup::escape_html;
use records::record::DependencyEdge;
use std::f64::consts::TAU;

/// The centre of the drawing and the radii of the ellipse.
const MIDDLE: (f64, f64) = (300.0, 120.0);
const REACH: (f64, f64) = (220.0, 88.0);
/// The distance of an arrow's ends from the centres of its nodes.
const CLEAR: f64 = 24.0;

type Point = (f64, f64);

/// Draws the cycle; empty if there are no arrows.
pub(super) fn draw_cycle(operations: &[u64], arrows: &[DependencyEdge]) -> String {
    if arrows.is_empty() {
        return String::new();
    }
    let place = |index: u64| operations.iter().position(|it| *it == index);
    let point = |place: usize| {
        let angle = TAU * (place as f64 / operations.len() as f64 - 0.5);
        (MIDDLE.0 + REACH.0 * angle.cos(), MIDDLE.1 + REACH.1 * angle.sin())
    };
    let edges = arrows.iter().filter_map(|arrow| {
        let (from, to) = (place(arrow.from)?, place(arrow.to)?);
        (from != to).then(|| draw_edge(point(from), point(to), &arrow.relation))
    });
    let nodes = operations.iter().enumerate().map(|(n, index)| draw_node(point(n), n + 1, *index));
    format!(
        "<div class=\"wide cycle\" tabindex=\"0\"><svg viewBox=\"0 0 600 240\" role=\"img\" \
         aria-label=\"Dependencies between the operations\">{}{}</svg></div>",
        edges.collect::<String>(),
        nodes.collect::<String>()
    )
}

fn draw_node((x, y): Point, number: usize, index: u64) -> String {
    format!(
        "<g data-op=\"{index}\"><rect class=\"node\" x=\"{:.1}\" y=\"{:.1}\" width=\"40\" \
         height=\"24\" rx=\"6\"/>\
         <text class=\"time\" x=\"{x:.1}\" y=\"{:.1}\">T{number}</text></g>",
        x - 20.0,
        y - 12.0,
        y + 4.0
    )
}

/// A curved arrow, so that two opposite arrows do not overlap.
fn draw_edge(from: Point, to: Point, relation: &str) -> String {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let bend = ((from.0 + to.0) / 2.0 + dy * 0.22, (from.1 + to.1) / 2.0 - dx * 0.22);
    let (start, end) = (move_towards(from, bend), move_towards(to, bend));
    let (ux, uy) = unit_vector(bend, end);
    let side = |turn: f64| (end.0 - 9.0 * ux + 5.0 * turn * uy, end.1 - 9.0 * uy - 5.0 * turn * ux);
    let (left, right) = (side(1.0), side(-1.0));
    let words = ((start.0 + end.0) / 4.0 + bend.0 / 2.0, (start.1 + end.1) / 4.0 + bend.1 / 2.0);
    format!(
        "<path class=\"edge\" d=\"M{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}\"/>\
         <path class=\"head\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}z\"/>\
         <text class=\"time why\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        start.0,
        start.1,
        bend.0,
        bend.1,
        end.0,
        end.1,
        end.0,
        end.1,
        left.0,
        left.1,
        right.0,
        right.1,
        words.0,
        words.1 + 4.0,
        escape_html(relation)
    )
}

/// The point [`CLEAR`] pixels from one point towards another.
fn move_towards(from: Point, to: Point) -> Point {
    let (ux, uy) = unit_vector(from, to);
    (from.0 + CLEAR * ux, from.1 + CLEAR * uy)
}

fn unit_vector(from: Point, to: Point) -> Point {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1e-9);
    (dx / length, dy / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: u64, to: u64) -> DependencyEdge {
        DependencyEdge { from, to, relation: "<rw>".into() }
    }

    #[test]
    fn draws_every_arrow_with_its_relation() {
        let svg = draw_cycle(&[4, 8, 2], &[arrow(4, 8), arrow(8, 2), arrow(2, 4)]);
        assert_eq!(svg.matches("class=\"edge\"").count(), 3);
        assert_eq!(svg.matches("&lt;rw&gt;").count(), 3);
        assert!(svg.contains("data-op=\"8\"") && !svg.contains("NaN"));
    }

    #[test]
    fn ignores_arrows_to_unknown_operations_and_self_loops() {
        let svg = draw_cycle(&[4], &[arrow(4, 4), arrow(4, 9)]);
        assert!(!svg.contains("edge") && svg.contains("T1"));
        assert_eq!(draw_cycle(&[4], &[]), "");
    }
}
