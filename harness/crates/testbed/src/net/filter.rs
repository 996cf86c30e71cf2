//! Applies cuts to a bridge as one nf_tables transaction and reads what their rules dropped. Needs
//! no `nft` binary.
//!
//! A rule's counter goes with the rule, so it is read and banked before the rules are replaced.

use super::nft::{self, Cut, NetlinkMessage};
use super::plan::HostId;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Dropped packets by directed pair.
pub(super) type DropCounts = BTreeMap<(HostId, HostId), u64>;

/// Seconds that the kernel may take over a change.
const TIMEOUT_SECONDS: i64 = 10;

/// The table of the controller's network namespace, with which it goes.
pub(super) struct Filter {
    /// From rules that are gone.
    retired: DropCounts,
}

impl Filter {
    /// Makes the table and its chain.
    pub(super) fn install() -> Result<Self> {
        commit_batch(nft::encode_install()).context(
            "nf_tables does not filter bridges here (CONFIG_NF_TABLES_BRIDGE; as root try \
             `modprobe nf_tables`), use --net proxy to do without",
        )?;
        Ok(Self { retired: DropCounts::new() })
    }

    /// Replaces all cuts at once.
    pub(super) fn replace_cuts(&mut self, cuts: &[Cut]) -> Result<()> {
        self.retired = self.read_drop_counts()?;
        commit_batch(nft::encode_replace(cuts)).context("cannot change the links")
    }

    /// What rules that are gone have dropped.
    pub(super) fn retired_drops(&self) -> &DropCounts {
        &self.retired
    }

    /// What all rules, present and gone, have dropped.
    pub(super) fn read_drop_counts(&self) -> Result<DropCounts> {
        let mut total = self.retired.clone();
        send_request(&nft::encode_dump(), |message| {
            if let Some((pair, packets)) = message.drop_counter() {
                *total.entry(pair).or_default() += packets;
            }
            message.is_done() || message.error_code() == Some(0)
        })
        .context("cannot read the counters of the cuts")?;
        Ok(total)
    }
}

fn commit_batch((batch, last): (Vec<u8>, u32)) -> Result<()> {
    send_request(&batch, |message| message.error_code() == Some(0) && message.sequence == last)
}

/// Sends and hands over what comes back until `is_last`; an error that comes back is an error.
///
/// Each request has a socket of its own: what is left unread after an error cannot pass for the
/// answer to the next.
fn send_request(bytes: &[u8], mut is_last: impl FnMut(&NetlinkMessage<'_>) -> bool) -> Result<()> {
    let socket = open_socket()?;
    let fd = socket.as_raw_fd();
    let sent = send(fd, bytes, MsgFlags::empty())
        .map_err(|errno| netlink_error("took no request", errno))?;
    ensure!(sent == bytes.len(), "the kernel took {sent} of {} bytes", bytes.len());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = match recv(fd, &mut buffer, MsgFlags::empty()) {
            // A signal such as Ctrl-C may be taken by just this thread.
            Err(Errno::EINTR) => continue,
            received => received,
        }
        .map_err(|errno| {
            netlink_error(&format!("gave no answer within {TIMEOUT_SECONDS} s"), errno)
        })?;
        for message in nft::parse_messages(&buffer[..length]) {
            match message.error_code() {
                Some(code) if code != 0 => bail!(netlink_error("refused", Errno::from_raw(code))),
                _ if is_last(&message) => return Ok(()),
                _ => {}
            }
        }
    }
}

fn netlink_error(what: &str, errno: Errno) -> anyhow::Error {
    anyhow!("nf_tables {what}: {}", errno.desc())
}

/// Why there is no socket: only two answers mean that the kernel has none to give.
fn socket_error(errno: Errno) -> anyhow::Error {
    match errno {
        Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT => {
            anyhow!("the kernel has no netfilter sockets (CONFIG_NETFILTER); use --net proxy")
        }
        other => netlink_error("gets no socket", other),
    }
}

fn open_socket() -> Result<OwnedFd> {
    let protocol = SockProtocol::NetlinkNetFilter;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
        .map_err(socket_error)?;
    let patience = TimeVal::new(TIMEOUT_SECONDS, 0);
    setsockopt(&socket, ReceiveTimeout, &patience).context("netfilter sockets take no timeout")?;
    connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).context("cannot reach netfilter")?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_not_blamed_for_too_many_open_files() {
        assert!(socket_error(Errno::EPROTONOSUPPORT).to_string().contains("CONFIG_NETFILTER"));
        let full = socket_error(Errno::EMFILE).to_string();
        assert_eq!(full, "nf_tables gets no socket: Too many open files");
    }
}
