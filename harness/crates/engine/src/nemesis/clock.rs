//! Makes wall clocks of replicas jump, drift or strobe while they run, and sets them right again.
//!
//! Evidence: the replica's own `clock_gettime`, called by its own thread, returned the skewed time,
//! and could not have returned the right one. A replica that exits
//! because of a wrong clock exits unexpectedly.

use super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Skip, Target, grudge,
    reject_variant, selector, try_all,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::host::clock::{self, ClockReading, Skew};
use testbed::net::plan::HostId;
use workloads::Rng;

const MS: i64 = 1_000_000;
/// Jumps range from 2^4 ms (less than an election timeout) to 2^18 ms (over four minutes).
const JUMP_POWERS: (u64, u64) = (4, 19);
/// The most that a clock gains or loses, in percent.
const MAX_DRIFT_PERCENT: u64 = 50;
/// Half a strobe's period, in milliseconds: at least, and less than.
const STROBE_MS: (u64, u64) = (20, 200);
/// The most readings of a clock: a strobing one can be right by chance, and a busy machine makes a
/// reading imprecise.
const MAX_READINGS: u32 = 24;
/// How long between readings.
const READING_INTERVAL: Duration = Duration::from_millis(15);

const VARIANTS: &[(&str, &str)] = &[
    ("drift", "clocks that run up to 50 % too fast or too slow"),
    ("jump-back", "clocks that are suddenly up to four minutes behind"),
    ("jump-forward", "clocks that are suddenly up to four minutes ahead"),
    ("strobe", "clocks that jump to and fro several times a second"),
];

/// Wall clocks that are wrong.
pub(super) struct ClockSkew;

impl Nemesis for ClockSkew {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn doc(&self) -> &'static str {
        "makes wall clocks of running replicas jump, drift or strobe; \
         of some at random, or of named ones"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn unsupported_here(&self) -> Option<String> {
        let error = clock::try_here().err()?;
        Some(format!("unsupported here: wall clocks cannot be set ({error:#}); do without clock"))
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        let (change, target) = split_aim(aim);
        match reject_variant(self.name(), VARIANTS, change) {
            Some(why) => Some(format!("{why}, and hosts behind it (`jump-back leader n2`)")),
            None if target.is_empty() => None,
            None => selector::parse_hosts(target, hosts).err(),
        }
    }

    fn choose_target(&self, aim: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        let (change, target) = split_aim(aim);
        let skew = choose_skew(change, rng);
        let hosts = match target {
            "" => choose_random_hosts(view, rng)?,
            list => selector::resolve_hosts(&selector::parse_hosts(list, view.count).ok()?, view)?,
        };
        let text = format!("{}: {}", grudge::host_names(&hosts), describe_skew(&skew));
        let target = Target { skew: Some(skew), text, ..Target::of_replicas(aim, hosts) };
        view.are_free(&target.hosts).then_some(target)
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            let skew = Skew { base_ns: clock::now_ns(), ..target.skew.unwrap_or_default() };
            let hosts = target.hosts.clone();
            let mut set = |host: &HostId| cluster.member(*host).set_clock(Some(skew));
            if let Err(error) = hosts.iter().try_for_each(&mut set) {
                // A fault that did not begin is not ended.
                drop(reset_clocks(&hosts, cluster));
                return Err(error);
            }
            Ok(Box::new(SkewedClocks { hosts, skew, readings: Vec::new() }) as Box<dyn ActiveFault>)
        })
    }
}

/// The change and its hosts: `jump-back leader n2`.
fn split_aim(aim: &str) -> (&str, &str) {
    aim.split_once(' ').unwrap_or((aim, ""))
}

fn choose_random_hosts(view: &ClusterView, rng: &mut Rng) -> Option<Vec<HostId>> {
    let mut hosts = view.shuffle_free_hosts(rng);
    let most = u64::try_from(hosts.len()).ok().filter(|most| *most > 0)?;
    hosts.truncate(1 + usize::try_from(rng.below(most)).ok()?);
    hosts.sort_unstable();
    Some(hosts)
}

fn choose_skew(change: &str, rng: &mut Rng) -> Skew {
    let power = rng.between(JUMP_POWERS.0, JUMP_POWERS.1);
    let jump = MS << power;
    let is_ahead = rng.percent_chance(50);
    let signed = |amount: i64| if is_ahead { amount } else { -amount };
    match change {
        "jump-back" => Skew { offset_ns: -jump, ..Skew::default() },
        "jump-forward" => Skew { offset_ns: jump, ..Skew::default() },
        "drift" => {
            let percent = i64::try_from(rng.between(2, MAX_DRIFT_PERCENT + 1)).unwrap_or(0);
            Skew { rate: signed((percent << 32) / 100), ..Skew::default() }
        }
        _ => {
            let period_ms = i64::try_from(rng.between(STROBE_MS.0, STROBE_MS.1)).unwrap_or(0);
            Skew { offset_ns: signed(jump), period_ns: period_ms * MS, ..Skew::default() }
        }
    }
}

fn describe_skew(skew: &Skew) -> String {
    let seconds = skew.offset_ns as f64 / 1e9;
    match (skew.rate, skew.period_ns) {
        (0, 0) => format!("{seconds:+.3} s"),
        (0, period_ns) => format!("{seconds:+.3} s every other {} ms", period_ns / MS),
        (rate, _) => format!("{:+.0} % speed", rate as f64 * 100.0 / (1_u64 << 32) as f64),
    }
}

/// Replicas whose clocks are wrong.
struct SkewedClocks {
    hosts: Vec<HostId>,
    skew: Skew,
    /// What the clock of each said.
    readings: Vec<Result<ClockReading>>,
}

impl ActiveFault for SkewedClocks {
    fn tick(&mut self, cluster: &mut Cluster) -> Result<()> {
        self.hosts.iter().for_each(|host| cluster.member(*host).refresh_clock());
        Ok(())
    }

    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for host in &self.hosts {
                self.readings.push(find_wrong_reading(*host, &self.skew, cluster).await);
            }
            reset_clocks(&self.hosts, cluster)
        })
    }

    /// Without a single reading it is skipped: another fault had stopped all of the replicas.
    fn weigh_evidence(&self) -> Result<Evidence> {
        if let Some(Err(first)) = self.readings.first()
            && self.readings.iter().all(Result::is_err)
        {
            return Err(Skip::because(format!("no clock could be read: {first:#}")).into());
        }
        Ok(weigh_readings(&self.hosts, &self.skew, &self.readings))
    }
}

/// The first reading that cannot be the right time, else the last one.
async fn find_wrong_reading(
    host: HostId,
    skew: &Skew,
    cluster: &mut Cluster,
) -> Result<ClockReading> {
    let mut last = cluster.member(host).read_clock()?;
    for _ in 0..MAX_READINGS {
        if last.is_wrong() || !last.matches_skew(skew) {
            break;
        }
        tokio::time::sleep(READING_INTERVAL).await;
        last = cluster.member(host).read_clock()?;
    }
    Ok(last)
}

fn reset_clocks(hosts: &[HostId], cluster: &mut Cluster) -> Result<()> {
    try_all(hosts, |host| cluster.member(*host).set_clock(None))
}

/// A replica that is down and cannot be asked says nothing; all others must show the skewed time.
fn weigh_readings(hosts: &[HostId], skew: &Skew, readings: &[Result<ClockReading>]) -> Evidence {
    let answers = || readings.iter().flatten();
    let confirmed = answers().next().is_some()
        && answers().all(|reading| reading.is_wrong() && reading.matches_skew(skew));
    let text = |(host, reading): (&HostId, &Result<ClockReading>)| match reading {
        Ok(reading) => {
            let (said, set) = (reading.offset_ns(), skew.offset_at(reading.before_ns));
            let (said, set) = (said as f64 / 1e9, set as f64 / 1e9);
            format!("{host}: its clock said {said:+.3} s, was set to {set:+.3} s")
        }
        Err(error) => format!("{host}: {error:#}"),
    };
    let texts: Vec<String> = hosts.iter().zip(readings).map(text).collect();
    Evidence::from_hosts(confirmed, &texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [HostId; 2] = [HostId(0), HostId(1)];

    fn reading_off_by(off_ms: i64) -> Result<ClockReading> {
        let now = 1_700_000_000_000 * MS;
        Ok(ClockReading { before_ns: now, reported_ns: now + off_ms * MS, after_ns: now })
    }

    #[test]
    fn a_clock_that_nothing_could_read_is_skipped() {
        let skew = Skew { offset_ns: -64 * MS, ..Skew::default() };
        let weigh =
            |readings| SkewedClocks { hosts: HOSTS.to_vec(), skew, readings }.weigh_evidence();
        let down = || Err(anyhow::anyhow!("down"));
        assert!(weigh(vec![down(), down()]).is_err_and(|why| why.is::<Skip>()));
        assert!(weigh(vec![reading_off_by(-64), down()]).is_ok_and(|evidence| evidence.confirmed));
    }

    #[test]
    fn a_clock_that_shows_the_skew_is_confirmed_and_one_that_does_not_is_not() {
        let skew = Skew { offset_ns: -64 * MS, ..Skew::default() };
        let weigh = |readings: &[Result<ClockReading>]| weigh_readings(&HOSTS, &skew, readings);
        let good = weigh(&[reading_off_by(-64)]);
        assert!(good.confirmed);
        assert_eq!(good.text, "n1: its clock said -0.064 s, was set to -0.064 s");
        assert!(!weigh(&[reading_off_by(0)]).confirmed, "it is right");
        assert!(!weigh(&[reading_off_by(-90)]).confirmed, "it is elsewhere");
        assert!(!weigh(&[reading_off_by(-64), reading_off_by(0)]).confirmed, "one of two is right");
        let down = || Err(anyhow::anyhow!("down"));
        assert!(weigh(&[reading_off_by(-64), down()]).confirmed && !weigh(&[down()]).confirmed);
        assert!(!weigh(&[]).confirmed);
    }

    #[test]
    fn every_change_is_large_enough_to_be_measured_and_keeps_its_direction() {
        for seed in 0..200 {
            let skew = |change| choose_skew(change, &mut Rng::new(seed));
            assert!(skew("jump-back").offset_ns <= -16 * MS);
            assert!((16 * MS..=263_000 * MS).contains(&skew("jump-forward").offset_ns));
            assert!(skew("drift").rate.abs() > 1 << 26 && skew("strobe").period_ns >= 20 * MS);
        }
    }

    #[test]
    fn a_drift_and_a_strobe_are_computed_from_their_beginning() {
        let drift = Skew { rate: 1 << 31, base_ns: 100, ..Skew::default() };
        assert_eq!((drift.offset_at(100), drift.offset_at(1_100)), (0, 500));
        let strobe = Skew { offset_ns: 7, period_ns: 10, base_ns: 100, ..Skew::default() };
        assert_eq!(
            (strobe.offset_at(105), strobe.offset_at(115), strobe.offset_at(125)),
            (7, 0, 7)
        );
    }
}
