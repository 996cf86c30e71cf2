//! Ends the replicas when a run is over: asks them to exit where the system supports that, and
//! keeps their logs.
//!
//! Nothing here is a fault or is judged. A replica that does not exit in time is killed like all
//! others.

use super::Cluster;
use crate::system::ShutdownSignal;
use std::time::Duration;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(5);

impl Cluster {
    /// Ends all replicas and keeps their logs; returns a message for each problem.
    pub(crate) async fn shutdown(&mut self, signal: Option<ShutdownSignal>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(signal) = signal {
            problems.extend(self.request_exits(signal).await);
        }
        problems
            .extend(self.members.iter().flat_map(|member| member.startup.logs.copy_own_files()));
        problems
    }

    async fn request_exits(
        &mut self,
        ShutdownSignal { signal, within }: ShutdownSignal,
    ) -> Vec<String> {
        for member in &mut self.members {
            // The signal fails only where the process has exited already.
            drop(member.replica.send_signal(signal));
        }
        let deadline = Instant::now() + within;
        let mut running = self.hosts();
        while !running.is_empty() && Instant::now() < deadline {
            running.retain(|host| !self.member(*host).has_exited());
            sleep(POLL).await;
        }
        let message = |host: HostId| {
            format!("{host} did not exit within {within:?} of {signal}; it is killed")
        };
        running.into_iter().map(message).collect()
    }
}
