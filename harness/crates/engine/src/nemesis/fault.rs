//! A kind of fault, and a fault that is on.

use super::cluster::{Cluster, SUPERVISION_INTERVAL};
use super::target::{ClusterView, Target};
use crate::system::System;
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use workloads::Rng;

/// The beginning of a fault.
pub type BeginFuture<'a> = BoxFuture<'a, Result<Box<dyn ActiveFault>>>;

/// A kind of fault.
pub trait Nemesis: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it does, in a sentence.
    fn doc(&self) -> &'static str;
    /// The ways it can aim, name and sentence, in order of name.
    fn variants(&self) -> &'static [(&'static str, &'static str)];
    /// How long a planned fault lasts, in milliseconds: at least, and less than.
    fn duration_ms(&self) -> (u64, u64) {
        (700, 3_000)
    }
    /// Whether a fault of this kind may change directly into another one, without healing between.
    fn can_chain(&self) -> bool {
        false
    }
    /// What the run must provide from its start.
    fn requirements(&self) -> &'static [Requirement] {
        &[]
    }
    /// Whether it changes what a replica had made durable, so that no protocol can keep its
    /// promises on that disk.
    fn corrupts_data(&self) -> bool {
        false
    }
    /// Whether it may start a replica again without anything that it had made durable.
    fn empties_disk(&self) -> bool {
        false
    }
    /// Why this machine cannot do it, and what to do; `None` where it can, as was tried just now.
    fn unsupported_here(&self) -> Option<String> {
        None
    }
    /// Why it cannot be done to that system; `None` where it can.
    fn reject_system(&self, _system: &dyn System) -> Option<String> {
        None
    }
    /// Why this aim can never have a target among so many hosts; `None` if it can.
    fn reject_aim(&self, aim: &str, _hosts: usize) -> Option<String> {
        reject_variant(self.name(), self.variants(), aim)
    }
    /// Chooses what to hit; `None` where there is no target now. Pure.
    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target>;
    /// Begins the fault. Changes of links are only set: the executor applies those of a whole step
    /// at once.
    ///
    /// A fault that the system refuses now, or that came to nothing, is a [`Skip`]. An error must
    /// leave nothing broken that [`Cluster::heal`] does not undo.
    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a>;
}

/// A fault that is on.
pub trait ActiveFault: Send + Sync {
    /// Does what is due, without waiting: kills once more, or lets a process run for a moment.
    fn tick(&mut self, _cluster: &mut Cluster) -> Result<()> {
        Ok(())
    }
    /// How often it wants its turn.
    fn tick_interval(&self) -> Duration {
        SUPERVISION_INTERVAL
    }
    /// Whether it should last longer than planned because its effect is still to be observed, after
    /// it was `extended` for so long. It may change its strength for that.
    fn needs_more_time(&mut self, _cluster: &mut Cluster, _extended: Duration) -> Result<bool> {
        Ok(false)
    }
    /// Samples what proves the fault, and undoes it. Whatever can be undone is, also after an
    /// error.
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>>;
    /// Weighs the samples, once the fault has ended. Pure.
    fn weigh_evidence(&self) -> Result<Evidence>;
}

/// What a nemesis may need that is decided before a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Data directories on a [`testbed::host::disk::Disk`].
    Disks,
    /// A host of its own for each replica, because all reach it at one address.
    SeparateHosts,
    /// A network that can shape links.
    Switch,
}

/// Whether samples prove that a fault took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Whether they do.
    pub confirmed: bool,
    /// What was sampled, with numbers.
    pub text: String,
}

impl Evidence {
    /// Joins one text per host. Without hosts, the fault is not confirmed.
    pub(super) fn from_hosts(confirmed: bool, texts: &[String]) -> Self {
        Self { confirmed: confirmed && !texts.is_empty(), text: texts.join("; ") }
    }
}

/// Why a fault did not begin, or came to nothing, although nothing failed: it is recorded as
/// skipped.
#[derive(Debug)]
pub struct Skip(String);

impl Skip {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Applies an action to every item, even if some fail; returns the first error.
pub(super) fn try_all<T>(
    all: impl IntoIterator<Item = T>,
    act: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let done: Vec<Result<()>> = all.into_iter().map(act).collect();
    done.into_iter().collect()
}

/// Rejects an aim that is no variant, with the names of those there are.
pub(super) fn reject_variant(name: &str, variants: &[(&str, &str)], aim: &str) -> Option<String> {
    let known: Vec<_> = variants.iter().map(|(name, _)| *name).collect();
    (!known.contains(&aim))
        .then(|| format!("nemesis {name:?} has no variant {aim:?}; it has: {}", known.join(", ")))
}
