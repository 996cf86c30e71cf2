//! Requests identifiers: no two requests return the same one.

use crate::call::Call;
use crate::combinator::each_until_ok;
use crate::generator::repeat_with;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// A source of identifiers.
pub(crate) struct UniqueIds;

impl Workload for UniqueIds {
    fn name(&self) -> &'static str {
        "unique-ids"
    }

    fn doc(&self) -> &'static str {
        "requests identifiers; judged by whether any was returned twice"
    }

    fn object(&self) -> Object {
        Object::Ids
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["generate"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["unique-ids"]
    }

    fn make_traffic(&self, _: Rng, _: &TrafficConfig) -> Traffic {
        let ids = || repeat_with(|_| Call::Generate);
        Traffic {
            main: ids(),
            recovery: Box::new(move || each_until_ok([ids(), ids()])),
            final_reads: Box::new(move || each_until_ok([ids()])),
        }
    }
}
