//! A system that the user describes in a file: how to start a replica, which HTTP requests to send
//! and what the responses mean; or a client program to call instead.
//!
//! A response that the file does not describe may mean anything, so the call's outcome is unknown.

mod check;
mod description;
mod file;
mod first_calls;
mod http;
mod program;
mod ready;

use self::description::SystemDescription;
use self::file::fill_template;
use super::adapter::{Feature, Launch, Program, ShutdownSignal, System};
use super::client::{Client, ClientOptions};
use crate::invariants::LogRules;
use anyhow::Result;
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use testbed::net::plan::HostId;
use workloads::{Object, ReadConsistency, WORKLOADS, Workload};

pub use self::file::STARTER;

/// The extension of files that describe a system.
pub const EXTENSION: &str = ".toml";

/// Default time limits for a replica to become ready, and to exit after its stop signal.
const DEFAULT_READY_TIMEOUT: Duration = Duration::from_secs(20);
const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a program with additional environment variables.
const ENV: &str = "/usr/bin/env";

/// A system described in a file.
pub struct CustomSystem {
    described: &'static SystemDescription,
    name: &'static str,
    objects: &'static [Object],
    no_failover_reason: Option<&'static str>,
}

impl CustomSystem {
    /// Reads the file; an error gives line and column.
    pub fn load(path: &Path) -> Result<&'static Self> {
        // Read once in the life of a process, and needed until its end.
        let described: &'static SystemDescription =
            Box::leak(Box::new(SystemDescription::load(path)?));
        let name: &'static str = described.name.get_ref();
        let objects = Box::leak(described.objects().into_boxed_slice());
        let why = format!("the file of {name} sets failover = false");
        let no_failover_reason = (!described.failover).then(|| &*why.leak());
        Ok(Box::leak(Box::new(Self { described, name, objects, no_failover_reason })))
    }
}

impl System for CustomSystem {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        "a system described in a file"
    }

    fn objects(&self) -> &'static [Object] {
        self.objects
    }

    fn unsupported_workload(&self, workload: &dyn Workload) -> Option<String> {
        let known = |function: &&str| self.described.supports_function(function);
        let lacking: Vec<_> =
            workload.function_names().iter().copied().filter(|it| !known(it)).collect();
        let fits = |other: &&&dyn Workload| {
            self.objects.contains(&other.object()) && other.function_names().iter().all(known)
        };
        (!lacking.is_empty()).then(|| {
            let others: Vec<_> = WORKLOADS.iter().filter(fits).map(|other| other.name()).collect();
            format!(
                "{} describes no {}, which workload {} calls; supported workloads: {}",
                self.described.path.display(),
                lacking.join(", "),
                workload.name(),
                others.join(", ")
            )
        })
    }

    fn read_consistencies(&self) -> &'static [ReadConsistency] {
        &[ReadConsistency::Linearizable]
    }

    fn features(&self) -> &'static [Feature] {
        match (self.described.hosts, self.described.leader.is_some()) {
            (true, true) => &[Feature::ReportsLeader, Feature::SeparateHosts],
            (true, false) => &[Feature::SeparateHosts],
            (false, true) => &[Feature::ReportsLeader],
            (false, false) => &[],
        }
    }

    fn log_rules(&self) -> LogRules {
        self.described.log_rules()
    }

    fn no_failover_reason(&self) -> Option<&'static str> {
        self.no_failover_reason
    }

    fn missing_dependency(&self, bin: Option<&Path>) -> Option<String> {
        let file = self.described.path.display();
        let program = self.described.replica.command.first().filter(|_| bin.is_none());
        let client = self.described.client.as_ref().and_then(|client| client.command.first());
        let named = [(program, "replica"), (client, "client")];
        let absent = named.into_iter().find_map(|(word, part)| {
            let word = fill_template(word?.get_ref(), &[("dir", self.described.folder())]);
            (!is_executable(&word)).then_some((word, part))
        });
        absent.map(|(word, part)| {
            format!(
                "no executable program {word} for {part}.command in {file}; a name with a slash is \
                 relative to the current directory, and {{dir}} is the folder of the file"
            )
        })
    }

    fn replica_program(&self, launch: &Launch) -> Program {
        let (words, variables) = self.described.replica_command(launch);
        let mut words = words.into_iter();
        let first = words.next().unwrap_or_default();
        let found =
            if first.contains('/') { None } else { super::executable::find_on_path(&first) };
        let path = launch.bin.clone().or(found).unwrap_or_else(|| first.into());
        if variables.is_empty() {
            return Program { path, args: words.map(Into::into).collect() };
        }
        let words = words.map(OsString::from);
        let variables = variables.into_iter().map(OsString::from);
        Program { path: ENV.into(), args: variables.chain([path.into()]).chain(words).collect() }
    }

    fn variant_names(&self) -> Vec<&str> {
        self.described.variant.iter().map(|it| it.name.get_ref().as_str()).collect()
    }

    fn startup_timeout(&self) -> Duration {
        let ready = self.described.ready.as_ref();
        ready
            .and_then(|it| it.within.as_ref())
            .map_or(DEFAULT_READY_TIMEOUT, |within| within.get_ref().0)
    }

    fn log_files(&self, launch: &Launch) -> Vec<PathBuf> {
        self.described.log_files(launch)
    }

    fn shutdown_signal(&self) -> Option<ShutdownSignal> {
        self.described.stop.as_ref().map(|stop| ShutdownSignal {
            signal: stop.signal.get_ref().parse().unwrap_or(Signal::SIGTERM),
            within: stop.within.as_ref().map_or(DEFAULT_STOP_TIMEOUT, |within| within.get_ref().0),
        })
    }

    fn make_client(
        &self,
        host: HostId,
        address: SocketAddr,
        options: ClientOptions,
    ) -> Result<Arc<dyn Client>> {
        let patience = options.patience;
        match &self.described.client {
            Some(client) => program::make_client(client, self.described, (host, address), patience),
            None => http::make_client(self.described, (host, address), patience),
        }
    }
}

/// Whether a word names a program, by its path or for a shell.
fn is_executable(word: &str) -> bool {
    let path = Path::new(word);
    let executable = path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if word.contains('/') { executable } else { super::executable::find_on_path(word).is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_says_how_to_find_the_leader_makes_it_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("my.toml");
        let reports_leader = |text: &str| {
            std::fs::write(&path, text).expect("it is written");
            let system = CustomSystem::load(&path).expect("it is right");
            system.has_feature(Feature::ReportsLeader)
        };
        let whole = file::STARTER;
        let (before, rest) = whole.split_once("[leader]\n").expect("it has that part");
        let (_, after) = rest.split_once("[read]\n").expect("it has that part");
        assert!(reports_leader(whole));
        assert!(!reports_leader(&format!("{before}[read]\n{after}")));
    }
}
