//! Says something and expects to hear the same.

use crate::generator::calls;
use crate::keys::Fresh;
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// An echo.
pub(crate) struct Echo;

impl Workload for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn doc(&self) -> &'static str {
        "says something; judged by whether the same comes back (Maelstrom's echo)"
    }

    fn object(&self) -> Object {
        Object::Echo
    }

    fn functions(&self) -> &'static [&'static str] {
        &["echo"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["echo"]
    }

    fn traffic(&self, mut rng: Rng, _: &Scene) -> Traffic {
        let fresh = Fresh::default();
        let (number, again) = (fresh.clone(), fresh);
        let text = |number: i64, rest: u64| format!("Please echo {number} {rest:x}");
        Traffic {
            main: calls(move |_| Call::Echo { text: text(number.next(), rng.below(u64::MAX)) }),
            recovery: Box::new(move || {
                let number = again.clone();
                each_until_ok([calls(move |_| Call::Echo { text: text(number.next(), 0) })])
            }),
            finale: Box::new(|| each_until_ok([])),
        }
    }
}
