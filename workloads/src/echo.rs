//! Sends a text and expects the same text back.

use crate::call::Call;
use crate::combinator::each_until_ok;
use crate::generator::repeat_with;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// An echo.
pub(crate) struct Echo;

impl Workload for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn doc(&self) -> &'static str {
        "sends a text; judged by whether the reply repeats it (Maelstrom's echo)"
    }

    fn object(&self) -> Object {
        Object::Echo
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["echo"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["echo"]
    }

    fn make_traffic(&self, mut rng: Rng, _: &TrafficConfig) -> Traffic {
        let number = Sequence::default();
        let recovery_number = number.clone();
        let text = |number: i64, rest: u64| format!("Please echo {number} {rest:x}");
        Traffic {
            main: repeat_with(move |_| Call::Echo {
                text: text(number.next_number(), rng.below(u64::MAX)),
            }),
            recovery: Box::new(move || {
                let number = recovery_number.clone();
                each_until_ok([repeat_with(move |_| Call::Echo {
                    text: text(number.next_number(), 0),
                })])
            }),
            final_reads: Box::new(|| each_until_ok([])),
        }
    }
}
