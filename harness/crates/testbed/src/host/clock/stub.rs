//! Holds the machine code that answers for the vDSO, and knows where its parts are.
//!
//! It runs inside the replica, wherever it is put. It reads the [`Skew`](super::Skew) from one of
//! two slots; which one is a single byte, so no reader ever sees half of a change.

#![expect(unsafe_code, reason = "machine code for another process is written in assembly")]

use std::ops::Range;

std::arch::global_asm!(
    ".pushsection .rodata",
    // Rust's half may be compiled into another object file than this one.
    ".globl harness_stub",
    ".hidden harness_stub",
    ".globl harness_stub_active",
    ".hidden harness_stub_active",
    ".globl harness_stub_slots",
    ".hidden harness_stub_slots",
    ".globl harness_stub_clock_gettime",
    ".hidden harness_stub_clock_gettime",
    ".globl harness_stub_gettimeofday",
    ".hidden harness_stub_gettimeofday",
    ".globl harness_stub_time",
    ".hidden harness_stub_time",
    ".globl harness_stub_trap",
    ".hidden harness_stub_trap",
    ".globl harness_stub_end",
    ".hidden harness_stub_end",
    ".balign 64",
    "harness_stub:",
    ".ascii \"harness1\"", // by which a patched image is known
    "harness_stub_active: .quad 0",
    "harness_stub_slots: .zero 64", // twice: offset, rate, period, base
    "harness_stub_clock_gettime:",  // (clock: edi, timespec: rsi)
    "mov r8, rsi",
    "mov eax, 228",
    "syscall",
    "test rax, rax",
    "jnz 2f",
    "test edi, edi", // CLOCK_REALTIME
    "jz 1f",
    "cmp edi, 5", // CLOCK_REALTIME_COARSE
    "jne 2f",
    "1: imul rdi, qword ptr [r8], 1000000000",
    "add rdi, qword ptr [r8 + 8]",
    "call harness_stub_skew",
    "mov ecx, 1000000000",
    "xor edx, edx",
    "div rcx",
    "mov qword ptr [r8], rax",
    "mov qword ptr [r8 + 8], rdx",
    "xor eax, eax",
    "2: ret",
    "harness_stub_gettimeofday:", // (timeval: rdi, timezone: rsi)
    "mov r8, rdi",
    "mov eax, 96",
    "syscall",
    "test rax, rax",
    "jnz 2f",
    "test r8, r8",
    "jz 2f",
    "imul rdi, qword ptr [r8], 1000000",
    "add rdi, qword ptr [r8 + 8]",
    "imul rdi, rdi, 1000",
    "call harness_stub_skew",
    "mov ecx, 1000",
    "xor edx, edx",
    "div rcx",
    "mov ecx, 1000000",
    "xor edx, edx",
    "div rcx",
    "mov qword ptr [r8], rax",
    "mov qword ptr [r8 + 8], rdx",
    "xor eax, eax",
    "2: ret",
    "harness_stub_time:", // (time_t or null: rdi)
    "mov r8, rdi",
    "sub rsp, 24",
    "xor edi, edi",
    "mov rsi, rsp",
    "mov eax, 228",
    "syscall",
    "imul rdi, qword ptr [rsp], 1000000000",
    "add rdi, qword ptr [rsp + 8]",
    "add rsp, 24",
    "call harness_stub_skew",
    "mov ecx, 1000000000",
    "xor edx, edx",
    "div rcx",
    "test r8, r8",
    "jz 2f",
    "mov qword ptr [r8], rax",
    "2: ret",
    "harness_stub_trap: int3",
    "harness_stub_skew:", // (nanoseconds: rdi) -> rax; keeps r8
    "movzx eax, byte ptr [rip + harness_stub_active]",
    "shl eax, 5",
    "lea r9, [rip + harness_stub_slots]",
    "add r9, rax",
    "mov rax, rdi",
    "sub rax, qword ptr [r9 + 24]",
    "mov r10, rax",
    "imul qword ptr [r9 + 8]",
    "shrd rax, rdx, 32",
    "mov r11, rax",
    "mov rcx, qword ptr [r9 + 16]",
    "test rcx, rcx",
    "jz 1f",
    "mov rax, r10",
    "cqo",
    "idiv rcx",
    "test al, 1",
    "jz 1f",
    "mov rax, rdi",
    "ret",
    "1: lea rax, [rdi + r11]",
    "add rax, qword ptr [r9]",
    "ret",
    "harness_stub_end:",
    ".popsection",
);

unsafe extern "C" {
    safe static harness_stub: u8;
    safe static harness_stub_active: u8;
    safe static harness_stub_slots: u8;
    safe static harness_stub_clock_gettime: u8;
    safe static harness_stub_gettimeofday: u8;
    safe static harness_stub_time: u8;
    safe static harness_stub_trap: u8;
    safe static harness_stub_end: u8;
}

/// What the stub begins with.
pub(super) const MAGIC: &[u8; 8] = b"harness1";
/// One slot: offset, rate, period and base.
pub(super) const SLOT_BYTES: usize = 32;

/// The functions it answers for, and where in the stub.
pub(super) fn function_offsets() -> [(&'static str, usize); 3] {
    [
        ("clock_gettime", label_offset(&raw const harness_stub_clock_gettime)),
        ("gettimeofday", label_offset(&raw const harness_stub_gettimeofday)),
        ("time", label_offset(&raw const harness_stub_time)),
    ]
}

/// Where the byte is that says which slot counts.
pub(super) fn active_offset() -> usize {
    label_offset(&raw const harness_stub_active)
}

/// Where the slots are.
pub(super) fn slot_range() -> Range<usize> {
    let first = label_offset(&raw const harness_stub_slots);
    first..first + 2 * SLOT_BYTES
}

/// The address of an instruction that stops any thread that reaches it.
pub(super) fn trap_offset() -> usize {
    label_offset(&raw const harness_stub_trap)
}

/// All of it.
pub(super) fn bytes() -> &'static [u8] {
    let length = label_offset(&raw const harness_stub_end);
    // SAFETY: the assembler laid these bytes out in one piece of read-only data, from the first
    // label to the last.
    unsafe { std::slice::from_raw_parts(&raw const harness_stub, length) }
}

fn label_offset(label: *const u8) -> usize {
    label.addr() - (&raw const harness_stub).addr()
}
