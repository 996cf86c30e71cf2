//! Measures throughput by the number of Raft groups, with a cluster for each number.

use crate::bench::{Cluster, Dialect, Load, Pace, Place, Reach, Sample, Side, Timing, run, told};
use crate::cli::output::print;
use anyhow::Result;
use checker::Validity;
use engine::live::say;
use serde_json::{Value, json};
use std::time::Duration;

/// How long leaders are given to spread over the replicas.
const SPREADING: Duration = Duration::from_secs(5);

/// How often, how long and for how many groups each.
pub(super) struct Rounds<'a> {
    /// The numbers of groups; the first is what the others are compared with.
    pub(super) groups: &'a [u32],
    /// Heartbeat and shortest election.
    pub(super) timing: Timing,
    /// How many seconds each time.
    pub(super) seconds: f64,
    /// How many rounds.
    pub(super) pairs: u32,
    /// Decides keys and the order of reads and writes.
    pub(super) seed: u64,
}

/// A store whose keys are divided into so many groups, and what came of it.
struct Divided {
    groups: u32,
    cluster: Cluster,
    sample: Sample,
    side: Side,
}

/// Measures every given number of groups; returns a row for each, and the worst verdict of the
/// samples.
pub(super) async fn measure(
    rounds: &Rounds<'_>,
    place: &Place,
    human: bool,
) -> Result<(Vec<Value>, Validity)> {
    let mut all = Vec::new();
    for groups in rounds.groups.iter().copied() {
        let cluster = Cluster::start_divided(Dialect::Raft, (rounds.timing, groups), place).await?;
        let (sample, side) = (Sample::new(Dialect::Raft), Side::default());
        all.push(Divided { groups, cluster, sample, side });
    }
    if all.is_empty() {
        return Ok((Vec::new(), Validity::Valid));
    }
    tokio::time::sleep(SPREADING).await;
    let time = Duration::from_secs_f64(rounds.seconds);
    let (pace, reach) = (Pace::Closed, Reach::AllReplicas);
    let load = Load { clients: 64, pace, reach, reads: 10, warm_up: time / 6, time };
    for pair in 0..rounds.pairs {
        say(&format!("groups, round {} of {}", pair + 1, rounds.pairs));
        let seed = rounds.seed.wrapping_add(u64::from(pair));
        for Divided { cluster, sample, side, .. } in &mut all {
            side.0.push(run(cluster, load, sample, seed).await?);
        }
    }
    rows(all, human)
}

fn rows(all: Vec<Divided>, human: bool) -> Result<(Vec<Value>, Validity)> {
    let (mut rows, mut worst) = (Vec::new(), Validity::Valid);
    let first = all[0].side.clone();
    if human {
        print("nine puts to a read at all replicas, 64 clients")?;
    }
    for (at, Divided { groups, sample, side, .. }) in all.into_iter().enumerate() {
        let (verdict, operations) = sample.judge();
        worst = worst.max(verdict.validity);
        let mut row = json!({
            "groups": groups, "measured": side.json(), "validity": verdict.validity,
            "operations": operations,
        });
        let compared = told(&side, &first).filter(|_| at > 0);
        if human {
            let validity = format!("{:?}", verdict.validity).to_lowercase();
            let ratio = compared.as_ref().map_or_else(String::new, |(text, _)| format!("; {text}"));
            print(&format!("  {groups:>2} groups  {}; {validity}{ratio}", side.told()))?;
        }
        row["ratio"] = compared.map_or(Value::Null, |(_, json)| json);
        rows.push(row);
    }
    Ok((rows, worst))
}
