//! Lists the circumstances of a run: what was asked, on which machine, over which network, and how
//! long it took. Every one is a term of ours and a text that is escaped.

use super::markup::escape;
use super::phrase::{self, count, millis};
use records::record::{Config, Coverage, RunRecord, Timings};

/// The circumstances as a list of terms and descriptions.
pub(super) fn facts(record: &RunRecord, coverage: &Coverage) -> String {
    let mut facts = asked(&record.config);
    facts.extend(met(coverage));
    facts.extend(circumstances(record));
    let items = facts
        .iter()
        .map(|(term, words)| format!("<div><dt>{term}</dt><dd>{}</dd></div>", escape(words)));
    format!("<dl>{}</dl>", items.collect::<String>())
}

/// What the faults met. Who led is the system's own word.
fn met(coverage: &Coverage) -> Option<(&'static str, String)> {
    let kinds = phrase::coverage(coverage);
    let mut words: Vec<String> = kinds
        .iter()
        .map(|[name, times, met, led]| format!("{name}, {times}: {met}; {led}"))
        .collect();
    words.push(format!("{} reads by followers", coverage.reads_by_followers));
    (!kinds.is_empty()).then(|| ("faults met", words.join(" | ")))
}

/// What clients do, and how fresh their reads are where that is not as fresh as can be.
fn workload(config: &Config) -> String {
    let Config { workload, read, .. } = config;
    if read == "linearizable" { workload.clone() } else { format!("{workload}, {read} reads") }
}

/// What was asked of the run.
fn asked(config: &Config) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("system", format!("{}, {}", config.system, count(usize::from(config.nodes), "replica"))),
        ("workload", workload(config)),
        ("nemesis", list(&config.nemesis)),
        ("load", load(config)),
        ("seed", config.seed.to_string()),
    ];
    if !config.bugs.is_empty() {
        facts.push(("bugs switched on", list(&config.bugs)));
    }
    facts.extend(config.bin.iter().map(|bin| ("build under test", bin.clone())));
    facts
}

fn load(config: &Config) -> String {
    let clients = count(config.concurrency as usize, "client");
    format!("{} operations a second by {clients} for {}", config.rate, millis(config.time_limit_ms))
}

/// Where and how it ran.
fn circumstances(record: &RunRecord) -> Vec<(&'static str, String)> {
    let (net, machine) = (&record.net, &record.machine);
    let mut facts = vec![("network", format!("{}: {}", net.backend, net.description))];
    facts.extend(net.why.iter().map(|why| ("why this network", why.clone())));
    facts.extend(
        record.disks.iter().map(|it| ("disks", format!("{}: {}", it.means, it.description))),
    );
    facts.extend(record.disks.iter().filter_map(|it| Some(("why these disks", it.why.clone()?))));
    let replicas = record.replicas.iter().map(|one| format!("{} {}", one.name, one.address));
    let cpus = count(machine.cpus, "processor");
    facts.extend([
        ("replicas", list(&replicas.collect::<Vec<_>>())),
        ("machine", format!("{}, {cpus}, user {}", machine.kernel, machine.uid)),
        ("harness", record.harness.clone()),
        ("started", record.started.clone()),
        ("took", timings(&record.timings)),
        ("typed", record.argv.join(" ")),
    ]);
    facts
}

fn timings(timings: &Timings) -> String {
    let parts = [
        ("network up", Some(timings.net_ms)),
        ("replicas ready", Some(timings.ready_ms)),
        ("first operation", timings.first_op_ms),
        ("last completion", timings.history_ms),
        ("verdict", timings.judged_ms),
    ];
    let words = parts.iter().filter_map(|(name, ms)| Some(format!("{name} at {}", millis((*ms)?))));
    words.collect::<Vec<_>>().join(", ")
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
