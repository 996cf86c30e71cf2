//! Sends numbered datagrams over every directed link all the time and notes which of them arrive.
//!
//! The sockets are the harness's own, opened in each host's namespace: a killed or stopped replica
//! changes nothing. Numbers are only ever added, and a probe counts as offered once it has had time
//! to arrive.

use super::plan::{HostId, directed_pairs, host_ids};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often a link is probed.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_millis(50);
/// The latest probes of a link may still be under way: four periods' worth.
const MAX_IN_FLIGHT: u64 = 4;
/// How long links may take to carry their first datagram.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Sent while the links come up; counted nowhere.
const UNNUMBERED: u64 = u64::MAX;

/// The probes of every link; they stop when this is dropped.
pub(super) struct Probes {
    probe_log: Arc<ProbeLog>,
    _tasks: JoinSet<()>,
}

/// Which probes were sent over each link, and which of them arrived.
pub(super) struct ProbeLog {
    /// For each directed link, by number of the probe: has it arrived?
    sent: Mutex<BTreeMap<(HostId, HostId), Vec<bool>>>,
    /// How many of a link's latest probes may still be under way.
    unsettled: u64,
}

impl Probes {
    /// Waits until every link has carried a datagram, then goes on probing.
    pub(super) async fn start(
        sockets: Vec<UdpSocket>,
        address: fn(HostId) -> SocketAddr,
    ) -> Result<Self> {
        wait_for_all_links(&sockets, address).await?;
        let count = u8::try_from(sockets.len()).context("more hosts than can be numbered")?;
        let probe_log = Arc::new(ProbeLog::new(count, MAX_IN_FLIGHT));
        let mut tasks = JoinSet::new();
        for (host, socket) in host_ids(count).zip(sockets) {
            let socket = tokio::net::UdpSocket::from_std(socket).context("no socket for probes")?;
            tasks.spawn(run_probes(host, count, socket, address, Arc::clone(&probe_log)));
        }
        Ok(Self { probe_log, _tasks: tasks })
    }

    /// See [`Book::mark`].
    pub(super) fn next_numbers(&self) -> Vec<u64> {
        self.probe_log.next_numbers()
    }

    /// See [`Book::since`].
    pub(super) fn settled_since(&self, mark: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        self.probe_log.settled_since(mark)
    }
}

impl ProbeLog {
    /// No probe was sent yet.
    pub(super) fn new(count: u8, unsettled: u64) -> Self {
        let sent = Mutex::new(directed_pairs(count).map(|pair| (pair, Vec::new())).collect());
        Self { sent, unsettled }
    }

    /// The number of the next probe of each link, in order of (from, to).
    pub(super) fn next_numbers(&self) -> Vec<u64> {
        self.lock_sent().values().map(|sent| sent.len() as u64).collect()
    }

    /// How many settled probes each link has been offered since the mark, and how many of them
    /// arrived.
    pub(super) fn settled_since(&self, mark: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        let settled = |(sent, mark): (&Vec<bool>, u64)| count_settled(sent, mark, self.unsettled);
        self.lock_sent().values().zip(mark).map(settled).collect()
    }

    /// Numbers a probe that is about to be sent.
    pub(super) fn record_sent(&self, pair: (HostId, HostId)) -> u64 {
        let mut probe_log = self.lock_sent();
        let sent = probe_log.entry(pair).or_default();
        sent.push(false);
        sent.len() as u64 - 1
    }

    /// A probe has arrived.
    pub(super) fn record_arrival(&self, pair: (HostId, HostId), number: u64) {
        let mut probe_log = self.lock_sent();
        let arrived =
            usize::try_from(number).ok().and_then(|n| probe_log.get_mut(&pair)?.get_mut(n));
        if let Some(arrived) = arrived {
            *arrived = true;
        }
    }

    fn lock_sent(&self) -> MutexGuard<'_, BTreeMap<(HostId, HostId), Vec<bool>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_settled(sent: &[bool], mark: u64, unsettled: u64) -> (u64, u64) {
    let end = (sent.len() as u64).saturating_sub(unsettled).max(mark);
    let probes = &sent[mark as usize..end as usize];
    (probes.len() as u64, probes.iter().filter(|arrived| **arrived).count() as u64)
}

/// Sends for one host and receives for it.
async fn run_probes(
    host: HostId,
    count: u8,
    socket: tokio::net::UdpSocket,
    address: fn(HostId) -> SocketAddr,
    probe_log: Arc<ProbeLog>,
) {
    let mut ticks = interval(PROBE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [0; 16];
    loop {
        tokio::select! {
            biased;
            received = socket.recv_from(&mut buffer) => {
                let probe = received.ok().and_then(|(length, _)| decode_probe(&buffer[..length]));
                if let Some((from, number)) = probe {
                    probe_log.record_arrival((from, host), number);
                }
            }
            _ = ticks.tick() => for to in host_ids(count).filter(|to| *to != host) {
                let number = probe_log.record_sent((host, to));
                // A datagram that cannot even be sent is one that does not arrive.
                let _ = socket.try_send_to(&encode_probe(host, number), address(to));
            }
        }
    }
}

fn encode_probe(from: HostId, number: u64) -> [u8; 9] {
    let mut bytes = [from.0; 9];
    bytes[1..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn decode_probe(bytes: &[u8]) -> Option<(HostId, u64)> {
    let (from, number) = bytes.split_first()?;
    Some((HostId(*from), u64::from_be_bytes(number.try_into().ok()?)))
}

/// A bridge port may take up to a second to forward after it came up.
async fn wait_for_all_links(
    sockets: &[UdpSocket],
    address: fn(HostId) -> SocketAddr,
) -> Result<()> {
    let count = u8::try_from(sockets.len()).context("more hosts than can be numbered")?;
    let mut missing: BTreeSet<_> = directed_pairs(count).collect();
    let deadline = Instant::now() + STARTUP_TIMEOUT;
    while !missing.is_empty() {
        if Instant::now() > deadline {
            let named: Vec<String> =
                missing.iter().map(|(from, to)| format!("{from}->{to}")).collect();
            bail!(
                "after {STARTUP_TIMEOUT:?} these links carry nothing: {}; try --net proxy",
                named.join(" ")
            );
        }
        for (from, to) in &missing {
            // While a link comes up, sending may fail; it is tried again.
            let _ = sockets[usize::from(from.0)]
                .send_to(&encode_probe(*from, UNNUMBERED), address(*to));
        }
        sleep(Duration::from_millis(2)).await;
        for (to, socket) in host_ids(count).zip(sockets) {
            missing =
                &missing - &receive_pending(socket)?.into_iter().map(|from| (from, to)).collect();
        }
    }
    Ok(())
}

fn receive_pending(socket: &UdpSocket) -> Result<Vec<HostId>> {
    let mut from = Vec::new();
    let mut buffer = [0; 16];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) => from.extend(decode_probe(&buffer[..length]).map(|(from, _)| from)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(from),
            Err(error) => return Err(error).context("cannot receive probes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_read_back() {
        assert_eq!(decode_probe(&encode_probe(HostId(4), 77)), Some((HostId(4), 77)));
        assert_eq!(decode_probe(b"short"), None);
        assert_eq!(decode_probe(b""), None);
    }

    #[test]
    fn only_probes_that_had_time_to_arrive_count() {
        let sent = [true, false, true, true, false, true, false, false, false];
        assert_eq!(count_settled(&sent, 0, 4), (5, 3));
        assert_eq!(count_settled(&sent, 4, 4), (1, 0));
        assert_eq!(count_settled(&sent, 9, 4), (0, 0));
        assert_eq!(count_settled(&[], 0, 4), (0, 0));
    }

    #[test]
    fn an_arrival_without_a_probe_is_not_noted() {
        let probe_log = ProbeLog::new(2, 0);
        let pair = (HostId(0), HostId(1));
        assert_eq!(probe_log.record_sent(pair), 0);
        probe_log.record_arrival(pair, UNNUMBERED);
        probe_log.record_arrival((HostId(5), HostId(1)), 0);
        assert_eq!(probe_log.settled_since([0, 0].into_iter()), [(1, 0), (0, 0)]);
        probe_log.record_arrival(pair, 0);
        assert_eq!(probe_log.settled_since([0, 0].into_iter()), [(1, 1), (0, 0)]);
        assert_eq!(probe_log.next_numbers(), [1, 0]);
    }

    #[test]
    fn a_probe_from_before_the_mark_never_counts_though_it_arrives_after_it() {
        let probe_log = ProbeLog::new(2, 0);
        let pair = (HostId(0), HostId(1));
        let withheld = probe_log.record_sent(pair);
        let healed = probe_log.next_numbers();
        probe_log.record_arrival(pair, withheld);
        assert_eq!(probe_log.settled_since(healed.into_iter()), [(0, 0), (0, 0)]);
    }
}
