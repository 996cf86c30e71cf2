//! Writes every frame that the switch is sent to a pcapng file, with what became of it as a
//! comment.
//!
//! Each port is an interface of its own, so a reader sees the sender. The file is written by a
//! thread, which what is noted must not wait for: what it cannot take is counted, never waited for.

use super::exchange::FrameOutcome;
use super::link::Fate;
use crate::net::plan::HostId;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many frames may wait to be written.
const MAX_QUEUED_FRAMES: usize = 1 << 15;
/// How long the file may lag behind.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
/// Options of every block.
const COMMENT: u16 = 1;
const NAME: u16 = 2;
/// An interface's: its times are in nanoseconds.
const RESOLUTION: u16 = 9;
const ETHERNET: u16 = 1;

/// A file that frames are written to.
pub(super) struct Capture {
    names: Vec<String>,
    /// The wall clock when the switch's began.
    began_ns: u64,
    blocks: SyncSender<Vec<u8>>,
    /// Frames that were not written.
    pub(super) missed: u64,
}

impl Capture {
    /// Begins a file for these ports.
    pub(super) fn create(path: &Path, ends: &[HostId]) -> Result<Self> {
        let names: Vec<String> = ends.iter().map(ToString::to_string).collect();
        let mut file = File::create(path).with_context(|| format!("no capture in {path:?}"))?;
        file.write_all(&encode_header(&names))
            .with_context(|| format!("no capture in {path:?}"))?;
        let (blocks, inbox) = sync_channel::<Vec<u8>>(MAX_QUEUED_FRAMES);
        let mut file = BufWriter::with_capacity(1 << 18, file);
        let write = move || loop {
            let written = match inbox.recv_timeout(FLUSH_INTERVAL) {
                Ok(block) => file.write_all(&block),
                Err(RecvTimeoutError::Timeout) => file.flush(),
                Err(RecvTimeoutError::Disconnected) => return drop(file.flush()),
            };
            // The closed channel tells the sender.
            if written.is_err() {
                return;
            }
        };
        let thread = std::thread::Builder::new().name("capture".to_owned());
        thread.spawn(write).context("no thread for the capture")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self { names, began_ns, blocks, missed: 0 })
    }

    /// Notes a frame that came in by a port, and what becomes of it.
    pub(super) fn record_frame(
        &mut self,
        now: u64,
        port: usize,
        taken: &FrameOutcome,
        frame: &[u8],
    ) {
        let comment = fate_comment(&self.names, now, taken);
        let block = encode_packet(port, self.began_ns + now, frame, &comment);
        self.missed += u64::from(self.blocks.try_send(block).is_err());
    }
}

/// What became of a frame, in words.
fn fate_comment(names: &[String], now: u64, taken: &FrameOutcome) -> String {
    let name = |to: &usize| names.get(*to).map_or("?", String::as_str);
    match taken {
        FrameOutcome::Now(to) => format!("to {}", name(to)),
        FrameOutcome::Stray => "no destination".to_owned(),
        FrameOutcome::Later { to, fate, due } => {
            let ms = |at: &u64| {
                let us = at.saturating_sub(now) / 1_000;
                format!("after {}.{:03} ms", us / 1_000, us % 1_000)
            };
            let fate = match fate {
                Fate::Passed => due.iter().map(ms).collect::<Vec<_>>().join(" and "),
                Fate::Cut => "dropped by the cut".to_owned(),
                Fate::Down => "dropped while the link was down".to_owned(),
                Fate::Held => "held".to_owned(),
                Fate::Lost => "lost".to_owned(),
                Fate::QueueFull => "lost, the queue was full".to_owned(),
            };
            format!("to {}: {fate}", name(to))
        }
    }
}

/// The blocks at the beginning: the section's, and one for each port.
fn encode_header(names: &[String]) -> Vec<u8> {
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    let mut bytes = encode_block(SECTION, section);
    for name in names {
        let mut interface = ETHERNET.to_le_bytes().to_vec();
        interface.extend([0; 6]);
        interface.extend(encode_option(NAME, name.as_bytes()));
        interface.extend(encode_option(RESOLUTION, &[9]));
        interface.extend(encode_option(0, &[]));
        bytes.extend(encode_block(INTERFACE, interface));
    }
    bytes
}

fn encode_packet(port: usize, at_ns: u64, frame: &[u8], comment: &str) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut body = u32::try_from(port).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    body.extend(((at_ns >> 32) as u32).to_le_bytes());
    body.extend((at_ns as u32).to_le_bytes());
    body.extend(length);
    body.extend(length);
    body.extend(frame);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(encode_option(COMMENT, comment.as_bytes()));
    body.extend(encode_option(0, &[]));
    encode_block(PACKET, body)
}

fn encode_block(kind: u32, body: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
    [&kind.to_le_bytes(), &length, body.as_slice(), &length].concat()
}

fn encode_option(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let mut bytes = [kind.to_le_bytes(), length.to_le_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a file, as kind and body; a reader of its own that trusts nothing.
    fn parse_blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let length = number(&bytes[4..]) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(number(&bytes[length - 4..]) as usize, length, "both ends agree");
            all.push((number(bytes), bytes[8..length - 4].to_vec()));
            bytes = &bytes[length..];
        }
        all
    }

    #[test]
    fn what_is_noted_is_read_back_with_what_became_of_it() {
        let directory = tempfile::tempdir().expect("a place");
        let path = directory.path().join("capture.pcapng");
        let mut capture = Capture::create(&path, &[HostId(0), HostId(1)]).expect("a file");
        capture.began_ns = 1 << 32;
        capture.record_frame(5, 1, &FrameOutcome::Now(0), b"hello");
        let late =
            FrameOutcome::Later { to: 0, fate: Fate::Passed, due: vec![1_500_006, 2_000_006] };
        capture.record_frame(6, 1, &late, b"again");
        let lost = FrameOutcome::Later { to: 0, fate: Fate::Lost, due: Vec::new() };
        capture.record_frame(7, 1, &lost, b"gone");
        assert_eq!(capture.missed, 0);
        drop(capture);
        let wait = Duration::from_millis(20);
        let read = || parse_blocks(&std::fs::read(&path).expect("it is there"));
        while read().len() < 6 {
            std::thread::sleep(wait);
        }
        let all = read();
        let kinds: Vec<u32> = all.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE, PACKET, PACKET, PACKET]);
        assert_eq!(all[3].1[..12], [1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0], "port and time");
        assert_eq!(&all[3].1[20..25], b"hello");
        let text = |index: usize| String::from_utf8_lossy(&all[index].1).into_owned();
        assert!(text(3).contains("to n1"));
        assert!(text(4).contains("to n1: after 1.500 ms and after 2.000 ms"));
        assert!(text(5).contains("to n1: lost"));
    }
}
