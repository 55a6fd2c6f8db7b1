//! Death, and arrest, at every instruction: a victim is held by `ptrace(2)` after k instructions of an
//! operation and killed there, for every k; then those who are left, and a successor, must find everything as
//! it was promised. The same with a `SIGSTOP`: nothing is ever taken from a process that only stands still.
//!
//! One victim is stepped through the whole operation first, so that it is known where each instruction lies.
//! Every later one runs at full speed to a breakpoint at or shortly before its own. Forks of one process share its
//! addresses, so each kind of channel has a process of its own, which forks from one thread.
//!
//! By default it is every n-th instruction; with `RINGWAY_ALL_POINTS=1`, every one.
#![cfg(all(not(loom), target_arch = "x86_64"))]

mod common;

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use common::{Board, Child, Latest, Numbered, Packet, ROLE, exec, fill_record, fork, mix};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use ringway::{
    ChangedError, ClaimError, Reason, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError, Wait, bytes, in_use, remove_unused, seqlock, spsc,
};

/// Longer than all points of one kind take.
const HOURS: Duration = Duration::from_secs(4 * 3600);
/// A blocked call asks the kernel about its peer at the latest when its time is up.
const SOON: Duration = Duration::from_micros(100);
/// Instructions of one case at which a victim is killed, and at which one is stopped, unless all are asked for.
const FEW: usize = 60;
/// Where all points are asked for, a victim is stopped at every n-th of those at which one is killed.
const STOP_EVERY: usize = 4;
/// So many instructions in a debug build are a few hundred in the kernel's and the crate's terms: every third will
/// do.
const LONG: usize = 10_000;

// ---------------------------------------------------------------------------------------------------
// A kind of channel is tested in a process of its own.

fn in_its_own_process(role: &str) {
    exec(role, role, true).succeed_within(HOURS);
}

#[test]
fn slots_outlive_a_death_at_any_instruction() {
    in_its_own_process("spsc");
}

#[test]
fn records_outlive_a_death_at_any_instruction() {
    in_its_own_process("bytes");
}

#[test]
fn values_outlive_a_death_at_any_instruction() {
    in_its_own_process("seqlock");
}

#[test]
fn regions_outlive_a_death_at_any_instruction() {
    in_its_own_process("regions");
}

#[test]
fn child_entry() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if let Err(errno) = tracing_allowed() {
        return say(&format!("SKIPPED {role}: deaths at every instruction, for want of ptrace: {errno}"));
    }
    let run: fn(&mut Tally) = match role.as_str() {
        "spsc" => ring_cases::<spsc::Channel<Packet>>,
        "bytes" => ring_cases::<bytes::Channel>,
        "seqlock" => value_cases,
        "regions" => region_cases,
        other => panic!("no such role: {other}"),
    };
    be_on_one_processor(&role);
    let (descriptors, started) = (open_descriptors(), Instant::now());
    let mut tally = Tally::default();
    run(&mut tally);
    assert_eq!(waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD), "a child was left");
    assert_eq!(open_descriptors(), descriptors, "descriptors were left open");
    let seconds = started.elapsed().as_secs_f64();
    let Tally { points, exact, over } = tally;
    say(&format!("{role}: {points} points in all, {exact} of them exact, {over} after the end, {seconds:.1} s"));
}

/// Tracer and victim take turns, which is ten times as fast on one processor.
fn be_on_one_processor(role: &str) {
    let me = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(me) else { return };
    let mut processors = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let processor = match role {
        "bytes" | "seqlock" => processors.next_back(),
        _ => processors.next(),
    };
    let mut one = CpuSet::new();
    if processor.is_some_and(|cpu| one.set(cpu).is_ok()) {
        let _ = sched_setaffinity(me, &one);
    }
}

/// On the real standard error: libtest keeps what a test that passes prints.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

// ---------------------------------------------------------------------------------------------------
// ptrace

fn ptrace(request: libc::c_uint, pid: Pid, address: usize, data: usize) -> Result<(), Errno> {
    let address = std::ptr::without_provenance_mut::<libc::c_void>(address);
    // SAFETY: none of the requests made here has the kernel write to this process's memory.
    Errno::result(unsafe { libc::ptrace(request, pid.as_raw(), address, data) }).map(drop)
}

fn tracing_allowed() -> Result<(), Errno> {
    let mut child = fork("traced child", || {
        if let Err(errno) = ptrace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0, 0) {
            std::process::exit(errno as i32);
        }
    });
    match child.end() {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, code) => Err(Errno::from_raw(code)),
        other => panic!("{other:?}"),
    }
}

/// Where a victim's operation begins and ends: a traced process stops here.
#[inline(never)]
fn mark() {
    // SAFETY: a trap, which changes nothing.
    unsafe { std::arch::asm!("int3") }
}

const TRAP: u8 = 0xCC;
const NOP: u8 = 0x90;

/// A forked process that is held after some instructions of its operation.
struct Victim {
    child: Child,
    /// Where it traps at the end of the operation.
    end: u64,
}

impl Victim {
    /// One that is held where its operation begins.
    fn new(name: &str, work: impl FnOnce()) -> Self {
        let child = fork(name, || {
            ptrace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0, 0).unwrap();
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

    fn pid(&self) -> Pid {
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
        let mut registers = std::mem::MaybeUninit::<libc::user_regs_struct>::zeroed();
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the kernel writes one such struct there.
        let result =
            unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.pid().as_raw(), nothing, registers.as_mut_ptr()) };
        Errno::result(result).unwrap();
        // SAFETY: plain numbers, and zeroed at least.
        unsafe { registers.assume_init() }
    }

    fn set_place(&self, rip: u64) {
        ptrace(libc::PTRACE_POKEUSER, self.pid(), std::mem::offset_of!(libc::user_regs_struct, rip), rip as usize)
            .unwrap();
    }

    /// Eight bytes of its memory, from an aligned address on.
    fn peek(&self, address: u64) -> u64 {
        let address = std::ptr::without_provenance_mut::<libc::c_void>(address as usize);
        Errno::clear();
        // SAFETY: reads the victim's memory.
        let word = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, self.pid().as_raw(), address, 0) };
        assert!(word != -1 || Errno::last_raw() == 0, "PTRACE_PEEKTEXT: {}", Errno::last());
        word as u64
    }

    /// Changes a byte of its text, and returns what was there.
    fn poke(&self, address: u64, byte: u8) -> u8 {
        let word = address & !7;
        let mut bytes = self.peek(word).to_ne_bytes();
        let before = std::mem::replace(&mut bytes[(address - word) as usize], byte);
        ptrace(libc::PTRACE_POKETEXT, self.pid(), word as usize, u64::from_ne_bytes(bytes) as usize).unwrap();
        before
    }

    fn step(&mut self) {
        ptrace(libc::PTRACE_SINGLESTEP, self.pid(), 0, 0).unwrap();
        self.wait();
    }

    /// Whether the next instruction is the system call in which it sleeps on a word of a region.
    fn falls_asleep(&self, registers: &libc::user_regs_struct) -> bool {
        let bytes = |address: u64| self.peek(address & !7) >> (address % 8 * 8) & 0xFF;
        (registers.rax, registers.rsi) == (libc::SYS_futex as u64, libc::FUTEX_WAIT as u64)
            && (bytes(registers.rip), bytes(registers.rip + 1)) == (0x0F, 0x05)
    }

    /// Runs until it comes to `address` for the n-th time from here; false if the operation is over before.
    fn run_to(&mut self, address: u64, times: usize) -> bool {
        for _ in 0..times {
            if self.registers().rip == address {
                // Off the breakpoint; a repeated instruction comes back to itself.
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

    fn kill(mut self) {
        self.child.kill();
    }

    /// Leaves it alone, but for the signal.
    fn release(self, signal: Option<Signal>) -> Child {
        self.poke(self.end, NOP);
        ptrace(libc::PTRACE_DETACH, self.pid(), 0, signal.map_or(0, |signal| signal as usize)).unwrap();
        self.child
    }
}

/// Sooner than by looking again and again.
fn wait_for_end(child: &Child) {
    waitid(Id::Pid(child.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
}

/// Does something in a process that then ends without leaving its seat.
fn die(work: impl FnOnce()) {
    let mut child = fork("predecessor", work);
    wait_for_end(&child);
    child.end();
}

/// A process that was stopped by a `SIGSTOP`, and is not traced.
struct Stopped(Child);

impl Stopped {
    fn new(child: Child) -> Self {
        let status = waitpid(child.pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(child.pid, Signal::SIGSTOP));
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.pid.as_raw() as u32
    }

    /// Lets it go on, and demands that it ends well.
    fn go_on(mut self) {
        kill(self.0.pid, Signal::SIGCONT).unwrap();
        wait_for_end(&self.0);
        self.0.succeed();
    }
}

// ---------------------------------------------------------------------------------------------------
// Every instruction of an operation

/// The instructions of one operation, as one victim made them.
struct Trace {
    /// Instruction and stack pointer before each.
    places: Vec<(u64, u64)>,
    /// How to come to each.
    ways: Vec<Way>,
    /// It ended in a sleep, which is one more point.
    sleeps: bool,
}

/// The last leg to an instruction, from an earlier one: to the n-th pass of a breakpoint there, or by a step if n
/// is 0.
#[derive(Clone, Copy)]
struct Way {
    from: usize,
    passes: usize,
}

impl Trace {
    fn of(mut victim: Victim) -> Self {
        let mut places = vec![];
        let sleeps = loop {
            let registers = victim.registers();
            if registers.rip == victim.end {
                break false;
            }
            places.push((registers.rip, registers.rsp));
            assert!(places.len() < 1_000_000, "it is never over");
            if victim.falls_asleep(&registers) {
                break true;
            }
            victim.step();
        };
        victim.kill();
        Self { ways: Self::ways(&places), places, sleeps }
    }

    /// The cheapest ways: by breakpoints from the start or from a place that is cheap to come to, then by steps.
    fn ways(places: &[(u64, u64)]) -> Vec<Way> {
        const PASS: usize = 3;
        const CHEAP: usize = 2 * PASS;
        let mut seen = HashMap::<u64, Vec<usize>>::new();
        let mut ways = vec![(0, Way { from: 0, passes: 0 })];
        let mut cheap = VecDeque::from([0]);
        for (k, (place, _)) in places.iter().enumerate().skip(1) {
            let here = seen.entry(*place).or_default();
            here.push(k);
            let passes = |from: usize| here.len() - here.partition_point(|at| *at <= from);
            let by_breakpoint = |from: usize| (ways[from].0 + PASS * passes(from), Way { from, passes: passes(from) });
            let by_step = (ways[k - 1].0 + 1, Way { from: k - 1, passes: 0 });
            let way = cheap.iter().map(|from| by_breakpoint(*from)).chain([by_step]).min_by_key(|(cost, _)| *cost);
            let way = way.unwrap();
            if way.0 <= CHEAP {
                cheap.push_back(k);
            }
            if cheap.len() > 16 {
                cheap.pop_front();
            }
            ways.push(way);
        }
        ways.into_iter().map(|(_, way)| way).collect()
    }

    fn points(&self) -> usize {
        self.places.len() + usize::from(self.sleeps)
    }

    /// Lets the victim come to the k-th instruction.
    fn lead(&self, victim: &mut Victim, k: usize) -> Arrival {
        let mut legs: Vec<usize> =
            std::iter::successors(Some(k), |k| Some(self.ways[*k].from)).take_while(|k| *k > 0).collect();
        while let Some(k) = legs.pop() {
            let ((place, _), passes) = (self.places[k], self.ways[k].passes);
            if victim.registers().rip == victim.end || !victim.run_to(place, passes) {
                return Arrival::Over;
            }
            if passes == 0 {
                victim.step();
            }
        }
        let registers = victim.registers();
        if (registers.rip, registers.rsp) == self.places[k] { Arrival::Exact } else { Arrival::Elsewhere }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrival {
    Exact,
    /// This victim's run was not quite that of the first.
    Elsewhere,
    Over,
}

#[derive(Default)]
struct Tally {
    points: usize,
    exact: usize,
    over: usize,
}

impl Tally {
    fn count(&mut self, arrival: Arrival) {
        self.points += 1;
        self.exact += usize::from(arrival == Arrival::Exact);
        self.over += usize::from(arrival == Arrival::Over);
    }
}

/// An operation in which a victim is killed or stopped, and what must be true then. `S` is what it happens in.
struct Case<'a, S> {
    name: [&'a str; 3],
    set_up: &'a dyn Fn() -> S,
    /// Prepares, calls [`mark`], operates, calls it again, and leaves.
    victim: &'a dyn Fn(&S),
    /// Judges what a victim that was killed left behind, and says how far it had come. How the survivors go
    /// about it may depend on the number of the point.
    killed: &'a dyn Fn(S, usize) -> u64,
    /// What [`Case::killed`] says at last.
    done: u64,
    /// Sees that nothing is taken from a stopped victim, and lets it go on.
    stopped: Option<&'a dyn Fn(S, Stopped)>,
}

impl<S> Case<'_, S> {
    fn launch(&self) -> (S, Victim) {
        let scene = (self.set_up)();
        let victim = Victim::new(&self.name.join(", "), || (self.victim)(&scene));
        (scene, victim)
    }

    fn run(&self, total: &mut Tally) {
        let started = Instant::now();
        let trace = Trace::of(self.launch().1);
        let mut tally = Tally::default();
        let all = std::env::var_os("RINGWAY_ALL_POINTS").is_some();
        let stride = match trace.points() {
            points if !all => points.div_ceil(FEW),
            LONG.. if cfg!(debug_assertions) => 3,
            _ => 1,
        };
        let points = every(stride, trace.points(), self.name);
        let mut before = 0;
        for (number, k) in points.iter().copied().enumerate() {
            let (scene, mut victim) = self.launch();
            let arrival = if k == trace.places.len() {
                trace.lead(&mut victim, k - 1);
                let mut child = victim.release(None);
                child.wait_until_asleep();
                child.kill();
                Arrival::Exact
            } else {
                let arrival = trace.lead(&mut victim, k);
                victim.kill();
                arrival
            };
            tally.count(arrival);
            let progress = self.judged(k, &points, || (self.killed)(scene, number));
            assert!(number > 0 || progress == 0, "{:?}: done before it began", self.name);
            assert!(arrival != Arrival::Exact || progress >= before, "{:?}, point {k}: undone", self.name);
            if arrival == Arrival::Exact {
                before = progress;
            }
        }
        assert_eq!(before, self.done, "{:?} never came to its end", self.name);
        if let Some(stopped) = self.stopped {
            let points = if all { every(STOP_EVERY * stride, trace.points(), self.name) } else { points };
            for k in points.iter().copied() {
                let (scene, mut victim) = self.launch();
                tally.count(trace.lead(&mut victim, k.min(trace.places.len() - 1)));
                let child = if k == trace.places.len() {
                    let child = victim.release(None);
                    child.wait_until_asleep();
                    kill(child.pid, Signal::SIGSTOP).unwrap();
                    child
                } else {
                    victim.release(Some(Signal::SIGSTOP))
                };
                self.judged(k, &points, || stopped(scene, Stopped::new(child)));
            }
        }
        let ([kind, operation, state], instructions) = (self.name, trace.places.len());
        let Tally { points, exact, over } = tally;
        assert!(exact * 5 >= points * 4, "{:?}: only {exact} of {points} points were reached", self.name);
        let seconds = started.elapsed().as_secs_f64();
        say(&format!(
            "{kind:8}{operation:18}{state:8}{instructions:7} instructions, every {stride:3}: {points:6} points, \
             {exact:6} exact, {over} over, {seconds:6.2} s"
        ));
        total.points += points;
        total.exact += exact;
        total.over += over;
    }

    /// Says at which point a judgement failed.
    fn judged<R>(&self, k: usize, points: &[usize], judge: impl FnOnce() -> R) -> R {
        struct Say<'a>([&'a str; 3], usize, usize);
        impl Drop for Say<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    say(&format!("FAILED {:?} at instruction {} (last: {})", self.0, self.1, self.2));
                }
            }
        }
        let _say = Say(self.name, k, points[points.len() - 1]);
        judge()
    }
}

/// The first and the last of so many points, and every n-th in between; from where on differs from case to case.
fn every(stride: usize, points: usize, name: [&str; 3]) -> Vec<usize> {
    let seed = name.iter().flat_map(|part| part.bytes()).fold(0, |seed, byte| mix(seed ^ u64::from(byte)));
    let between = (1 + seed as usize % stride..points.saturating_sub(1)).step_by(stride);
    std::iter::once(0).chain(between).chain([points - 1]).collect()
}

// ---------------------------------------------------------------------------------------------------
// Rings

/// Messages that fill a ring.
const FULL: u64 = 4;
/// What a successor sends first.
const SUCCESSOR: u64 = 1000;

/// What the tests need of both rings. Messages are numbered, and checked to be whole when they are received.
trait Ring: Sized {
    const NAME: &'static str;
    type Message;
    type Sender: SendingEnd<Self::Message>;
    type Receiver: ReceivingEnd<Self::Message>;

    fn new() -> Self;
    fn make(seq: u64) -> Self::Message;
    /// Fails unless it is whole.
    fn seq(message: &Self::Message) -> u64;
    /// Moves an empty ring to where the next message, or the next but one, crosses its end.
    fn pad(tx: &mut Self::Sender, rx: &mut Self::Receiver);
    fn sender(&self) -> Result<Self::Sender, ClaimError>;
    fn receiver(&self) -> Result<Self::Receiver, ClaimError>;
}

trait SendingEnd<M> {
    fn generation(&self) -> u64;
    fn has_receiver(&self) -> bool;
    fn sleep_when_blocked(&mut self);
    fn send(&mut self, message: &M) -> Result<(), SendError>;
    fn try_send(&mut self, message: &M) -> Result<(), TrySendError>;
    fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError>;
    fn try_send_slice(&mut self, messages: &[M]) -> Result<usize, TrySendError>;
    fn try_send_in_place(&mut self, message: &M) -> Result<(), TrySendError>;
}

trait ReceivingEnd<M> {
    fn generation(&self) -> u64;
    fn has_sender(&self) -> bool;
    fn is_redelivery(&self) -> bool;
    fn sleep_when_blocked(&mut self);
    fn recv(&mut self) -> Result<M, RecvError>;
    fn try_recv(&mut self) -> Result<M, TryRecvError>;
    fn recv_timeout(&mut self, timeout: Duration) -> Result<M, RecvTimeoutError>;
    fn try_recv_three(&mut self) -> Result<Vec<M>, TryRecvError>;
    /// Calls `held` while it has the message in its hands.
    fn try_recv_in_place(&mut self, held: impl FnMut(bool)) -> Result<M, TryRecvError>;
}

/// What is the same in both rings but for the types.
macro_rules! forward {
    ($($name:ident(self: $self:ty $(, $argument:ident: $of:ty)*) -> $result:ty;)*) => {
        $(fn $name(self: $self $(, $argument: $of)*) -> $result { self.$name($($argument),*) })*
    };
}

macro_rules! forward_sender {
    ($message:ty) => {
        forward! {
            generation(self: &Self) -> u64;
            has_receiver(self: &Self) -> bool;
            send(self: &mut Self, message: &$message) -> Result<(), SendError>;
            try_send(self: &mut Self, message: &$message) -> Result<(), TrySendError>;
            send_timeout(self: &mut Self, message: &$message, timeout: Duration) -> Result<(), SendTimeoutError>;
        }
        fn sleep_when_blocked(&mut self) {
            self.set_wait(Wait::Sleep);
        }
    };
}

macro_rules! forward_receiver {
    ($message:ty) => {
        forward! {
            generation(self: &Self) -> u64;
            has_sender(self: &Self) -> bool;
            is_redelivery(self: &Self) -> bool;
            recv(self: &mut Self) -> Result<$message, RecvError>;
            try_recv(self: &mut Self) -> Result<$message, TryRecvError>;
            recv_timeout(self: &mut Self, timeout: Duration) -> Result<$message, RecvTimeoutError>;
        }
        fn sleep_when_blocked(&mut self) {
            self.set_wait(Wait::Sleep);
        }
    };
}

macro_rules! forward_seats {
    () => {
        forward! {
            sender(self: &Self) -> Result<Self::Sender, ClaimError>;
            receiver(self: &Self) -> Result<Self::Receiver, ClaimError>;
        }
    };
}

impl Ring for spsc::Channel<Packet> {
    const NAME: &'static str = "spsc";
    type Message = Packet;
    type Sender = spsc::Sender<Packet>;
    type Receiver = spsc::Receiver<Packet>;
    forward_seats!();

    fn new() -> Self {
        Self::options().capacity(FULL).memfd().unwrap()
    }

    fn make(seq: u64) -> Packet {
        Packet::make(seq)
    }

    fn seq(message: &Packet) -> u64 {
        message.check(message.seq);
        message.seq
    }

    fn pad(tx: &mut Self::Sender, rx: &mut Self::Receiver) {
        for seq in 0..2 * FULL - 1 {
            tx.try_send(&Packet::make(seq + 500)).unwrap();
            rx.try_recv().unwrap();
        }
    }
}

impl SendingEnd<Packet> for spsc::Sender<Packet> {
    forward_sender!(Packet);

    fn try_send_slice(&mut self, messages: &[Packet]) -> Result<usize, TrySendError> {
        self.try_send_slice(messages)
    }

    fn try_send_in_place(&mut self, message: &Packet) -> Result<(), TrySendError> {
        let mut slot = self.try_send_ref()?;
        slot.write(message);
        slot.send().map_err(TrySendError::Refused)
    }
}

impl ReceivingEnd<Packet> for spsc::Receiver<Packet> {
    forward_receiver!(Packet);

    fn try_recv_three(&mut self) -> Result<Vec<Packet>, TryRecvError> {
        let mut packets = [Packet::make(0); 3];
        let received = self.try_recv_slice(&mut packets)?;
        Ok(packets[..received].to_vec())
    }

    fn try_recv_in_place(&mut self, mut held: impl FnMut(bool)) -> Result<Packet, TryRecvError> {
        let guard = self.try_recv_ref()?;
        held(true);
        let packet = guard.read();
        held(false);
        drop(guard);
        Ok(packet)
    }
}

impl Ring for bytes::Channel {
    const NAME: &'static str = "bytes";
    type Message = Vec<u8>;
    type Sender = bytes::Sender;
    type Receiver = bytes::Receiver;
    forward_seats!();

    fn new() -> Self {
        Self::options().capacity_bytes(4096).memfd().unwrap()
    }

    /// Any four in a row fill the ring: they take 14, 2, 9 and 485 of its 512 words.
    fn make(seq: u64) -> Vec<u8> {
        let mut record = vec![0; [100, 8, 60, 3872][seq as usize % 4]];
        fill_record(seq, &mut record);
        record[..8].copy_from_slice(&seq.to_ne_bytes());
        record
    }

    fn seq(message: &Vec<u8>) -> u64 {
        let seq = u64::from_ne_bytes(message[..8].try_into().unwrap());
        assert_eq!(*message, Self::make(seq), "a record that is not whole");
        seq
    }

    fn pad(tx: &mut bytes::Sender, rx: &mut bytes::Receiver) {
        tx.try_send(&[0x99; 506 * 8]).unwrap();
        rx.try_recv().unwrap();
    }
}

impl SendingEnd<Vec<u8>> for bytes::Sender {
    forward_sender!(Vec<u8>);

    fn try_send_slice(&mut self, messages: &[Vec<u8>]) -> Result<usize, TrySendError> {
        self.try_send_slice(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn try_send_in_place(&mut self, message: &Vec<u8>) -> Result<(), TrySendError> {
        let mut room = self.try_send_ref(message.len())?;
        room.write_at(0, message);
        room.send().map_err(TrySendError::Refused)
    }
}

impl ReceivingEnd<Vec<u8>> for bytes::Receiver {
    forward_receiver!(Vec<u8>);

    fn try_recv_three(&mut self) -> Result<Vec<Vec<u8>>, TryRecvError> {
        let (mut buffer, mut ends) = ([0; 200], [0; 3]);
        let received = self.try_recv_slice(&mut buffer, &mut ends)?;
        let mut begin = 0;
        Ok(ends[..received].iter().map(|end| buffer[std::mem::replace(&mut begin, *end)..*end].to_vec()).collect())
    }

    fn try_recv_in_place(&mut self, mut held: impl FnMut(bool)) -> Result<Vec<u8>, TryRecvError> {
        let guard = self.try_recv_ref()?;
        held(true);
        let record = guard.to_vec();
        held(false);
        drop(guard);
        Ok(record)
    }
}

/// How a ring is when the victim comes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct State {
    name: &'static str,
    /// Messages in it, from 0 on.
    held: u64,
    /// They cross the end of the ring, and it holds what was there a lap ago.
    wraps: bool,
    /// How often the victim's seat was taken before.
    turns: u64,
}

const NEW: State = State { name: "new", held: 0, wraps: false, turns: 0 };
const ONE: State = State { name: "one", held: 1, wraps: false, turns: 1 };
const FILLED: State = State { name: "full", held: FULL, wraps: false, turns: 1 };
const EDGE: State = State { name: "wrapped", held: 0, wraps: true, turns: 1 };
const ACROSS: State = State { name: "wrapped", held: 3, wraps: true, turns: 1 };
/// The victim's predecessor died, a receiver with the first message in its hands; nobody was told.
const HEIR: State = State { name: "heir", held: 1, wraps: false, turns: 2 };

/// The same without a message, so that the next three are short ones.
const EMPTY_HEIR: State = State { held: 0, ..HEIR };

impl State {
    fn heir(&self) -> bool {
        self.turns == 2
    }

    /// The end of the victim's predecessor, as far as there is news of it.
    fn end_before(&self) -> Option<Event> {
        [None, Some(Event::Closed), Some(Event::Died(2))][self.turns as usize]
    }
}

/// What an endpoint hears.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Message(u64),
    Closed,
    Died(u64),
}

fn messages(seqs: std::ops::Range<u64>) -> impl Iterator<Item = Event> {
    seqs.map(Event::Message)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Sender,
    Receiver,
}

/// A ring, its state, and the survivor's end of it.
struct Scene<K: Ring> {
    ring: K,
    tx: Option<K::Sender>,
    rx: Option<K::Receiver>,
    /// What the victim says: 1 + how many messages it sent or received, or whether it has the seat; whether it
    /// has a message in its hands.
    board: Board,
    /// Messages sent so far.
    next: u64,
    /// The survivor waits with a timeout, which asks the kernel when it is over; or it asks by itself.
    patient: bool,
}

impl<K: Ring> Scene<K> {
    fn new(state: State, victim: Side) -> Self {
        let ring = K::new();
        let survivor = |side| side != victim || state.turns > 0;
        let mut tx = survivor(Side::Sender).then(|| ring.sender().unwrap());
        let mut rx = survivor(Side::Receiver).then(|| ring.receiver().unwrap());
        if let (Some(tx), Some(rx)) = (&mut tx, &mut rx) {
            if state.wraps {
                K::pad(tx, rx);
            }
            (0..state.held).for_each(|seq| tx.try_send(&K::make(seq)).unwrap());
        }
        match victim {
            Side::Sender => tx = None,
            Side::Receiver => rx = None,
        }
        if state.heir() {
            die(|| match victim {
                Side::Sender => std::mem::forget(ring.sender().unwrap()),
                Side::Receiver => {
                    let mut rx = ring.receiver().unwrap();
                    rx.try_recv_in_place(|_| nix::sys::signal::raise(Signal::SIGKILL).unwrap()).unwrap();
                }
            });
        }
        Self { ring, tx, rx, board: Board::new(), next: state.held, patient: false }
    }

    fn say(&self, moved: usize) {
        self.board[0].store(1 + moved as u64, SeqCst);
    }

    /// What the victim said, if it had come so far.
    fn said(&self) -> Option<u64> {
        self.board[0].load(SeqCst).checked_sub(1)
    }

    fn lent(&self) -> bool {
        self.board[1].load(SeqCst) == 1
    }

    fn tx(&mut self) -> &mut K::Sender {
        self.tx.as_mut().unwrap()
    }

    fn rx(&mut self) -> &mut K::Receiver {
        self.rx.as_mut().unwrap()
    }

    /// Receives until nothing comes any more.
    fn drain(&mut self) -> Vec<Event> {
        let patient = self.patient;
        let rx = self.rx();
        let mut log = vec![];
        loop {
            assert!(log.len() < 20, "it never ends: {log:?}");
            let mut received = if patient { rx.recv_timeout(SOON) } else { rx.try_recv().map_err(Into::into) };
            if !patient && matches!(received, Err(RecvTimeoutError::Timeout)) {
                rx.has_sender();
                received = rx.try_recv().map_err(Into::into);
            }
            log.push(match received {
                Ok(message) => Event::Message(K::seq(&message)),
                Err(RecvTimeoutError::Timeout) => return log,
                Err(RecvTimeoutError::Refused(RecvError::PeerDied { generation })) => Event::Died(generation),
                Err(RecvTimeoutError::Refused(RecvError::Closed)) => {
                    assert!(matches!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed))));
                    log.push(Event::Closed);
                    return log;
                }
                Err(other) => panic!("{other}, after {log:?}"),
            });
        }
    }

    /// Sends until there is no room any more, and says what else it heard.
    fn fill(&mut self) -> Vec<Event> {
        let (mut next, patient) = (self.next, self.patient);
        let tx = self.tx();
        let mut log = vec![];
        let log = loop {
            assert!(log.len() < 20 && next < 100, "it never ends: {log:?}");
            let message = K::make(next);
            let try_send = |tx: &mut K::Sender| tx.try_send(&message).map_err(SendTimeoutError::from);
            let mut sent = if patient { tx.send_timeout(&message, SOON) } else { try_send(tx) };
            if !patient && sent == Err(SendTimeoutError::Timeout) {
                tx.has_receiver();
                sent = try_send(tx);
            }
            log.push(match sent {
                Ok(()) => {
                    next += 1;
                    continue;
                }
                Err(SendTimeoutError::Timeout) => break log,
                Err(SendTimeoutError::Refused(SendError::PeerDied { generation })) => Event::Died(generation),
                Err(SendTimeoutError::Refused(SendError::Closed)) => {
                    assert_eq!(tx.try_send(&message), Err(TrySendError::Refused(SendError::Closed)));
                    log.push(Event::Closed);
                    break log;
                }
                Err(other) => panic!("{other}, after {log:?}"),
            });
        };
        self.next = next;
        log
    }
}

/// What may be found after a death.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    progress: u64,
    /// Messages that the victim sent, or took.
    moved: u64,
    /// What the survivor hears of the victim's end.
    end: Option<Event>,
    /// Whether the successor is told that its first message was lent before.
    again: bool,
    /// The successor's.
    generation: u64,
}

impl Outcome {
    /// All that a survivor hears, up to the victim's end. `late`: it listens before there is a successor.
    fn news(&self, state: State, late: bool, old: impl Iterator<Item = Event>, new: u64) -> Vec<Event> {
        // The death of the victim's predecessor is told before what the victim sent, and before its end if that
        // was of another kind; an earlier listener hears of each death by itself.
        let apart = new > 0 || late || self.end == Some(Event::Closed);
        let before = state.end_before().filter(|before| state.heir() && apart && self.end != Some(*before));
        // Nobody is told of one that left where another sits.
        let end = self.end.filter(|end| late || *end != Event::Closed);
        old.chain(before).chain(messages(state.held..state.held + new)).chain(end).collect()
    }
}

fn find(allowed: Vec<Outcome>, found: &str, fits: impl Fn(&Outcome) -> bool) -> Outcome {
    match allowed.iter().find(|outcome| fits(outcome)) {
        Some(outcome) => outcome.clone(),
        None => panic!("found {found}; allowed are {allowed:#?}"),
    }
}

/// The sender died: what its receiver hears, and that a successor goes on.
fn after_sender<K: Ring>(mut scene: Scene<K>, number: usize, state: State, allowed: Vec<Outcome>) -> Outcome {
    scene.patient = number % 8 < 2;
    let claim = |scene: &Scene<K>| {
        let tx = scene.ring.sender().unwrap();
        let generation = tx.generation();
        (tx, generation)
    };
    let first = K::make(SUCCESSOR);
    let mut log = vec![];
    let late = number.is_multiple_of(3);
    let (mut tx, generation) = if late {
        log = scene.drain();
        assert!(!scene.rx().has_sender(), "the dead sender lives");
        claim(&scene)
    } else {
        let (mut tx, generation) = claim(&scene);
        let sent = tx.try_send(&first).is_ok();
        if number % 3 == 2 {
            // Another receiver must hear the same.
            if state.held > 0 {
                log.push(Event::Message(K::seq(&scene.rx().try_recv().unwrap())));
            }
            scene.rx = None;
            scene.rx = Some(scene.ring.receiver().unwrap());
        }
        log.extend(scene.drain());
        if sent {
            assert_eq!(log.pop(), Some(Event::Message(SUCCESSOR)), "the successor's first, after {log:?}");
        }
        (tx, generation)
    };
    let found = format!("{log:?}, successor {generation}, late: {late}");
    let outcome = find(allowed, &found, |outcome| {
        let expected = outcome.news(state, late, messages(0..state.held), outcome.moved);
        log == expected && generation == outcome.generation
    });
    if number.is_multiple_of(2) {
        // Nor is a receiver that comes later told again.
        scene.rx = None;
        scene.rx = Some(scene.ring.receiver().unwrap());
    }
    assert_eq!(scene.drain(), [], "told twice");
    tx.try_send(&first).unwrap();
    assert_eq!(scene.drain(), [Event::Message(SUCCESSOR)]);
    assert!(scene.rx().has_sender());
    drop(tx);
    assert_eq!(scene.drain(), [Event::Closed]);
    outcome
}

/// The receiver died: what its sender hears, and that a successor takes everything.
fn after_receiver<K: Ring>(mut scene: Scene<K>, number: usize, state: State, allowed: Vec<Outcome>) -> Outcome {
    scene.patient = number % 8 < 2;
    let late = number.is_multiple_of(2);
    let mut log = vec![];
    if late {
        log = scene.fill();
        assert!(!scene.tx().has_receiver(), "the dead receiver lives");
    }
    scene.rx = Some(scene.ring.receiver().unwrap());
    let (again, generation) = (scene.rx().is_redelivery(), scene.rx().generation());
    if !late {
        log = scene.fill();
    }
    assert_eq!(scene.fill(), [], "told twice");
    let sent = scene.next;
    let rest = scene.drain();
    let found = format!("{log:?}, then {rest:?} of {sent}, successor {generation}, again: {again}, late: {late}");
    let outcome = find(allowed, &found, |outcome| {
        log == outcome.news(state, late, std::iter::empty(), 0)
            && rest == Vec::from_iter(messages(outcome.moved..sent))
            && (again, generation) == (outcome.again, outcome.generation)
    });
    assert_eq!(sent - outcome.moved, FULL, "the sender was held up by {found}");
    assert!(!scene.rx().is_redelivery());
    assert_eq!(scene.fill(), []);
    assert_eq!(scene.drain(), Vec::from_iter(messages(sent..sent + FULL)));
    scene.rx = None;
    assert_eq!(scene.fill().last(), Some(&Event::Closed));
    outcome
}

fn assert_taken<E>(claimed: Result<E, ClaimError>, by: u32, turn: u64) {
    match claimed.err() {
        Some(ClaimError::Taken { pid, generation, .. }) => assert_eq!((pid, generation), (by, turn)),
        other => panic!("the seat of {by}: {other:?}"),
    }
}

/// What a victim does with its end, and how many messages that moves: those it was given, or those it puts there.
struct Operation<E, M> {
    name: &'static str,
    states: &'static [State],
    /// Messages it may move.
    most: u64,
    closes: bool,
    run: fn(&mut Option<E>, &mut Vec<M>, &Board) -> usize,
}

impl<E, M> Operation<E, M> {
    /// All that a death in the midst of it may lead to.
    fn outcomes(&self, state: State, side: Side) -> Vec<Outcome> {
        let turn = state.turns + 1;
        let died = Some(Event::Died(turn));
        let outcome = |progress, moved, again, end| Outcome { progress, moved, end, again, generation: turn + 1 };
        // A receiver's predecessor, or it itself, may have had the first message in its hands.
        let lent = side == Side::Receiver && state.heir();
        if self.closes {
            return vec![outcome(0, 0, lent, died), outcome(1, 0, lent, Some(Event::Closed))];
        }
        let moved = (0..=self.most).map(|moved| outcome(2 * moved, moved, lent && moved == 0, died));
        moved.chain((self.name == "recv_ref").then(|| outcome(1, 0, true, died))).collect()
    }

    /// The progress of one that is over, where the ring was so.
    fn done(&self, state: State, side: Side) -> u64 {
        let available = match side {
            _ if self.closes => return 1,
            Side::Sender => FULL - state.held,
            Side::Receiver => state.held,
        };
        2 * self.most.min(available)
    }

    /// What it said before it died must be true.
    fn check_word(&self, said: Option<u64>, outcome: &Outcome) {
        let kept = said.is_none_or(|moved| moved == outcome.moved && (!self.closes || outcome.progress == 1));
        assert!(kept, "it said that it moved {said:?}: {outcome:?}");
    }
}

fn send_operations<K: Ring>() -> Vec<Operation<K::Sender, K::Message>> {
    let all = &[NEW, ONE, FILLED, EDGE, HEIR];
    let op = |name, states, most, run| Operation { name, states, most, closes: name == "drop sender", run };
    vec![
        op("try_send", all, 1, |tx, messages, _| usize::from(tx.as_mut().unwrap().try_send(&messages[0]).is_ok())),
        op("send_slice", &[NEW, FILLED, EDGE, EMPTY_HEIR], 3, |tx, messages, _| {
            tx.as_mut().unwrap().try_send_slice(messages).unwrap_or(0)
        }),
        op("send_ref", all, 1, |tx, messages, _| {
            usize::from(tx.as_mut().unwrap().try_send_in_place(&messages[0]).is_ok())
        }),
        op("send, blocked", &[FILLED], 0, |tx, messages, _| {
            let tx = tx.as_mut().unwrap();
            tx.sleep_when_blocked();
            tx.send(&messages[0]).map(|()| 1).unwrap()
        }),
        op("drop sender", &[NEW, ONE, FILLED, HEIR], 0, |tx, _, _| {
            *tx = None;
            0
        }),
    ]
}

fn recv_operations<K: Ring>() -> Vec<Operation<K::Receiver, K::Message>> {
    let all = &[NEW, ONE, FILLED, ACROSS, HEIR];
    let op = |name, states, most, run| Operation { name, states, most, closes: name == "drop receiver", run };
    vec![
        op("try_recv", all, 1, |rx, messages, _| {
            messages.extend(rx.as_mut().unwrap().try_recv());
            messages.len()
        }),
        op("recv_slice", &[NEW, FILLED, ACROSS, HEIR], 3, |rx, messages, _| {
            messages.extend(rx.as_mut().unwrap().try_recv_three().into_iter().flatten());
            messages.len()
        }),
        op("recv_ref", all, 1, |rx, messages, board| {
            let held = |held| board[1].store(u64::from(held), SeqCst);
            messages.extend(rx.as_mut().unwrap().try_recv_in_place(held));
            messages.len()
        }),
        op("recv, blocked", &[NEW], 0, |rx, messages, _| {
            let rx = rx.as_mut().unwrap();
            rx.sleep_when_blocked();
            messages.push(rx.recv().unwrap());
            1
        }),
        op("drop receiver", &[NEW, ONE, FILLED, HEIR], 0, |rx, _, _| {
            *rx = None;
            0
        }),
    ]
}

fn ring_cases<K: Ring>(tally: &mut Tally) {
    for operation in send_operations::<K>() {
        operation.states.iter().for_each(|state| send_case::<K>(&operation, *state, tally));
    }
    for operation in recv_operations::<K>() {
        operation.states.iter().for_each(|state| recv_case::<K>(&operation, *state, tally));
    }
    for state in [NEW, ONE, HEIR] {
        claim_case::<K>(Side::Sender, state, tally);
        claim_case::<K>(Side::Receiver, state, tally);
    }
}

fn send_case<K: Ring>(operation: &Operation<K::Sender, K::Message>, state: State, tally: &mut Tally) {
    let victim = |scene: &Scene<K>| {
        let mut tx = Some(scene.ring.sender().unwrap());
        let mut messages = (state.held..state.held + 3).map(K::make).collect();
        mark();
        scene.say((operation.run)(&mut tx, &mut messages, &scene.board));
        mark();
    };
    let killed = |scene: Scene<K>, number: usize| {
        let said = scene.said();
        let outcome = after_sender(scene, number, state, operation.outcomes(state, Side::Sender));
        operation.check_word(said, &outcome);
        outcome.progress
    };
    let stopped = |mut scene: Scene<K>, victim: Stopped| {
        let mut log = scene.drain();
        let left = operation.closes && log.last() == Some(&Event::Closed);
        let successor = not_taken_from(&victim, state, left, || scene.ring.sender());
        assert!(scene.rx().has_sender());
        victim.go_on();
        if let Some(tx) = successor {
            assert_taken(scene.ring.sender(), std::process::id(), state.turns + 2);
            drop(tx);
            log.pop();
        }
        log.extend(scene.drain());
        let moved = scene.said().unwrap();
        let outcome = Outcome { progress: 0, moved, end: Some(Event::Closed), again: false, generation: 0 };
        assert_eq!(log, outcome.news(state, true, messages(0..state.held), moved));
    };
    let name = [K::NAME, operation.name, state.name];
    let (set_up, done) = (|| Scene::new(state, Side::Sender), operation.done(state, Side::Sender));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}

fn recv_case<K: Ring>(operation: &Operation<K::Receiver, K::Message>, state: State, tally: &mut Tally) {
    let victim = |scene: &Scene<K>| {
        let mut rx = Some(scene.ring.receiver().unwrap());
        let mut messages = Vec::with_capacity(3);
        mark();
        scene.say((operation.run)(&mut rx, &mut messages, &scene.board));
        mark();
        assert!(messages.iter().map(K::seq).eq(0..messages.len() as u64));
    };
    let killed = |scene: Scene<K>, number: usize| {
        let (said, lent) = (scene.said(), scene.lent());
        let outcome = after_receiver(scene, number, state, operation.outcomes(state, Side::Receiver));
        operation.check_word(said, &outcome);
        assert!(!lent || outcome.again, "it died with the message in its hands");
        outcome.progress
    };
    let stopped = |mut scene: Scene<K>, victim: Stopped| {
        let mut log = scene.fill();
        let left = operation.closes && log.last() == Some(&Event::Closed);
        let successor = not_taken_from(&victim, state, left, || scene.ring.receiver());
        assert!(scene.tx().has_receiver());
        victim.go_on();
        if let Some(rx) = successor {
            assert_taken(scene.ring.receiver(), std::process::id(), state.turns + 2);
            drop(rx);
            log.pop();
        }
        log.extend(scene.fill());
        let moved = scene.said().unwrap();
        let outcome = Outcome { progress: 0, moved, end: Some(Event::Closed), again: false, generation: 0 };
        assert_eq!(log, outcome.news(state, true, std::iter::empty(), 0));
        scene.rx = Some(scene.ring.receiver().unwrap());
        assert_eq!(scene.drain(), Vec::from_iter(messages(moved..scene.next)));
    };
    let name = [K::NAME, operation.name, state.name];
    let (set_up, done) = (|| Scene::new(state, Side::Receiver), operation.done(state, Side::Receiver));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}

/// Tries to take the seat of a process that is stopped: only if it left, that succeeds.
fn not_taken_from<E>(
    victim: &Stopped,
    state: State,
    left: bool,
    claim: impl FnOnce() -> Result<E, ClaimError>,
) -> Option<E> {
    let claimed = claim();
    if left {
        return Some(claimed.unwrap_or_else(|error| panic!("it left: {error}")));
    }
    assert_taken(claimed, victim.pid(), state.turns + 1);
    None
}

/// Claims a seat, and holds it while `work` runs: whether it got it, or another had it.
fn claim<E>(seat: Result<E, ClaimError>) -> Option<E> {
    match seat {
        Ok(end) => Some(end),
        Err(ClaimError::Taken { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

fn claim_case<K: Ring>(side: Side, state: State, tally: &mut Tally) {
    // What is claimed is dropped after the second mark.
    let victim = |scene: &Scene<K>| match side {
        Side::Sender => claims(scene, || scene.ring.sender()),
        Side::Receiver => claims(scene, || scene.ring.receiver()),
    };
    let killed = |scene: Scene<K>, number: usize| {
        let said = scene.said();
        let outcome = match side {
            Side::Sender => {
                after_sender(scene, number, state, claim_outcomes(state, side == Side::Receiver && state.heir()))
            }
            Side::Receiver => {
                after_receiver(scene, number, state, claim_outcomes(state, side == Side::Receiver && state.heir()))
            }
        };
        assert!(said.is_none_or(|taken| taken == outcome.progress), "it said {said:?}: {outcome:?}");
        outcome.progress
    };
    let stopped = |scene: Scene<K>, victim: Stopped| match side {
        Side::Sender => one_of_two_wins(state, victim, || scene.ring.sender(), || scene.said()),
        Side::Receiver => one_of_two_wins(state, victim, || scene.ring.receiver(), || scene.said()),
    };
    let name = [K::NAME, if side == Side::Sender { "claim sender" } else { "claim receiver" }, state.name];
    let set_up = || Scene::new(state, side);
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done: 1, stopped: Some(&stopped) }.run(tally);
}

/// All that a death in the midst of a claim may lead to.
fn claim_outcomes(state: State, again: bool) -> Vec<Outcome> {
    let turn = state.turns + 1;
    let outcome = |progress, end| Outcome { progress, moved: 0, end, again, generation: turn + progress };
    vec![outcome(0, state.end_before()), outcome(1, Some(Event::Died(turn)))]
}

fn claims<K: Ring, E>(scene: &Scene<K>, seat: impl FnOnce() -> Result<E, ClaimError>) {
    mark();
    let claimed = claim(seat());
    scene.say(usize::from(claimed.is_some()));
    mark();
}

/// A claimant is stopped, and another claims the seat.
fn one_of_two_wins<E>(
    state: State,
    victim: Stopped,
    seat: impl Fn() -> Result<E, ClaimError>,
    said: impl Fn() -> Option<u64>,
) {
    let claimed = seat();
    let ours = claimed.is_ok();
    let keep = claimed.map_err(|error| assert_taken(Err::<E, _>(error), victim.pid(), state.turns + 1));
    victim.go_on();
    assert_eq!(said(), Some(u64::from(!ours)), "one of two wins");
    if ours {
        assert_taken(seat(), std::process::id(), state.turns + 1);
    }
    drop(keep);
    drop(seat().unwrap());
}

// ---------------------------------------------------------------------------------------------------
// Values

type Value = Latest<8>;

struct ValueScene {
    channel: seqlock::Channel<Value>,
    reader: seqlock::Reader<Value>,
    board: Board,
}

/// `held` is the version of the value in it. Version 64 comes to lie where the first one would.
const VALUES: [State; 4] = [NEW, ONE, State { name: "wrapped", held: 63, wraps: true, turns: 1 }, HEIR];

impl ValueScene {
    fn new(state: State) -> Self {
        let channel = seqlock::Channel::<Value>::options().memfd().unwrap();
        let reader = channel.reader();
        if state.turns > 0 {
            let mut writer = channel.writer().unwrap();
            (1..=state.held).for_each(|version| writer.write(&Value::make(version)).unwrap());
        }
        if state.heir() {
            die(|| std::mem::forget(channel.writer().unwrap()));
        }
        Self { channel, reader, board: Board::new() }
    }

    fn say(&self, moved: u64) {
        self.board[0].store(1 + moved, SeqCst);
    }

    fn said(&self) -> Option<u64> {
        self.board[0].load(SeqCst).checked_sub(1)
    }

    /// Reads the latest value: its version.
    fn read(&mut self) -> u64 {
        let value = self.reader.read().unwrap();
        value.check();
        assert_eq!(value.version(), self.reader.version());
        value.version()
    }

    /// What the reader hears while there is no new value.
    fn listen(&mut self) -> Vec<Event> {
        let mut log = vec![];
        loop {
            assert!(log.len() < 20, "it never ends: {log:?}");
            log.push(match self.reader.changed_timeout(SOON) {
                Err(ChangedError::Timeout) => return log,
                Err(ChangedError::PeerDied { generation }) => Event::Died(generation),
                Err(ChangedError::Closed) => {
                    assert_eq!(self.reader.changed_timeout(SOON), Err(ChangedError::Closed));
                    log.push(Event::Closed);
                    return log;
                }
                other => panic!("{other:?} after {log:?}"),
            });
        }
    }
}

/// The writer died: what a reader finds and hears, and that a successor goes on.
fn after_writer(mut scene: ValueScene, number: usize, state: State, allowed: Vec<Outcome>) -> Outcome {
    let late = number.is_multiple_of(2);
    let version = scene.read();
    let mut log = vec![];
    if late {
        log = scene.listen();
        assert!(!scene.reader.has_writer());
    }
    let mut writer = scene.channel.writer().unwrap();
    let generation = writer.generation();
    assert_eq!(writer.version(), version);
    if !late {
        log = scene.listen();
    }
    let found = format!("{log:?}, version {version}, successor {generation}, late: {late}");
    let outcome = find(allowed, &found, |outcome| {
        log == outcome.news(state, late, std::iter::empty(), 0)
            && (version, generation) == (state.held + outcome.moved, outcome.generation)
    });
    assert_eq!(scene.listen(), [], "told twice");
    writer.write(&Value::make(version + 1)).unwrap();
    assert_eq!(scene.reader.changed_timeout(SOON), Ok(()));
    assert_eq!(scene.read(), version + 1);
    drop(writer);
    assert_eq!(scene.listen(), [Event::Closed]);
    outcome
}

fn value_cases(tally: &mut Tally) {
    let op = |name, states, most, run| Operation { name, states, most, closes: most == 0, run };
    let operations: [Operation<seqlock::Writer<Value>, Value>; 2] = [
        op("write", &VALUES, 1, |writer, values, _| {
            writer.as_mut().unwrap().write(&values[0]).unwrap();
            1
        }),
        op("drop writer", &VALUES, 0, |writer, _, _| {
            *writer = None;
            0
        }),
    ];
    for operation in &operations {
        operation.states.iter().for_each(|state| write_case(operation, *state, tally));
    }
    VALUES.iter().for_each(|state| claim_writer_case(*state, tally));
    read_case("read", ONE, tally, |reader| {
        reader.read().unwrap().check();
    });
    read_case("changed, blocked", NEW, tally, |reader| {
        reader.set_wait(Wait::Sleep);
        assert_eq!(reader.changed(), Ok(()));
    });
}

fn write_case(operation: &Operation<seqlock::Writer<Value>, Value>, state: State, tally: &mut Tally) {
    let victim = |scene: &ValueScene| {
        let mut writer = Some(scene.channel.writer().unwrap());
        let mut values = vec![Value::make(state.held + 1)];
        mark();
        scene.say((operation.run)(&mut writer, &mut values, &scene.board) as u64);
        mark();
    };
    let killed = |scene: ValueScene, number: usize| {
        let said = scene.said();
        let outcome = after_writer(scene, number, state, operation.outcomes(state, Side::Sender));
        operation.check_word(said, &outcome);
        outcome.progress
    };
    let stopped = |mut scene: ValueScene, victim: Stopped| {
        let version = scene.read();
        assert!((state.held..=state.held + operation.most).contains(&version));
        let mut log = scene.listen();
        let left = operation.closes && log.last() == Some(&Event::Closed);
        let successor = not_taken_from(&victim, state, left, || scene.channel.writer());
        assert!(scene.reader.has_writer());
        victim.go_on();
        if let Some(writer) = successor {
            assert_taken(scene.channel.writer(), std::process::id(), state.turns + 2);
            drop(writer);
            log.pop();
        }
        assert_eq!(scene.read(), state.held + scene.said().unwrap());
        log.extend(scene.listen());
        let outcome = Outcome { progress: 0, moved: 0, end: Some(Event::Closed), again: false, generation: 0 };
        assert_eq!(log, outcome.news(state, true, std::iter::empty(), 0));
    };
    let name = ["seqlock", operation.name, state.name];
    let (set_up, done) = (|| ValueScene::new(state), if operation.closes { 1 } else { 2 });
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}

fn claim_writer_case(state: State, tally: &mut Tally) {
    let victim = |scene: &ValueScene| {
        mark();
        let claimed = claim(scene.channel.writer());
        scene.say(u64::from(claimed.is_some()));
        mark();
    };
    let killed = |scene: ValueScene, number: usize| {
        let said = scene.said();
        let outcome = after_writer(scene, number, state, claim_outcomes(state, false));
        assert!(said.is_none_or(|taken| taken == outcome.progress), "it said {said:?}: {outcome:?}");
        outcome.progress
    };
    let stopped = |scene: ValueScene, victim: Stopped| {
        one_of_two_wins(state, victim, || scene.channel.writer(), || scene.said());
    };
    let (name, set_up) = (["seqlock", "claim writer", state.name], || ValueScene::new(state));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done: 1, stopped: Some(&stopped) }.run(tally);
}

/// A reader that dies or stands still hinders nobody.
fn read_case(operation: &str, state: State, tally: &mut Tally, read: fn(&mut seqlock::Reader<Value>)) {
    /// More than a lap.
    const LAST: u64 = 80;
    let victim = |scene: &ValueScene| {
        let mut reader = scene.channel.reader();
        mark();
        read(&mut reader);
        scene.say(1);
        mark();
        reader.read().unwrap().check();
    };
    let go_on_writing = |scene: &mut ValueScene| {
        let mut writer = scene.channel.writer().unwrap();
        for version in state.held + 1..=LAST {
            writer.write(&Value::make(version)).unwrap();
            assert_eq!(scene.reader.changed_timeout(SOON), Ok(()));
            assert_eq!(scene.read(), version);
        }
        assert_eq!(scene.listen(), []);
        drop(writer);
        assert_eq!(scene.listen(), [Event::Closed]);
    };
    let killed = |mut scene: ValueScene, _: usize| {
        go_on_writing(&mut scene);
        scene.said().unwrap_or(0)
    };
    let stopped = |mut scene: ValueScene, victim: Stopped| {
        go_on_writing(&mut scene);
        victim.go_on();
        assert_eq!(scene.said(), Some(1));
    };
    let done = u64::from(operation == "read");
    let (name, set_up) = (["seqlock", operation, state.name], || ValueScene::new(state));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}

// ---------------------------------------------------------------------------------------------------
// Regions in files

type Slots = spsc::Channel<u64>;

/// A directory, and in it perhaps a file with a message.
struct Place {
    dir: tempfile::TempDir,
    board: Board,
}

impl Place {
    fn new(there: bool) -> Self {
        let place = Self {
            dir: tempfile::Builder::new().prefix("ringway-deaths-").tempdir_in("/dev/shm").unwrap(),
            board: Board::new(),
        };
        if there {
            Slots::create(place.path(), FULL).unwrap().sender().unwrap().try_send(&7).unwrap();
        }
        place
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ring")
    }

    /// The file is missing, or whole and of use; nothing else is there. How many messages lie in it.
    fn found(&self) -> Option<u64> {
        let names = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| name == "ring"), "more than a region was left");
        match Slots::open(self.path()) {
            Ok(channel) => {
                let mut rx = channel.receiver().unwrap();
                let held = rx.len();
                assert!(held == 0 || rx.try_recv() == Ok(7));
                Some(held)
            }
            Err(error) if matches!(error.reason(), Reason::Missing) => None,
            Err(other) => panic!("{other}"),
        }
    }
}

fn region_cases(tally: &mut Tally) {
    let options = || Slots::options().capacity(FULL);
    // What is found before, and what after it is done.
    region_case("create", None, Some(0), true, tally, &|path| Slots::create(path, FULL).map(Some));
    region_case("open", Some(1), Some(1), true, tally, &|path| Slots::open(path).map(Some));
    region_case("open_or_create", None, Some(0), true, tally, &|path| options().open_or_create(path).map(Some));
    region_case("recreate", Some(1), Some(0), false, tally, &|path| options().recreate(path).map(Some));
    region_case("remove_unused", Some(1), None, false, tally, &|path| remove_unused(path).map(|()| None));
}

type Act<'a> = &'a dyn Fn(&Path) -> Result<Option<Slots>, ringway::OpenError>;

fn region_case(operation: &str, before: Option<u64>, after: Option<u64>, stops: bool, tally: &mut Tally, act: Act<'_>) {
    let victim = |place: &Place| {
        let path = place.path();
        mark();
        let done = act(&path);
        place.board[0].store(1 + u64::from(done.is_err()), SeqCst);
        mark();
        assert!(done.is_ok_and(|_| true) || before.is_some());
    };
    let killed = |place: Place, _: usize| {
        let said = place.board[0].load(SeqCst);
        // Nobody holds on to it.
        let there = place.path().exists();
        assert!(!there || !in_use(place.path()).unwrap(), "the dead use it");
        let found = place.found();
        assert!(found.is_none() || found == before || found == after, "{found:?}");
        assert!(found.is_some() || before.is_none() || operation.starts_with("re"), "it is lost");
        assert!(said == 0 || found == after, "it said that it was done: {found:?}");
        if found.is_some() {
            remove_unused(place.path()).unwrap();
            assert_eq!(place.found(), None);
        }
        u64::from(if before == after { said == 1 } else { found == after })
    };
    let stopped = |place: Place, victim: Stopped| {
        let removed = match remove_unused(place.path()) {
            Ok(()) => true,
            Err(error) if matches!(error.reason(), Reason::InUse) => false,
            Err(error) if matches!(error.reason(), Reason::Missing) && before.is_none() => false,
            Err(other) => panic!("{other}"),
        };
        victim.go_on();
        let said = place.board[0].load(SeqCst);
        assert_eq!(said == 2, removed && before.is_some(), "who was there first?");
        assert_eq!(place.found(), if removed { None } else { after });
    };
    let name = ["region", operation, if before.is_some() { "there" } else { "new" }];
    let set_up = || Place::new(before.is_some());
    let stopped: &dyn Fn(Place, Stopped) = &stopped;
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done: 1, stopped: stops.then_some(stopped) }
        .run(tally);
}
