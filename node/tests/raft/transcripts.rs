//! Plays the scripts in `tests/transcripts` and compares the output, line by line, with what the
//! script says. `REWRITE=1 cargo test` updates the scripts; review every difference.
//!
//! A line `> command` is played, `#` begins a comment, all other lines are the output of the last
//! command:
//!
//! ```text
//! > cluster 3 [BUG…]      start servers 1, 2, 3 with empty disks
//! > cluster 3 [BUG…] compact 4 1  the same; compact logs after 4 entries, and keep 1
//! > tick 1 10             tick server 1's clock ten times
//! > campaign 1            tick until server 1, which does not lead, campaigns
//! > deliver 1 2 [N]       deliver the messages from server 1 to server 2, or the oldest N
//! > repeat 1 2            duplicate the messages in flight from server 1 to server 2
//! > drop 1 2              lose the messages in flight from server 1 to server 2
//! > persist 1 [N]         make server 1's waiting writes durable, or the oldest N
//! > crash 1 [N]           stop server 1; only the oldest N of its waiting writes survive
//! > wipe 1                stop server 1 and empty its disk
//! > restart 1             start server 1 from its disk
//! > propose 1 x           a client proposes x at server 1
//! > read 1                a client reads at server 1
//! > change 1 +d -2        ask server 1 to add voter d and remove server 2 (~d: add a learner)
//! > transfer 1 2          ask server 1 to transfer its leadership to server 2
//! > stabilize [1 2]       all (or these) write and deliver until nothing is left; hide messages
//! > status                show every server's state, and its log as term.index
//! > verdict               show whether an invariant was violated
//! > again without bugs    play everything since `cluster` once more, without the bugs
//! ```

use crate::cluster::Cluster;
use node::bug::Bug;
use node::raft::{
    AppendEntries, Compaction, Content, Effect, Entry, Input, InstallSnapshot, Membership,
    MembershipChange, Message, Payload, Position, ServerId, Token,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

/// A script in progress.
struct Player {
    cluster: Cluster,
    links: BTreeMap<(ServerId, ServerId), VecDeque<Message>>,
    names: BTreeMap<Token, String>,
    /// Reads that wait until their server has applied enough.
    reads: Vec<(ServerId, Token, u64)>,
    /// The commands since `cluster`.
    script: Vec<String>,
    verbose: bool,
    violation_shown: bool,
    output: Vec<String>,
}

impl Player {
    fn new(count: u64, bugs: &[Bug], compaction: Compaction) -> Self {
        Self {
            cluster: Cluster::new(count, 1, bugs, compaction),
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            reads: Vec::new(),
            script: Vec::new(),
            verbose: true,
            violation_shown: false,
            output: Vec::new(),
        }
    }

    fn play_command(&mut self, command: &str) -> Vec<String> {
        let words: Vec<_> = command.split_whitespace().collect();
        if words == ["again", "without", "bugs"] {
            return self.replay_without_bugs();
        }
        if let ["cluster", count, bugs @ ..] = words.as_slice() {
            let (bugs, compaction) = match bugs {
                [bugs @ .., "compact", entries, keep] => (bugs, parse_compaction(entries, keep)),
                bugs => (bugs, Compaction::default()),
            };
            let bugs: Vec<_> = bugs.iter().map(|b| Bug::from_name(b).expect("a bug")).collect();
            *self = Self::new(count.parse().expect("a number"), &bugs, compaction);
        }
        self.script.push(command.to_owned());
        self.verbose = words[0] != "stabilize";
        self.run_command(&words);
        self.show_violation();
        std::mem::take(&mut self.output)
    }

    fn run_command(&mut self, words: &[&str]) {
        let number = |place: usize| words.get(place).and_then(|word| word.parse().ok());
        let id = number(1).unwrap_or(0);
        let limit = |place: usize| number(place).map_or(usize::MAX, |n| n as usize);
        match words[0] {
            "cluster" => {}
            "tick" => (0..limit(2)).for_each(|_| self.step(id, Input::Tick)),
            "campaign" => self.campaign(id),
            "deliver" => self.deliver(id, limit(2) as ServerId, limit(3)),
            "repeat" => self.duplicate_messages(id, limit(2) as ServerId),
            "drop" => drop(self.links.remove(&(id, limit(2) as ServerId))),
            "persist" => self.persist_writes(id, limit(2)),
            "crash" => self.cluster.crash(id, number(2).unwrap_or(0) as usize),
            "wipe" => self.cluster.wipe(id),
            "restart" => self.cluster.restart(id),
            "propose" => self.propose(id, words[2]),
            "read" => self.read(id),
            "change" => self.change_members(id, &words[2..]),
            "transfer" => self.step(id, Input::TransferLeadership { to: limit(2) as ServerId }),
            "stabilize" => self.stabilize(&words[1..]),
            "status" => self.show_status(),
            "verdict" => self.show_verdict(),
            other => panic!("no such command: {other}"),
        }
    }

    fn step(&mut self, id: ServerId, input: Input) {
        let effects = self.cluster.step(id, input);
        self.record_effects(id, effects);
    }

    fn campaign(&mut self, id: ServerId) {
        let asks = |effect: &Effect| matches!(effect, Effect::Persist(_) | Effect::Send { .. });
        loop {
            let effects = self.cluster.step(id, Input::Tick);
            let begins = effects.iter().any(asks);
            self.record_effects(id, effects);
            if begins {
                return;
            }
        }
    }

    fn deliver(&mut self, from: ServerId, to: ServerId, count: usize) {
        let mut link = self.links.remove(&(from, to)).unwrap_or_default();
        for message in link.drain(..count.min(link.len())).collect::<Vec<_>>() {
            self.step(to, Input::Receive { from, message });
        }
        if !link.is_empty() {
            self.links.insert((from, to), link);
        }
    }

    fn duplicate_messages(&mut self, from: ServerId, to: ServerId) {
        let link = self.links.entry((from, to)).or_default();
        link.extend(link.clone());
    }

    fn persist_writes(&mut self, id: ServerId, count: usize) {
        let effects = self.cluster.persist(id, count);
        self.record_effects(id, effects);
    }

    fn propose(&mut self, id: ServerId, command: &str) {
        let (token, effects) = self.cluster.propose(id, command);
        self.names.insert(token, command.to_owned());
        self.record_effects(id, effects);
    }

    fn read(&mut self, id: ServerId) {
        let (token, effects) = self.cluster.read(id);
        self.names.insert(token, format!("read {token}"));
        self.record_effects(id, effects);
    }

    fn change_members(&mut self, id: ServerId, parts: &[&str]) {
        let mut change = MembershipChange::default();
        for part in parts {
            match part.split_at(1) {
                ("+", name) => change.add_voters.push(name.to_owned()),
                ("~", name) => change.add_learners.push(name.to_owned()),
                (_, id) => drop(change.remove.insert(id.parse().expect("a server"))),
            }
        }
        let (token, effects) = self.cluster.change_members(id, change);
        self.names.insert(token, format!("change {}", parts.join(" ")));
        self.record_effects(id, effects);
    }

    fn stabilize(&mut self, among: &[&str]) {
        let mut ids: Vec<ServerId> = among.iter().map(|id| id.parse().expect("a server")).collect();
        if ids.is_empty() {
            ids = self.cluster.ids();
        }
        loop {
            let busy = ids.iter().find(|id| self.cluster.node(**id).pending_writes() > 0);
            let within =
                |(from, to): &&(ServerId, ServerId)| ids.contains(from) && ids.contains(to);
            let link = self.links.keys().find(within).copied();
            match (busy, link) {
                (Some(id), _) => self.persist_writes(*id, usize::MAX),
                (None, Some((from, to))) => self.deliver(from, to, usize::MAX),
                (None, None) => return,
            }
        }
    }

    fn show_status(&mut self) {
        for id in self.cluster.ids() {
            let line = match self.cluster.node(id).server_view() {
                None => format!("{id}: down"),
                Some(s) => {
                    let log = join_words(s.log.iter().map(format_entry));
                    format!(
                        "{id}: {:?} term {} commit {} log [{log}]",
                        s.role, s.term, s.commit_index
                    )
                }
            };
            self.output.push(line);
        }
    }

    fn show_verdict(&mut self) {
        self.cluster.check_final_log();
        let verdict = self.cluster.violation().map(|harm| format!("VIOLATED: {harm}"));
        self.output.push(verdict.unwrap_or("all invariants hold".to_owned()));
    }

    fn replay_without_bugs(&mut self) -> Vec<String> {
        let script = std::mem::take(&mut self.script);
        let mut output = Vec::new();
        for command in &script {
            let suffix = command.find(" compact ").map_or("", |at| &command[at..]);
            let count = command.split_whitespace().nth(1).unwrap_or_default();
            let bare = format!("cluster {count}{suffix}");
            let command = if command.starts_with("cluster") { &bare } else { command };
            output.push(format!("| > {command}"));
            output.extend(self.play_command(command).into_iter().map(|line| format!("| {line}")));
        }
        output
    }

    fn show_violation(&mut self) {
        if let (Some(harm), false) = (self.cluster.violation(), self.violation_shown) {
            self.output.push(format!("!! {harm}"));
            self.violation_shown = true;
        }
    }

    fn record_effects(&mut self, id: ServerId, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(line) = self.describe_effect(id, &effect) {
                self.output.push(format!("{id} {line}"));
            }
            if let Effect::Send { to, message, .. } = effect {
                self.links.entry((id, to)).or_default().push_back(message);
            }
            self.serve_reads(id);
        }
    }

    fn describe_effect(&mut self, id: ServerId, effect: &Effect) -> Option<String> {
        let name = |token: &Token| self.names.get(token).cloned().unwrap_or_default();
        Some(match effect {
            Effect::Persist(_) | Effect::Send { .. } if !self.verbose => return None,
            Effect::Persist(write) => {
                let mut line = format!("writes #{}:", write.sequence);
                if let Some(hard) = write.hard_state {
                    let vote = hard.voted_for.map_or("none".to_owned(), |id| id.to_string());
                    let _ = write!(line, " term {} vote {vote}", hard.term);
                }
                if let Some(snapshot) = &write.snapshot {
                    let _ = write!(line, " snapshot up to {}", format_position(snapshot.last));
                }
                if let Some(start) = write.start {
                    let _ = write!(line, ", log after {}:", format_position(start));
                }
                write.entries.iter().for_each(|e| _ = write!(line, " {}", format_entry(e)));
                line
            }
            Effect::Send { to, message, .. } => format!("-> {to} {}", describe_message(message)),
            Effect::Commit { entries } => {
                format!("commits {}", join_words(entries.iter().map(format_entry)))
            }
            Effect::TakeSnapshot { .. } | Effect::MembershipChanged { .. } => return None,
            Effect::Restore { snapshot } => {
                format!("restores the snapshot up to {}", format_position(snapshot.last))
            }
            Effect::Acknowledge { token, index } => {
                format!("acknowledges {} at {index}", name(token))
            }
            Effect::Refused { token, leader } => {
                let hint =
                    leader.map_or("no leader known".to_owned(), |id| format!("leader is {id}"));
                format!("refuses {}: {hint}", name(token))
            }
            Effect::ChangeRejected { token, error } => {
                format!("rejects {}: {error:?}", name(token))
            }
            Effect::OutcomeUnknown { token } => {
                format!("reports {} as unknown", name(token))
            }
            Effect::ReadReady { token, index } => {
                self.reads.push((id, *token, *index));
                return None;
            }
            Effect::ReadFailed { token } => format!("fails {}", name(token)),
            Effect::ReadExpired { token } => format!("expires {}", name(token)),
            Effect::PeerLostEntries { peer, acknowledged, rejected } => {
                format!("reports that {peer} acknowledged {acknowledged} and lost {rejected}")
            }
            Effect::Fatal { committed, new } => {
                let [kept, lost] = [committed, new].map(|at| format_position(*at));
                format!("stops: {kept} is committed, and the leader sent {lost}")
            }
            Effect::StatusChanged(status) => {
                let leader = status.leader.map_or(String::new(), |id| format!(", leader {id}"));
                format!("is {:?} in term {}{leader}", status.role, status.term)
            }
        })
    }

    /// Serves the reads whose index a server has applied.
    fn serve_reads(&mut self, id: ServerId) {
        let applied = self.cluster.node(id).applied();
        let commands = applied.iter().filter(|entry| matches!(entry.payload, Payload::Command(_)));
        let seen = join_words(commands.map(format_command));
        let due =
            |read: &mut (ServerId, Token, u64)| read.0 == id && read.2 <= applied.len() as u64;
        for (_, token, index) in self.reads.extract_if(.., due) {
            self.output.push(format!("{id} serves {}: [{seen}] at {index}", self.names[&token]));
        }
    }
}

fn parse_compaction(entries: &str, keep: &str) -> Compaction {
    let number = |word: &str| word.parse().expect("a number");
    Compaction { entries: number(entries), bytes: 0, keep_entries: number(keep), chunk_bytes: 40 }
}

fn format_position(at: Position) -> String {
    format!("{}.{}", at.term, at.index)
}

fn join_words(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

fn format_command(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => String::new(),
        Payload::Command(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Payload::Membership(membership) => format_members(membership),
    }
}

/// Formats a configuration: `<1,2,4 was 1,2,3>` has voters and outgoing voters; `joins`, `learns`
/// and `leaves` list the other sets.
fn format_members(membership: &Membership) -> String {
    let sets = [
        ("", &membership.voters),
        (" was ", &membership.outgoing),
        (" joins ", &membership.joining),
        (" learns ", &membership.learners),
        (" leaves ", &membership.leaving),
    ];
    let set = |(name, ids): (&str, &BTreeSet<ServerId>)| {
        let ids: Vec<_> = ids.iter().map(ServerId::to_string).collect();
        if ids.is_empty() { String::new() } else { format!("{name}{}", ids.join(",")) }
    };
    format!("<{}>", sets.map(set).concat())
}

/// Formats an entry as term.index=command.
fn format_entry(entry: &Entry) -> String {
    let position = format!("{}.{}", entry.term, entry.index);
    match format_command(entry) {
        noop if noop.is_empty() => position,
        command => format!("{position}={command}"),
    }
}

fn describe_message(message: &Message) -> String {
    let content = match &message.content {
        Content::RequestVote { pre: true, last, .. } => {
            format!("request pre-vote, log ends {}", format_position(*last))
        }
        Content::RequestVote { pre: false, last, transfer } => {
            let transfer = if *transfer { " (leadership transfer)" } else { "" };
            format!("request vote{transfer}, log ends {}", format_position(*last))
        }
        Content::VoteReply { pre, granted } => {
            let answer = if *granted { "granted" } else { "denied" };
            if *pre { format!("pre-vote {answer}") } else { format!("vote {answer}") }
        }
        Content::AppendEntries(append) => {
            let AppendEntries { previous, entries, commit, round } = append;
            let entries = join_words(entries.iter().map(format_entry));
            let after = format!("after {}", format_position(*previous));
            format!("append [{entries}] {after} commit {commit} round {round}")
        }
        Content::AppendAccepted { index, round } => format!("accept {index} round {round}"),
        Content::AppendRejected { rejected, hint, round } => {
            format!("reject {rejected}, hint {} round {round}", format_position(*hint))
        }
        Content::InstallSnapshot(chunk) => {
            let InstallSnapshot { last, size, offset, data, round, .. } = chunk;
            let received = offset + data.len() as u64;
            let last = format_position(*last);
            format!("snapshot {last}, bytes {offset}-{received} of {size} round {round}")
        }
        Content::SnapshotReceived { last, received, round } => {
            format!(
                "received {received} bytes of snapshot {} round {round}",
                format_position(*last)
            )
        }
        Content::StaleTerm => "stale term".to_owned(),
        Content::TimeoutNow => "timeout now".to_owned(),
        Content::ReadIndex { .. } => "request read index".to_owned(),
        Content::ReadIndexReply { index, .. } => match index {
            Some(index) => format!("read index {index}"),
            None => "not the leader".to_owned(),
        },
    };
    format!("(term {}) {content}", message.term)
}

/// Plays a script; returns it with its current output.
fn play_script(script: &str) -> String {
    let mut player = Player::new(1, &[], Compaction::default());
    let mut lines = Vec::new();
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            lines.push(line.to_owned());
            lines.extend(player.play_command(command));
        } else if line.is_empty() || line.starts_with('#') {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n") + "\n"
}

fn load_scripts() -> Vec<(std::path::PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let files = std::fs::read_dir(folder).expect("the transcripts");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a transcript");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn transcripts_match_the_current_output() {
    let rewrite = std::env::var_os("REWRITE").is_some();
    for (path, script) in load_scripts() {
        let now = play_script(&script);
        if rewrite {
            std::fs::write(&path, now).expect("a transcript");
        } else {
            let difference = script.lines().zip(now.lines()).enumerate().find(|(_, (a, b))| a != b);
            assert!(script == now, "{}: {difference:?}; see REWRITE=1", path.display());
        }
    }
}

#[test]
fn a_bug_violates_an_invariant_and_the_same_run_without_it_none() {
    let mut bugs = 0;
    for (path, text) in load_scripts() {
        let file = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = file.strip_prefix("bug-") else { continue };
        assert!(Bug::from_name(name).is_some(), "{file}: there is no such bug");
        assert!(text.lines().any(|line| line.starts_with("!! ")), "{file} shows no violation");
        assert!(text.ends_with("| all invariants hold\n"), "{file}: violation without the bug");
        bugs += 1;
    }
    assert!(bugs > 5, "{bugs} bugs have a transcript");
}
