//! Draws a run over time: what was done to the hosts, and on the same axis what clients got.
//!
//! Everything shares one [`Scale`], so that what stands above each other happened at the same
//! moment. Faults are told apart by hatching as well as by colour, outcomes by shape too.

use super::markup::escape;
use super::run::Run;
use super::scale::{LEFT, RIGHT, Scale};
use super::series::{self, Op};
use super::{phrase, plot};
use records::record::{FaultRecord, FaultState};
use std::collections::BTreeSet;

/// The whole drawing.
const WIDTH: f64 = 960.0;
/// A row of faults or of a host.
const ROW: f64 = 20.0;
/// Marks on the axis of time, at most.
const TICKS: u64 = 10;
/// The kinds of fault that have a colour and a hatching of their own.
const KINDS: [&str; 3] = ["partition", "kill", "pause"];

/// The drawing, or nothing where there is nothing to draw.
pub(super) fn timeline(run: &Run<'_>, ops: &[Op]) -> Option<String> {
    let scale = Scale { span: span(run, ops)? };
    let bitten: Vec<&FaultRecord> =
        run.verdict.faults.iter().filter(|fault| fault.started.is_some()).collect();
    let (rows, plots_top) = rows(run, &bitten, &scale);
    let (plots, bottom) = plot::plots(ops, &bitten, &scale, plots_top);
    let bands = bitten.iter().map(|fault| {
        rect(&scale, fault, plots_top, bottom - plots_top, &format!("band {}", class(fault)))
    });
    let body = bands.collect::<String>() + &rows + &plots + &axis(&scale, bottom);
    let height = bottom + 34.0;
    Some(format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"The run over time\">\
         {}{body}</svg>",
        patterns()
    ))
}

/// The last moment that anything is known of.
fn span(run: &Run<'_>, ops: &[Op]) -> Option<u64> {
    let ends = run.verdict.faults.iter().flat_map(|fault| [fault.started, fault.ended]).flatten();
    ends.chain(ops.iter().map(|op| op.end)).max().filter(|last| *last > 0)
}

/// One row per kind of fault, then one per host, and where they end.
fn rows(run: &Run<'_>, faults: &[&FaultRecord], scale: &Scale) -> (String, f64) {
    let kinds: BTreeSet<&str> = faults.iter().map(|fault| fault.kind.as_str()).collect();
    let mut out = String::new();
    let mut y = 4.0;
    for kind in kinds {
        out += &label(y, kind, "");
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

/// A fault with its number, where there is room for it.
fn fault_bar(scale: &Scale, fault: &FaultRecord, y: f64) -> String {
    let started = fault.started.unwrap_or_default();
    let (from, to) = (scale.x(started), scale.x(fault.ended.unwrap_or(scale.span)));
    let bar = rect(scale, fault, y + 2.0, ROW - 4.0, &class(fault));
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
    format!("<g><title>{}</title>{bar}{number}</g>", escape(&story(fault)))
}

/// A host's row: when its replica was down or stopped, and when it was on the wrong side of a cut.
fn host_row(run: &Run<'_>, name: &str, scale: &Scale, y: f64) -> String {
    let died = run.verdict.deaths.iter().any(|death| death.replica == name);
    let mut out = label(y, name, if died { " †" } else { "" });
    out += &format!("<path class=\"alive\" d=\"M{LEFT} {0}H{RIGHT}\"/>", y + ROW / 2.0);
    for fault in &run.verdict.faults {
        if let (Some(what), Some(_)) = (plight(fault, name), fault.started) {
            let title = escape(&format!("{name} {what} by {}", story(fault)));
            let bar = rect(scale, fault, y + 5.0, ROW - 10.0, &class(fault));
            out += &format!("<g><title>{title}</title>{bar}</g>");
        }
    }
    out
}

/// What a fault means to a host, if anything.
pub(super) fn plight(fault: &FaultRecord, host: &str) -> Option<&'static str> {
    let cut = fault.cut.iter().any(|(from, to)| from == host || to == host);
    if fault.hosts.iter().any(|name| name == host) {
        Some("is hit")
    } else if cut && !fault.majority.iter().any(|name| name == host) {
        Some("is cut off from a majority")
    } else {
        None
    }
}

/// A fault in one line: which, whom, when, and what was seen.
pub(super) fn story(fault: &FaultRecord) -> String {
    let started = fault.started.unwrap_or_default();
    format!(
        "#{} {} {}, {} ({}: {})",
        fault.id,
        phrase::fault(fault),
        fault.target,
        phrase::span(started, fault.ended),
        phrase::seen(fault.state),
        fault.evidence
    )
}

/// The classes that give a fault its look.
pub(super) fn class(fault: &FaultRecord) -> String {
    let kind = kind(fault);
    let seen = if fault.state == FaultState::Witnessed { "" } else { " unseen" };
    format!("fault {kind}{seen}")
}

/// The name of a fault's colour and hatching.
pub(super) fn kind(fault: &FaultRecord) -> &'static str {
    KINDS.iter().find(|kind| **kind == fault.kind).unwrap_or(&"other")
}

/// The time a fault lasted, as a rectangle that is never too thin to see.
pub(super) fn rect(scale: &Scale, fault: &FaultRecord, y: f64, height: f64, class: &str) -> String {
    let from = scale.x(fault.started.unwrap_or_default());
    let to = scale.x(fault.ended.unwrap_or(scale.span));
    let width = (to - from).max(1.5);
    format!(
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y}\" \
         width=\"{width:.1}\" height=\"{height}\"/>"
    )
}

pub(super) fn label(y: f64, name: &str, mark: &str) -> String {
    let short: String = name.chars().take(10).collect();
    format!(
        "<text class=\"label\" x=\"{}\" y=\"{}\">{}{mark}</text>",
        LEFT - 8.0,
        y + 14.0,
        escape(&short)
    )
}

/// The axis of time below a drawing.
pub(super) fn axis(scale: &Scale, y: f64) -> String {
    let step = series::nice_step(scale.span, TICKS);
    let ticks = (0..=scale.span / step).map(|tick| {
        let (x, words) = (scale.x(tick * step), phrase::seconds(tick * step, step));
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

/// The hatchings: lines falling, lines crossing, dots, lines lying.
fn patterns() -> String {
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
