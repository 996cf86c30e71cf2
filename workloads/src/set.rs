//! Adds elements to a set and reads all of it now and then: what was acknowledged stays.
//!
//! A replica whose reads may be of the past may still be catching up when it is asked for the last time. It is asked
//! again then ([`crate::broadcast::spread`]): one that is only behind has lost nothing.

use crate::broadcast::spread;
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload};

/// A set.
pub(crate) struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn doc(&self) -> &'static str {
        "adds elements to a set and reads all of it now and then; judged by what is lost, late or from nowhere"
    }

    fn object(&self) -> Object {
        Object::Set
    }

    fn functions(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn checks(&self, freshness: Freshness) -> &'static [&'static str] {
        match freshness {
            Freshness::Linearizable | Freshness::Lease => &["set-full-linearizable"],
            Freshness::Stale | Freshness::After => &["set-full"],
        }
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        spread(&rng, |element| Call::Insert { element }, Call::Elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Memory;
    use crate::{Next, Reply, Turn};
    use checker::history::{Event, Kind, Process, Value};
    use checker::{History, Limits, Validity};

    /// Some elements are added through one replica; then another, which is behind for a while, is asked after it.
    struct Play {
        events: Vec<Event>,
        time: u64,
    }

    impl Play {
        fn record(&mut self, node: &str, kind: Kind, call: &Call, value: Value) {
            let process = Process::Client(u64::from(node == "n2"));
            let (node, f) = (Some(node.into()), call.function().into());
            let (index, time) = (self.events.len() as u64, self.time);
            self.events.push(Event { index, time, kind, process, f, value, node, error: None });
        }

        /// Follows a generator until it is done or has called so often.
        fn follow(
            &mut self,
            node: &str,
            (part, most): (&mut dyn crate::Generator, usize),
            mut answer: impl FnMut(&Call) -> Reply,
        ) {
            for _ in 0..most {
                self.time += 200_000_000;
                let call = match part.next(&Turn { thread: 0, time: self.time }) {
                    Next::Call(call) => call,
                    Next::Pending => continue,
                    Next::Done => return,
                };
                self.record(node, Kind::Invoke, &call, call.invoked());
                let reply = answer(&call);
                self.record(node, Kind::Ok, &call, call.completed(&reply));
                part.observe(0, &call, &reply);
            }
        }
    }

    /// What comes of it if the other replica is that many looks behind.
    fn judged(looks: usize) -> Validity {
        let mut traffic = Set.traffic(Rng::new(1), &Scene { replicas: 2 });
        let mut play = Play { events: Vec::new(), time: 0 };
        let (mut now, mut behind) = (Memory::default(), Memory::default());
        play.follow("n1", (&mut *traffic.main, 40), |call| now.answer(call));
        play.follow("n1", (&mut *(traffic.finale)(), 400), |call| now.answer(call));
        let mut left = looks;
        play.follow("n2", (&mut *(traffic.finale)(), 400), |call| {
            let shown = if left > 0 { &mut behind } else { &mut now };
            left = left.saturating_sub(1);
            shown.answer(call)
        });
        let history = History::new(play.events).expect("one call at a time");
        Set.check(&history, &Limits::default(), Freshness::Stale)[0].validity
    }

    #[test]
    fn a_replica_that_is_behind_at_the_end_has_lost_nothing_unless_it_stays_so() {
        assert_eq!(judged(0), Validity::Valid);
        assert_eq!(judged(3), Validity::Valid);
        assert_eq!(judged(usize::MAX), Validity::Invalid);
    }
}
