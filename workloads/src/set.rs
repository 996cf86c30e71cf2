//! Adds elements to a set and reads all of it from time to time: acknowledged elements stay.
//!
//! A replica with stale reads may still be catching up at its first final read. The final reads
//! therefore repeat ([`crate::set_traffic`]), because a lagging replica has lost nothing.

use crate::call::Call;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::set_traffic::set_traffic;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// A set.
pub(crate) struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn doc(&self) -> &'static str {
        "adds elements to a set and reads all of it from time to time; judged by lost, stale and \
         never-added elements"
    }

    fn object(&self) -> Object {
        Object::Set
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn check_names(&self, consistency: ReadConsistency) -> &'static [&'static str] {
        match consistency {
            ReadConsistency::Linearizable | ReadConsistency::Lease => &["set-full-linearizable"],
            ReadConsistency::Stale | ReadConsistency::Session => &["set-full"],
        }
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        set_traffic(&rng, |element| Call::Insert { element }, Call::ReadSet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Context, Generator, Next};
    use crate::reply::Reply;
    use crate::simulate::InMemorySystem;
    use checker::history::{Event, Kind, Process, Value};
    use checker::{History, Limits, Validity};

    /// Records a history in which elements are added through one replica while another one lags.
    struct HistoryRecorder {
        events: Vec<Event>,
        time: u64,
    }

    impl HistoryRecorder {
        fn record_event(&mut self, node: &str, kind: Kind, call: &Call, value: Value) {
            let process = Process::Client(u64::from(node == "n2"));
            let (node, f) = (Some(node.into()), call.function_name().into());
            let (index, time) = (self.events.len() as u64, self.time);
            self.events.push(Event { index, time, kind, process, f, value, node, error: None });
        }

        /// Follows a generator until it is done or has been asked this many times.
        fn follow_generator(
            &mut self,
            node: &str,
            (part, most): (&mut dyn Generator, usize),
            mut answer: impl FnMut(&Call) -> Reply,
        ) {
            for _ in 0..most {
                self.time += 200_000_000;
                let call = match part.next_call(&Context { thread: 0, time: self.time }) {
                    Next::Call(call) => call,
                    Next::Pending => continue,
                    Next::Done => return,
                };
                self.record_event(node, Kind::Invoke, &call, call.invocation_value());
                let reply = answer(&call);
                self.record_event(node, Kind::Ok, &call, call.completion_value(&reply));
                part.observe_reply(0, &call, &reply);
            }
        }
    }

    /// The validity if the lagging replica catches up after this many final reads.
    fn judge_lag(stale_reads: usize) -> Validity {
        let mut traffic = Set.make_traffic(Rng::new(1), &TrafficConfig::new(2));
        let mut recorder = HistoryRecorder { events: Vec::new(), time: 0 };
        let (mut current, mut lagging) = (InMemorySystem::default(), InMemorySystem::default());
        recorder
            .follow_generator("n1", (&mut *traffic.main, 40), |call| current.execute_call(call));
        recorder.follow_generator("n1", (&mut *(traffic.final_reads)(), 400), |call| {
            current.execute_call(call)
        });
        let mut left = stale_reads;
        recorder.follow_generator("n2", (&mut *(traffic.final_reads)(), 400), |call| {
            let replica = if left > 0 { &mut lagging } else { &mut current };
            left = left.saturating_sub(1);
            replica.execute_call(call)
        });
        let history = History::new(recorder.events).expect("one call at a time");
        Set.check_history(&history, &Limits::default(), ReadConsistency::Stale)[0].validity
    }

    #[test]
    fn a_replica_that_lags_at_the_end_is_invalid_only_if_it_never_catches_up() {
        assert_eq!(judge_lag(0), Validity::Valid);
        assert_eq!(judge_lag(3), Validity::Valid);
        assert_eq!(judge_lag(usize::MAX), Validity::Invalid);
    }
}
