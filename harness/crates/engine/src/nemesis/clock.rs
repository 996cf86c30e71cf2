//! Makes wall clocks of replicas jump, drift or strobe while they run, and sets them right again.
//!
//! Evidence: the replica's own `clock_gettime`, called by its own thread, said what the fault makes of the right time,
//! and could not be the right time. A clock is no excuse: a replica that exits because of it has exited unasked.

use super::ground::Ground;
use super::{Before, Fault, Nemesis, Scene, Seen, Target, grudge, no_variant, who};
use anyhow::{Result, ensure};
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::host::clock::{self, Reading, Skew};
use testbed::net::plan::{HostId, LinkPlan};
use workloads::Rng;

const MS: i64 = 1_000_000;
/// Jumps are from 2^4 ms, a part of an election timeout, to 2^18 ms, four minutes.
const JUMP_POWERS: (u64, u64) = (4, 19);
/// The most that a clock gains or loses, in percent.
const MOST_DRIFT: u64 = 50;
/// Half a strobe's period, in milliseconds, from and below.
const STROBE_MS: (u64, u64) = (20, 200);
/// How often a clock is asked that may just be right, or a machine may just be too busy to tell.
const LOOKS: u32 = 24;
/// How long between such looks.
const GAP: Duration = Duration::from_millis(15);

const VARIANTS: &[(&str, &str)] = &[
    ("drift", "clocks that run up to 50 % too fast or too slow"),
    ("jump-back", "clocks that are suddenly up to four minutes behind"),
    ("jump-forward", "clocks that are suddenly up to four minutes ahead"),
    ("strobe", "clocks that jump to and fro several times a second"),
];

/// Wall clocks that are wrong.
pub(crate) struct Clock;

impl Nemesis for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn doc(&self) -> &'static str {
        "makes wall clocks of running replicas jump, drift or strobe; of some at random, or of named ones"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        VARIANTS
    }

    fn unable(&self) -> Option<String> {
        let error = clock::try_here().err()?;
        Some(format!("unsupported here: wall clocks cannot be set ({error:#}); do without clock"))
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        let (change, whom) = parts(aim);
        match no_variant(self.name(), VARIANTS, change) {
            Some(why) => Some(format!("{why}, and whom behind it (`jump-back leader n2`)")),
            None if whom.is_empty() => None,
            None => who::hosts(whom, count).err(),
        }
    }

    fn aim(&self, aim: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        let (change, whom) = parts(aim);
        let skew = skew(change, rng);
        let hosts = match whom {
            "" => some_of(scene, rng)?,
            whom => who::resolve(&who::hosts(whom, scene.count).ok()?, scene)?,
        };
        let text = format!("{}: {}", grudge::names(&hosts), told(&skew));
        let free = hosts.iter().all(|host| scene.free.contains(host));
        free.then_some(Target { hosts, links: LinkPlan::healed(), skew: Some(skew), dice: 0, text })
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            let base_ns = clock::now_ns();
            let skew = Skew { base_ns, ..target.skew.unwrap_or_default() };
            let set = target.hosts.iter().try_for_each(|host| ground.set_clock(*host, Some(skew)));
            if set.is_err() {
                // Nobody will end a fault that never began.
                drop(right(&target.hosts, ground));
            }
            set.map(|()| Before::new())
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let mut looks = Vec::new();
            for host in &fault.target.hosts {
                looks.push((*host, look(*host, ground).await));
            }
            right(&fault.target.hosts, ground)?;
            Ok(seen(&looks))
        })
    }
}

/// The change, and whom it hits.
fn parts(aim: &str) -> (&str, &str) {
    aim.split_once(' ').unwrap_or((aim, ""))
}

fn some_of(scene: &Scene, rng: &mut Rng) -> Option<Vec<HostId>> {
    let mut hosts: Vec<HostId> = scene.free.iter().copied().collect();
    rng.shuffle(&mut hosts);
    let most = u64::try_from(hosts.len()).ok().filter(|most| *most > 0)?;
    hosts.truncate(1 + usize::try_from(rng.below(most)).ok()?);
    hosts.sort_unstable();
    Some(hosts)
}

fn skew(change: &str, rng: &mut Rng) -> Skew {
    let power = rng.between(JUMP_POWERS.0, JUMP_POWERS.1);
    let jump = MS << power;
    let ahead = rng.percent(50);
    let either = |amount: i64| if ahead { amount } else { -amount };
    match change {
        "jump-back" => Skew { offset_ns: -jump, ..Skew::default() },
        "jump-forward" => Skew { offset_ns: jump, ..Skew::default() },
        "drift" => {
            let percent = i64::try_from(rng.between(2, MOST_DRIFT + 1)).unwrap_or(0);
            Skew { rate: either((percent << 32) / 100), ..Skew::default() }
        }
        _ => {
            let period_ms = i64::try_from(rng.between(STROBE_MS.0, STROBE_MS.1)).unwrap_or(0);
            Skew { offset_ns: either(jump), period_ns: period_ms * MS, ..Skew::default() }
        }
    }
}

fn told(skew: &Skew) -> String {
    let seconds = skew.offset_ns as f64 / 1e9;
    match (skew.rate, skew.period_ns) {
        (0, 0) => format!("{seconds:+.3} s"),
        (0, period_ns) => format!("{seconds:+.3} s every other {} ms", period_ns / MS),
        (rate, _) => format!("{:+.0} % speed", rate as f64 * 100.0 / (1_u64 << 32) as f64),
    }
}

/// What a replica's clock says: the first answer that cannot be the right time, else the last one.
async fn look(host: HostId, ground: &mut Ground) -> Result<(Reading, Skew)> {
    let mut last = ground.read_clock(host)?;
    for _ in 0..LOOKS {
        let (reading, skew) = &last;
        if reading.is_wrong() || !reading.fits(skew) {
            break;
        }
        tokio::time::sleep(GAP).await;
        last = ground.read_clock(host)?;
    }
    Ok(last)
}

/// Sets all of these clocks right, whatever happens to one of them.
fn right(hosts: &[HostId], ground: &mut Ground) -> Result<()> {
    let set: Vec<Result<()>> = hosts.iter().map(|host| ground.set_clock(*host, None)).collect();
    set.into_iter().collect()
}

/// One that cannot be asked, because it is dead just now, says nothing; all others must say what is expected.
fn seen(looks: &[(HostId, Result<(Reading, Skew)>)]) -> Seen {
    let answers = || looks.iter().filter_map(|(_, look)| look.as_ref().ok());
    let bit = answers().all(|(reading, skew)| reading.is_wrong() && reading.fits(skew));
    let told = |(host, look): &(HostId, Result<(Reading, Skew)>)| match look {
        Ok((reading, skew)) => {
            let (said, meant) = (reading.off_ns(), skew.at(reading.before_ns));
            format!(
                "{host}: its clock said {:+.3} s, meant {:+.3} s",
                said as f64 / 1e9,
                meant as f64 / 1e9
            )
        }
        Err(error) => format!("{host}: {error:#}"),
    };
    let text = looks.iter().map(told).collect::<Vec<_>>().join("; ");
    Seen { bit: bit && answers().next().is_some(), text }
}

impl Ground {
    /// Gives a replica this wall clock, or the right one; one that is started again gets it too.
    fn set_clock(&mut self, host: HostId, skew: Option<Skew>) -> Result<()> {
        self.slot(host).skew = skew;
        if skew.is_none() && self.slot(host).replica.exited().is_some() {
            return Ok(());
        }
        self.apply_clock(host)
    }

    /// Asks a replica for the time.
    fn read_clock(&mut self, host: HostId) -> Result<(Reading, Skew)> {
        let slot = self.slot(host);
        let skew = slot.skew.unwrap_or_default();
        ensure!(slot.replica.exited().is_none(), "it was dead when it was to be asked");
        let reading = tokio::task::block_in_place(|| clock::read(&mut slot.replica))?;
        Ok((reading, skew))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(off_ms: i64) -> Reading {
        let now = 1_700_000_000_000 * MS;
        Reading { before_ns: now, said_ns: now + off_ms * MS, after_ns: now }
    }

    fn jump(offset_ms: i64) -> Skew {
        Skew { offset_ns: offset_ms * MS, ..Skew::default() }
    }

    #[test]
    fn a_clock_that_says_what_is_meant_is_seen_and_one_that_is_right_or_elsewhere_is_not() {
        let look = |off, skew| (HostId(0), Ok((reading(off), skew)));
        let good = seen(&[look(-64, jump(-64))]);
        assert!(good.bit);
        insta::assert_snapshot!(good.text, @"n1: its clock said -0.064 s, meant -0.064 s");
        assert!(!seen(&[look(0, jump(-64))]).bit, "it is right");
        assert!(!seen(&[look(-90, jump(-64))]).bit, "it is elsewhere");
        assert!(!seen(&[look(-64, jump(-64)), look(0, jump(-64))]).bit, "one of two is right");
        let dead = || (HostId(1), Err(anyhow::anyhow!("dead")));
        assert!(seen(&[look(-64, jump(-64)), dead()]).bit && !seen(&[dead()]).bit);
        assert!(!seen(&[]).bit);
    }

    #[test]
    fn every_change_is_large_enough_to_be_seen_and_keeps_its_direction() {
        for seed in 0..200 {
            let skew = |change| skew(change, &mut Rng::new(seed));
            assert!(skew("jump-back").offset_ns <= -16 * MS);
            assert!((16 * MS..=263_000 * MS).contains(&skew("jump-forward").offset_ns));
            assert!(skew("drift").rate.abs() > 1 << 26 && skew("strobe").period_ns >= 20 * MS);
        }
    }

    #[test]
    fn a_drift_and_a_strobe_are_computed_from_their_beginning() {
        let drift = Skew { rate: 1 << 31, base_ns: 100, ..Skew::default() };
        assert_eq!((drift.at(100), drift.at(1_100)), (0, 500));
        let strobe = Skew { offset_ns: 7, period_ns: 10, base_ns: 100, ..Skew::default() };
        assert_eq!((strobe.at(105), strobe.at(115), strobe.at(125)), (7, 0, 7));
    }
}
