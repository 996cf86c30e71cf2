//! Packs every operation of a history into columns that the browser unpacks.
//!
//! Numbers are little-endian base-128 (varints), each column prefixed with its length in bytes;
//! texts are line numbers of a dictionary. Both are deflated (zlib), in parallel because they are
//! long, and base64-encoded, so that no text of a run can be markup. `assets/report/data.js` reads
//! them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use checker::History;
use checker::history::{Kind, Operation, Process, Text};
use std::collections::HashMap;

/// The compression level: higher levels cost much time and save little.
const LEVEL: u8 = 4;

/// The number of columns.
const COLUMNS: usize = 11;

/// Numbers for texts; 0 means no text.
#[derive(Default)]
struct Dictionary {
    numbers: HashMap<Vec<u8>, u64>,
    lines: Vec<u8>,
    /// The numbers of names: a cache, because the few names recur in every operation.
    names: HashMap<Text, u64>,
    draft: Vec<u8>,
}

impl Dictionary {
    /// The number of a value as JSON, which has no line breaks.
    fn intern_json(&mut self, value: &impl serde::Serialize) -> u64 {
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

    /// The number of a function or a replica.
    fn intern_name(&mut self, name: &Text) -> u64 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.intern_json(name);
        self.names.insert(name.clone(), number);
        number
    }
}

/// The operations, packed.
pub(super) struct Packed {
    /// The columns of numbers.
    pub(super) columns: String,
    /// The dictionary.
    pub(super) words: String,
}

/// Packs the operations.
pub(super) fn pack_operations(history: &History) -> Packed {
    let mut columns: [Vec<u8>; COLUMNS] = Default::default();
    let mut words = Dictionary::default();
    let (mut time, mut index) = (0, 0);
    for operation in history.operations() {
        let row = encode_row(operation, (time, index), &mut words);
        (time, index) = (operation.invoked.time, operation.invoked.index);
        for (column, number) in columns.iter_mut().zip(row) {
            put_varint(column, number);
        }
    }
    let mut bytes = Vec::new();
    for column in columns {
        put_varint(&mut bytes, column.len() as u64);
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

/// Encodes an operation; its times are relative to those of the operation before.
fn encode_row(op: &Operation, before: (u64, u64), words: &mut Dictionary) -> [u64; COLUMNS] {
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
    let since = |to: u64, from: u64| encode_zigzag(to.wrapping_sub(from).cast_signed());
    let input = words.intern_json(&op.input);
    // Most responses to a write repeat its value.
    let output = completion.map_or(0, |it| match it.output == op.input {
        true => input,
        false => words.intern_json(&it.output),
    });
    [
        since(op.invoked.time, before.0),
        since(op.invoked.index, before.1),
        completion.map_or(0, |it| since(it.at.time, op.invoked.time)),
        completion.map_or(0, |it| since(it.at.index, op.invoked.index)),
        process,
        outcome,
        words.intern_name(&op.f),
        op.node.as_ref().map_or(0, |node| words.intern_name(node)),
        input,
        output,
        completion.and_then(|it| it.error.as_ref()).map_or(0, |error| words.intern_json(error)),
    ]
}

/// Maps small numbers of either sign to small unsigned numbers.
fn encode_zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
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

    fn take_varint(bytes: &mut &[u8]) -> u64 {
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

    fn decode_zigzag(number: u64) -> i64 {
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    #[test]
    fn unpacks_every_operation_unchanged() {
        let sample = sample::valid(500);
        let packed = pack_operations(&sample.history);
        let inflated = |text: &str| {
            let packed = STANDARD.decode(text).expect("base64");
            miniz_oxide::inflate::decompress_to_vec_zlib(&packed).expect("zlib")
        };
        let (bytes, words) = (inflated(&packed.columns), inflated(&packed.words));
        let mut rest = &bytes[..];
        let mut columns: [&[u8]; COLUMNS] = Default::default();
        for column in &mut columns {
            let length = take_varint(&mut rest) as usize;
            (*column, rest) = rest.split_at(length);
        }
        assert!(rest.is_empty());
        let lines: Vec<&str> = std::str::from_utf8(&words).expect("UTF-8").lines().collect();
        let mut at = (0_u64, 0_u64);
        for operation in sample.history.operations() {
            let row = columns.each_mut().map(take_varint);
            at.0 = at.0.wrapping_add_signed(decode_zigzag(row[0]));
            at.1 = at.1.wrapping_add_signed(decode_zigzag(row[1]));
            assert_eq!(at, (operation.invoked.time, operation.invoked.index));
            let completion = operation.completion.as_ref().expect("all end");
            assert_eq!(decode_zigzag(row[2]), (completion.at.time - at.0) as i64);
            assert_eq!(decode_zigzag(row[3]), (completion.at.index - at.1) as i64);
            assert_eq!(Process::Client(row[4]), operation.process);
            let input = serde_json::to_string(&operation.input).expect("JSON");
            assert_eq!(lines[row[8] as usize - 1], input);
        }
        assert!(columns.iter().all(|column| column.is_empty()));
    }

    #[test]
    fn round_trips_varints_of_either_sign() {
        for number in [0, 1, -1, 63, -64, 300, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, encode_zigzag(number));
            assert_eq!(decode_zigzag(take_varint(&mut &bytes[..])), number);
        }
    }
}
