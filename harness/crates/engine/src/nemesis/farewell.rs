//! Ends replicas when a run is over: asks them to, where their system says how, and keeps what they wrote.
//!
//! Nothing here is a fault or is judged; whoever does not end in time is killed as everybody else is.

use super::ground::Ground;
use super::grudge::all;
use crate::system::Farewell;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(5);

impl Ground {
    /// Ends all replicas and keeps their logs; what did not go well, in sentences.
    pub(crate) async fn farewell(&mut self, farewell: Option<Farewell>) -> Vec<String> {
        let mut trouble = Vec::new();
        if let Some(farewell) = farewell {
            trouble.extend(self.ask_to_end(farewell).await);
        }
        for host in all(self.count()) {
            trouble.extend(self.slot(host).logs.keep());
        }
        trouble
    }

    async fn ask_to_end(&mut self, Farewell { signal, within }: Farewell) -> Vec<String> {
        let hosts = all(self.count());
        for host in &hosts {
            // One that is dead already needs no asking.
            drop(self.slot(*host).replica.ask_to_end(signal));
        }
        let deadline = Instant::now() + within;
        let mut left = hosts;
        while !left.is_empty() && Instant::now() < deadline {
            left.retain(|host| self.slot(*host).replica.exited().is_none());
            tokio::time::sleep(POLL).await;
        }
        let told = |host| format!("{host} did not end within {within:?} of {signal}; it is killed");
        left.into_iter().map(told).collect()
    }
}
