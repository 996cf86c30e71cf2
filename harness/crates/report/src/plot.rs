//! Plots what clients got: how many operations ended how, and how long they took.

use super::markup::escape;
use super::phrase;
use super::scale::{LEFT, RIGHT, Scale};
use super::series::{self, Bucket, OUTCOMES, Op, Outcome};
use records::record::FaultRecord;

/// How tall the plot of rates is, in pixels.
const RATE: f64 = 90.0;
/// How tall the plot of latencies is.
const LATENCY: f64 = 150.0;
/// Between the two.
const GAP: f64 = 26.0;
/// The grid that operations are put in, so that a page stays small however many there are.
const CELL: f64 = 3.0;

/// Both plots from `top` on, and where they end.
pub(super) fn plots(ops: &[Op], faults: &[&FaultRecord], scale: &Scale, top: f64) -> (String, f64) {
    let (rate_top, latency_top) = (top + GAP, top + RATE + 2.0 * GAP);
    let bottom = latency_top + LATENCY;
    let buckets = series::buckets(ops, scale.bucket());
    let mut out = rate(&buckets, scale, rate_top) + &latency(ops, &buckets, scale, latency_top);
    for (from, bucket) in (0..).step_by(scale.bucket() as usize).zip(&buckets) {
        let to = from + scale.bucket();
        let title = numbers(bucket, from, to, faults);
        out += &hover(&title, (scale.x(from), scale.x(to)), (rate_top, bottom));
    }
    (out, bottom)
}

/// Operations per second, stacked; the worst at the bottom, where even one is seen.
fn rate(buckets: &[Bucket], scale: &Scale, top: f64) -> String {
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
        .map(|value| grid(bottom - RATE * value / ceiling, &format!("{}", value)));
    let filled = OUTCOMES.map(|outcome| filled(outcome, &paths[outcome as usize]));
    caption(top, "operations per second, by when they were invoked")
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
    fn of(ops: &[Op], top: f64) -> Self {
        let power = |ns: u64| (ns as f64).log10();
        let low = ops.iter().map(Op::latency).min().map_or(6, |ns| power(ns).floor() as i32);
        let high = ops.iter().map(Op::latency).max().map_or(7, |ns| power(ns).ceil() as i32);
        Self { low, high: high.max(low + 1), top }
    }

    fn y(&self, ns: u64) -> f64 {
        let share = ((ns as f64).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.top + LATENCY * (1.0 - share)
    }

    fn grid(&self) -> String {
        let lines = (self.low..=self.high).map(|power| {
            let ns = 10u64.pow(power.unsigned_abs());
            grid(self.y(ns), &phrase::nanos(ns))
        });
        lines.collect()
    }
}

/// Every operation as a mark, the worst where several share a spot, and two quantiles as lines.
fn latency(ops: &[Op], buckets: &[Bucket], scale: &Scale, top: f64) -> String {
    let decades = Decades::of(ops, top);
    let spots = series::worst(ops.iter().map(|op| {
        let spot = (scale.x(op.start) / CELL, decades.y(op.latency()) / CELL);
        ((spot.0 as u32, spot.1 as u32), op.outcome)
    }));
    let mut marks = OUTCOMES.map(|_| String::new());
    for ((column, row), outcome) in spots {
        marks[outcome as usize] += &mark(outcome, column * CELL as u32, row * CELL as u32);
    }
    let filled = OUTCOMES.map(|outcome| filled(outcome, &marks[outcome as usize]));
    caption(top, "latency from invocation to completion; lines: median and 99th percentile")
        + &decades.grid()
        + &filled.concat()
        + &quantile(buckets, &decades, scale, 0.5)
        + &quantile(buckets, &decades, scale, 0.99)
}

/// The outcome's shape: a square, a triangle, a cross.
fn mark(outcome: Outcome, x: u32, y: u32) -> String {
    match outcome {
        Outcome::Ok => format!("M{x} {y}h3v3h-3z"),
        Outcome::Fail => format!("M{x} {y}m-2 4l3-6l3 6z"),
        Outcome::Info => format!("M{x} {y}m-2-2l6 6m0-6l-6 6"),
    }
}

fn quantile(buckets: &[Bucket], decades: &Decades, scale: &Scale, share: f64) -> String {
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

/// The numbers of one stretch of time, for whoever points at it.
fn hover(title: &str, x: (f64, f64), y: (f64, f64)) -> String {
    format!(
        "<rect class=\"hover\" x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\">\
         <title>{}</title></rect>",
        x.0,
        y.0,
        x.1 - x.0,
        y.1 - y.0,
        escape(title)
    )
}

/// What happened from one moment to another.
fn numbers(bucket: &Bucket, from: u64, to: u64, faults: &[&FaultRecord]) -> String {
    let counts = OUTCOMES.map(|outcome| format!("{} {}", bucket.count(outcome), outcome.name()));
    let time = |ns| phrase::seconds(ns, to - from);
    let mut text = format!("{}-{} s: {}", time(from), time(to), counts.join(", "));
    if let (Some(p50), Some(p99)) = (bucket.quantile(0.5), bucket.quantile(0.99)) {
        text += &format!("; p50 {}, p99 {}", phrase::nanos(p50), phrase::nanos(p99));
    }
    for fault in faults.iter().filter(|fault| lasted(fault, from, to)) {
        text += &format!("\nduring #{} {} {}", fault.id, phrase::fault(fault), fault.target);
    }
    text
}

/// Whether a fault was in force at any moment between two.
fn lasted(fault: &FaultRecord, from: u64, to: u64) -> bool {
    fault.started.is_some_and(|started| started < to)
        && fault.ended.is_none_or(|ended| ended > from)
}

fn filled(outcome: Outcome, path: &str) -> String {
    format!("<path class=\"{}\" d=\"{path}\"/>", outcome.name())
}

fn grid(y: f64, words: &str) -> String {
    format!(
        "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
         <text class=\"label\" x=\"{}\" y=\"{:.1}\">{words}</text>",
        LEFT - 8.0,
        y + 4.0
    )
}

fn caption(top: f64, words: &str) -> String {
    format!("<text class=\"caption\" x=\"{LEFT}\" y=\"{}\">{words}</text>", top - 7.0)
}
