//! Draws a [`Window`]: a lane per process, time from left to right, the accused operation marked.
//!
//! Columns are ranks of events, not times: only the overlaps matter, and they survive any scale.

use std::collections::BTreeMap;

use crate::history::{Kind, Operation, Process, Value};
use crate::window::Window;

/// The drawing, at most `width` columns wide if the labels fit, every line ended.
pub fn render(window: &Window, width: usize) -> String {
    let lanes = Lanes::new(window, width);
    let states: Vec<String> = window.entry_states.iter().map(Value::to_string).collect();
    let about = window.key.as_ref().map_or_else(String::new, |key| format!("key {key}, "));
    let mut text = format!("{about}before: {}\n", states.join(" or "));
    for places in lanes.by_process.values() {
        text.push_str(&lanes.render_lane(&lane_name(window, places), places));
    }
    text
}

struct Lanes<'a> {
    window: &'a Window,
    by_process: BTreeMap<Process, Vec<usize>>,
    /// The column of each event index.
    columns: BTreeMap<u64, usize>,
    margin: usize,
    end: usize,
}

impl<'a> Lanes<'a> {
    fn new(window: &'a Window, width: usize) -> Self {
        let mut by_process: BTreeMap<Process, Vec<usize>> = BTreeMap::new();
        for (place, operation) in window.operations.iter().enumerate() {
            by_process.entry(operation.process).or_default().push(place);
        }
        let names = by_process.values().map(|places| lane_name(window, places).len());
        let margin = names.max().unwrap_or(0) + 2;
        let room = width.saturating_sub(margin + 2);
        let columns = assign_columns(window, room);
        let end = columns.values().max().map_or(0, |last| last + 2);
        Self { window, by_process, columns, margin, end }
    }

    /// Labels on one line, intervals below.
    fn render_lane(&self, name: &str, places: &[usize]) -> String {
        let (mut labels, mut bars) = (String::new(), String::new());
        for place in places {
            let operation = &self.window.operations[*place];
            let (from, to) = self.columns_of(operation);
            pad_to(&mut labels, from);
            labels.push_str(&marked_label(self.window, *place));
            pad_to(&mut bars, from);
            bars.push_str(&draw_bar(to - from, return_index(operation).is_some()));
        }
        let blank = " ".repeat(self.margin);
        let margin = self.margin;
        format!("{blank}{}\n{name:<margin$}{}\n", labels.trim_end(), bars.trim_end())
    }

    fn columns_of(&self, operation: &Operation) -> (usize, usize) {
        let from = self.columns[&operation.invoked.index];
        let to = return_index(operation).map_or(self.end, |end| self.columns[&end]);
        (from, to)
    }
}

/// The index at which an operation certainly has ended; none if its outcome is unknown.
fn return_index(operation: &Operation) -> Option<u64> {
    let completion = operation.completion.as_ref()?;
    (completion.kind != Kind::Info).then_some(completion.at.index)
}

/// Spreads the events over the width, but keeps each label clear of the next.
fn assign_columns(window: &Window, room: usize) -> BTreeMap<u64, usize> {
    let ends = window.operations.iter().filter_map(return_index);
    let mut indices: Vec<u64> =
        window.operations.iter().map(|it| it.invoked.index).chain(ends).collect();
    indices.sort_unstable();
    let even = (room / indices.len().max(1)).clamp(2, 8);
    let mut columns = BTreeMap::new();
    let mut free: BTreeMap<Process, usize> = BTreeMap::new();
    let mut column = 0;
    for index in indices {
        let begins = window.operations.iter().position(|it| it.invoked.index == index);
        if let Some(place) = begins {
            let operation = &window.operations[place];
            column = column.max(free.get(&operation.process).copied().unwrap_or(0));
            let label = marked_label(window, place).chars().count();
            free.insert(operation.process, column + label + 1);
        }
        columns.insert(index, column);
        column += even;
    }
    columns
}

fn pad_to(line: &mut String, column: usize) {
    let there = line.chars().count();
    line.push_str(&" ".repeat(column.saturating_sub(there)));
}

fn draw_bar(length: usize, ends: bool) -> String {
    let last = if ends { "┤" } else { "╌" };
    let middle = if ends { "─" } else { "╌" };
    format!("├{}{last}", middle.repeat(length.saturating_sub(1)))
}

/// The label, with a mark on the accused operation.
fn marked_label(window: &Window, place: usize) -> String {
    let mark = if place == window.accused { "✗ " } else { "" };
    format!("{mark}{}", window.label(place))
}

fn lane_name(window: &Window, places: &[usize]) -> String {
    window.operations[places[0]].actor().short_name()
}
