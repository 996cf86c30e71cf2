//! Plays the scripts of `tests/transcripts` and compares what the servers do, line by line, with
//! what the script says they did. `REWRITE=1 cargo test` writes the scripts anew; commit only what
//! you understand.
//!
//! A line `> command` is played, `#` begins a comment, everything else is what the last command
//! showed:
//!
//! ```text
//! > cluster 3 [BUG…]      new servers 1, 2, 3 with empty disks
//! > cluster 3 [BUG…] cut 4 1   the same; they cut their logs after every 4 entries, and keep 1
//! > tick 1 10             ten ticks of server 1's clock
//! > campaign 1            ticks until server 1, no leader, seeks election
//! > deliver 1 2 [N]       server 2 receives what server 1 sent it, or the oldest N of that
//! > repeat 1 2            what server 1 sent to server 2 is under way twice
//! > drop 1 2              what server 1 sent to server 2 is lost
//! > persist 1 [N]         server 1's waiting writes become durable, or the oldest N of them
//! > crash 1 [N]           server 1 stops; only the oldest N of its waiting writes survive
//! > wipe 1                server 1 stops and its disk is emptied
//! > restart 1             server 1 starts from its disk
//! > propose 1 x           a client writes x at server 1
//! > read 1                a client reads at server 1
//! > change 1 +d -2        somebody asks server 1 for a newcomer d in the place of server 2 (~d: to learn)
//! > transfer 1 2          somebody asks server 1 to let server 2 lead
//! > stabilize [1 2]       all (or these) write and deliver until all is quiet; shows no messages
//! > status                what every server is, and its log as term.index
//! > verdict               whether a promise has been broken
//! > again without bugs    plays everything since `cluster` once more, without the bugs
//! ```

use crate::cluster::Cluster;
use node::raft::{
    Bug, Compaction, Content, Effect, Entry, Input, Membership, MembershipChange, Message, Payload,
    Position, ServerId, Token,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

/// What is being played.
struct Stage {
    cluster: Cluster,
    links: BTreeMap<(ServerId, ServerId), VecDeque<Message>>,
    names: BTreeMap<Token, String>,
    /// Reads that wait until their server has applied enough.
    reads: Vec<(ServerId, Token, u64)>,
    /// What has been played since `cluster`.
    script: Vec<String>,
    /// Whether messages are shown.
    loud: bool,
    harmed: bool,
    shown: Vec<String>,
}

impl Stage {
    fn new(count: u64, bugs: &[Bug], compaction: Compaction) -> Self {
        Self {
            cluster: Cluster::new(count, 1, bugs, compaction),
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            reads: Vec::new(),
            script: Vec::new(),
            loud: true,
            harmed: false,
            shown: Vec::new(),
        }
    }

    fn play(&mut self, command: &str) -> Vec<String> {
        let words: Vec<_> = command.split_whitespace().collect();
        if words == ["again", "without", "bugs"] {
            return self.again();
        }
        if let ["cluster", count, bugs @ ..] = words.as_slice() {
            let (bugs, compaction) = match bugs {
                [bugs @ .., "cut", entries, keep] => (bugs, cut(entries, keep)),
                bugs => (bugs, Compaction::default()),
            };
            let bugs: Vec<_> = bugs.iter().map(|b| Bug::from_name(b).expect("a bug")).collect();
            *self = Self::new(count.parse().expect("a number"), &bugs, compaction);
        }
        self.script.push(command.to_owned());
        self.loud = words[0] != "stabilize";
        self.act(&words);
        self.show_harm();
        std::mem::take(&mut self.shown)
    }

    fn act(&mut self, words: &[&str]) {
        let number = |place: usize| words.get(place).and_then(|word| word.parse().ok());
        let id = number(1).unwrap_or(0);
        let limit = |place: usize| number(place).map_or(usize::MAX, |n| n as usize);
        match words[0] {
            "cluster" => {}
            "tick" => (0..limit(2)).for_each(|_| self.step(id, Input::Tick)),
            "campaign" => self.campaign(id),
            "deliver" => self.deliver(id, limit(2) as ServerId, limit(3)),
            "repeat" => self.repeat(id, limit(2) as ServerId),
            "drop" => drop(self.links.remove(&(id, limit(2) as ServerId))),
            "persist" => self.persist(id, limit(2)),
            "crash" => self.cluster.crash(id, number(2).unwrap_or(0) as usize),
            "wipe" => self.cluster.wipe(id),
            "restart" => self.cluster.restart(id),
            "propose" => self.propose(id, words[2]),
            "read" => self.read(id),
            "change" => self.change(id, &words[2..]),
            "transfer" => self.step(id, Input::TransferLeadership { to: limit(2) as ServerId }),
            "stabilize" => self.stabilize(&words[1..]),
            "status" => self.status(),
            "verdict" => self.verdict(),
            other => panic!("no such command: {other}"),
        }
    }

    fn step(&mut self, id: ServerId, input: Input) {
        let effects = self.cluster.step(id, input);
        self.see(id, effects);
    }

    fn campaign(&mut self, id: ServerId) {
        let asks = |effect: &Effect| matches!(effect, Effect::Persist(_) | Effect::Send { .. });
        loop {
            let effects = self.cluster.step(id, Input::Tick);
            let begins = effects.iter().any(asks);
            self.see(id, effects);
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

    fn repeat(&mut self, from: ServerId, to: ServerId) {
        let link = self.links.entry((from, to)).or_default();
        link.extend(link.clone());
    }

    fn persist(&mut self, id: ServerId, count: usize) {
        let effects = self.cluster.persist(id, count);
        self.see(id, effects);
    }

    fn propose(&mut self, id: ServerId, command: &str) {
        let (token, effects) = self.cluster.propose(id, command);
        self.names.insert(token, command.to_owned());
        self.see(id, effects);
    }

    fn read(&mut self, id: ServerId) {
        let (token, effects) = self.cluster.read(id);
        self.names.insert(token, format!("read {token}"));
        self.see(id, effects);
    }

    fn change(&mut self, id: ServerId, wishes: &[&str]) {
        let mut change = MembershipChange::default();
        for wish in wishes {
            match wish.split_at(1) {
                ("+", name) => change.add_voters.push(name.to_owned()),
                ("~", name) => change.add_learners.push(name.to_owned()),
                (_, id) => drop(change.remove.insert(id.parse().expect("a server"))),
            }
        }
        let (token, effects) = self.cluster.change(id, change);
        self.names.insert(token, format!("change {}", wishes.join(" ")));
        self.see(id, effects);
    }

    fn stabilize(&mut self, among: &[&str]) {
        let mut ids: Vec<ServerId> = among.iter().map(|id| id.parse().expect("a server")).collect();
        if ids.is_empty() {
            ids = self.cluster.ids();
        }
        loop {
            let busy = ids.iter().find(|id| self.cluster.machine(**id).waiting() > 0);
            let within =
                |(from, to): &&(ServerId, ServerId)| ids.contains(from) && ids.contains(to);
            let link = self.links.keys().find(within).copied();
            match (busy, link) {
                (Some(id), _) => self.persist(*id, usize::MAX),
                (None, Some((from, to))) => self.deliver(from, to, usize::MAX),
                (None, None) => return,
            }
        }
    }

    fn status(&mut self) {
        for id in self.cluster.ids() {
            let line = match self.cluster.machine(id).server() {
                None => format!("{id}: down"),
                Some(s) => {
                    let log = list(s.log.iter().map(entry));
                    format!(
                        "{id}: {:?} term {} commit {} log [{log}]",
                        s.role, s.term, s.commit_index
                    )
                }
            };
            self.shown.push(line);
        }
    }

    fn verdict(&mut self) {
        self.cluster.settle();
        let verdict = self.cluster.harm().map(|harm| format!("BROKEN: {harm}"));
        self.shown.push(verdict.unwrap_or("every promise was kept".to_owned()));
    }

    fn again(&mut self) -> Vec<String> {
        let script = std::mem::take(&mut self.script);
        let mut shown = Vec::new();
        for command in &script {
            let cut = command.find(" cut ").map_or("", |at| &command[at..]);
            let count = command.split_whitespace().nth(1).unwrap_or_default();
            let bare = format!("cluster {count}{cut}");
            let command = if command.starts_with("cluster") { &bare } else { command };
            shown.push(format!("| > {command}"));
            shown.extend(self.play(command).into_iter().map(|line| format!("| {line}")));
        }
        shown
    }

    fn show_harm(&mut self) {
        if let (Some(harm), false) = (self.cluster.harm(), self.harmed) {
            self.shown.push(format!("!! {harm}"));
            self.harmed = true;
        }
    }

    fn see(&mut self, id: ServerId, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(line) = self.describe(id, &effect) {
                self.shown.push(format!("{id} {line}"));
            }
            if let Effect::Send { to, message, .. } = effect {
                self.links.entry((id, to)).or_default().push_back(message);
            }
            self.serve(id);
        }
    }

    fn describe(&mut self, id: ServerId, effect: &Effect) -> Option<String> {
        let name = |token: &Token| self.names.get(token).cloned().unwrap_or_default();
        Some(match effect {
            Effect::Persist(_) | Effect::Send { .. } if !self.loud => return None,
            Effect::Persist(write) => {
                let mut line = format!("writes #{}:", write.sequence);
                if let Some(hard) = write.hard_state {
                    let vote = hard.voted_for.map_or("nobody".to_owned(), |id| id.to_string());
                    let _ = write!(line, " term {} vote {vote}", hard.term);
                }
                if let Some(snapshot) = &write.snapshot {
                    let _ = write!(line, " snapshot up to {}", place(snapshot.last));
                }
                if let Some(start) = write.start {
                    let _ = write!(line, ", log after {}:", place(start));
                }
                write.entries.iter().for_each(|e| _ = write!(line, " {}", entry(e)));
                line
            }
            Effect::Send { to, message, .. } => format!("-> {to} {}", speak(message)),
            Effect::Commit { entries } => format!("commits {}", list(entries.iter().map(entry))),
            Effect::TakeSnapshot { .. } | Effect::MembershipChanged { .. } => return None,
            Effect::Restore { snapshot } => {
                format!("takes over the snapshot up to {}", place(snapshot.last))
            }
            Effect::Acknowledge { token, index } => {
                format!("acknowledges {} at {index}", name(token))
            }
            Effect::Refused { token, leader } => {
                let hint = leader.map_or("no leader known".to_owned(), |id| format!("ask {id}"));
                format!("refuses {}: {hint}", name(token))
            }
            Effect::ChangeRejected { token, error } => {
                format!("does not begin {}: {error:?}", name(token))
            }
            Effect::OutcomeUnknown { token } => {
                format!("cannot tell any more what becomes of {}", name(token))
            }
            Effect::ReadReady { token, index } => {
                self.reads.push((id, *token, *index));
                return None;
            }
            Effect::ReadFailed { token } => format!("fails {}", name(token)),
            Effect::ReadExpired { token } => format!("gives up {}", name(token)),
            Effect::PeerLostEntries { peer, acknowledged, rejected } => {
                format!("sees that {peer} had {acknowledged} and has lost {rejected}")
            }
            Effect::Fatal { committed, new } => {
                let [kept, lost] = [committed, new].map(|at| format!("{}.{}", at.term, at.index));
                format!("breaks off: {kept} is committed, and the leader has {lost}")
            }
            Effect::StatusChanged(status) => {
                let leader = status.leader.map_or(String::new(), |id| format!(" under {id}"));
                format!("is {:?} in term {}{leader}", status.role, status.term)
            }
        })
    }

    /// Serves the reads whose index a server has applied.
    fn serve(&mut self, id: ServerId) {
        let applied = self.cluster.machine(id).applied();
        let commands = applied.iter().filter(|entry| matches!(entry.payload, Payload::Command(_)));
        let seen = list(commands.map(command));
        let due =
            |read: &mut (ServerId, Token, u64)| read.0 == id && read.2 <= applied.len() as u64;
        for (_, token, index) in self.reads.extract_if(.., due) {
            self.shown
                .push(format!("{id} serves {}: sees [{seen}] at {index}", self.names[&token]));
        }
    }
}

fn cut(entries: &str, keep: &str) -> Compaction {
    let number = |word: &str| word.parse().expect("a number");
    Compaction { entries: number(entries), bytes: 0, keep_entries: number(keep), chunk_bytes: 40 }
}

fn place(place: Position) -> String {
    format!("{}.{}", place.term, place.index)
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

fn command(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => String::new(),
        Payload::Command(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Payload::Membership(membership) => members(membership),
    }
}

/// `<1,2,4 was 1,2,3>`: voters, and who voted before; `joins`, `learns`, `leaves` and numbers.
fn members(membership: &Membership) -> String {
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

/// An entry as term.index=command.
fn entry(entry: &Entry) -> String {
    let place = format!("{}.{}", entry.term, entry.index);
    match command(entry) {
        noop if noop.is_empty() => place,
        command => format!("{place}={command}"),
    }
}

fn speak(message: &Message) -> String {
    let content = match &message.content {
        Content::RequestVote { pre: true, last, .. } => {
            format!("would you vote for me? log ends {}.{}", last.term, last.index)
        }
        Content::RequestVote { pre: false, last, transfer } => {
            let wished = if *transfer { ", the leader wishes it" } else { "" };
            format!("vote for me{wished}, log ends {}.{}", last.term, last.index)
        }
        Content::VoteReply { pre, granted } => {
            let word = if *granted { "yes" } else { "no" };
            if *pre { format!("pre-vote {word}") } else { format!("vote {word}") }
        }
        Content::AppendEntries { previous, entries, commit, round } => {
            let entries = list(entries.iter().map(entry));
            let after = format!("after {}.{}", previous.term, previous.index);
            format!("append [{entries}] {after} commit {commit} round {round}")
        }
        Content::AppendAccepted { index, round } => format!("matched {index} round {round}"),
        Content::AppendRejected { rejected, hint, round } => {
            format!("lack {rejected}, try {}.{} round {round}", hint.term, hint.index)
        }
        Content::InstallSnapshot { last, size, offset, data, round, .. } => {
            let received = offset + data.len() as u64;
            let last = place(*last);
            format!("snapshot up to {last}, bytes {offset}-{received} of {size} round {round}")
        }
        Content::SnapshotReceived { last, received, round } => {
            format!("have {received} bytes of the snapshot up to {} round {round}", place(*last))
        }
        Content::StaleTerm => "your term is over".to_owned(),
        Content::TimeoutNow => "stand for election now".to_owned(),
        Content::ReadIndex { .. } => "read index?".to_owned(),
        Content::ReadIndexReply { index, .. } => match index {
            Some(index) => format!("read index {index}"),
            None => "not mine to say".to_owned(),
        },
    };
    format!("(term {}) {content}", message.term)
}

/// The script with what its commands show now.
fn played(script: &str) -> String {
    let mut stage = Stage::new(1, &[], Compaction::default());
    let mut lines = Vec::new();
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            lines.push(line.to_owned());
            lines.extend(stage.play(command));
        } else if line.is_empty() || line.starts_with('#') {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n") + "\n"
}

fn scripts() -> Vec<(std::path::PathBuf, String)> {
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
fn the_transcripts_are_what_happens() {
    let rewrite = std::env::var_os("REWRITE").is_some();
    for (path, script) in scripts() {
        let now = played(&script);
        if rewrite {
            std::fs::write(&path, now).expect("a transcript");
        } else {
            let difference = script.lines().zip(now.lines()).enumerate().find(|(_, (a, b))| a != b);
            assert!(script == now, "{}: {difference:?}; see REWRITE=1", path.display());
        }
    }
}

#[test]
fn every_bug_has_a_transcript_that_shows_harm_and_none_without_it() {
    let scripts = scripts();
    // A leader without a majority breaks no promise: it keeps everybody waiting.
    let waiting = [node::raft::Bug::LoneHeartbeats, node::raft::Bug::NoCheckQuorum];
    let harms = |bug: &node::raft::Bug| !waiting.contains(bug);
    for (_, name, _) in node::raft::BUGS.iter().filter(|(bug, ..)| harms(bug)) {
        let file = format!("bug-{name}.txt");
        let script = scripts.iter().find(|(path, _)| path.ends_with(&file));
        let (_, text) = script.unwrap_or_else(|| panic!("{file} is missing"));
        assert!(text.lines().any(|line| line.starts_with("!! ")), "{file} shows no harm");
        assert!(text.ends_with("| every promise was kept\n"), "{file}: harm without the bug");
    }
}
