//! Plots the rate of operations by outcome, and their latencies.

use super::markup::escape_html;
use super::phrase;
use super::scale::{LEFT, RIGHT, Scale};
use super::series::{self, Bucket, OUTCOMES, Op, Outcome};
use records::record::FaultRecord;

/// The height of the rate plot in pixels.
const RATE: f64 = 90.0;
/// The height of the latency plot.
const LATENCY: f64 = 150.0;
/// The gap between the plots.
const GAP: f64 = 26.0;
/// The size of a grid cell: one mark per cell bounds the size of the page.
const CELL: f64 = 3.0;

/// Draws both plots below `top`; returns their bottom.
pub(super) fn draw_plots(
    ops: &[Op],
    faults: &[&FaultRecord],
    scale: &Scale,
    top: f64,
) -> (String, f64) {
    let (rate_top, latency_top) = (top + GAP, top + RATE + 2.0 * GAP);
    let bottom = latency_top + LATENCY;
    let buckets = series::group_by_step(ops, scale.bucket());
    let mut out =
        draw_rate(&buckets, scale, rate_top) + &draw_latency(ops, &buckets, scale, latency_top);
    for (from, bucket) in (0..).step_by(scale.bucket() as usize).zip(&buckets) {
        let to = from + scale.bucket();
        let title = describe_bucket(bucket, from, to, faults);
        out += &hover_area(&title, (scale.x(from), scale.x(to)), (rate_top, bottom));
    }
    (out, bottom)
}

/// Operations per second, stacked; the worst outcome at the bottom, where one is visible.
fn draw_rate(buckets: &[Bucket], scale: &Scale, top: f64) -> String {
    let seconds = scale.bucket() as f64 / 1e9;
    let most = buckets.iter().map(Bucket::total).max().unwrap_or_default();
    let ceiling = nice_ceiling(most as f64 / seconds);
    let bottom = top + RATE;
    let mut paths = OUTCOMES.map(|_| String::new());
    for (at, bucket) in buckets.iter().enumerate() {
        let x = scale.x(at as u64 * scale.bucket());
        let width = (scale.x((at as u64 + 1) * scale.bucket()) - x - 0.5).max(0.5);
        let mut y = bottom;
        for outcome in OUTCOMES.into_iter().rev().filter(|outcome| bucket.count(*outcome) > 0) {
            let per_second = bucket.count(outcome) as f64 / seconds;
            let height = (RATE * per_second / ceiling).max(1.5);
            paths[outcome as usize] +=
                &format!("M{x:.1} {y:.1}v-{height:.1}h{width:.1}v{height:.1}z");
            y -= height;
        }
    }
    let lines = [0.0, ceiling / 2.0, ceiling]
        .map(|value| grid_line(bottom - RATE * value / ceiling, &format!("{}", value)));
    let filled = OUTCOMES.map(|outcome| outcome_path(outcome, &paths[outcome as usize]));
    plot_caption(top, "operations per second, by when they were invoked")
        + &lines.concat()
        + &filled.concat()
}

/// The next of 1, 2, 5, 10 … at or above a rate, so that the axis has round numbers.
fn nice_ceiling(rate: f64) -> f64 {
    let unit = 10f64.powf(rate.max(1.0).log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|step| step * unit)
        .find(|step| *step >= rate)
        .unwrap_or(unit * 10.0)
}

/// A logarithmic axis of latency, in whole powers of ten.
struct Decades {
    low: i32,
    high: i32,
    top: f64,
}

impl Decades {
    fn from_ops(ops: &[Op], top: f64) -> Self {
        let power = |ns: u64| (ns as f64).log10();
        let low = ops.iter().map(Op::latency).min().map_or(6, |ns| power(ns).floor() as i32);
        let high = ops.iter().map(Op::latency).max().map_or(7, |ns| power(ns).ceil() as i32);
        Self { low, high: high.max(low + 1), top }
    }

    fn y(&self, ns: u64) -> f64 {
        let share = ((ns as f64).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.top + LATENCY * (1.0 - share)
    }

    fn grid_lines(&self) -> String {
        let lines = (self.low..=self.high).map(|power| {
            let ns = 10u64.pow(power.unsigned_abs());
            grid_line(self.y(ns), &phrase::format_nanos(ns))
        });
        lines.collect()
    }
}

/// Every operation as a mark, the worst where several share a spot, and two quantiles as lines.
fn draw_latency(ops: &[Op], buckets: &[Bucket], scale: &Scale, top: f64) -> String {
    let decades = Decades::from_ops(ops, top);
    let spots = series::worst_per_spot(ops.iter().map(|op| {
        let spot = (scale.x(op.start) / CELL, decades.y(op.latency()) / CELL);
        ((spot.0 as u32, spot.1 as u32), op.outcome)
    }));
    let mut marks = OUTCOMES.map(|_| String::new());
    for ((column, row), outcome) in spots {
        marks[outcome as usize] += &outcome_mark(outcome, column * CELL as u32, row * CELL as u32);
    }
    let filled = OUTCOMES.map(|outcome| outcome_path(outcome, &marks[outcome as usize]));
    plot_caption(top, "latency from invocation to completion; lines: median and 99th percentile")
        + &decades.grid_lines()
        + &filled.concat()
        + &draw_quantile(buckets, &decades, scale, 0.5)
        + &draw_quantile(buckets, &decades, scale, 0.99)
}

/// The outcome's shape: a square, a triangle, a cross.
fn outcome_mark(outcome: Outcome, x: u32, y: u32) -> String {
    match outcome {
        Outcome::Ok => format!("M{x} {y}h3v3h-3z"),
        Outcome::Fail => format!("M{x} {y}m-2 4l3-6l3 6z"),
        Outcome::Info => format!("M{x} {y}m-2-2l6 6m0-6l-6 6"),
    }
}

fn draw_quantile(buckets: &[Bucket], decades: &Decades, scale: &Scale, share: f64) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for (at, bucket) in buckets.iter().enumerate() {
        let middle = scale.x(at as u64 * scale.bucket() + scale.bucket() / 2);
        pen = match bucket.quantile(share) {
            Some(ns) => {
                path += &format!("{pen}{middle:.1} {:.1}", decades.y(ns));
                'L'
            }
            None => 'M',
        };
    }
    let class = if share > 0.5 { "quantile high" } else { "quantile" };
    format!("<path class=\"{class}\" d=\"{path}\"/>")
}

/// The numbers of one interval, shown on hover.
fn hover_area(title: &str, x: (f64, f64), y: (f64, f64)) -> String {
    format!(
        "<rect class=\"hover\" x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\">\
         <title>{}</title></rect>",
        x.0,
        y.0,
        x.1 - x.0,
        y.1 - y.0,
        escape_html(title)
    )
}

/// The outcomes, latencies and faults of one interval.
fn describe_bucket(bucket: &Bucket, from: u64, to: u64, faults: &[&FaultRecord]) -> String {
    let counts = OUTCOMES.map(|outcome| format!("{} {}", bucket.count(outcome), outcome.name()));
    let time = |ns| phrase::format_seconds(ns, to - from);
    let mut text = format!("{}-{} s: {}", time(from), time(to), counts.join(", "));
    if let (Some(p50), Some(p99)) = (bucket.quantile(0.5), bucket.quantile(0.99)) {
        text += &format!("; p50 {}, p99 {}", phrase::format_nanos(p50), phrase::format_nanos(p99));
    }
    for fault in faults.iter().filter(|fault| is_active(fault, from, to)) {
        text += &format!("\nduring #{} {} {}", fault.id, phrase::fault_name(fault), fault.target);
    }
    text
}

/// Whether a fault was active at any time in an interval.
fn is_active(fault: &FaultRecord, from: u64, to: u64) -> bool {
    fault.started.is_some_and(|started| started < to)
        && fault.ended.is_none_or(|ended| ended > from)
}

fn outcome_path(outcome: Outcome, path: &str) -> String {
    format!("<path class=\"{}\" d=\"{path}\"/>", outcome.name())
}

fn grid_line(y: f64, words: &str) -> String {
    format!(
        "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
         <text class=\"label\" x=\"{}\" y=\"{:.1}\">{words}</text>",
        LEFT - 8.0,
        y + 4.0
    )
}

fn plot_caption(top: f64, words: &str) -> String {
    format!("<text class=\"caption\" x=\"{LEFT}\" y=\"{}\">{words}</text>", top - 7.0)
}
