//! Moves frames between the switch's ports and its [`Exchange`], on one thread that ends when its
//! [`Handle`] is dropped.
//!
//! A port is a packet socket on the near end of a veth pair; it receives whatever the host sends
//! and nothing that it sends itself. No device file is opened, and the sandbox's privileges
//! suffice.

use super::capture::Capture;
use super::exchange::{Exchange, FrameOutcome};
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
const MAX_BATCH: usize = 64;
/// More than any frame has: links carry 1500 bytes, and nothing is joined to larger ones.
const MAX_FRAME_BYTES: usize = 1 << 16;
/// What a port may have waiting; the kernel grants as much of it as it allows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A switch that is running.
pub(super) struct Handle {
    state: Arc<Mutex<SwitchState>>,
    began: Instant,
    /// Wakes the thread; its end ends it.
    wake_sender: PipeWriter,
}

/// State shared by the thread and the callers that change links.
pub(super) struct SwitchState {
    pub(super) exchange: Exchange,
    /// Frames that no port took.
    pub(super) send_failures: u64,
    /// Frames for no host.
    pub(super) strays: u64,
    pub(super) capture: Option<Capture>,
}

struct Forwarder {
    ports: Vec<OwnedFd>,
    state: Arc<Mutex<SwitchState>>,
    began: Instant,
    wake_receiver: PipeReader,
}

/// Opens a port on each of these interfaces of the calling thread's network namespace, before they
/// are up.
pub(super) fn open_packet_sockets(names: &[String]) -> Result<Vec<OwnedFd>> {
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
        setsockopt(&port, RcvBuf, &RECEIVE_BUFFER_BYTES).context("a port takes no buffer")?;
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
        let (wake_receiver, wake_sender) =
            std::io::pipe().context("cannot create the pipe that wakes the switch")?;
        let state = SwitchState { exchange, send_failures: 0, strays: 0, capture };
        let state = Arc::new(Mutex::new(state));
        let began = Instant::now();
        let wire = Forwarder { ports, state: Arc::clone(&state), began, wake_receiver };
        let thread = std::thread::Builder::new().name("switch".to_owned());
        thread.spawn(move || wire.run()).context("cannot start the switch's thread")?;
        Ok(Self { state, began, wake_sender })
    }

    /// Looks at the state, or changes it, at a moment.
    pub(super) fn with_state<T>(&self, job: impl FnOnce(&mut SwitchState, u64) -> T) -> T {
        let mut state = lock_state(&self.state);
        job(&mut state, elapsed_nanos(self.began))
    }

    /// Lets the thread look at what is due again.
    pub(super) fn wake_thread(&self) -> Result<()> {
        (&self.wake_sender).write_all(&[0]).context("the switch has stopped")
    }
}

fn lock_state(state: &Mutex<SwitchState>) -> MutexGuard<'_, SwitchState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn elapsed_nanos(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Forwarder {
    fn run(mut self) {
        let mut buffer = vec![0; MAX_FRAME_BYTES];
        let mut ready = Vec::with_capacity(self.ports.len());
        // Ends when the handle, which owns the other end of the wake pipe, is dropped.
        while self.wait_for_frames(&mut ready) {
            for port in ready.drain(..) {
                self.receive_batch(port, &mut buffer);
            }
            self.deliver_due();
        }
    }

    /// Waits until a port has frames or some are due; false when it is over.
    fn wait_for_frames(&mut self, ready: &mut Vec<usize>) -> bool {
        let next = lock_state(&self.state).exchange.next_due();
        let wait = next.map(|at| at.saturating_sub(elapsed_nanos(self.began)));
        let wait = wait.map(|wait| TimeSpec::nanoseconds(i64::try_from(wait).unwrap_or(i64::MAX)));
        let fds = self.ports.iter().map(|port| port.as_fd()).chain([self.wake_receiver.as_fd()]);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, wait, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or_default();
        let rung = fds.pop().is_some_and(|fd| is_ready(&fd));
        ready.extend(fds.iter().enumerate().filter(|(_, fd)| is_ready(fd)).map(|(port, _)| port));
        !rung || self.wake_receiver.read(&mut [0; 64]).is_ok_and(|length| length > 0)
    }

    /// Takes what a port has, up to a batch.
    fn receive_batch(&self, port: usize, buffer: &mut [u8]) {
        let mut state = lock_state(&self.state);
        for _ in 0..MAX_BATCH {
            // An error is the interface's, reported once, or means that no frame is left.
            let Ok(length) = recv(self.ports[port].as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)
            else {
                return;
            };
            self.forward_frame(&mut state, port, &buffer[..length]);
        }
    }

    fn forward_frame(&self, state: &mut SwitchState, port: usize, frame: &[u8]) {
        let now = elapsed_nanos(self.began);
        let taken = state.exchange.accept_frame(now, port, frame);
        if let Some(capture) = &mut state.capture {
            capture.record_frame(now, port, &taken, frame);
        }
        match taken {
            FrameOutcome::Now(to) => self.send_frame(state, to, frame),
            FrameOutcome::Later { .. } => {}
            FrameOutcome::Stray => state.strays += 1,
        }
    }

    fn deliver_due(&self) {
        let mut state = lock_state(&self.state);
        while let Some((to, frame)) = state.exchange.pop_due(elapsed_nanos(self.began)) {
            self.send_frame(&mut state, to, &frame);
        }
    }

    fn send_frame(&self, state: &mut SwitchState, to: usize, frame: &[u8]) {
        let sent = send(self.ports[to].as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT);
        state.send_failures += u64::from(sent.is_err());
    }
}
