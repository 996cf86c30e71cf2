//! Packs every operation of a history into columns that a browser unpacks: nothing is left out.
//!
//! Numbers are little-endian base-128, each column behind its length in bytes; texts are numbers of lines in a
//! dictionary. Both are deflated (zlib), at the same time because they are long, and written in base64, so that no text
//! of a run can be markup. `assets/report/data.js` reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use checker::History;
use checker::history::{Kind, Operation, Process, Text};
use std::collections::HashMap;

/// How hard deflate tries: what comes after costs much time and saves little.
const LEVEL: u8 = 4;

/// How many columns there are.
const COLUMNS: usize = 11;

/// Texts by number; 0 is none.
#[derive(Default)]
struct Dictionary {
    numbers: HashMap<Vec<u8>, u64>,
    lines: Vec<u8>,
    /// The numbers of names, of which there are few: they need not be written as JSON each time.
    names: HashMap<Text, u64>,
    draft: Vec<u8>,
}

impl Dictionary {
    /// A value as JSON, which has no line breaks.
    fn json(&mut self, value: &impl serde::Serialize) -> u64 {
        self.draft.clear();
        serde_json::to_writer(&mut self.draft, value).expect("a value is JSON");
        if let Some(number) = self.numbers.get(&self.draft) {
            return *number;
        }
        let number = self.numbers.len() as u64 + 1;
        self.lines.extend_from_slice(&self.draft);
        self.lines.push(b'\n');
        self.numbers.insert(self.draft.clone(), number);
        number
    }

    /// The same of a function or a replica.
    fn name(&mut self, name: &Text) -> u64 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.json(name);
        self.names.insert(name.clone(), number);
        number
    }
}

/// The operations, packed.
pub(super) struct Packed {
    /// Their numbers.
    pub(super) columns: String,
    /// The dictionary.
    pub(super) words: String,
}

/// Packs the operations.
pub(super) fn packed(history: &History) -> Packed {
    let mut columns: [Vec<u8>; COLUMNS] = Default::default();
    let mut words = Dictionary::default();
    let (mut time, mut index) = (0, 0);
    for operation in history.operations() {
        let row = row(operation, (time, index), &mut words);
        (time, index) = (operation.invoked.time, operation.invoked.index);
        for (column, number) in columns.iter_mut().zip(row) {
            put(column, number);
        }
    }
    let mut bytes = Vec::new();
    for column in columns {
        put(&mut bytes, column.len() as u64);
        bytes.extend(column);
    }
    let deflated =
        |bytes: &[u8]| STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(bytes, LEVEL));
    std::thread::scope(|scope| {
        let words = scope.spawn(|| deflated(&words.lines));
        let columns = deflated(&bytes);
        Packed { columns, words: words.join().expect("deflating does not fail") }
    })
}

/// An operation; its moments are told from those of the one before.
fn row(op: &Operation, before: (u64, u64), words: &mut Dictionary) -> [u64; COLUMNS] {
    let completion = op.completion.as_ref();
    let outcome = match completion.map(|completion| completion.kind) {
        None | Some(Kind::Invoke) => 0,
        Some(Kind::Ok) => 1,
        Some(Kind::Fail) => 2,
        Some(Kind::Info) => 3,
    };
    let process = match op.process {
        Process::Client(number) => number,
        Process::Nemesis => unreachable!("the nemesis has no operations"),
    };
    let since = |to: u64, from: u64| zigzag(to.wrapping_sub(from).cast_signed());
    let input = words.json(&op.input);
    // Most answers to a write say what it wrote.
    let output = completion.map_or(0, |it| match it.output == op.input {
        true => input,
        false => words.json(&it.output),
    });
    [
        since(op.invoked.time, before.0),
        since(op.invoked.index, before.1),
        completion.map_or(0, |it| since(it.at.time, op.invoked.time)),
        completion.map_or(0, |it| since(it.at.index, op.invoked.index)),
        process,
        outcome,
        words.name(&op.f),
        op.node.as_ref().map_or(0, |node| words.name(node)),
        input,
        output,
        completion.and_then(|it| it.error.as_ref()).map_or(0, |error| words.json(error)),
    ]
}

/// Small numbers of either sign as small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn take(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    fn unzigzag(number: u64) -> i64 {
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    #[test]
    fn every_operation_comes_out_as_it_went_in() {
        let sample = sample::valid(500);
        let packed = packed(&sample.history);
        let inflated = |text: &str| {
            let packed = STANDARD.decode(text).expect("base64");
            miniz_oxide::inflate::decompress_to_vec_zlib(&packed).expect("zlib")
        };
        let (bytes, words) = (inflated(&packed.columns), inflated(&packed.words));
        let mut rest = &bytes[..];
        let mut columns: [&[u8]; COLUMNS] = Default::default();
        for column in &mut columns {
            let length = take(&mut rest) as usize;
            (*column, rest) = rest.split_at(length);
        }
        assert!(rest.is_empty());
        let lines: Vec<&str> = std::str::from_utf8(&words).expect("UTF-8").lines().collect();
        let mut at = (0_u64, 0_u64);
        for operation in sample.history.operations() {
            let row = columns.each_mut().map(take);
            at.0 = at.0.wrapping_add_signed(unzigzag(row[0]));
            at.1 = at.1.wrapping_add_signed(unzigzag(row[1]));
            assert_eq!(at, (operation.invoked.time, operation.invoked.index));
            let completion = operation.completion.as_ref().expect("all end");
            assert_eq!(unzigzag(row[2]), (completion.at.time - at.0) as i64);
            assert_eq!(unzigzag(row[3]), (completion.at.index - at.1) as i64);
            assert_eq!(Process::Client(row[4]), operation.process);
            let input = serde_json::to_string(&operation.input).expect("JSON");
            assert_eq!(lines[row[8] as usize - 1], input);
        }
        assert!(columns.iter().all(|column| column.is_empty()));
    }

    #[test]
    fn signs_and_sizes_survive() {
        for number in [0, 1, -1, 63, -64, 300, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put(&mut bytes, zigzag(number));
            assert_eq!(unzigzag(take(&mut &bytes[..])), number);
        }
    }
}
