//! Does nothing, so that a run without faults has a name. It is never scheduled.

use super::{BeginFuture, Cluster, ClusterView, Nemesis, Skip, Target};
use futures_util::future::ready;
use workloads::Rng;

/// No fault at all.
pub(super) struct NoFaults;

impl Nemesis for NoFaults {
    fn name(&self) -> &'static str {
        "none"
    }

    fn doc(&self) -> &'static str {
        "no faults: how the system behaves when nothing fails"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn choose_target(&self, _: &str, _: &ClusterView, _: &mut Rng) -> Option<Target> {
        None
    }

    fn begin_fault<'a>(&'a self, _: &'a Target, _: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(ready(Err(Skip::because("there is nothing to do").into())))
    }
}
