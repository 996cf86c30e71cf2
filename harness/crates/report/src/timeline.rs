//! Draws a run over time: the faults and hosts, and on the same axis the outcomes of operations.
//!
//! All parts share one [`Scale`], so that events of the same time are aligned. Faults differ by
//! hatching as well as by colour, outcomes by shape, too.

use super::markup::escape_html;
use super::run::Run;
use super::scale::{LEFT, RIGHT, Scale};
use super::series::{self, Op};
use super::{phrase, plot};
use records::record::{FaultRecord, FaultState};
use std::collections::BTreeSet;

/// The width of the drawing.
const WIDTH: f64 = 960.0;
/// The height of a row of faults or of a host.
const ROW: f64 = 20.0;
/// The most ticks of the time axis.
const TICKS: u64 = 10;
/// The kinds of fault with their own colour and hatching.
const KINDS: [&str; 3] = ["partition", "kill", "pause"];

/// Draws the timeline; `None` if the run has neither operations nor faults.
pub(super) fn draw_timeline(run: &Run<'_>, ops: &[Op]) -> Option<String> {
    let scale = Scale { span: last_moment(run, ops)? };
    let started: Vec<&FaultRecord> =
        run.verdict.faults.iter().filter(|fault| fault.started.is_some()).collect();
    let (rows, plots_top) = draw_rows(run, &started, &scale);
    let (plots, bottom) = plot::draw_plots(ops, &started, &scale, plots_top);
    let bands = started.iter().map(|fault| {
        fault_rect(
            &scale,
            fault,
            plots_top,
            bottom - plots_top,
            &format!("band {}", fault_class(fault)),
        )
    });
    let body = bands.collect::<String>() + &rows + &plots + &time_axis(&scale, bottom);
    let height = bottom + 34.0;
    Some(format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"The run over time\">\
         {}{body}</svg>",
        hatch_patterns()
    ))
}

/// The time of the last known event.
fn last_moment(run: &Run<'_>, ops: &[Op]) -> Option<u64> {
    let ends = run.verdict.faults.iter().flat_map(|fault| [fault.started, fault.ended]).flatten();
    ends.chain(ops.iter().map(|op| op.end)).max().filter(|last| *last > 0)
}

/// Draws one row per kind of fault, then one per host; returns their bottom.
fn draw_rows(run: &Run<'_>, faults: &[&FaultRecord], scale: &Scale) -> (String, f64) {
    let kinds: BTreeSet<&str> = faults.iter().map(|fault| fault.kind.as_str()).collect();
    let mut out = String::new();
    let mut y = 4.0;
    for kind in kinds {
        out += &row_label(y, kind, "");
        for fault in faults.iter().filter(|fault| fault.kind == kind) {
            out += &fault_bar(scale, fault, y);
        }
        y += ROW;
    }
    for replica in &run.record.replicas {
        out += &host_row(run, &replica.name, scale, y);
        y += ROW;
    }
    (out, y + 10.0)
}

/// A fault with its number, if there is room for it.
fn fault_bar(scale: &Scale, fault: &FaultRecord, y: f64) -> String {
    let started = fault.started.unwrap_or_default();
    let (from, to) = (scale.x(started), scale.x(fault.ended.unwrap_or(scale.span)));
    let bar = fault_rect(scale, fault, y + 2.0, ROW - 4.0, &fault_class(fault));
    let number = if to - from > 8.0 + 7.0 * fault.id.to_string().len() as f64 {
        format!(
            "<text class=\"number\" x=\"{:.1}\" y=\"{}\">{}</text>",
            (from + to) / 2.0,
            y + 14.0,
            fault.id
        )
    } else {
        String::new()
    };
    format!("<g><title>{}</title>{bar}{number}</g>", escape_html(&describe_fault(fault)))
}

/// A host's row: the faults on its replica, and the times it was cut off from a majority.
fn host_row(run: &Run<'_>, name: &str, scale: &Scale, y: f64) -> String {
    let died = run.verdict.deaths.iter().any(|death| death.replica == name);
    let mut out = row_label(y, name, if died { " †" } else { "" });
    out += &format!("<path class=\"alive\" d=\"M{LEFT} {0}H{RIGHT}\"/>", y + ROW / 2.0);
    for fault in &run.verdict.faults {
        if let (Some(what), Some(_)) = (effect_on_host(fault, name), fault.started) {
            let title = escape_html(&format!("{name} {what} by {}", describe_fault(fault)));
            let bar = fault_rect(scale, fault, y + 5.0, ROW - 10.0, &fault_class(fault));
            out += &format!("<g><title>{title}</title>{bar}</g>");
        }
    }
    out
}

/// The effect of a fault on a host, if any.
pub(super) fn effect_on_host(fault: &FaultRecord, host: &str) -> Option<&'static str> {
    let cut = fault.cut.iter().any(|(from, to)| from == host || to == host);
    if fault.hosts.iter().any(|name| name == host) {
        Some("is hit")
    } else if cut && !fault.majority.iter().any(|name| name == host) {
        Some("is cut off from a majority")
    } else {
        None
    }
}

/// A fault in one line: kind, target, time, state and evidence.
pub(super) fn describe_fault(fault: &FaultRecord) -> String {
    let started = fault.started.unwrap_or_default();
    format!(
        "#{} {} {}, {} ({}: {})",
        fault.id,
        phrase::fault_name(fault),
        fault.target,
        phrase::format_span(started, fault.ended),
        phrase::state_name(fault.state),
        fault.evidence
    )
}

/// The CSS classes of a fault.
pub(super) fn fault_class(fault: &FaultRecord) -> String {
    let kind = fault_style(fault);
    let seen = if fault.state == FaultState::Witnessed { "" } else { " unseen" };
    format!("fault {kind}{seen}")
}

/// The CSS class of a fault's colour and hatching.
pub(super) fn fault_style(fault: &FaultRecord) -> &'static str {
    KINDS.iter().find(|kind| **kind == fault.kind).unwrap_or(&"other")
}

/// A fault's duration as a rectangle of at least 1.5 pixels.
pub(super) fn fault_rect(
    scale: &Scale,
    fault: &FaultRecord,
    y: f64,
    height: f64,
    class: &str,
) -> String {
    let from = scale.x(fault.started.unwrap_or_default());
    let to = scale.x(fault.ended.unwrap_or(scale.span));
    let width = (to - from).max(1.5);
    format!(
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y}\" \
         width=\"{width:.1}\" height=\"{height}\"/>"
    )
}

pub(super) fn row_label(y: f64, name: &str, mark: &str) -> String {
    let short: String = name.chars().take(10).collect();
    format!(
        "<text class=\"label\" x=\"{}\" y=\"{}\">{}{mark}</text>",
        LEFT - 8.0,
        y + 14.0,
        escape_html(&short)
    )
}

/// The time axis below a drawing.
pub(super) fn time_axis(scale: &Scale, y: f64) -> String {
    let step = series::nice_step(scale.span, TICKS);
    let ticks = (0..=scale.span / step).map(|tick| {
        let (x, words) = (scale.x(tick * step), phrase::format_seconds(tick * step, step));
        format!(
            "<path class=\"tick\" d=\"M{x:.1} {y}v5\"/>\
             <text class=\"time\" x=\"{x:.1}\" y=\"{}\">{words}</text>",
            y + 18.0
        )
    });
    let line = format!("<path class=\"tick\" d=\"M{LEFT} {y}H{RIGHT}\"/>");
    let unit =
        format!("<text class=\"label\" x=\"{}\" y=\"{}\">seconds</text>", LEFT - 12.0, y + 18.0);
    line + &ticks.collect::<String>() + &unit
}

/// The hatchings: diagonal lines, crossed lines, dots, horizontal lines.
fn hatch_patterns() -> String {
    let pattern = |kind: &str, path: &str| {
        format!(
            "<pattern id=\"{kind}\" class=\"{kind}\" width=\"6\" height=\"6\" \
             patternUnits=\"userSpaceOnUse\"><rect width=\"6\" height=\"6\"/>\
             <path d=\"{path}\"/></pattern>"
        )
    };
    let all = [
        pattern("partition", "M-1 5l2 2M0 0l6 6M5-1l2 2"),
        pattern("kill", "M0 0l6 6M6 0l-6 6"),
        pattern("pause", "M1.5 1.5h2v2h-2zM4.5 4.5h2v2h-2z"),
        pattern("other", "M0 3h6"),
    ];
    format!("<defs>{}</defs>", all.concat())
}
