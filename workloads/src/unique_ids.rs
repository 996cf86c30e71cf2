//! Asks for identifiers: nobody gets one that somebody else got.

use crate::generator::calls;
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// A source of identifiers.
pub(crate) struct UniqueIds;

impl Workload for UniqueIds {
    fn name(&self) -> &'static str {
        "unique-ids"
    }

    fn doc(&self) -> &'static str {
        "asks for identifiers; judged by whether one was given twice"
    }

    fn object(&self) -> Object {
        Object::Ids
    }

    fn functions(&self) -> &'static [&'static str] {
        &["generate"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["unique-ids"]
    }

    fn traffic(&self, _: Rng, _: &Scene) -> Traffic {
        let ids = || calls(|_| Call::Generate);
        Traffic {
            main: ids(),
            recovery: Box::new(move || each_until_ok([ids(), ids()])),
            finale: Box::new(move || each_until_ok([ids()])),
        }
    }
}
