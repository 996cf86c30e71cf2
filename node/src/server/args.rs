//! Turns a command line into [`Settings`] that cannot contradict themselves, or into one sentence
//! that says why not.

use super::join::JoinWish;
use super::log::LogFormat;
use super::secret::Secret;
use crate::kv;
use crate::raft::{BUGS, Bug, Compaction};
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

#[derive(Debug, Parser)]
#[command(
    about = "Runs one replica of a key-value store replicated by Raft",
    arg_required_else_help = true,
    version
)]
struct Args {
    /// The name of this replica
    #[arg(long, value_name = "NAME", required_unless_present = "list_unsafe")]
    id: Option<String>,
    /// Where the replica keeps its log; created if missing
    #[arg(long, value_name = "DIR", required_unless_present = "list_unsafe")]
    data: Option<PathBuf>,
    /// The members and where this replica dials them
    #[arg(long, value_name = "NAME=HOST:PORT,…", value_delimiter = ',', value_parser = peer)]
    #[arg(required_unless_present_any = ["list_unsafe", "join"])]
    peers: Vec<(String, String)>,
    /// Joins a cluster, by asking the member that serves clients there; --listen-peer is then needed,
    /// and must be an address at which the others reach this replica
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    #[arg(conflicts_with = "peers", requires = "listen_peer")]
    join: Option<String>,
    /// Joins only to get the log, without a vote
    #[arg(long, requires = "join")]
    learner: bool,
    /// Joins in the place of this member, which goes when the newcomer has caught up
    #[arg(long, value_name = "NAME", requires = "join", conflicts_with = "learner")]
    replace: Option<String>,
    /// Where clients are served over HTTP
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    #[arg(required_unless_present = "list_unsafe")]
    listen_client: Option<String>,
    /// Where peers are awaited [default: this replica's own entry of --peers]
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    listen_peer: Option<String>,
    /// Decides the replica's random choices [default: drawn by the system]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Sets --heartbeat-ms and --election-ms where they are not given
    #[arg(long, value_enum, default_value_t = Profile::Steady)]
    profile: Profile,
    /// The time between a leader's heartbeats, in steps of 10 ms [default: the profile's]
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=60_000))]
    heartbeat_ms: Option<u32>,
    /// The shortest time without a leader after which an election begins (the longest is twice
    /// that) [default: the profile's]
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u32).range(20..=600_000))]
    election_ms: Option<u32>,
    /// How long a request may take that does not say `timeout_ms`
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    request_timeout_ms: u64,
    /// After how many entries the log is cut behind a snapshot; 0: never
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    snapshot_entries: u64,
    /// The same by the bytes of the entries, in MiB; 0: whatever they are
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=65_536))]
    snapshot_mib: u64,
    /// Serves reads with `consistency=lease` from a lease, without asking a majority each time; all
    /// replicas must be told so. It takes clocks for granted that differ in rate by less than a fifth
    #[arg(long)]
    lease_reads: bool,
    /// Into how many groups keys fall, by a hash of the key or of what stands between its first `{` and
    /// the next `}`; each group has a leader and a log of its own, and a transaction stays in one. All
    /// members are told the same, for good
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "join")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: u32,
    /// How many clients may be connected at once
    #[arg(long, value_name = "N", default_value_t = 4096)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_connections: u64,
    /// A file with what all members know and nobody else should: peers that do not say it are not
    /// listened to
    #[arg(long, value_name = "PATH")]
    peer_secret_file: Option<PathBuf>,
    /// Writes one JSON object a line for every event of the protocol (role, vote, append, durable,
    /// commit, config, snapshot) to this file, behind what is there
    #[arg(long, value_name = "PATH")]
    trace: Option<PathBuf>,
    /// How a line of the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Switches bugs on, for testing whoever tests this store
    #[arg(long = "unsafe", value_name = "NAME,…", value_delimiter = ',', value_parser = bug)]
    bugs: Vec<AnyBug>,
    /// Lists the bugs and exits
    #[arg(long)]
    list_unsafe: bool,
}

/// Of the entries between two snapshots, the part that stays in the log for peers that are a little behind.
const KEPT_FRACTION: u64 = 10;
/// The bytes of a snapshot that travel in one message.
const CHUNK_BYTES: usize = 1 << 20;

/// Timings that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// Heartbeat 50 ms, election 300 ms: rides out pauses of a busy machine
    Steady,
    /// Heartbeat 10 ms, election 80 ms: a new leader in about a tenth of a second, on machines that do not stall
    Fast,
}

impl Profile {
    /// Heartbeat and election, in milliseconds.
    fn timings(self) -> (u32, u32) {
        match self {
            Self::Steady => (50, 300),
            Self::Fast => (10, 80),
        }
    }
}

/// How a replica comes to its cluster.
#[derive(Debug)]
pub(super) enum Way {
    /// It founds it, with these members, by name and address.
    Found(BTreeMap<String, String>),
    /// It joins it, by way of a member that serves clients there.
    Join(JoinWish),
}

/// What a replica needs to know to run.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    /// How it comes to its cluster.
    pub(super) way: Way,
    pub(super) data: PathBuf,
    pub(super) listen_client: String,
    pub(super) listen_peer: String,
    pub(super) seed: u64,
    pub(super) heartbeat_ms: u32,
    pub(super) election_ms: u32,
    pub(super) request_timeout_ms: u64,
    pub(super) max_connections: u64,
    /// How many groups there are.
    pub(super) groups: u32,
    /// Whether reads may be served by lease.
    pub(super) lease: bool,
    pub(super) compaction: Compaction,
    pub(super) secret: Secret,
    pub(super) log_format: LogFormat,
    pub(super) trace: Option<PathBuf>,
    /// The bugs of the brain.
    pub(super) bugs: Vec<Bug>,
    /// The bugs of the store.
    pub(super) flaws: Vec<kv::StoreBug>,
}

impl Settings {
    /// Every bug that is switched on.
    pub(super) fn bug_names(&self) -> Vec<String> {
        let names = self.bugs.iter().map(|bug| bug.name());
        names.chain(self.flaws.iter().map(|bug| bug.name())).map(str::to_owned).collect()
    }
}

/// A bug of either part.
#[derive(Clone, Copy, Debug)]
enum AnyBug {
    Brain(Bug),
    Store(kv::StoreBug),
}

/// What a command line asks for.
#[derive(Debug)]
pub(super) enum Order {
    Run(Box<Settings>),
    /// Print this and be done.
    Print(String),
}

/// Reads a command line, whose first word is how the command is called.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Order, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    let called = words.first().map(Path::new).and_then(Path::file_name);
    let called = called.map_or("node".into(), |name| name.to_string_lossy());
    let mut command = Args::command().name("node").bin_name(called.as_ref());
    let args = Args::from_arg_matches(&command.try_get_matches_from_mut(words)?)?;
    if args.list_unsafe {
        let line = |(name, text)| format!("{name}\t{text}\n");
        return Ok(Order::Print(bugs().into_iter().map(line).collect()));
    }
    let settings = settle(args)
        .map_err(|message| command.error(clap::error::ErrorKind::ValueValidation, message))?;
    Ok(Order::Run(Box::new(settings)))
}

fn settle(args: Args) -> Result<Settings, String> {
    let (Some(name), Some(data), Some(listen_client)) = (args.id, args.data, args.listen_client)
    else {
        return Err("--id, --data and --listen-client are needed".to_owned());
    };
    check_name(&name)?;
    let (heartbeat, election) = args.profile.timings();
    let heartbeat = args.heartbeat_ms.unwrap_or(heartbeat);
    let election = args.election_ms.unwrap_or(election);
    if election < 2 * heartbeat {
        return Err(format!(
            "--election-ms {election} is less than twice --heartbeat-ms {heartbeat}: \
             followers would not wait for the leader's heartbeats"
        ));
    }
    let addresses = distinct(args.peers)?;
    let own = addresses.get(&name).cloned();
    let listen_peer = args.listen_peer.or(own).ok_or_else(|| {
        format!(
            "nobody could reach this replica: \
             name it in --peers ({name}=HOST:PORT) or give --listen-peer"
        )
    })?;
    Ok(Settings {
        way: match args.join {
            Some(seed) => {
                Way::Join(JoinWish { seed, learns: args.learner, replaces: args.replace })
            }
            None => Way::Found(addresses),
        },
        data,
        listen_client,
        listen_peer,
        seed: args.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish()),
        heartbeat_ms: heartbeat,
        election_ms: election,
        request_timeout_ms: args.request_timeout_ms,
        max_connections: args.max_connections,
        groups: args.groups,
        lease: args.lease_reads,
        compaction: Compaction {
            entries: args.snapshot_entries,
            bytes: usize::try_from(args.snapshot_mib << 20).unwrap_or(usize::MAX),
            keep_entries: args.snapshot_entries / KEPT_FRACTION,
            chunk_bytes: CHUNK_BYTES,
        },
        secret: args.peer_secret_file.as_deref().map_or(Ok(Secret::default()), Secret::read)?,
        log_format: args.log_format,
        trace: args.trace,
        bugs: args.bugs.iter().filter_map(|bug| bug.of_brain()).collect(),
        flaws: args.bugs.iter().filter_map(|bug| bug.of_store()).collect(),
        name,
    })
}

fn distinct(peers: Vec<(String, String)>) -> Result<BTreeMap<String, String>, String> {
    let mut addresses = BTreeMap::new();
    for (name, address) in peers {
        if addresses.contains_key(&name) {
            return Err(format!("--peers names {name} twice"));
        }
        addresses.insert(name, address);
    }
    Ok(addresses)
}

fn peer(text: &str) -> Result<(String, String), String> {
    let (name, place) = text.split_once('=').ok_or("a peer is written NAME=HOST:PORT")?;
    check_name(name)?;
    Ok((name.to_owned(), address(place)?))
}

/// Whether a newcomer could be called and reached so.
pub(super) fn check_member(name: &str, place: &str) -> Result<(), String> {
    check_name(name)?;
    address(place).map(drop)
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{name}` is no name: use letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
}

fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("an address is written HOST:PORT".to_owned()),
    }
}

/// Every bug of either part and its sentence, in order of name.
fn bugs() -> BTreeMap<&'static str, &'static str> {
    let brain = BUGS.iter().map(|(_, name, text)| (*name, *text));
    brain.chain(kv::BUGS.iter().map(|(_, name, text)| (*name, *text))).collect()
}

fn bug(name: &str) -> Result<AnyBug, String> {
    let brain = Bug::from_name(name).map(AnyBug::Brain);
    brain.or_else(|| kv::StoreBug::from_name(name).map(AnyBug::Store)).ok_or_else(|| {
        let known: Vec<_> = bugs().into_keys().collect();
        format!("there is no such bug; there are {}", known.join(", "))
    })
}

impl AnyBug {
    fn of_brain(self) -> Option<Bug> {
        match self {
            Self::Brain(bug) => Some(bug),
            Self::Store(_) => None,
        }
    }

    fn of_store(self) -> Option<kv::StoreBug> {
        match self {
            Self::Store(bug) => Some(bug),
            Self::Brain(_) => None,
        }
    }
}
