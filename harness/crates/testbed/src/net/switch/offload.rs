//! Makes an interface send whole packets with checksums in them, as a wire does, over ethtool's
//! netlink family.
//!
//! Between veth ends the kernel saves itself both: a packet socket would see 64 kB at once, with
//! checksums left out, so one loss would be that of 45 packets, and every frame that went on would
//! be broken.

use anyhow::{Context as _, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send,
    socket,
};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The checksum that the interface leaves out; without it the kernel also splits what is too large.
const CHECKSUM_FEATURE: &[u8] = b"tx-checksum-ip-generic\0";

const CONTROLLER: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const SET_FEATURES: u8 = 12;
const REQUEST_AND_ACK: u16 = 0x5;
const ERROR: u16 = 2;
const NESTED: u16 = 0x8000;
/// Length of the two headers that every message begins with.
const HEADERS: usize = 20;

/// Switches it off for an interface of the calling thread's network namespace.
pub(super) fn disable_offload(interface: u32) -> Result<()> {
    let socket = open_socket().context("the kernel has no generic netlink")?;
    let family = ethtool_family(&socket)
        .context("the kernel has no ethtool netlink (CONFIG_ETHTOOL_NETLINK)")?;
    send_request(&socket, &encode_message(family, SET_FEATURES, &disable_feature(interface)))
        .map(drop)
        .context("the interface does not switch off checksum offloading")
}

fn open_socket() -> Result<OwnedFd> {
    let kind = SockFlag::SOCK_CLOEXEC;
    let generic = SockProtocol::NetlinkGeneric;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, kind, generic)?;
    connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    Ok(socket)
}

/// The number that ethtool's family has in this kernel.
fn ethtool_family(socket: &OwnedFd) -> Result<u16> {
    let answer = send_request(
        socket,
        &encode_message(CONTROLLER, GET_FAMILY, &encode_attribute(FAMILY_NAME, b"ethtool\0")),
    )?;
    let id = find_attribute(answer.get(HEADERS..).unwrap_or_default(), FAMILY_ID);
    let id = id.and_then(|id| id.first_chunk()).context("the family has no number")?;
    Ok(u16::from_ne_bytes(*id))
}

/// Sends and returns the first message that comes back, once the last is there.
fn send_request(socket: &OwnedFd, message: &[u8]) -> Result<Vec<u8>> {
    let fd = socket.as_raw_fd();
    let sent = send(fd, message, MsgFlags::empty())?;
    ensure!(sent == message.len(), "the kernel took half a message");
    let mut first = Vec::new();
    let mut buffer = vec![0; 1 << 14];
    loop {
        let length = match recv(fd, &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            received => received?,
        };
        let answer = &buffer[..length];
        match error_code(answer) {
            None if first.is_empty() => first = answer.to_vec(),
            None => {}
            Some(0) => return Ok(first),
            Some(code) => bail!("{}", Errno::from_raw(-code).desc()),
        }
    }
}

/// The error code of an acknowledgement; `None` for any other message.
fn error_code(message: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    let code = i32::from_ne_bytes(*message.get(16..)?.first_chunk()?);
    (kind == ERROR).then_some(code)
}

fn disable_feature(interface: u32) -> Vec<u8> {
    const HEADER: u16 = 1;
    const WANTED: u16 = 3;
    const BITS: u16 = 3;
    const BIT: u16 = 1;
    const NAME: u16 = 2;
    let device = encode_nested(HEADER, &encode_attribute(1, &interface.to_ne_bytes()));
    // A bit that is named and has no value is to be off; those that are not named stay.
    let off = encode_nested(
        WANTED,
        &encode_nested(BITS, &encode_nested(BIT, &encode_attribute(NAME, CHECKSUM_FEATURE))),
    );
    [device, off].concat()
}

fn encode_message(kind: u16, command: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADERS + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(REQUEST_AND_ACK.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([command, 1, 0, 0]);
    bytes.extend(body);
    bytes
}

fn encode_nested(kind: u16, body: &[u8]) -> Vec<u8> {
    encode_attribute(kind | NESTED, body)
}

fn encode_attribute(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The attribute of that kind among these.
fn find_attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let found = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
        if found == kind {
            return attributes.get(4..length);
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_found_again() {
        let all = [
            encode_attribute(7, b"abcde"),
            encode_attribute(1, &[9, 0]),
            encode_attribute(2, b"x"),
        ]
        .concat();
        assert_eq!(all.len(), 12 + 8 + 8);
        assert_eq!(find_attribute(&all, 1), Some(&[9, 0][..]));
        assert_eq!(find_attribute(&all, 3), None);
        assert_eq!(find_attribute(&[1, 0, 3], 3), None, "a torn one");
        assert_eq!(find_attribute(&[0; 8], 3), None, "one without a length");
    }

    #[test]
    fn an_acknowledgement_is_told_from_an_answer() {
        let mut bytes = encode_message(ERROR, 0, &[]);
        bytes[16..20].copy_from_slice(&(-95_i32).to_ne_bytes());
        assert_eq!(error_code(&bytes), Some(-95));
        assert_eq!(error_code(&encode_message(CONTROLLER, GET_FAMILY, &[])), None);
        assert_eq!(error_code(&[2, 0]), None);
    }
}
