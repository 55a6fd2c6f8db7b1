//! `ptrace(2)`, as far as the tests need it to hold another process.

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::child::fork;

pub fn ptrace(request: libc::c_uint, pid: Pid, address: usize, data: usize) -> Result<(), Errno> {
    let address = std::ptr::without_provenance_mut::<libc::c_void>(address);
    // SAFETY: none of the requests made here has the kernel write to this process's memory.
    Errno::result(unsafe { libc::ptrace(request, pid.as_raw(), address, data) }).map(drop)
}

/// Lets the parent trace this process.
pub fn trace_me() -> Result<(), Errno> {
    ptrace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0, 0)
}

pub fn tracing_allowed() -> Result<(), Errno> {
    let child = fork("traced child", || {
        if let Err(errno) = trace_me() {
            std::process::exit(errno as i32);
        }
    });
    match child.end() {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, code) => Err(Errno::from_raw(code)),
        other => panic!("{other:?}"),
    }
}

/// The operation of a traced process begins and ends here: the process stops.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub fn mark() {
    // SAFETY: a trap changes nothing.
    unsafe { std::arch::asm!("int3") }
}

#[cfg(target_arch = "x86_64")]
pub fn registers(pid: Pid) -> libc::user_regs_struct {
    let mut registers = std::mem::MaybeUninit::<libc::user_regs_struct>::zeroed();
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the kernel writes one such struct to this place.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid.as_raw(), nothing, registers.as_mut_ptr()) };
    Errno::result(result).unwrap();
    // SAFETY: the struct holds plain numbers, which are zeroed at least.
    unsafe { registers.assume_init() }
}

/// Sets the register that stands `offset` bytes into `user_regs_struct`.
#[cfg(target_arch = "x86_64")]
pub fn set_register(pid: Pid, offset: usize, value: u64) {
    ptrace(libc::PTRACE_POKEUSER, pid, offset, value as usize).unwrap();
}

/// Eight bytes of the memory of a traced process, from an address on.
pub fn peek(pid: Pid, address: u64) -> Result<u64, Errno> {
    let address = std::ptr::without_provenance_mut::<libc::c_void>(address as usize);
    Errno::clear();
    // SAFETY: the call reads the memory of the traced process, and none of this one.
    let word = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, pid.as_raw(), address, 0) };
    if word == -1 && Errno::last_raw() != 0 { Err(Errno::last()) } else { Ok(word as u64) }
}
