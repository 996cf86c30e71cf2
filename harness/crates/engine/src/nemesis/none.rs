//! Does nothing, so that a run without faults has a name. It is never scheduled.

use super::ground::Ground;
use super::{Before, Fault, Nemesis, Scene, Seen, Target};
use anyhow::Result;
use futures_util::future::{BoxFuture, ready};
use workloads::Rng;

/// No fault at all.
pub(crate) struct None;

impl Nemesis for None {
    fn name(&self) -> &'static str {
        "none"
    }

    fn doc(&self) -> &'static str {
        "nothing goes wrong: what the system does on a good day"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn aim(&self, _: &str, _: &Scene, _: &mut Rng) -> Option<Target> {
        Option::None
    }

    fn begin<'a>(&'a self, _: &'a Target, _: &'a mut Ground) -> BoxFuture<'a, Result<Before>> {
        Box::pin(ready(Ok(Before::new())))
    }

    fn end<'a>(&'a self, _: &'a Fault, _: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(ready(Ok(Seen { bit: false, text: "nothing was done".to_owned() })))
    }
}
