//! Keeps the clients: one task per thread, each bound to a host and busy with at most one call.
//!
//! A thread acts as one process at a time. A call with an unknown outcome retires its process, and
//! the thread continues as the process `stride` further, so that no process number is used twice.

use crate::system::{Client, ClientOptions, System};
use anyhow::Result;
use futures_util::FutureExt as _;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use testbed::net::plan::HostId;
use tokio::sync::mpsc;
use workloads::{Call, Outcome, Reply, validate_reply};

/// A completed call.
pub(crate) struct Completion {
    /// The thread of the call.
    pub thread: usize,
    /// The reply.
    pub(crate) reply: Reply,
}

/// A call in flight.
pub(crate) struct PendingCall {
    /// The call.
    pub call: Call,
    /// When it was meant to start, in nanoseconds since the run began.
    pub(crate) intended: u64,
}

struct Thread {
    host: HostId,
    process: u64,
    calls: mpsc::UnboundedSender<Call>,
    pending: Option<PendingCall>,
}

/// All clients of a run.
pub(crate) struct Clients {
    threads: Vec<Thread>,
    /// Receives completed calls.
    pub done: mpsc::UnboundedReceiver<Completion>,
    /// Where the search for an idle thread begins.
    next_thread: usize,
}

impl Clients {
    /// Starts `concurrency` threads, at least one per host; thread `t` calls host `t % hosts`.
    pub(crate) fn start(
        system: &dyn System,
        hosts: &[SocketAddr],
        (concurrency, options): (u64, ClientOptions),
    ) -> Result<Self> {
        let (sender, done) = mpsc::unbounded_channel();
        let count = usize::try_from(concurrency).unwrap_or(usize::MAX).max(hosts.len());
        let places = crate::nemesis::grudge::all_hosts(hosts.len()).into_iter().zip(hosts).cycle();
        let mut threads = Vec::new();
        for (number, (host, address)) in places.take(count).enumerate() {
            let (calls, queue) = mpsc::unbounded_channel();
            let client = system.make_client(host, *address, options)?;
            tokio::spawn(serve_calls(client, number, queue, sender.clone()));
            threads.push(Thread { host, process: number as u64, calls, pending: None });
        }
        Ok(Self { threads, done, next_thread: 0 })
    }

    /// The idle threads in round-robin order.
    pub(crate) fn idle_threads(&self) -> Vec<usize> {
        let count = self.threads.len();
        let turns = (self.next_thread..self.next_thread + count).map(|number| number % count);
        turns.filter(|number| self.is_idle(*number)).collect()
    }

    /// Whether a thread has no call in flight.
    pub(crate) fn is_idle(&self, thread: usize) -> bool {
        self.threads[thread].pending.is_none()
    }

    /// Whether no thread has a call in flight.
    pub(crate) fn all_idle(&self) -> bool {
        self.threads.iter().all(|thread| thread.pending.is_none())
    }

    /// The process that a thread acts as, and its host.
    pub(crate) fn process_and_host(&self, thread: usize) -> (u64, HostId) {
        (self.threads[thread].process, self.threads[thread].host)
    }

    /// Sends a call that the caller has journaled.
    pub(crate) fn send(&mut self, thread: usize, open: PendingCall) {
        self.next_thread = thread + 1;
        let thread = &mut self.threads[thread];
        // The task runs as long as its queue exists, so it receives every call.
        drop(thread.calls.send(open.call.clone()));
        thread.pending = Some(open);
    }

    /// Takes the completed call, and retires the process if the outcome is unknown.
    pub(crate) fn complete_call(&mut self, done: &Completion) -> Option<PendingCall> {
        let stride = self.threads.len() as u64;
        let thread = &mut self.threads[done.thread];
        if done.reply.outcome == Outcome::Info {
            thread.process += stride;
        }
        thread.pending.take()
    }
}

async fn serve_calls(
    client: Arc<dyn Client>,
    thread: usize,
    mut calls: mpsc::UnboundedReceiver<Call>,
    done: mpsc::UnboundedSender<Completion>,
) {
    while let Some(call) = calls.recv().await {
        let asked = AssertUnwindSafe(client.call(&call)).catch_unwind().await;
        // A panic of the client ends its call with an unknown outcome.
        let reply = asked.unwrap_or_else(|_| Reply::info("the client panicked"));
        let reply = validate_reply(&call, reply);
        if done.send(Completion { thread, reply }).is_err() {
            return;
        }
    }
}
