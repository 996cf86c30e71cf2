//! Writes and reads the netlink messages of nf_tables that a set of cuts needs. Pure: bytes in,
//! bytes out.
//!
//! Every cut is one rule of one chain on the bridge's forward hook: a frame that came in by the
//! port of `from` and would go out by the port of `to` is counted and dropped, whatever it carries.
//! A rule names its cut in its user data, so that its counter can be told apart later.

use super::plan::HostId;
use std::collections::BTreeMap;

const TABLE: &[u8] = b"harness\0";
const CHAIN: &[u8] = b"links\0";

/// Message types; nf_tables' own are `10 << 8 | n`.
const DONE: u16 = 3;
pub(super) const ERROR: u16 = 2;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0xa00;
const NEW_CHAIN: u16 = 0xa03;
const NEW_RULE: u16 = 0xa06;
const GET_RULE: u16 = 0xa07;
const DELETE_RULE: u16 = 0xa08;

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const BRIDGE_FAMILY: u8 = 7;
const NESTED: u16 = 0x8000;
/// Length of the two headers that every message begins with.
const HEADERS: usize = 20;

/// A link as the bridge sees it: who, and the index of the bridge port to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) ports: (u32, u32),
}

/// One header and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NetlinkMessage<'a> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// A batch of messages that the kernel takes as one transaction.
struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
}

/// A transaction that makes the table and its empty chain; its last message, which is acknowledged.
pub(super) fn encode_install() -> (Vec<u8>, u32) {
    let mut batch = Batch::begin();
    batch.push(NEW_TABLE, CREATE, &encode_attribute(1, TABLE));
    let hook = [encode_attribute(1, &2u32.to_be_bytes()), encode_attribute(2, &0u32.to_be_bytes())]
        .concat();
    let chain = [
        encode_attribute(1, TABLE),
        encode_attribute(3, CHAIN),
        encode_attribute(4 | NESTED, &hook),
        encode_attribute(5, &1u32.to_be_bytes()),
        encode_attribute(7, b"filter\0"),
    ];
    batch.push(NEW_CHAIN, CREATE | ACK, &chain.concat());
    batch.finish()
}

/// A transaction that replaces all rules by these cuts; its last message, which is acknowledged.
pub(super) fn encode_replace(cuts: &[Cut]) -> (Vec<u8>, u32) {
    let mut batch = Batch::begin();
    let ack = |last: bool| if last { ACK } else { 0 };
    batch.push(DELETE_RULE, ack(cuts.is_empty()), &chain_attributes());
    for (i, cut) in cuts.iter().enumerate() {
        batch.push(NEW_RULE, CREATE | APPEND | ack(i + 1 == cuts.len()), &encode_rule(*cut));
    }
    batch.finish()
}

/// A request for all rules.
pub(super) fn encode_dump() -> Vec<u8> {
    encode_message(GET_RULE, DUMP, 1, (BRIDGE_FAMILY, 0), &chain_attributes())
}

/// The messages of one datagram; a torn one ends them.
pub(super) fn parse_messages(mut bytes: &[u8]) -> Vec<NetlinkMessage<'_>> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk::<16>() {
        let length = u32_at(header, 0) as usize;
        let Some(body) = bytes.get(16..length) else { break };
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        found.push(NetlinkMessage { kind, sequence: u32_at(header, 8), body });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

impl NetlinkMessage<'_> {
    /// The error number it carries, 0 for an acknowledgement; `None` if it is neither.
    pub(super) fn error_code(&self) -> Option<i32> {
        let code = self.body.first_chunk::<4>().filter(|_| self.kind == ERROR)?;
        Some(-i32::from_ne_bytes(*code))
    }

    /// It ends a dump.
    pub(super) fn is_done(&self) -> bool {
        self.kind == DONE
    }

    /// The cut it is the rule of, and the packets that rule has dropped.
    pub(super) fn drop_counter(&self) -> Option<((HostId, HostId), u64)> {
        let rule = attribute_map(self.body.get(4..).filter(|_| self.kind == NEW_RULE)?);
        let [from, to] = *rule.get(&7)?.first_chunk::<2>()?;
        let packets = parse_expressions(rule.get(&4)?).into_iter().find_map(|(name, data)| {
            let packets = *attribute_map(data).get(&2).filter(|_| name == b"counter\0")?;
            Some(u64::from_be_bytes(*packets.first_chunk()?))
        })?;
        Some(((HostId(from), HostId(to)), packets))
    }
}

impl Batch {
    fn begin() -> Self {
        let bytes = encode_message(BATCH_BEGIN, 0, 0, (0, 10), &[]);
        Self { bytes, sequence: 0 }
    }

    fn push(&mut self, kind: u16, flags: u16, attributes: &[u8]) {
        self.sequence += 1;
        let message = encode_message(kind, flags, self.sequence, (BRIDGE_FAMILY, 0), attributes);
        self.bytes.extend(message);
    }

    fn finish(mut self) -> (Vec<u8>, u32) {
        self.bytes.extend(encode_message(BATCH_END, 0, self.sequence + 1, (0, 10), &[]));
        (self.bytes, self.sequence)
    }
}

fn encode_message(
    kind: u16,
    flags: u16,
    sequence: u32,
    about: (u8, u16),
    attributes: &[u8],
) -> Vec<u8> {
    let length = u32::try_from(HEADERS + attributes.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | REQUEST).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    let (family, subsystem) = about;
    bytes.extend([family, 0]);
    bytes.extend(subsystem.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

/// One attribute, padded to four bytes.
fn encode_attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn chain_attributes() -> Vec<u8> {
    [encode_attribute(1, TABLE), encode_attribute(2, CHAIN)].concat()
}

fn encode_rule(cut: Cut) -> Vec<u8> {
    let (came_in, goes_out) = cut.ports;
    let steps = [
        encode_match(4, &came_in.to_ne_bytes()),
        encode_match(5, &goes_out.to_ne_bytes()),
        encode_expression(b"counter\0", &[]),
        encode_drop(),
    ];
    let name = encode_attribute(7, &[cut.from.0, cut.to.0]);
    [chain_attributes(), encode_attribute(4 | NESTED, &steps.concat()), name].concat()
}

/// Goes on with the rule only if that property of the packet equals `value`.
fn encode_match(key: u32, value: &[u8]) -> Vec<u8> {
    let register = encode_attribute(1, &1u32.to_be_bytes());
    let load = [register.clone(), encode_attribute(2, &key.to_be_bytes())].concat();
    let value = encode_attribute(3 | NESTED, &encode_attribute(1, value));
    let test = [register, encode_attribute(2, &0u32.to_be_bytes()), value].concat();
    [encode_expression(b"meta\0", &load), encode_expression(b"cmp\0", &test)].concat()
}

fn encode_drop() -> Vec<u8> {
    let code = encode_attribute(2 | NESTED, &encode_attribute(1, &0u32.to_be_bytes()));
    let verdict =
        [encode_attribute(1, &0u32.to_be_bytes()), encode_attribute(2 | NESTED, &code)].concat();
    encode_expression(b"immediate\0", &verdict)
}

fn encode_expression(name: &[u8], data: &[u8]) -> Vec<u8> {
    let parts = [encode_attribute(1, name), encode_attribute(2 | NESTED, data)].concat();
    encode_attribute(1 | NESTED, &parts)
}

/// Attributes in order; a torn one ends them.
fn parse_attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(value) = bytes.get(4..length) else { break };
        found.push((u16::from_ne_bytes([header[2], header[3]]) & !NESTED, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn attribute_map(bytes: &[u8]) -> BTreeMap<u16, &[u8]> {
    parse_attributes(bytes).into_iter().collect()
}

/// Name and data of each expression of a rule.
fn parse_expressions(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let parts = |(_, element)| {
        let parts = attribute_map(element);
        Some((*parts.get(&1)?, parts.get(&2).copied().unwrap_or_default()))
    };
    parse_attributes(bytes).into_iter().filter_map(parts).collect()
}

fn u32_at(bytes: &[u8; 16], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Cut = Cut { from: HostId(3), to: HostId(1), ports: (12, 300) };

    #[test]
    fn an_attribute_says_its_length_and_is_padded() {
        let expected = [5u16.to_ne_bytes(), 7u16.to_ne_bytes(), [9, 0], [0, 0]].concat();
        assert_eq!(encode_attribute(7, &[9]), expected);
        assert_eq!(parse_attributes(&expected), [(7, &[9u8][..])]);
    }

    #[test]
    fn a_transaction_is_framed_and_only_its_last_message_is_acknowledged() {
        let (bytes, last) = encode_replace(&[CUT, CUT]);
        let kinds: Vec<u16> = parse_messages(&bytes).iter().map(|message| message.kind).collect();
        assert_eq!(kinds, [BATCH_BEGIN, DELETE_RULE, NEW_RULE, NEW_RULE, BATCH_END]);
        assert_eq!((last, bytes.len() % 4), (3, 0));
        let (bytes, last) = encode_replace(&[]);
        assert_eq!((parse_messages(&bytes).len(), last), (3, 1));
        assert_eq!(u16::from_ne_bytes([bytes[26], bytes[27]]), REQUEST | ACK);
    }

    #[test]
    fn a_rule_is_read_back_with_its_name_and_counter() {
        let counted =
            [encode_attribute(1, &64u64.to_be_bytes()), encode_attribute(2, &7u64.to_be_bytes())];
        let steps =
            [encode_match(4, &[0; 4]), encode_expression(b"counter\0", &counted.concat())].concat();
        let named = [
            chain_attributes(),
            encode_attribute(4 | NESTED, &steps),
            encode_attribute(7, &[3, 1]),
        ]
        .concat();
        let bytes = encode_message(NEW_RULE, 0, 1, (BRIDGE_FAMILY, 0), &named);
        assert_eq!(parse_messages(&bytes)[0].drop_counter(), Some(((HostId(3), HostId(1)), 7)));
    }

    #[test]
    fn errors_and_acknowledgements_are_told_apart_from_the_rest() {
        let error = |code: i32| {
            NetlinkMessage { kind: ERROR, sequence: 1, body: &code.to_ne_bytes() }.error_code()
        };
        assert_eq!((error(0), error(-2)), (Some(0), Some(2)));
        assert_eq!(NetlinkMessage { kind: DONE, sequence: 1, body: &[0; 4] }.error_code(), None);
    }

    #[test]
    fn torn_bytes_neither_loop_nor_panic() {
        let (bytes, _) = encode_replace(&[CUT]);
        for end in 0..bytes.len() {
            let read = parse_messages(&bytes[..end]);
            assert!(read.iter().all(|message| message.drop_counter().is_none()), "no counter yet");
        }
        assert!(parse_messages(&[0; 64]).is_empty());
        assert!(parse_attributes(&[0; 64]).is_empty());
    }
}
