//! Runs replicas as real processes on their own loopback addresses, and always ends all of them.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A reply: its status and its body.
pub(super) type HttpReply = (u16, Value);

/// Up to nine replicas, `n1`, `n2` and so on.
pub(super) struct ProcessCluster {
    directory: TempDir,
    host: String,
    children: Vec<Option<Child>>,
    flags: Vec<String>,
    /// The replicas that joined later: through which one, and with which further flags.
    joiners: BTreeMap<usize, (usize, Vec<String>)>,
    http: Client,
}

impl ProcessCluster {
    /// Starts replicas with these further flags.
    pub(super) fn start(size: usize, flags: &[&str]) -> Self {
        let mut cluster = Self {
            directory: TempDir::new().expect("a temporary directory"),
            host: unique_host(),
            children: (0..size).map(|_| None).collect(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            joiners: BTreeMap::new(),
            http: Client::new(),
        };
        (1..=size).for_each(|number| cluster.start_replica(number));
        cluster
    }

    /// Starts replicas and waits until each knows a leader.
    pub(super) async fn start_ready(size: usize, flags: &[&str]) -> Self {
        let cluster = Self::start(size, flags);
        for number in 1..=size {
            cluster.until_healthy(number).await;
        }
        cluster
    }

    /// Starts a replica (again).
    pub(super) fn start_replica(&mut self, number: usize) {
        let mut command = self.replica_command(number);
        let log = File::options().create(true).append(true).open(self.log_path(number));
        command.stderr(log.expect("a log file"));
        self.children[number - 1] = Some(command.spawn().expect("the binary is built"));
    }

    /// Starts a replica with these flags, and without those of the others.
    pub(super) fn run_with(&mut self, number: usize, flags: &[&str]) {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let usual = std::mem::replace(&mut self.flags, flags);
        self.start_replica(number);
        self.flags = usual;
    }

    /// Starts one more replica, which joins through another.
    pub(super) fn join(&mut self, seed: usize, flags: &[&str]) -> usize {
        self.children.push(None);
        let number = self.children.len();
        self.joiners.insert(number, (seed, flags.iter().map(|flag| (*flag).to_owned()).collect()));
        self.start_replica(number);
        number
    }

    /// Returns the command of a replica that joins.
    fn joining_command(&self, number: usize, (seed, flags): &(usize, Vec<String>)) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
        command.args(["--id", &format!("n{number}"), "--join", &self.address(8000 + seed)]);
        command.args(["--listen-peer", &self.address(7000 + number)]).args(flags);
        command
    }

    /// Returns the command of a replica.
    pub(super) fn replica_command(&self, number: usize) -> Command {
        let mut command = match self.joiners.get(&number) {
            Some(wish) => self.joining_command(number, wish),
            None => self.founding_command(number),
        };
        command.arg("--data").arg(self.data_path(number));
        command.args(["--listen-client", &self.address(8000 + number)]).args(&self.flags);
        command.stdout(Stdio::null());
        command
    }

    fn founding_command(&self, number: usize) -> Command {
        let founders = self.children.len() - self.joiners.len();
        let peers: Vec<_> = (1..=founders).map(|n| self.peer_flag(n)).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
        command.args(["--id", &format!("n{number}"), "--peers", &peers.join(",")]);
        command
    }

    fn peer_flag(&self, number: usize) -> String {
        format!("n{number}={}", self.address(7000 + number))
    }

    /// Returns an address on the cluster's own loopback host.
    pub(super) fn address(&self, port: usize) -> String {
        format!("{}:{port}", self.host)
    }

    pub(super) fn data_path(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("n{number}"))
    }

    fn log_path(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("n{number}.log"))
    }

    /// Returns a replica's log.
    pub(super) fn read_log(&self, number: usize) -> String {
        fs::read_to_string(self.log_path(number)).expect("a log")
    }

    pub(super) fn signal(&self, number: usize, signal: Signal) {
        let child = self.children[number - 1].as_ref().expect("it runs");
        kill(child_pid(child), signal).expect("the process is ours");
    }

    /// Kills a replica without warning.
    pub(super) fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.children[number - 1].take() {
            child.kill().and_then(|()| child.wait()).expect("the process is ours");
        }
    }

    /// Waits until a replica exits.
    pub(super) fn wait_for_exit(&mut self, number: usize) -> ExitStatus {
        let mut child = self.children[number - 1].take().expect("it runs");
        wait_for_child(&mut child)
    }

    /// Starts a replica that must exit, and returns its output.
    pub(super) fn run_to_end(&self, number: usize) -> Output {
        run_to_exit(self.replica_command(number))
    }

    pub(super) async fn call(
        &self,
        number: usize,
        method: Method,
        path: &str,
        body: &str,
    ) -> HttpReply {
        self.try_call(number, method, path, body).await.expect("the replica answers")
    }

    async fn try_call(
        &self,
        number: usize,
        method: Method,
        path: &str,
        body: &str,
    ) -> reqwest::Result<HttpReply> {
        let url = format!("http://{}{path}", self.address(8000 + number));
        let request = self.http.request(method, url).timeout(Duration::from_secs(10));
        let response = request.body(body.to_owned()).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    pub(super) async fn get(&self, number: usize, path: &str) -> HttpReply {
        self.call(number, Method::GET, path, "").await
    }

    pub(super) async fn put(&self, number: usize, key: &str, value: &str) -> HttpReply {
        let body = format!(r#"{{"value":"{value}"}}"#);
        self.call(number, Method::PUT, &format!("/kv/{key}"), &body).await
    }

    /// Writes to a path; returns the status, if the replica answers.
    pub(super) async fn try_put(&self, number: usize, path: &str, value: &str) -> Option<u16> {
        let body = format!(r#"{{"value":"{value}"}}"#);
        self.try_call(number, Method::PUT, path, &body).await.ok().map(|(code, _)| code)
    }

    /// Waits until a replica knows a leader.
    pub(super) async fn until_healthy(&self, number: usize) {
        let healthy = StatusCode::OK.as_u16();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            match self.try_call(number, Method::GET, "/health", "").await {
                Ok((code, _)) if code == healthy => return,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("n{number} found no leader in ten seconds:\n{}", self.read_log(number));
    }

    /// Writes until a write is acknowledged; returns how long that took.
    pub(super) async fn put_until_done(&self, number: usize, key: &str, value: &str) -> Duration {
        let began = Instant::now();
        while self.put(number, key, value).await.0 != 200 {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", self.read_log(number));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    /// Returns the leader, as a running replica sees it.
    pub(super) async fn find_leader(&self, asked: usize) -> usize {
        self.until_healthy(asked).await;
        let (_, status) = self.get(asked, "/status").await;
        let name = status["leader"].as_str().expect("it is healthy").to_owned();
        name.trim_start_matches('n').parse().expect("a name of ours")
    }
}

impl Drop for ProcessCluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns a loopback host that no other test uses, so that ports cannot collide.
fn unique_host() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{low}.{}", 100 + high % 100, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn child_pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

fn wait_for_child(child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the process is ours") {
            return status;
        }
        if began.elapsed() > Duration::from_secs(5) {
            let _ = child.kill();
            panic!("the replica was still there after five seconds");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command that must exit soon.
pub(super) fn run_to_exit(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary is built");
    wait_for_child(&mut child);
    child.wait_with_output().expect("the process is ours")
}
