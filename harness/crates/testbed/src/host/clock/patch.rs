//! Puts the stub into a process's vDSO and changes the offset that it adds.
//!
//! Code is only changed while every thread of the process stands still outside of it; a skew is
//! only written into the slot that does not count, before that one is made to count.

use super::super::process::Replica;
use super::reading::Skew;
use super::stub;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

/// `jmp` with a distance of four bytes.
const JUMP_BYTES: usize = 5;
/// The entry of the auxiliary vector that says where the vDSO is.
const AT_SYSINFO_EHDR: u64 = 33;
/// How long threads may take to stand still outside of the code that changes.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_micros(200);

/// The vDSO of a process.
pub(super) struct Vdso {
    /// The process's memory.
    pub(super) memory: File,
    /// Where it begins.
    base: u64,
    bytes: Vec<u8>,
}

/// Sets the clock of every process of the replica.
pub(super) fn set_skew(replica: &mut Replica, skew: &Skew) -> Result<()> {
    let mut set = 0;
    for pid in replica.list_processes()? {
        match set_process_skew(replica, pid, skew) {
            Ok(()) => set += 1,
            // One that is gone by now needs no clock; the replica itself must have one.
            Err(_) if pid != replica.pid() && !is_alive(pid) => {}
            Err(error) => return Err(error),
        }
    }
    ensure!(set > 0, "the replica has ended");
    Ok(())
}

fn is_alive(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/auxv")).is_ok_and(|bytes| !bytes.is_empty())
}

fn set_process_skew(replica: &mut Replica, pid: i32, skew: &Skew) -> Result<()> {
    let vdso = Vdso::open(pid)?;
    let stub = match vdso.stub_address() {
        Some(stub) => stub,
        None if *skew == Skew::default() => return Ok(()),
        None => while_stopped(replica, || vdso.install_stub(pid))?,
    };
    vdso.write_skew(stub, skew)
}

/// Does something while the whole replica stands still.
fn while_stopped<T>(replica: &mut Replica, work: impl Fn() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + STOP_TIMEOUT;
    loop {
        replica.pause()?;
        let worked = wait_until_stopped(replica, deadline).and_then(|()| work());
        let resumed = replica.resume();
        if let Some(done) = worked? {
            return resumed.map(|()| done);
        }
        resumed?;
        ensure!(Instant::now() < deadline, "a thread does not leave the code that tells the time");
        std::thread::sleep(POLL);
    }
}

fn wait_until_stopped(replica: &mut Replica, deadline: Instant) -> Result<()> {
    while !replica.sample()?.is_stopped() {
        ensure!(Instant::now() < deadline, "the replica does not stop to have its clock changed");
        std::thread::sleep(POLL);
    }
    Ok(())
}

impl Vdso {
    /// Looks at the vDSO of a process.
    pub(super) fn open(pid: i32) -> Result<Self> {
        let auxv = std::fs::read(format!("/proc/{pid}/auxv"))
            .with_context(|| format!("cannot inspect pid {pid}"))?;
        let base = auxv
            .chunks_exact(16)
            .find(|entry| read_u64(entry, 0) == Some(AT_SYSINFO_EHDR))
            .and_then(|entry| read_u64(entry, 8));
        let base = base.with_context(|| format!("pid {pid} has no vDSO (vdso=0, or it ended)"))?;
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"));
        let maps = maps.with_context(|| format!("cannot inspect the memory of pid {pid}"))?;
        let length = mapping_length(&maps, base).context("the vDSO is not where it should be")?;
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"));
        let memory = memory.with_context(|| {
            format!("cannot open the memory of pid {pid}; is kernel.yama.ptrace_scope above 1?")
        })?;
        let mut bytes = vec![0; length];
        memory.read_exact_at(&mut bytes, base).context("cannot read the vDSO")?;
        Ok(Self { memory, base, bytes })
    }

    /// Where the stub is, once it is there.
    pub(super) fn stub_address(&self) -> Option<u64> {
        let places = self.bytes.as_chunks::<64>().0.iter();
        let place = places.clone().position(|chunk| chunk.starts_with(stub::MAGIC))?;
        Some(self.base + 64 * place as u64)
    }

    /// Where a function begins.
    pub(super) fn function_address(&self, name: &str) -> Result<u64> {
        let place = find_symbol(&self.bytes, name).context("the vDSO is not of a known form")?;
        Ok(self.base + place as u64)
    }

    /// Puts the stub in and bends the functions to it; `None` if a thread stands where code
    /// changes.
    fn install_stub(&self, pid: i32) -> Result<Option<u64>> {
        let used = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let place = used.next_multiple_of(64);
        let code = stub::bytes();
        ensure!(place + code.len() <= self.bytes.len(), "this kernel's vDSO has no room left");
        let mut bends = Vec::new();
        for (name, target) in stub::function_offsets() {
            let from = find_symbol(&self.bytes, name)
                .with_context(|| format!("the vDSO has no {name}"))?;
            bends.push((from, encode_jump(from, place + target)?));
        }
        if is_thread_inside(
            pid,
            &bends.iter().map(|(from, _)| self.base + *from as u64).collect::<Vec<_>>(),
        )? {
            return Ok(None);
        }
        self.write_at(self.base + place as u64, code)?;
        for (from, jump) in bends {
            self.write_at(self.base + from as u64, &jump)?;
        }
        Ok(Some(self.base + place as u64))
    }

    fn write_skew(&self, stub: u64, skew: &Skew) -> Result<()> {
        let mut active = [0];
        let flag = stub + stub::active_offset() as u64;
        self.memory.read_exact_at(&mut active, flag).context("cannot read the clock")?;
        let next = 1 - active[0].min(1);
        let words = [skew.offset_ns, skew.rate, skew.period_ns, skew.base_ns];
        let slot: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let place = stub + (stub::slot_range().start + usize::from(next) * stub::SLOT_BYTES) as u64;
        self.write_at(place, &slot)?;
        self.write_at(flag, &[next])
    }

    fn write_at(&self, place: u64, bytes: &[u8]) -> Result<()> {
        let written = self.memory.write_all_at(bytes, place);
        written.context(
            "cannot write the vDSO; a kernel with proc_mem.force_override=never forbids it",
        )
    }
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn read_uint(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let mut word = [0; 8];
    word[..width].copy_from_slice(bytes.get(at..at + width)?);
    usize::try_from(u64::from_le_bytes(word)).ok()
}

/// How long the mapping that begins at `base` is.
fn mapping_length(maps: &str, base: u64) -> Option<usize> {
    maps.lines().find_map(|line| {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        (from == base).then(|| usize::try_from(to - from).ok()).flatten()
    })
}

/// Where the image's symbol table says that a function begins, if a jump fits there.
fn find_symbol(vdso: &[u8], wanted: &str) -> Option<usize> {
    const DYNSYM: usize = 11;
    const SYMBOL_BYTES: usize = 24;
    if vdso.get(..4)? != b"\x7fELF" {
        return None;
    }
    let (table, entry, count) =
        (read_uint(vdso, 0x28, 8)?, read_uint(vdso, 0x3A, 2)?, read_uint(vdso, 0x3C, 2)?);
    let section = |index: usize| vdso.get(table + index * entry..table + (index + 1) * entry);
    let symbols = (0..count).filter_map(section).find(|it| read_uint(it, 4, 4) == Some(DYNSYM))?;
    let (first, bytes) = (read_uint(symbols, 0x18, 8)?, read_uint(symbols, 0x20, 8)?);
    let names = read_uint(section(read_uint(symbols, 0x28, 4)?)?, 0x18, 8)?;
    vdso.get(first..first + bytes)?.chunks_exact(SYMBOL_BYTES).find_map(|symbol| {
        let name = vdso.get(names + read_uint(symbol, 0, 4)?..)?;
        let name = name.split(|byte| *byte == 0).next()?;
        let (value, size) = (read_uint(symbol, 8, 8)?, read_uint(symbol, 16, 8)?);
        (name == wanted.as_bytes() && size >= JUMP_BYTES && value < vdso.len()).then_some(value)
    })
}

fn encode_jump(from: usize, to: usize) -> Result<[u8; JUMP_BYTES]> {
    let distance = to as i64 - (from + JUMP_BYTES) as i64;
    let distance = i32::try_from(distance).context("the vDSO is too long")?.to_le_bytes();
    Ok([0xE9, distance[0], distance[1], distance[2], distance[3]])
}

/// Whether a thread of a stopped process may have begun, and not finished, instructions that a jump
/// will replace.
fn is_thread_inside(pid: i32, entries: &[u64]) -> Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let path = thread.path().join("syscall");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // A thread that has ended executes nothing.
            Err(_) if !thread.path().exists() => continue,
            Err(error) => {
                return Err(anyhow!(error).context(format!("cannot read {}", path.display())));
            }
        };
        // It is told to be stopped a moment before it leaves its processor.
        if text.trim() == "running" {
            return Ok(true);
        }
        let Some(at) = text.split_whitespace().next_back().and_then(|word| word.strip_prefix("0x"))
        else {
            bail!("{} says {:?} of a thread that was stopped", path.display(), text.trim());
        };
        let at = u64::from_str_radix(at, 16).context("an address is no number")?;
        if entries.iter().any(|entry| (entry + 1..entry + JUMP_BYTES as u64).contains(&at)) {
            return Ok(true);
        }
    }
    Ok(false)
}
