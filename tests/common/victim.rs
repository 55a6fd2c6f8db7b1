//! A process that `ptrace(2)` holds at a point of its operation, to kill or stop it there.

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::child::{Child, fork};
use super::ptrace::{peek, ptrace, registers, set_register, trace_me};

const TRAP: u8 = 0xCC;
const NOP: u8 = 0x90;

/// A forked process that is held after some instructions of its operation.
pub struct Victim {
    child: Child,
    /// Where it traps when its operation is over.
    end: u64,
}

impl Victim {
    /// A process that is held where its operation begins.
    pub fn new(name: &str, work: impl FnOnce()) -> Self {
        let child = fork(name, || {
            trace_me().unwrap();
            work();
        });
        let mut victim = Self { child, end: 0 };
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT;
        if !matches!(
            waitid(Id::Pid(victim.pid()), peek).unwrap(),
            WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..)
        ) {
            victim.child.succeed();
        }
        victim.wait();
        ptrace(libc::PTRACE_SETOPTIONS, victim.pid(), 0, libc::PTRACE_O_EXITKILL as usize).unwrap();
        victim.end = victim.registers().rip - 1;
        victim
    }

    pub fn pid(&self) -> Pid {
        self.child.pid
    }

    fn wait(&mut self) {
        match waitpid(self.pid(), None).unwrap() {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            WaitStatus::Stopped(..) => panic!("stopped by another signal"),
            ended => panic!("the victim ended early: {ended:?}"),
        }
    }

    fn registers(&self) -> libc::user_regs_struct {
        registers(self.pid())
    }

    fn set_place(&self, rip: u64) {
        set_register(self.pid(), std::mem::offset_of!(libc::user_regs_struct, rip), rip);
    }

    /// Eight bytes of its memory, from an aligned address on.
    fn peek(&self, address: u64) -> u64 {
        peek(self.pid(), address).unwrap()
    }

    /// Changes a byte of its text. Returns the byte that was there.
    fn poke(&self, address: u64, byte: u8) -> u8 {
        let word = address & !7;
        let mut bytes = self.peek(word).to_ne_bytes();
        let before = std::mem::replace(&mut bytes[(address - word) as usize], byte);
        ptrace(libc::PTRACE_POKETEXT, self.pid(), word as usize, u64::from_ne_bytes(bytes) as usize).unwrap();
        before
    }

    pub fn step(&mut self) {
        ptrace(libc::PTRACE_SINGLESTEP, self.pid(), 0, 0).unwrap();
        self.wait();
    }

    /// Its instruction and stack pointers.
    pub fn place(&self) -> (u64, u64) {
        let registers = self.registers();
        (registers.rip, registers.rsp)
    }

    /// Whether it is at the end of its operation.
    pub fn is_over(&self) -> bool {
        self.registers().rip == self.end
    }

    /// Whether its next instruction is the system call in which it sleeps on a word of a region.
    pub fn falls_asleep(&self) -> bool {
        let registers = self.registers();
        let byte = |address: u64| self.peek(address & !7) >> (address % 8 * 8) & 0xFF;
        (registers.rax, registers.rsi) == (libc::SYS_futex as u64, libc::FUTEX_WAIT as u64)
            && (byte(registers.rip), byte(registers.rip + 1)) == (0x0F, 0x05)
    }

    /// Runs until it comes to `address` for the n-th time from here. False if the operation is over before.
    pub fn run_to(&mut self, address: u64, times: usize) -> bool {
        for _ in 0..times {
            if self.registers().rip == address {
                // This moves it off the breakpoint. A repeated instruction comes back to itself.
                self.step();
                if self.registers().rip == address {
                    continue;
                }
            }
            let byte = self.poke(address, TRAP);
            ptrace(libc::PTRACE_CONT, self.pid(), 0, 0).unwrap();
            self.wait();
            self.poke(address, byte);
            let place = self.registers().rip - 1;
            self.set_place(place);
            if place != address {
                assert_eq!(place, self.end, "an unknown trap");
                return false;
            }
        }
        true
    }

    pub fn kill(self) {
        self.child.kill();
    }

    /// Detaches from it, with a signal or without.
    pub fn release(self, signal: Option<Signal>) -> Child {
        self.poke(self.end, NOP);
        ptrace(libc::PTRACE_DETACH, self.pid(), 0, signal.map_or(0, |signal| signal as usize)).unwrap();
        self.child
    }
}

/// Runs `work` in a process that then ends without leaving its seat.
pub fn die(work: impl FnOnce()) {
    let child = fork("predecessor", work);
    child.wait_for_end();
    child.end();
}

/// A process that a `SIGSTOP` stopped, and that nobody traces.
pub struct Stopped(Child);

impl Stopped {
    pub fn new(child: Child) -> Self {
        let status = waitpid(child.pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(child.pid, Signal::SIGSTOP));
        Self(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.pid.as_raw() as u32
    }

    /// Lets it go on, and demands that it ends well.
    pub fn go_on(self) {
        kill(self.0.pid, Signal::SIGCONT).unwrap();
        self.0.wait_for_end();
        self.0.succeed();
    }
}
