//! Keeps one thread per host, as long as the host: it lives in the host's namespaces and starts its
//! processes.
//!
//! Namespaces of network and hostname belong to a thread, and a child inherits those of the thread
//! that started it; so nothing has to be entered between fork and exec. The kernel also sends a
//! replica its parent-death signal when the *thread* that started it ends, which is why it must be
//! this one and not a worker of tokio's.

use super::sandbox;
use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::process::{Child, Command};
use std::sync::mpsc;

type Job = Box<dyn FnOnce() + Send>;

/// A host: dropping it ends its thread, and with that every process started on it.
pub struct Host {
    name: String,
    jobs: mpsc::Sender<Job>,
    has_pid_namespaces: bool,
}

impl Host {
    /// A host that shares network and hostname with the controller. In the sandbox it encloses its
    /// replicas.
    pub fn shared(name: &str) -> Result<Self> {
        Self::start_thread(name, sandbox::is_inside())
    }

    /// A host each of whose replicas gets a pid namespace of its own; needs the sandbox, or root.
    pub fn with_pid_namespaces(name: &str) -> Result<Self> {
        Self::start_thread(name, true)
    }

    fn start_thread(name: &str, has_pid_namespaces: bool) -> Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let serve = move || inbox.into_iter().for_each(|job| job());
        std::thread::Builder::new()
            .name(format!("host-{name}"))
            .spawn(serve)
            .with_context(|| format!("cannot start the thread of host {name}"))?;
        Ok(Self { name: name.to_owned(), jobs, has_pid_namespaces })
    }

    /// A host with a network and a hostname of its own; needs the sandbox.
    pub(crate) fn isolated(name: &str) -> Result<Self> {
        let host = Self::with_pid_namespaces(name)?;
        let hostname = name.to_owned();
        let isolate = move || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS)?;
            nix::unistd::sethostname(hostname)
        };
        host.run(isolate)?.with_context(|| {
            format!("host {name} gets no network namespace; use --net proxy to do without")
        })?;
        Ok(host)
    }

    /// Does something in the host's namespaces and waits for its result.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, result) = mpsc::sync_channel(1);
        let job = Box::new(move || drop(answer.send(job())));
        let gone = || anyhow!("the thread of host {} is gone; this is a bug", self.name);
        self.jobs.send(job).map_err(|_| gone())?;
        result.recv().map_err(|_| gone())
    }

    /// Whether what is started here gets a pid namespace of its own.
    pub(super) fn has_pid_namespaces(&self) -> bool {
        self.has_pid_namespaces
    }

    /// Starts a program here; the inner result tells whether it could be executed.
    pub(super) fn spawn(&self, mut command: Command) -> Result<std::io::Result<Child>> {
        if !self.has_pid_namespaces {
            return self.run(move || command.spawn());
        }
        let spawned = self.run(move || {
            // The next child is the first in a namespace; a thread whose children go there can make
            // no other before it is back.
            let home = File::open("/proc/thread-self/ns/pid")?;
            unshare(CloneFlags::CLONE_NEWPID)?;
            let child = command.spawn();
            setns(home, CloneFlags::CLONE_NEWPID)?;
            std::io::Result::Ok(child)
        })?;
        spawned.with_context(|| {
            format!(
                "host {} gets no pid namespace for a replica; is user.max_pid_namespaces too low?",
                self.name
            )
        })
    }

    /// The host's network namespace, to move links into.
    pub(crate) fn network_namespace(&self) -> Result<File> {
        self.run(|| File::open("/proc/thread-self/ns/net"))?
            .with_context(|| format!("cannot open the network namespace of {}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_jobs_of_a_host_run_on_one_thread_that_bears_its_name() {
        let host = Host::shared("n7").expect("a thread starts");
        let whoami = || std::thread::current().name().map(str::to_owned);
        assert_eq!(host.run(whoami).expect("it answers").as_deref(), Some("host-n7"));
        let id = || std::thread::current().id();
        assert_eq!(host.run(id).expect("it answers"), host.run(id).expect("it answers"));
    }
}
