//! Draws how stale each replica's reads were over time, in milliseconds and versions, above the faults of the run.
//!
//! The numbers are those that the session check measured, stretch by stretch; a run without them has no such drawing.

use super::markup::escape;
use super::phrase;
use super::run::Run;
use super::scale::Scale;
use super::timeline;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A replica's row.
const ROW: f64 = 46.0;
/// The height of the tallest bar.
const TALL: f64 = 38.0;

/// What one replica told in one stretch of time.
struct Stretch {
    from_ns: u64,
    reads: u64,
    stale: u64,
    ms: f64,
    versions: u64,
}

/// The drawing in a section of its own; nothing where staleness was not measured.
pub(super) fn staleness(run: &Run<'_>) -> String {
    run.verdict.checks.iter().filter_map(|check| drawing(run, &check.measured)).collect()
}

/// The same for the page's plots.
#[derive(Debug, Serialize)]
pub(super) struct Staleness {
    /// How long a stretch is, in nanoseconds.
    stretch: u64,
    /// By replica: when a stretch begins, how many of its reads were stale, by how many milliseconds and versions at most.
    replicas: BTreeMap<String, Vec<(u64, u64, f64, u64)>>,
}

/// What a check measured, if it measured that.
pub(super) fn measured(measured: &BTreeMap<String, Value>) -> Option<Staleness> {
    let row = |it: Stretch| (it.from_ns, it.stale, it.ms, it.versions);
    let replicas = measured.get("replicas")?.as_object()?.iter();
    Some(Staleness {
        stretch: nanoseconds(measured.get("stretch_ms")?.as_f64()?),
        replicas: replicas
            .map(|(name, told)| (name.clone(), stretches(told).into_iter().map(row).collect()))
            .collect(),
    })
}

fn drawing(run: &Run<'_>, measured: &BTreeMap<String, Value>) -> Option<String> {
    let width_ns = nanoseconds(measured.get("stretch_ms")?.as_f64()?);
    let replicas: Vec<(&String, Vec<Stretch>)> = measured
        .get("replicas")?
        .as_object()?
        .iter()
        .map(|(name, told)| (name, stretches(told)))
        .collect();
    let all = || replicas.iter().flat_map(|(_, stretches)| stretches);
    let most = all().map(|stretch| stretch.ms).fold(0.0, f64::max);
    let span = all().map(|stretch| stretch.from_ns + width_ns).max()?;
    let scale = Scale { span: span.max(1) };
    let bottom = 4.0 + ROW * replicas.len() as f64;
    let bitten = run.verdict.faults.iter().filter(|fault| fault.started.is_some());
    let bands = bitten.map(|fault| {
        timeline::rect(&scale, fault, 0.0, bottom, &format!("band {}", timeline::class(fault)))
    });
    let rows = replicas.iter().enumerate().map(|(n, (name, stretches))| {
        let y = 4.0 + ROW * n as f64;
        let bars = stretches.iter().map(|it| bar(&scale, it, width_ns, (y, most)));
        timeline::label(y + ROW - 24.0, name, "") + &bars.collect::<String>()
    });
    Some(format!(
        "<section><h2>Staleness</h2><div class=\"wide drawing\" tabindex=\"0\">\
         <svg viewBox=\"0 0 960 {}\" role=\"img\" aria-label=\"Staleness of reads over time\">{}{}{}\
         </svg></div><p class=\"note\">The stalest read of each stretch of {} s, per replica; the tallest \
         bar is {most:.1} ms. Point at one for its numbers.</p></section>",
        bottom + 34.0,
        bands.collect::<String>(),
        rows.collect::<String>(),
        timeline::axis(&scale, bottom),
        phrase::seconds(width_ns, 1_000_000)
    ))
}

fn nanoseconds(ms: f64) -> u64 {
    (ms.max(0.0) * 1e6) as u64
}

fn stretches(told: &Value) -> Vec<Stretch> {
    let series = told.get("series").and_then(Value::as_array);
    let stretch = |value: &Value| {
        let count = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
        Some(Stretch {
            from_ns: nanoseconds(value.get("ms")?.as_f64()?),
            reads: count("reads"),
            stale: count("stale_reads"),
            ms: value.get("max_ms")?.as_f64()?,
            versions: count("max_versions"),
        })
    };
    series.into_iter().flatten().filter_map(stretch).collect()
}

fn bar(scale: &Scale, stretch: &Stretch, width_ns: u64, (y, most): (f64, f64)) -> String {
    let (from, to) = (scale.x(stretch.from_ns), scale.x(stretch.from_ns + width_ns));
    let tall = if most > 0.0 { TALL * stretch.ms / most } else { 0.0 };
    // What is stale by less than a pixel is stale all the same; what is fresh is a line.
    let tall = if stretch.stale > 0 { tall.max(2.0) } else { 0.6 };
    let story = format!(
        "at {} s: {} of {} reads stale, by up to {:.1} ms and {} versions",
        phrase::seconds(stretch.from_ns, 100_000_000),
        stretch.stale,
        stretch.reads,
        stretch.ms,
        stretch.versions
    );
    format!(
        "<g><title>{}</title><rect class=\"{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
         height=\"{tall:.1}\"/></g>",
        escape(&story),
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
    fn stale_reads_stand_out_above_the_faults() {
        let mut sample = sample::valid(100);
        let row = |ms, stale, max| json!({"ms": ms, "reads": 9, "stale_reads": stale, "max_ms": max, "max_versions": 3});
        let told = json!({"n2": {"series": [row(0.0, 0, 0.0), row(3000.0, 4, 120.5)]}});
        let measured = &mut sample.verdict.checks[0].measured;
        measured.insert("stretch_ms".into(), json!(1000.0));
        measured.insert("replicas".into(), told);
        let page = staleness(&sample.run());
        assert!(page.contains("at 3.0 s: 4 of 9 reads stale, by up to 120.5 ms and 3 versions"));
        assert_eq!((page.matches("\"stale\"").count(), page.matches("\"fresh\"").count()), (1, 1));
        assert!(page.contains("band fault partition"));
    }

    #[test]
    fn nothing_is_drawn_of_what_was_not_measured() {
        assert_eq!(staleness(&sample::valid(10).run()), "");
        let mut sample = sample::valid(10);
        let measured = &mut sample.verdict.checks[0].measured;
        measured.insert("stretch_ms".into(), json!("x"));
        measured.insert("replicas".into(), json!({}));
        assert_eq!(staleness(&sample.run()), "");
    }
}
