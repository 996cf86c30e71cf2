//! Declares every option of `harness test` in one table.
//!
//! To add an option, add a field to [`crate::config::Config`] and an entry to [`OPTIONS`], then use
//! the field where the option takes effect. Everything else reads the table: the command line and
//! its help, the bounds, the `repro` line, the arguments of a suite's runs, the keys of a suite
//! file, and shell completions. Tests in `cli/test` and `suite/matrix` send every entry through
//! them.

/// One option of `harness test`.
#[derive(Clone, Copy, Debug)]
pub struct TestOption {
    /// Its name on the command line, without the hyphens, and in a suite file.
    pub name: &'static str,
    /// The key of its value in `run.json`: the serialized name of a field of
    /// [`crate::config::Config`].
    pub key: &'static str,
    /// The kind of its value.
    pub kind: OptionKind,
    /// Its value where none is given, as people write it.
    pub default: Option<&'static str>,
    /// Its help, in the imperative. `{names}` stands for the names that its kind refers to.
    pub help: &'static str,
    /// What help calls the value; the option's name in capitals where this is empty.
    pub value_name: &'static str,
    /// Another name that the command line accepts.
    pub alias: Option<&'static str>,
    /// The options that this one takes the place of: together with one of them it is an error.
    pub replaces: &'static [&'static str],
    /// Whether a `repro` line has it even where it has its default.
    pub always_in_repro: bool,
    /// Whether a suite file may set it.
    pub in_suites: bool,
}

/// The kind of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// One name.
    Name(NameSource),
    /// One of these words; each with its help.
    Choice(&'static [(&'static str, &'static str)]),
    /// Names in one text, separated by commas.
    NameList(NameSource),
    /// Names, separated by commas or by repeating the option; a list in a suite is one value.
    NameSet(NameSource),
    /// Words that are passed on, one for each time that the option is given.
    Words,
    /// A whole number within bounds, both included.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A duration like `1m30s` within bounds, both included; recorded in milliseconds.
    Duration {
        /// The shortest, as people write it.
        min: &'static str,
        /// The longest.
        max: &'static str,
    },
    /// A probability from 0 to below 1; recorded in thousandths.
    Probability,
    /// A file that exists.
    File,
    /// No value: the option is there or not.
    Flag,
}

/// The registry that has the names an option accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameSource {
    /// Seeded bugs.
    Bugs,
    /// Distributions of latencies.
    LatencyDistributions,
    /// Nemeses, and their variants after a colon.
    Nemeses,
    /// Paces of faults.
    Paces,
    /// Consistencies of reads.
    ReadConsistencies,
    /// Systems under test.
    Systems,
    /// Topologies of a broadcast.
    Topologies,
    /// Variants of a system's file.
    Variants,
    /// Workloads.
    Workloads,
}

impl TestOption {
    const fn new(
        name: &'static str,
        key: &'static str,
        kind: OptionKind,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            key,
            kind,
            help,
            default: None,
            value_name: "",
            alias: None,
            replaces: &[],
            always_in_repro: false,
            in_suites: true,
        }
    }
}

/// Every option of `harness test`, in the order of its help and of a `repro` line.
pub const OPTIONS: &[TestOption] = &[
    TestOption {
        default: Some("raft"),
        always_in_repro: true,
        ..TestOption::new(
            "system",
            "system",
            OptionKind::Name(NameSource::Systems),
            "Test this system; `harness list` shows all",
        )
    },
    TestOption {
        default: Some("5"),
        alias: Some("node-count"),
        always_in_repro: true,
        ..TestOption::new(
            "nodes",
            "nodes",
            OptionKind::Number { min: 1, max: 9 },
            "Start this many replicas, each on its own host",
        )
    },
    TestOption {
        default: Some("register"),
        always_in_repro: true,
        ..TestOption::new(
            "workload",
            "workload",
            OptionKind::Name(NameSource::Workloads),
            "Let clients run this workload; `harness list` shows all",
        )
    },
    TestOption {
        default: Some("linearizable"),
        ..TestOption::new(
            "read",
            "read",
            OptionKind::Name(NameSource::ReadConsistencies),
            "Request this consistency of reads: linearizable, lease (by a leader that trusts \
             clocks), stale, or after (includes what the client has seen and written). Synonyms: \
             sync is linearizable; serializable and local are stale",
        )
    },
    TestOption {
        default: Some("partition,kill"),
        always_in_repro: true,
        ..TestOption::new(
            "nemesis",
            "nemesis",
            OptionKind::NameList(NameSource::Nemeses),
            "Inject these faults: {names}; several with commas, a variant after a colon \
             (`partition:leader,kill`); `disk` is every disk fault, `all` is every nemesis",
        )
    },
    TestOption {
        default: Some("mixed"),
        always_in_repro: true,
        ..TestOption::new(
            "pace",
            "pace",
            OptionKind::Name(NameSource::Paces),
            "Pace faults like this: {names}; `mixed` alternates calm and dense phases, with long \
             ones from --time-limit 60s on",
        )
    },
    TestOption {
        value_name: "DURATION",
        ..TestOption::new(
            "interval",
            "interval_ms",
            OptionKind::Duration { min: "100ms", max: "1h" },
            "Begin a fault about this long after the one before began, instead of what the pace \
             says: 500ms, 3s",
        )
    },
    TestOption {
        value_name: "DURATION",
        ..TestOption::new(
            "duration",
            "duration_ms",
            OptionKind::Duration { min: "50ms", max: "1h" },
            "Let each fault last about this long, instead of what the pace says",
        )
    },
    TestOption {
        value_name: "FILE",
        replaces: &["nemesis", "pace", "interval", "duration"],
        always_in_repro: true,
        in_suites: false,
        ..TestOption::new(
            "schedule",
            "schedule",
            OptionKind::File,
            "Read from a file which fault begins when, instead of choosing nemeses: \
             `at 3.2s partition leader|rest for 2s`, `after 100 ok writes kill leader`. \
             Every run records its own as schedule.txt",
        )
    },
    TestOption {
        default: Some("30s"),
        always_in_repro: true,
        ..TestOption::new(
            "time-limit",
            "time_limit_ms",
            OptionKind::Duration { min: "1s", max: "24h" },
            "Run clients and nemesis for this long: 30s, 1m30s, 500ms",
        )
    },
    TestOption {
        default: Some("10"),
        always_in_repro: true,
        ..TestOption::new(
            "concurrency",
            "concurrency",
            OptionKind::Number { min: 1, max: 10_000 },
            "Run this many clients, and at least one for each replica",
        )
    },
    TestOption {
        default: Some("200"),
        always_in_repro: true,
        // The run's clock counts microseconds.
        ..TestOption::new(
            "rate",
            "rate",
            OptionKind::Number { min: 1, max: 1_000_000 },
            "Start this many operations a second",
        )
    },
    TestOption {
        value_name: "N",
        ..TestOption::new(
            "keys",
            "keys",
            OptionKind::Number { min: 1, max: 1_000 },
            "Let clients use this many keys at a time (workloads append, register, wr)",
        )
    },
    TestOption::new(
        "skew",
        "skew",
        OptionKind::Choice(SKEWS),
        "Use those keys this often (workloads append, register, wr)",
    ),
    TestOption {
        value_name: "DURATION",
        ..TestOption::new(
            "patience",
            "patience_ms",
            OptionKind::Duration { min: "100ms", max: "1m" },
            "Let clients wait this long for an answer, instead of 1 or 2 s; then its outcome is \
             unknown",
        )
    },
    TestOption {
        value_name: "NAME",
        ..TestOption::new(
            "variant",
            "variant",
            OptionKind::Name(NameSource::Variants),
            "Start replicas as this [[variant]] of the system's file says",
        )
    },
    TestOption::new(
        "swarm",
        "swarm",
        OptionKind::Flag,
        "Draw from the seed what is not given: clients, rate, keys, skew, patience, and what the \
         system can vary",
    ),
    TestOption {
        always_in_repro: true,
        // A suite has `seeds`.
        in_suites: false,
        ..TestOption::new(
            "seed",
            "seed",
            OptionKind::Number { min: 0, max: u64::MAX },
            "Derive plan, schedule and every call (but not what a cas expects) from this number; \
             random if not given. Real interleavings still differ",
        )
    },
    TestOption {
        default: Some("auto"),
        always_in_repro: true,
        ..TestOption::new(
            "net",
            "net",
            OptionKind::Choice(NETWORKS),
            "Build links from this: `auto` takes namespaces where this machine allows them, else \
             proxies; between namespaces a kernel bridge, or a switch in this process where \
             packets are to be shaped or captured",
        )
    },
    TestOption {
        value_name: "NAME",
        ..TestOption::new(
            "unsafe",
            "unsafe",
            OptionKind::NameSet(NameSource::Bugs),
            "Enable a seeded bug (several with commas), to watch a check catch it",
        )
    },
    TestOption {
        value_name: "ARG",
        ..TestOption::new(
            "node-arg",
            "node_args",
            OptionKind::Words,
            "Pass this argument to each replica (of maelstrom, raft, redis or redis-sentinel); \
             repeat the option for each word: --node-arg=--snapshot-entries --node-arg=100",
        )
    },
    TestOption {
        value_name: "PATH",
        ..TestOption::new(
            "bin",
            "bin",
            OptionKind::File,
            "Test this build of the system instead of the one in this binary",
        )
    },
    TestOption::new(
        "fail-fast",
        "fail_fast",
        OptionKind::Flag,
        "Stop the main phase at the first violation, then heal and judge as usual",
    ),
    TestOption::new(
        "capture",
        "capture",
        OptionKind::Flag,
        "Record every packet between hosts and clients in capture.pcapng in the run's directory \
         (uses the switch)",
    ),
    TestOption {
        default: Some("0"),
        value_name: "MS",
        ..TestOption::new(
            "latency",
            "latency_ms",
            // With more, clients would mostly wait.
            OptionKind::Number { min: 0, max: 2_000 },
            "Delay messages between nodes by this many milliseconds on average (only `maelstrom`)",
        )
    },
    TestOption {
        default: Some("constant"),
        value_name: "NAME",
        ..TestOption::new(
            "latency-dist",
            "latency_dist",
            OptionKind::Name(NameSource::LatencyDistributions),
            "Draw those delays from this distribution: {names}",
        )
    },
    TestOption {
        default: Some("0"),
        value_name: "CHANCE",
        ..TestOption::new(
            "loss",
            "loss_per_mille",
            OptionKind::Probability,
            "Lose each message between nodes with this probability, from 0 to below 1 \
             (only `maelstrom`)",
        )
    },
    TestOption {
        default: Some("grid"),
        value_name: "NAME",
        ..TestOption::new(
            "topology",
            "topology",
            OptionKind::Name(NameSource::Topologies),
            "Give nodes their neighbours in this topology: {names} (only `maelstrom`, workload \
             broadcast)",
        )
    },
];

/// How often keys are used.
const SKEWS: &[(&str, &str)] = &[
    ("hot", "Four of five calls use the same key"),
    ("uniform", "Each key is used as often as every other"),
    ("zipf", "By Zipf's law: the second key half as often as the first, and so on"),
];

/// What links can be built from.
const NETWORKS: &[(&str, &str)] = &[
    ("auto", "Namespaces where this machine allows them, else proxies"),
    ("namespaces", "A network namespace for each host, joined by a kernel bridge"),
    ("proxy", "A user-space TCP proxy for each directed link"),
    (
        "switch",
        "A network namespace for each host, joined by a user-space switch that shapes links",
    ),
];
