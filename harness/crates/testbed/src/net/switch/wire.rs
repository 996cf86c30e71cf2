//! Moves frames between the switch's ports and its [`Exchange`], on one thread that ends when its
//! [`Handle`] is dropped.
//!
//! A port is a packet socket on the near end of a veth pair; it hears whatever the host sends and
//! nothing that it sends itself. No device file is opened and no privilege is needed but those of
//! the sandbox.

use super::capture::Capture;
use super::exchange::{Exchange, Taken};
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike as _, bind, recv, send,
    setsockopt, socket,
};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many frames one port may bring before the others get their turn.
const BATCH: usize = 64;
/// More than any frame has: links carry 1500 bytes, and nothing is joined to larger ones.
const LONGEST: usize = 1 << 16;
/// What a port may have waiting; the kernel grants as much of it as it allows.
const WAITING: usize = 4 << 20;

/// A switch that is running.
pub(super) struct Handle {
    state: Arc<Mutex<State>>,
    began: Instant,
    /// Wakes the thread; its end ends it.
    bell: PipeWriter,
}

/// State shared by the thread and the callers that change links.
pub(super) struct State {
    pub(super) exchange: Exchange,
    /// Frames that no port took.
    pub(super) choked: u64,
    /// Frames for no host.
    pub(super) strays: u64,
    pub(super) capture: Option<Capture>,
}

struct Wire {
    ports: Vec<OwnedFd>,
    state: Arc<Mutex<State>>,
    began: Instant,
    rung: PipeReader,
}

/// Opens a port on each of these interfaces of the calling thread's network namespace, before they
/// are up.
pub(super) fn open(names: &[String]) -> Result<Vec<OwnedFd>> {
    let known: Vec<_> = getifaddrs().context("cannot list interfaces")?.collect();
    let port = |name: &String| {
        let mine = known.iter().filter(|it| it.interface_name == *name);
        let mut packet = mine.filter_map(|it| {
            it.address.as_ref()?.as_link_addr().filter(|_| {
                it.address.as_ref().and_then(|it| it.family()) == Some(AddressFamily::Packet)
            })
        });
        let Some(address) = packet.next() else { bail!("interface {name} is gone") };
        let kind = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let port = socket(AddressFamily::Packet, SockType::Raw, kind, SockProtocol::EthAll)
            .context("the kernel has no packet sockets (CONFIG_PACKET)")?;
        setsockopt(&port, RcvBuf, &WAITING).context("a port takes no buffer")?;
        bind(port.as_raw_fd(), address).with_context(|| format!("no port on {name}"))?;
        Ok(port)
    };
    names.iter().map(port).collect()
}

impl Handle {
    /// Begins to move frames.
    pub(super) fn start(
        ports: Vec<OwnedFd>,
        exchange: Exchange,
        capture: Option<Capture>,
    ) -> Result<Self> {
        let (rung, bell) = std::io::pipe().context("no pipe to wake the switch by")?;
        let state = State { exchange, choked: 0, strays: 0, capture };
        let state = Arc::new(Mutex::new(state));
        let began = Instant::now();
        let wire = Wire { ports, state: Arc::clone(&state), began, rung };
        let thread = std::thread::Builder::new().name("switch".to_owned());
        thread.spawn(move || wire.run()).context("cannot start the switch's thread")?;
        Ok(Self { state, began, bell })
    }

    /// Looks at the state, or changes it, at a moment.
    pub(super) fn with<T>(&self, job: impl FnOnce(&mut State, u64) -> T) -> T {
        let mut state = lock(&self.state);
        job(&mut state, now(self.began))
    }

    /// Lets the thread look at what is due again.
    pub(super) fn ring(&self) -> Result<()> {
        (&self.bell).write_all(&[0]).context("the switch has stopped")
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Wire {
    fn run(mut self) {
        let mut buffer = vec![0; LONGEST];
        let mut ready = Vec::with_capacity(self.ports.len());
        // The owner of the bell is gone, and the hosts with it.
        while self.wait(&mut ready) {
            for port in ready.drain(..) {
                self.drain(port, &mut buffer);
            }
            self.deliver();
        }
    }

    /// Waits until a port has frames or some are due; false when it is over.
    fn wait(&mut self, ready: &mut Vec<usize>) -> bool {
        let next = lock(&self.state).exchange.next();
        let wait = next.map(|at| at.saturating_sub(now(self.began)));
        let wait = wait.map(|wait| TimeSpec::nanoseconds(i64::try_from(wait).unwrap_or(i64::MAX)));
        let fds = self.ports.iter().map(|port| port.as_fd()).chain([self.rung.as_fd()]);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, wait, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or_default();
        let rung = fds.pop().is_some_and(|fd| is_ready(&fd));
        ready.extend(fds.iter().enumerate().filter(|(_, fd)| is_ready(fd)).map(|(port, _)| port));
        !rung || self.rung.read(&mut [0; 64]).is_ok_and(|length| length > 0)
    }

    /// Takes what a port has, up to a batch.
    fn drain(&self, port: usize, buffer: &mut [u8]) {
        let mut state = lock(&self.state);
        for _ in 0..BATCH {
            // An error is one of the interface, which is told once, or that nothing is left.
            let Ok(length) = recv(self.ports[port].as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)
            else {
                return;
            };
            self.forward(&mut state, port, &buffer[..length]);
        }
    }

    fn forward(&self, state: &mut State, port: usize, frame: &[u8]) {
        let now = now(self.began);
        let taken = state.exchange.accept(now, port, frame);
        if let Some(capture) = &mut state.capture {
            capture.note(now, port, &taken, frame);
        }
        match taken {
            Taken::Now(to) => self.send(state, to, frame),
            Taken::Later { .. } => {}
            Taken::Stray => state.strays += 1,
        }
    }

    fn deliver(&self) {
        let mut state = lock(&self.state);
        while let Some((to, frame)) = state.exchange.due(now(self.began)) {
            self.send(&mut state, to, &frame);
        }
    }

    fn send(&self, state: &mut State, to: usize, frame: &[u8]) {
        let sent = send(self.ports[to].as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT);
        state.choked += u64::from(sent.is_err());
    }
}
