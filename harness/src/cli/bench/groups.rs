//! Measures throughput by the number of Raft groups, with a cluster for each number.

use crate::bench::{
    BenchDirectory, Cluster, Dialect, ElectionTiming, Load, Measurements, Pace, Sample, Target,
    compare_measurements, run_load,
};
use crate::cli::output::print;
use anyhow::Result;
use checker::Validity;
use engine::live::print_stderr;
use serde_json::{Value, json};
use std::time::Duration;

/// How long leaders are given to spread over the replicas.
const LEADER_BALANCE_TIME: Duration = Duration::from_secs(5);

/// How often, how long and for how many groups each.
pub(super) struct GroupRounds<'a> {
    /// The numbers of groups; the first is what the others are compared with.
    pub(super) groups: &'a [u32],
    /// Heartbeat and shortest election.
    pub(super) timing: ElectionTiming,
    /// How many seconds each time.
    pub(super) seconds: f64,
    /// How many rounds.
    pub(super) pairs: u32,
    /// Decides keys and the order of reads and writes.
    pub(super) seed: u64,
}

/// A store whose keys are divided into so many groups, and what came of it.
struct GroupedCluster {
    groups: u32,
    cluster: Cluster,
    sample: Sample,
    side: Measurements,
}

/// Measures every given number of groups; returns a row for each, and the worst verdict of the
/// samples.
pub(super) async fn measure_groups(
    rounds: &GroupRounds<'_>,
    place: &BenchDirectory,
    human: bool,
) -> Result<(Vec<Value>, Validity)> {
    let mut all = Vec::new();
    for groups in rounds.groups.iter().copied() {
        let cluster =
            Cluster::start_with_groups(Dialect::Raft, (rounds.timing, groups), place).await?;
        let (sample, side) = (Sample::new(Dialect::Raft), Measurements::default());
        all.push(GroupedCluster { groups, cluster, sample, side });
    }
    if all.is_empty() {
        return Ok((Vec::new(), Validity::Valid));
    }
    tokio::time::sleep(LEADER_BALANCE_TIME).await;
    let time = Duration::from_secs_f64(rounds.seconds);
    let (pace, reach) = (Pace::Closed, Target::AllReplicas);
    let load = Load { clients: 64, pace, target: reach, read_percent: 10, warm_up: time / 6, time };
    for pair in 0..rounds.pairs {
        print_stderr(&format!("groups, round {} of {}", pair + 1, rounds.pairs));
        let seed = rounds.seed.wrapping_add(u64::from(pair));
        for GroupedCluster { cluster, sample, side, .. } in &mut all {
            side.0.push(run_load(cluster, load, sample, seed).await?);
        }
    }
    report_rows(all, human)
}

fn report_rows(all: Vec<GroupedCluster>, human: bool) -> Result<(Vec<Value>, Validity)> {
    let (mut rows, mut worst) = (Vec::new(), Validity::Valid);
    let first = all[0].side.clone();
    if human {
        print("nine puts to a read at all replicas, 64 clients")?;
    }
    for (at, GroupedCluster { groups, sample, side, .. }) in all.into_iter().enumerate() {
        let (verdict, operations) = sample.check_history();
        worst = worst.max(verdict.validity);
        let mut row = json!({
            "groups": groups, "measured": side.to_json(), "validity": verdict.validity,
            "operations": operations,
        });
        let compared = compare_measurements(&side, &first).filter(|_| at > 0);
        if human {
            let validity = format!("{:?}", verdict.validity).to_lowercase();
            let ratio = compared.as_ref().map_or_else(String::new, |(text, _)| format!("; {text}"));
            print(&format!("  {groups:>2} groups  {}; {validity}{ratio}", side.to_text()))?;
        }
        row["ratio"] = compared.map_or(Value::Null, |(_, json)| json);
        rows.push(row);
    }
    Ok((rows, worst))
}
