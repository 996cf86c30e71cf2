//! Plugs in a user's own server, which one file describes: how a replica is started, what is asked over HTTP and what
//! the answers mean; or a program that asks in its place.
//!
//! Whatever answer the file does not explain may mean anything, so nobody knows what became of the call.

mod file;
mod http;
mod program;

use self::file::Described;
use super::{Client, Launch, Program, System};
use crate::net::plan::HostId;
use anyhow::Result;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use workloads::{Freshness, Object, Workload};

pub(crate) use self::file::STARTER;

/// How files that describe a system end.
pub(crate) const EXTENSION: &str = ".toml";

/// A system from a file.
pub(crate) struct Custom {
    described: &'static Described,
    name: &'static str,
    objects: &'static [Object],
}

impl Custom {
    /// Reads the file; an error says where in it what is wrong.
    pub(crate) fn load(path: &Path) -> Result<&'static Self> {
        // Read once in the life of a process, and needed until its end.
        let described: &'static Described = Box::leak(Box::new(Described::load(path)?));
        let name = Box::leak(described.name.clone().into_boxed_str());
        let objects = Box::leak(described.objects().into_boxed_slice());
        Ok(Box::leak(Box::new(Self { described, name, objects })))
    }
}

impl System for Custom {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        "a system that a file describes"
    }

    fn objects(&self) -> &'static [Object] {
        self.objects
    }

    fn lacks(&self, workload: &dyn Workload) -> Option<String> {
        let known = |function: &&str| self.described.knows(function);
        let lacking: Vec<_> =
            workload.functions().iter().copied().filter(|it| !known(it)).collect();
        (!lacking.is_empty()).then(|| {
            let file = self.described.path.display();
            format!(
                "{file} describes no {}, which workload {} calls",
                lacking.join(", "),
                workload.name()
            )
        })
    }

    fn freshness(&self) -> &'static [Freshness] {
        &[Freshness::Linearizable]
    }

    fn needs_hosts(&self) -> bool {
        self.described.hosts
    }

    fn bugs(&self, _: Option<&PathBuf>) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn program(&self, launch: &Launch) -> Program {
        let mut words = self.described.command(launch).into_iter();
        let first = words.next().unwrap_or_default();
        let found = if first.contains('/') { None } else { super::on_path(&first) };
        let path = launch.bin.clone().or(found).unwrap_or_else(|| first.into());
        Program { path, args: words.map(Into::into).collect() }
    }

    fn client(&self, host: HostId, address: SocketAddr, _: Freshness) -> Result<Arc<dyn Client>> {
        match &self.described.client {
            Some(client) => program::client(client, self.described, host, address),
            None => http::client(self.described, host, address),
        }
    }
}
