//! Parses the command line into consistent [`Settings`], or rejects it with one sentence.

use super::join::JoinRequest;
use super::log::LogFormat;
use super::peer_auth::PeerSecret;
use crate::bug::{self, Area, Bug, BugRow, BugSet};
use crate::bug::{VARIATIONS, Variation, VariationRow, VariationSet};
use crate::raft::Compaction;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

#[derive(Debug, Parser)]
#[command(
    about = "Run one replica of the built-in key-value store",
    arg_required_else_help = true,
    version
)]
struct Args {
    /// Set the name of this replica
    #[arg(long, value_name = "NAME", required_unless_present_any = LISTS)]
    id: Option<String>,
    /// Keep the log in this directory; create it if missing
    #[arg(long, value_name = "DIR", required_unless_present_any = LISTS)]
    data: Option<PathBuf>,
    /// Found a cluster with these members; this replica connects to them at these addresses
    #[arg(long, value_name = "NAME=HOST:PORT,…", value_delimiter = ',', value_parser = parse_peer)]
    #[arg(required_unless_present_any = ["list_unsafe", "list_vary", "join"])]
    peers: Vec<(String, String)>,
    /// Join a cluster through the member that serves clients at this address; requires
    /// --listen-peer, with an address at which the others can reach this replica
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    #[arg(conflicts_with = "peers", requires = "listen_peer")]
    join: Option<String>,
    /// Join as a learner: receive the log, without a vote
    #[arg(long, requires = "join")]
    learner: bool,
    /// Join in place of this member, which is removed once this replica has caught up
    #[arg(long, value_name = "NAME", requires = "join", conflicts_with = "learner")]
    replace: Option<String>,
    /// Serve clients over HTTP at this address
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    #[arg(required_unless_present_any = LISTS)]
    listen_client: Option<String>,
    /// Accept peers at this address [default: this replica's entry in --peers]
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    listen_peer: Option<String>,
    /// Seed the replica's random choices [default: a random seed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Set the defaults of --heartbeat-ms and --election-ms
    #[arg(long, value_enum, default_value_t = Profile::Steady)]
    profile: Profile,
    /// Send a leader's heartbeats at this interval, in steps of 10 ms [default: the profile's]
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=60_000))]
    heartbeat_ms: Option<u32>,
    /// Begin an election after at least this time without a leader, and at most twice this time
    /// [default: the profile's]
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u32).range(20..=600_000))]
    election_ms: Option<u32>,
    /// Time out requests without `timeout_ms` after this time
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    request_timeout_ms: u64,
    /// Take a snapshot and compact the log after this many entries; 0: never
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    snapshot_entries: u64,
    /// Take a snapshot after entries of this size, in MiB; 0: no limit by size
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=65_536))]
    snapshot_mib: u64,
    /// Serve reads with `consistency=lease` by the leader's lease, without asking a majority each
    /// time. All replicas need this option, and clocks whose rates differ by less than a fifth
    #[arg(long)]
    lease_reads: bool,
    /// Split the keys into this many groups, by a hash of the key or of its tag (the text between
    /// its first `{` and the next `}`). Each group has its own leader and log, and a transaction
    /// stays within one group. All members need the same number, and it cannot change
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "join")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: u32,
    /// Accept at most this many client connections
    #[arg(long, value_name = "N", default_value_t = 4096)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_connections: u64,
    /// Read the secret of the cluster's members from this file, and reject peers that do not send
    /// it
    #[arg(long, value_name = "PATH")]
    peer_secret_file: Option<PathBuf>,
    /// Append one JSON line for every protocol event (role, vote, append, durable, commit, config,
    /// snapshot) to this file
    #[arg(long, value_name = "PATH")]
    trace: Option<PathBuf>,
    /// Set the format of log lines on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Switch bugs on, to test the tester
    #[arg(long = "unsafe", value_name = "NAME,…", value_delimiter = ',', value_parser = parse_bug)]
    bugs: Vec<Bug>,
    /// Switch harmless variations on, to test that the tester raises no false alarm
    #[arg(long = "vary", value_name = "NAME,…", value_delimiter = ',')]
    #[arg(value_parser = parse_variation)]
    variations: Vec<Variation>,
    /// List the bugs, with what each needs to be seen, and exit
    #[arg(long)]
    list_unsafe: bool,
    /// List the variations and exit
    #[arg(long)]
    list_vary: bool,
}

/// The options that print a list, and need no others.
const LISTS: [&str; 2] = ["list_unsafe", "list_vary"];
/// The inverse of the share of entries that stay in the log after a snapshot, for slow peers.
const KEPT_FRACTION: u64 = 10;
/// The bytes of a snapshot in one message.
const CHUNK_BYTES: usize = 1 << 20;

/// A set of timings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// Heartbeat 50 ms, election 300 ms: tolerates pauses of a busy machine
    Steady,
    /// Heartbeat 10 ms, election 80 ms: fails over in about 100 ms, on machines that do not stall
    Fast,
}

impl Profile {
    /// Returns the heartbeat interval and the election timeout, in milliseconds.
    fn timeouts_ms(self) -> (u32, u32) {
        match self {
            Self::Steady => (50, 300),
            Self::Fast => (10, 80),
        }
    }
}

/// How a replica becomes a member of its cluster.
#[derive(Debug)]
pub(super) enum Bootstrap {
    /// It founds the cluster with these members, by name and address.
    Found(BTreeMap<String, String>),
    /// It joins an existing cluster.
    Join(JoinRequest),
}

/// The settings of a replica.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) bootstrap: Bootstrap,
    pub(super) data: PathBuf,
    pub(super) listen_client: String,
    pub(super) listen_peer: String,
    pub(super) seed: u64,
    pub(super) heartbeat_ms: u32,
    pub(super) election_ms: u32,
    pub(super) request_timeout_ms: u64,
    pub(super) max_connections: u64,
    pub(super) groups: u32,
    pub(super) lease: bool,
    pub(super) compaction: Compaction,
    pub(super) secret: PeerSecret,
    pub(super) log_format: LogFormat,
    pub(super) trace: Option<PathBuf>,
    pub(super) bugs: BugSet,
    pub(super) variations: VariationSet,
}

impl Settings {
    /// Returns the names of all bugs and variations that are switched on.
    pub(super) fn switch_names(&self) -> Vec<String> {
        let bugs = sorted_bugs().into_iter().map(|(_, row)| row);
        let bugs = bugs.filter(|row| self.bugs.contains(row.bug)).map(|row| row.name);
        let variations = VARIATIONS.iter().filter(|row| self.variations.contains(row.variation));
        bugs.chain(variations.map(|row| row.name)).map(str::to_owned).collect()
    }
}

/// A parsed command line.
#[derive(Debug)]
pub(super) enum Invocation {
    Run(Box<Settings>),
    /// Print this text and exit.
    Print(String),
}

/// Parses a command line, whose first word is the name of the command.
pub(super) fn parse_args(
    words: impl IntoIterator<Item = OsString>,
) -> Result<Invocation, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    let name = words.first().map(Path::new).and_then(Path::file_name);
    let name = name.map_or("node".into(), |name| name.to_string_lossy());
    let mut command = Args::command().name("node").bin_name(name.as_ref());
    let args = Args::from_arg_matches(&command.try_get_matches_from_mut(words)?)?;
    if args.list_unsafe {
        return Ok(Invocation::Print(list_bugs()));
    }
    if args.list_vary {
        let line = |row: &VariationRow| format!("{}\t{}\n", row.name, row.doc);
        return Ok(Invocation::Print(VARIATIONS.iter().map(line).collect()));
    }
    let settings = build_settings(args)
        .map_err(|message| command.error(clap::error::ErrorKind::ValueValidation, message))?;
    Ok(Invocation::Run(Box::new(settings)))
}

fn build_settings(args: Args) -> Result<Settings, String> {
    let (Some(name), Some(data), Some(listen_client)) = (args.id, args.data, args.listen_client)
    else {
        return Err("--id, --data and --listen-client are needed".to_owned());
    };
    check_name(&name)?;
    let (heartbeat, election) = args.profile.timeouts_ms();
    let heartbeat = args.heartbeat_ms.unwrap_or(heartbeat);
    let election = args.election_ms.unwrap_or(election);
    if election < 2 * heartbeat {
        return Err(format!(
            "--election-ms {election} is less than twice --heartbeat-ms {heartbeat}: \
             followers would not wait for the leader's heartbeats"
        ));
    }
    let addresses = reject_duplicates(args.peers)?;
    let own = addresses.get(&name).cloned();
    let listen_peer = args.listen_peer.or(own).ok_or_else(|| {
        format!(
            "no peer could reach this replica: \
             add it to --peers ({name}=HOST:PORT) or give --listen-peer"
        )
    })?;
    Ok(Settings {
        bootstrap: match args.join {
            Some(seed) => {
                Bootstrap::Join(JoinRequest { seed, learner: args.learner, replaces: args.replace })
            }
            None => Bootstrap::Found(addresses),
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
        secret: args
            .peer_secret_file
            .as_deref()
            .map_or(Ok(PeerSecret::default()), PeerSecret::read)?,
        log_format: args.log_format,
        trace: args.trace,
        bugs: args.bugs.into_iter().collect(),
        variations: args.variations.into_iter().collect(),
        name,
    })
}

fn reject_duplicates(peers: Vec<(String, String)>) -> Result<BTreeMap<String, String>, String> {
    let mut addresses = BTreeMap::new();
    for (name, address) in peers {
        if addresses.contains_key(&name) {
            return Err(format!("--peers names {name} twice"));
        }
        addresses.insert(name, address);
    }
    Ok(addresses)
}

fn parse_peer(text: &str) -> Result<(String, String), String> {
    let (name, at) = text.split_once('=').ok_or("a peer is written NAME=HOST:PORT")?;
    check_name(name)?;
    Ok((name.to_owned(), parse_address(at)?))
}

/// Checks the name and address of a new member.
pub(super) fn check_member(name: &str, address: &str) -> Result<(), String> {
    check_name(name)?;
    parse_address(address).map(drop)
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{name}` is not a name: use envelopes, digits, `-`, `_` and `.`"));
    }
    Ok(())
}

fn parse_address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("an address is written HOST:PORT".to_owned()),
    }
}

/// Returns every bug and its area, ordered by name.
fn sorted_bugs() -> Vec<(Area, &'static BugRow)> {
    let mut bugs: Vec<_> = bug::all_bugs().collect();
    bugs.sort_unstable_by_key(|(_, row)| row.name);
    bugs
}

/// Lists the bugs, one in a line, with the columns of the registry between tabs. Words of one
/// column are separated by commas.
fn list_bugs() -> String {
    let line = |(area, row): (Area, &BugRow)| {
        let columns = [
            area.word().to_owned(),
            row.place.word().to_owned(),
            row.seen_by.word().to_owned(),
            join_words(row.faults, |it| it.word()),
            join_words(row.loads, |it| it.word()),
            join_words(row.settings, |it| it.word()),
            join_words(row.sim_gaps, |it| it.word()),
        ];
        format!("{}\t{}\t{}\n", row.name, row.doc, columns.join("\t"))
    };
    sorted_bugs().into_iter().map(line).collect()
}

fn join_words<T: Copy>(values: &[T], word: impl Fn(T) -> &'static str) -> String {
    values.iter().map(|value| word(*value)).collect::<Vec<_>>().join(",")
}

fn parse_bug(name: &str) -> Result<Bug, String> {
    let known = || sorted_bugs().iter().map(|(_, row)| row.name).collect::<Vec<_>>().join(", ");
    Bug::from_name(name).ok_or_else(|| format!("unknown bug; known bugs are {}", known()))
}

fn parse_variation(name: &str) -> Result<Variation, String> {
    let known = || VARIATIONS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    Variation::from_name(name)
        .ok_or_else(|| format!("unknown variation; known variations are {}", known()))
}
