//! Draws the staleness of each replica's reads over time, in milliseconds and versions, above the
//! faults of the run.
//!
//! The session check measures the numbers per interval; a run without them has no such drawing.

use super::markup::escape_html;
use super::phrase;
use super::run::Run;
use super::scale::Scale;
use super::timeline;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The height of a replica's row.
const ROW: f64 = 46.0;
/// The height of the tallest bar.
const TALL: f64 = 38.0;

/// The reads that one replica answered in one interval.
struct Interval {
    from_ns: u64,
    reads: u64,
    stale: u64,
    ms: f64,
    versions: u64,
}

/// Renders the section; empty if staleness was not measured.
pub(super) fn render_staleness(run: &Run<'_>) -> String {
    run.verdict.checks.iter().filter_map(|check| draw_staleness(run, &check.measured)).collect()
}

/// The measurements for the plots of the page.
#[derive(Debug, Serialize)]
pub(super) struct Staleness {
    /// The length of an interval in nanoseconds.
    stretch: u64,
    /// By replica: the start of an interval, its stale reads, their greatest staleness in
    /// milliseconds and in versions.
    replicas: BTreeMap<String, Vec<(u64, u64, f64, u64)>>,
}

/// Reads the staleness from the measurements of a check, if it has them.
pub(super) fn read_measured(measured: &BTreeMap<String, Value>) -> Option<Staleness> {
    let row = |it: Interval| (it.from_ns, it.stale, it.ms, it.versions);
    let replicas = measured.get("replicas")?.as_object()?.iter();
    Some(Staleness {
        stretch: ms_to_ns(measured.get("stretch_ms")?.as_f64()?),
        replicas: replicas
            .map(|(name, told)| (name.clone(), read_intervals(told).into_iter().map(row).collect()))
            .collect(),
    })
}

fn draw_staleness(run: &Run<'_>, measured: &BTreeMap<String, Value>) -> Option<String> {
    let width_ns = ms_to_ns(measured.get("stretch_ms")?.as_f64()?);
    let replicas: Vec<(&String, Vec<Interval>)> = measured
        .get("replicas")?
        .as_object()?
        .iter()
        .map(|(name, told)| (name, read_intervals(told)))
        .collect();
    let all = || replicas.iter().flat_map(|(_, stretches)| stretches);
    let most = all().map(|stretch| stretch.ms).fold(0.0, f64::max);
    let span = all().map(|stretch| stretch.from_ns + width_ns).max()?;
    let scale = Scale { span: span.max(1) };
    let bottom = 4.0 + ROW * replicas.len() as f64;
    let bitten = run.verdict.faults.iter().filter(|fault| fault.started.is_some());
    let bands = bitten.map(|fault| {
        timeline::fault_rect(
            &scale,
            fault,
            0.0,
            bottom,
            &format!("band {}", timeline::fault_class(fault)),
        )
    });
    let rows = replicas.iter().enumerate().map(|(n, (name, stretches))| {
        let y = 4.0 + ROW * n as f64;
        let bars = stretches.iter().map(|it| draw_bar(&scale, it, width_ns, (y, most)));
        timeline::row_label(y + ROW - 24.0, name, "") + &bars.collect::<String>()
    });
    Some(format!(
        "<section><h2>Staleness</h2><div class=\"wide drawing\" tabindex=\"0\">\
         <svg viewBox=\"0 0 960 {}\" role=\"img\" \
         aria-label=\"Staleness of reads over time\">{}{}{}\
         </svg></div><p class=\"note\">The stalest read in each interval of {} s, \
         per replica; the tallest bar is {most:.1} ms. Hover over a bar for its numbers.</p>\
         </section>",
        bottom + 34.0,
        bands.collect::<String>(),
        rows.collect::<String>(),
        timeline::time_axis(&scale, bottom),
        phrase::format_seconds(width_ns, 1_000_000)
    ))
}

fn ms_to_ns(ms: f64) -> u64 {
    (ms.max(0.0) * 1e6) as u64
}

fn read_intervals(told: &Value) -> Vec<Interval> {
    let series = told.get("series").and_then(Value::as_array);
    let stretch = |value: &Value| {
        let count = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
        Some(Interval {
            from_ns: ms_to_ns(value.get("ms")?.as_f64()?),
            reads: count("reads"),
            stale: count("stale_reads"),
            ms: value.get("max_ms")?.as_f64()?,
            versions: count("max_versions"),
        })
    };
    series.into_iter().flatten().filter_map(stretch).collect()
}

fn draw_bar(scale: &Scale, stretch: &Interval, width_ns: u64, (y, most): (f64, f64)) -> String {
    let (from, to) = (scale.x(stretch.from_ns), scale.x(stretch.from_ns + width_ns));
    let tall = if most > 0.0 { TALL * stretch.ms / most } else { 0.0 };
    // A stale read stays visible even below one pixel; an interval without one is a thin line.
    let tall = if stretch.stale > 0 { tall.max(2.0) } else { 0.6 };
    let story = format!(
        "at {} s: {} of {} reads stale, by up to {:.1} ms and {} versions",
        phrase::format_seconds(stretch.from_ns, 100_000_000),
        stretch.stale,
        stretch.reads,
        stretch.ms,
        stretch.versions
    );
    format!(
        "<g><title>{}</title><rect class=\"{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
         height=\"{tall:.1}\"/></g>",
        escape_html(&story),
        if stretch.stale > 0 { "stale" } else { "fresh" },
        y + ROW - 6.0 - tall,
        (to - from).max(1.0)
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use serde_json::json;

    #[test]
    fn draws_stale_reads_above_the_faults() {
        let mut sample = sample::valid(100);
        let row = |ms, stale, max| {
            let (reads, versions) = (9, 3);
            json!({"ms": ms, "reads": reads, "stale_reads": stale, "max_ms": max,
                "max_versions": versions})
        };
        let told = json!({"n2": {"series": [row(0.0, 0, 0.0), row(3000.0, 4, 120.5)]}});
        let measured = &mut sample.verdict.checks[0].measured;
        measured.insert("stretch_ms".into(), json!(1000.0));
        measured.insert("replicas".into(), told);
        let page = render_staleness(&sample.run());
        assert!(page.contains("at 3.0 s: 4 of 9 reads stale, by up to 120.5 ms and 3 versions"));
        assert_eq!((page.matches("\"stale\"").count(), page.matches("\"fresh\"").count()), (1, 1));
        assert!(page.contains("band fault partition"));
    }

    #[test]
    fn draws_nothing_without_measurements() {
        assert_eq!(render_staleness(&sample::valid(10).run()), "");
        let mut sample = sample::valid(10);
        let measured = &mut sample.verdict.checks[0].measured;
        measured.insert("stretch_ms".into(), json!("x"));
        measured.insert("replicas".into(), json!({}));
        assert_eq!(render_staleness(&sample.run()), "");
    }
}
