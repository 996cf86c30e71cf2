//! Lists the facts of a run: options, machine, network and timings. The terms are constants, the
//! texts are escaped.

use super::markup::escape_html;
use super::phrase::{self, count_noun, format_millis};
use records::record::{Config, Coverage, RunRecord, Timings};

/// Renders the facts as a list of terms and descriptions.
pub(super) fn render_facts(record: &RunRecord, coverage: &Coverage) -> String {
    let mut facts = config_facts(&record.config);
    if !record.drawn.is_empty() {
        facts.push(("drawn by the seed", record.drawn.join(" ")));
    }
    facts.extend(coverage_fact(coverage));
    facts.extend(environment_facts(record));
    let items = facts
        .iter()
        .map(|(term, words)| format!("<div><dt>{term}</dt><dd>{}</dd></div>", escape_html(words)));
    format!("<dl>{}</dl>", items.collect::<String>())
}

/// The operations during faults. Leaders are as the system reports them.
fn coverage_fact(coverage: &Coverage) -> Option<(&'static str, String)> {
    let kinds = phrase::coverage_rows(coverage);
    let mut words: Vec<String> = kinds
        .iter()
        .map(|[name, times, met, led]| format!("{name}, {times}: {met}; {led}"))
        .collect();
    words.push(format!("{} reads by followers", coverage.reads_by_followers));
    (!kinds.is_empty()).then(|| ("operations during faults", words.join(" | ")))
}

/// The workload, and the read consistency unless it is linearizable.
fn workload_fact(config: &Config) -> String {
    let Config { workload, read, .. } = config;
    if read == "linearizable" { workload.clone() } else { format!("{workload}, {read} reads") }
}

/// The options of the run.
fn config_facts(config: &Config) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            "system",
            format!("{}, {}", config.system, count_noun(usize::from(config.nodes), "replica")),
        ),
        ("workload", workload_fact(config)),
        ("nemesis", phrase::describe_nemesis(config)),
        ("load", load_fact(config)),
        ("seed", config.seed.to_string()),
    ];
    if !config.bugs.is_empty() {
        facts.push(("seeded bugs", join_or_none(&config.bugs)));
    }
    facts.extend(config.bin.iter().map(|bin| ("build under test", bin.clone())));
    facts
}

fn load_fact(config: &Config) -> String {
    let clients = count_noun(config.concurrency as usize, "client");
    format!(
        "{} operations a second by {clients} for {}",
        config.rate,
        format_millis(config.time_limit_ms)
    )
}

/// The environment and timings of the run.
fn environment_facts(record: &RunRecord) -> Vec<(&'static str, String)> {
    let (net, machine) = (&record.net, &record.machine);
    let mut facts = vec![("network", format!("{}: {}", net.backend, net.description))];
    facts.extend(net.why.iter().map(|why| ("why this network", why.clone())));
    facts.extend(
        record.disks.iter().map(|it| ("disks", format!("{}: {}", it.means, it.description))),
    );
    facts.extend(record.disks.iter().filter_map(|it| Some(("why these disks", it.why.clone()?))));
    let replicas = record.replicas.iter().map(|one| format!("{} {}", one.name, one.address));
    let cpus = count_noun(machine.cpus, "processor");
    facts.extend([
        ("replicas", join_or_none(&replicas.collect::<Vec<_>>())),
        ("machine", format!("{}, {cpus}, user {}", machine.kernel, machine.uid)),
        ("harness", record.harness.clone()),
        ("started", record.started.clone()),
        ("timings", format_timings(&record.timings)),
        ("command line", record.argv.join(" ")),
    ]);
    facts
}

fn format_timings(timings: &Timings) -> String {
    let parts = [
        ("network up", Some(timings.net_ms)),
        ("replicas ready", Some(timings.ready_ms)),
        ("first operation", timings.first_op_ms),
        ("last completion", timings.history_ms),
        ("verdict", timings.judged_ms),
    ];
    let words =
        parts.iter().filter_map(|(name, ms)| Some(format!("{name} at {}", format_millis((*ms)?))));
    words.collect::<Vec<_>>().join(", ")
}

fn join_or_none(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
