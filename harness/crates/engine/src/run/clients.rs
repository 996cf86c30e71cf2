//! Keeps the clients: one task per thread, each bound to a host and busy with at most one call.
//!
//! A thread acts as one process at a time. When the outcome of a call is unknown, its process is
//! retired and the thread goes on as the next one, `stride` further, so that no process number is
//! ever used twice.

use crate::system::{Client, System};
use anyhow::Result;
use futures_util::FutureExt as _;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use testbed::net::plan::HostId;
use tokio::sync::mpsc;
use workloads::{Call, Outcome, ReadConsistency, Reply, validate_reply};

/// An answer that arrived.
pub(crate) struct Done {
    /// The thread that had asked.
    pub thread: usize,
    /// The answer.
    pub(crate) reply: Reply,
}

/// A call on its way.
pub(crate) struct Open {
    /// What was asked.
    pub call: Call,
    /// When it was meant to start, in nanoseconds since the run began.
    pub(crate) intended: u64,
}

struct Thread {
    host: HostId,
    process: u64,
    calls: mpsc::UnboundedSender<Call>,
    open: Option<Open>,
}

/// All clients of a run.
pub(crate) struct Clients {
    threads: Vec<Thread>,
    /// Where answers arrive.
    pub done: mpsc::UnboundedReceiver<Done>,
    /// Where the search for an idle thread begins.
    next: usize,
}

impl Clients {
    /// As many threads as asked for, and at least one per host; thread `t` speaks to host `t %
    /// hosts`.
    pub(crate) fn start(
        system: &dyn System,
        hosts: &[SocketAddr],
        (concurrency, consistency): (u64, ReadConsistency),
    ) -> Result<Self> {
        let (sender, done) = mpsc::unbounded_channel();
        let count = usize::try_from(concurrency).unwrap_or(usize::MAX).max(hosts.len());
        let places = crate::nemesis::grudge::all_hosts(hosts.len()).into_iter().zip(hosts).cycle();
        let mut threads = Vec::new();
        for (number, (host, address)) in places.take(count).enumerate() {
            let (calls, queue) = mpsc::unbounded_channel();
            let client = system.client(host, *address, consistency)?;
            tokio::spawn(work(client, number, queue, sender.clone()));
            threads.push(Thread { host, process: number as u64, calls, open: None });
        }
        Ok(Self { threads, done, next: 0 })
    }

    /// The idle threads, in the order of their turns.
    pub(crate) fn idle(&self) -> Vec<usize> {
        let count = self.threads.len();
        let turns = (self.next..self.next + count).map(|number| number % count);
        turns.filter(|number| self.is_idle(*number)).collect()
    }

    /// Whether a thread has no call on its way.
    pub(crate) fn is_idle(&self, thread: usize) -> bool {
        self.threads[thread].open.is_none()
    }

    /// Whether no thread has a call on its way.
    pub(crate) fn all_idle(&self) -> bool {
        self.threads.iter().all(|thread| thread.open.is_none())
    }

    /// The process a thread acts as, and the host it speaks to.
    pub(crate) fn identity(&self, thread: usize) -> (u64, HostId) {
        (self.threads[thread].process, self.threads[thread].host)
    }

    /// Sends a call; the caller has journaled it.
    pub(crate) fn send(&mut self, thread: usize, open: Open) {
        self.next = thread + 1;
        let thread = &mut self.threads[thread];
        // The task lives as long as its queue, so a call is always taken.
        drop(thread.calls.send(open.call.clone()));
        thread.open = Some(open);
    }

    /// Takes back the call that was answered, and retires the process if its outcome is unknown.
    pub(crate) fn complete(&mut self, done: &Done) -> Option<Open> {
        let stride = self.threads.len() as u64;
        let thread = &mut self.threads[done.thread];
        if done.reply.outcome == Outcome::Info {
            thread.process += stride;
        }
        thread.open.take()
    }
}

async fn work(
    client: Arc<dyn Client>,
    thread: usize,
    mut calls: mpsc::UnboundedReceiver<Call>,
    done: mpsc::UnboundedSender<Done>,
) {
    while let Some(call) = calls.recv().await {
        let asked = AssertUnwindSafe(client.call(&call)).catch_unwind().await;
        // A client that panicked leaves its call with an unknown outcome.
        let reply = asked.unwrap_or_else(|_| Reply::info("the client failed"));
        let reply = validate_reply(&call, reply);
        if done.send(Done { thread, reply }).is_err() {
            return;
        }
    }
}
