//! Sends numbered datagrams over every directed link all the time and notes which of them arrive.
//!
//! The sockets are the harness's own, opened in each host's namespace: a killed or stopped replica
//! changes nothing. Numbers are only ever added, and a probe counts as offered once it has had time
//! to arrive.

use super::plan::{HostId, hosts, pairs};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often a link is probed.
pub(super) const PERIOD: Duration = Duration::from_millis(50);
/// The latest probes of a link may still be under way: four periods' worth.
const UNSETTLED: u64 = 4;
/// How long links may take to carry their first datagram.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sent while the links come up; counted nowhere.
const UNNUMBERED: u64 = u64::MAX;

/// The probes of every link; they stop when this is dropped.
pub(super) struct Probes {
    book: Arc<Book>,
    _tasks: JoinSet<()>,
}

/// Which probes were sent over each link, and which of them arrived.
pub(super) struct Book {
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
        wait_until_whole(&sockets, address).await?;
        let count = u8::try_from(sockets.len()).context("more hosts than can be numbered")?;
        let book = Arc::new(Book::new(count, UNSETTLED));
        let mut tasks = JoinSet::new();
        for (host, socket) in hosts(count).zip(sockets) {
            let socket = tokio::net::UdpSocket::from_std(socket).context("no socket for probes")?;
            tasks.spawn(probe(host, count, socket, address, Arc::clone(&book)));
        }
        Ok(Self { book, _tasks: tasks })
    }

    /// See [`Book::mark`].
    pub(super) fn mark(&self) -> Vec<u64> {
        self.book.mark()
    }

    /// See [`Book::since`].
    pub(super) fn since(&self, mark: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        self.book.since(mark)
    }
}

impl Book {
    /// No probe was sent yet.
    pub(super) fn new(count: u8, unsettled: u64) -> Self {
        let sent = Mutex::new(pairs(count).map(|pair| (pair, Vec::new())).collect());
        Self { sent, unsettled }
    }

    /// The number of the next probe of each link, in order of (from, to).
    pub(super) fn mark(&self) -> Vec<u64> {
        self.lock().values().map(|sent| sent.len() as u64).collect()
    }

    /// How many settled probes each link has been offered since the mark, and how many of them
    /// arrived.
    pub(super) fn since(&self, mark: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        let settled = |(sent, mark): (&Vec<bool>, u64)| settled(sent, mark, self.unsettled);
        self.lock().values().zip(mark).map(settled).collect()
    }

    /// Numbers a probe that is about to be sent.
    pub(super) fn next(&self, pair: (HostId, HostId)) -> u64 {
        let mut book = self.lock();
        let sent = book.entry(pair).or_default();
        sent.push(false);
        sent.len() as u64 - 1
    }

    /// A probe has arrived.
    pub(super) fn note(&self, pair: (HostId, HostId), number: u64) {
        let mut book = self.lock();
        let arrived = usize::try_from(number).ok().and_then(|n| book.get_mut(&pair)?.get_mut(n));
        if let Some(arrived) = arrived {
            *arrived = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(HostId, HostId), Vec<bool>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settled(sent: &[bool], mark: u64, unsettled: u64) -> (u64, u64) {
    let end = (sent.len() as u64).saturating_sub(unsettled).max(mark);
    let probes = &sent[mark as usize..end as usize];
    (probes.len() as u64, probes.iter().filter(|arrived| **arrived).count() as u64)
}

/// Sends for one host and receives for it.
async fn probe(
    host: HostId,
    count: u8,
    socket: tokio::net::UdpSocket,
    address: fn(HostId) -> SocketAddr,
    book: Arc<Book>,
) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [0; 16];
    loop {
        tokio::select! {
            biased;
            received = socket.recv_from(&mut buffer) => {
                if let Some((from, number)) = received.ok().and_then(|(length, _)| read(&buffer[..length])) {
                    book.note((from, host), number);
                }
            }
            _ = ticks.tick() => for to in hosts(count).filter(|to| *to != host) {
                let number = book.next((host, to));
                // A datagram that cannot even be sent is one that does not arrive.
                let _ = socket.try_send_to(&write(host, number), address(to));
            }
        }
    }
}

fn write(from: HostId, number: u64) -> [u8; 9] {
    let mut bytes = [from.0; 9];
    bytes[1..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn read(bytes: &[u8]) -> Option<(HostId, u64)> {
    let (from, number) = bytes.split_first()?;
    Some((HostId(*from), u64::from_be_bytes(number.try_into().ok()?)))
}

/// A bridge port may take up to a second to forward after it came up.
async fn wait_until_whole(sockets: &[UdpSocket], address: fn(HostId) -> SocketAddr) -> Result<()> {
    let count = u8::try_from(sockets.len()).context("more hosts than can be numbered")?;
    let mut missing: BTreeSet<_> = pairs(count).collect();
    let deadline = Instant::now() + PATIENCE;
    while !missing.is_empty() {
        if Instant::now() > deadline {
            let named: Vec<String> =
                missing.iter().map(|(from, to)| format!("{from}->{to}")).collect();
            bail!(
                "after {PATIENCE:?} these links carry nothing: {}; try --net proxy",
                named.join(" ")
            );
        }
        for (from, to) in &missing {
            // While a link comes up, sending may fail; it is tried again.
            let _ = sockets[usize::from(from.0)].send_to(&write(*from, UNNUMBERED), address(*to));
        }
        sleep(Duration::from_millis(2)).await;
        for (to, socket) in hosts(count).zip(sockets) {
            missing = &missing - &arrivals(socket)?.into_iter().map(|from| (from, to)).collect();
        }
    }
    Ok(())
}

fn arrivals(socket: &UdpSocket) -> Result<Vec<HostId>> {
    let mut from = Vec::new();
    let mut buffer = [0; 16];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) => from.extend(read(&buffer[..length]).map(|(from, _)| from)),
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
        assert_eq!(read(&write(HostId(4), 77)), Some((HostId(4), 77)));
        assert_eq!(read(b"short"), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn only_probes_that_had_time_to_arrive_count() {
        let sent = [true, false, true, true, false, true, false, false, false];
        assert_eq!(settled(&sent, 0, 4), (5, 3));
        assert_eq!(settled(&sent, 4, 4), (1, 0));
        assert_eq!(settled(&sent, 9, 4), (0, 0));
        assert_eq!(settled(&[], 0, 4), (0, 0));
    }

    #[test]
    fn an_arrival_without_a_probe_is_not_noted() {
        let book = Book::new(2, 0);
        let pair = (HostId(0), HostId(1));
        assert_eq!(book.next(pair), 0);
        book.note(pair, UNNUMBERED);
        book.note((HostId(5), HostId(1)), 0);
        assert_eq!(book.since([0, 0].into_iter()), [(1, 0), (0, 0)]);
        book.note(pair, 0);
        assert_eq!(book.since([0, 0].into_iter()), [(1, 1), (0, 0)]);
        assert_eq!(book.mark(), [1, 0]);
    }

    #[test]
    fn a_probe_from_before_the_mark_never_counts_though_it_arrives_after_it() {
        let book = Book::new(2, 0);
        let pair = (HostId(0), HostId(1));
        let withheld = book.next(pair);
        let healed = book.mark();
        book.note(pair, withheld);
        assert_eq!(book.since(healed.into_iter()), [(0, 0), (0, 0)]);
    }
}
