//! Helpers of the tests that run real processes: children that cannot outlive their test, a page of
//! counters they share, and messages that say whether they are whole.
#![allow(dead_code, reason = "each test file uses its own part")]

#[cfg(target_arch = "x86_64")]
pub mod ptrace;

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, fork as fork_process};

use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};

/// The variable in which a re-executed test binary finds its role.
pub const ROLE: &str = "RINGWAY_TEST_ROLE";

/// How long a child may live: `RINGWAY_TEST_DEADLINE` seconds, or 300.
pub fn deadline() -> Duration {
    let seconds = std::env::var("RINGWAY_TEST_DEADLINE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(300))
}

/// A child process: reaped by its test, killed when it is late or the test fails.
pub struct Child {
    pub pid: Pid,
    name: String,
    log: File,
    started: Instant,
    reaped: bool,
    traced: Cell<bool>,
}

/// A test that is killed takes its children with it: they may be blocked for ever.
fn die_with_parent() -> std::io::Result<()> {
    // SAFETY: takes no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Where a forked child's panics are written: its log's descriptor, or -1 in the process of the tests.
static PANICS_TO: AtomicI32 = AtomicI32::new(-1);

/// Set in the parent: a child could find the hook's lock held for ever by a thread it has no copy of.
fn report_panics_of_children() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let fd = PANICS_TO.load(SeqCst);
            if fd < 0 {
                return usual(info);
            }
            // SAFETY: the child's log, which is open for as long as the child lives.
            let log = unsafe { BorrowedFd::borrow_raw(fd) };
            let _ = nix::unistd::write(log, format!("{info}\n").as_bytes());
        }));
    });
}

/// Forks a child that runs `work` and exits; a panic in it is a failure that [`Child::succeed`] reports.
pub fn fork(name: &str, work: impl FnOnce()) -> Child {
    report_panics_of_children();
    let log = tempfile::tempfile().unwrap();
    // SAFETY: the child runs on with a copy of this thread alone. It uses the C allocator, which survives a
    // fork, no lock of another test's, and leaves by `_exit`.
    let forked = unsafe { fork_process() }.unwrap();
    match forked {
        ForkResult::Parent { child } => Child {
            pid: child,
            name: name.to_owned(),
            log,
            started: Instant::now(),
            reaped: false,
            traced: Cell::new(false),
        },
        ForkResult::Child => {
            let _ = die_with_parent();
            PANICS_TO.store(log.as_raw_fd(), SeqCst);
            let code = if catch_unwind(AssertUnwindSafe(work)).is_ok() { 0 } else { 101 };
            // SAFETY: ends this process without running what belongs to the parent's test harness.
            unsafe { libc::_exit(code) }
        }
    }
}

/// Starts this test binary anew, to run `child_entry` in the given role.
pub fn exec(name: &str, role: &str, loud: bool) -> Child {
    let log = tempfile::tempfile().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child_entry", "--exact", "--nocapture", "--test-threads=1", "--include-ignored"]);
    command.env(ROLE, role).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(if loud { Stdio::inherit() } else { Stdio::from(log.try_clone().unwrap()) });
    // SAFETY: the call allocates nothing and takes no lock.
    unsafe { command.pre_exec(die_with_parent) };
    #[allow(clippy::zombie_processes, reason = "`Child` reaps it, by its id")]
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    Child { pid, name: name.to_owned(), log, started: Instant::now(), reaped: false, traced: Cell::new(false) }
}

impl Child {
    /// How it ended; killed if that takes longer than [`deadline`].
    pub fn end(&mut self) -> WaitStatus {
        self.end_within(deadline())
    }

    /// Waits for its end, sooner than by looking again and again, and leaves that for [`Child::end`].
    pub fn wait_for_end(&self) {
        waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    }

    pub fn end_within(&mut self, limit: Duration) -> WaitStatus {
        assert!(!self.reaped, "{} was reaped before", self.name);
        let mut nap = Duration::from_micros(200);
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::StillAlive => {}
                WaitStatus::Stopped(..) | WaitStatus::Continued(_) => {}
                ended => {
                    self.reaped = true;
                    return ended;
                }
            }
            if self.started.elapsed() > limit {
                let state = self.threads();
                self.kill();
                let log = self.log();
                panic!("{} (process {}) still ran after {limit:?}:\n{state}{log}", self.name, self.pid);
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(5));
        }
    }

    /// Waits for it and demands that it ended well.
    pub fn succeed(&mut self) {
        self.succeed_within(deadline());
    }

    pub fn succeed_within(&mut self, limit: Duration) {
        let ended = self.end_within(limit);
        let log = self.log();
        assert_eq!(ended, WaitStatus::Exited(self.pid, 0), "{}: {log}", self.name);
    }

    /// Whether this process has taken its tracing up.
    pub fn is_traced(&self) -> bool {
        self.traced.get()
    }

    pub fn set_traced(&self) {
        self.traced.set(true);
    }

    /// Whether it still runs; its end is left for [`Child::end`].
    pub fn running(&self) -> bool {
        !self.reaped && !matches!(self.state(), 'Z' | '?')
    }

    pub fn kill(&mut self) {
        if !self.reaped {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
            self.reaped = true;
        }
    }

    /// What it said when it panicked.
    pub fn log(&mut self) -> String {
        let mut text = String::new();
        let _ = self.log.seek(SeekFrom::Start(0));
        let _ = self.log.read_to_string(&mut text);
        text
    }

    /// The letter of `/proc/PID/stat`.
    pub fn state(&self) -> char {
        self.stat(0).and_then(|field| field.chars().next()).unwrap_or('?')
    }

    /// What its threads do: state, clock ticks of user and system time, system call.
    fn threads(&self) -> String {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let lines = tasks.map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let call = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            let field = |i: usize| fields.get(i).copied().unwrap_or("?");
            format!("thread {:?}: {} {} {} in {call}", task.file_name(), field(0), field(11), field(12))
        });
        lines.collect()
    }

    /// A field of `/proc/PID/stat`, counted from the state.
    fn stat(&self, index: usize) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(index).map(str::to_owned)
    }

    /// Waits until it sleeps in the kernel in the given system call.
    pub fn wait_until_in(&self, call: libc::c_long) {
        let wanted = format!("{call} ");
        let mut seen = 0;
        let limit = Instant::now() + deadline();
        while seen < 3 {
            let text = std::fs::read_to_string(format!("/proc/{}/syscall", self.pid)).unwrap_or_default();
            seen = if text.starts_with(&wanted) && self.state() == 'S' { seen + 1 } else { 0 };
            assert!(Instant::now() < limit, "{} never slept in system call {call}: {text}", self.name);
            assert!(self.running(), "{} ended early", self.name);
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Waits until it sleeps in `futex(2)`.
    pub fn wait_until_asleep(&self) {
        self.wait_until_in(libc::SYS_futex);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `work` in a child of its own, which the watchdog can kill, and demands that it ends well.
pub fn in_child(name: &str, work: impl FnOnce()) {
    fork(name, work).succeed();
}

/// Counters shared by a process and the children it forks.
pub struct Board {
    words: NonNull<[AtomicU64; 512]>,
}

const BOARD: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

impl Board {
    pub fn new() -> Self {
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let page = unsafe { mmap_anonymous(None, BOARD, prot, MapFlags::MAP_SHARED) }.unwrap();
        Self { words: page.cast() }
    }

    /// Waits until `parties` have come here; `word` counts them, round after round.
    pub fn meet(&self, word: usize, parties: u64) {
        let mine = self[word].fetch_add(1, SeqCst);
        let all = (mine / parties + 1) * parties;
        self.wait_for(word, all);
    }

    /// Waits until a word has reached a value.
    pub fn wait_for(&self, word: usize, value: u64) {
        let limit = Instant::now() + deadline();
        let mut looks = 0u32;
        while self[word].load(SeqCst) < value {
            looks += 1;
            if looks < 500 {
                std::hint::spin_loop();
            } else if looks < 550 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(100));
                assert!(Instant::now() < limit, "word {word} of the board never reached {value}");
            }
        }
    }
}

impl Deref for Board {
    type Target = [AtomicU64; 512];

    fn deref(&self) -> &Self::Target {
        // SAFETY: mapped until drop; zeroes are atomics.
        unsafe { self.words.as_ref() }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: `new` mapped it, and nothing refers to it any more.
        unsafe { munmap(self.words.cast(), BOARD.get()) }.unwrap();
    }
}

/// CPU time this process has used so far, and how often it went to sleep.
pub fn cpu_time_and_sleeps() -> (Duration, u64) {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    (Duration::from_micros(micros as u64), usage.voluntary_context_switches() as u64)
}

/// Where this process maps the first byte of the file with this inode number: one address an attachment.
pub fn attachments_of(inode: u64) -> Vec<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let start = |line: &str| {
        // Range, permissions, offset, device, inode, name.
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A page that cannot be read is a seat's sign of life, and no attachment.
        let is_first = fields[1].starts_with('r')
            && fields[2].bytes().all(|digit| digit == b'0')
            && fields[4] == inode.to_string();
        is_first.then(|| usize::from_str_radix(fields[0].split('-').next().unwrap(), 16).unwrap())
    };
    maps.lines().filter_map(start).collect()
}

/// A number that looks random but follows from `x` (the finaliser of SplitMix64).
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A message that knows its place and says whether it is whole.
pub trait Numbered: ringway::spsc::Message + Copy + PartialEq + std::fmt::Debug {
    fn make(seq: u64) -> Self;
    /// Fails unless this is the message `seq`, every bit of it.
    fn check(&self, seq: u64);
}

/// 64 bytes: sequence number, content, checksum.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct Packet {
    pub seq: u64,
    pub body: [u64; 6],
    pub sum: u64,
}

fn sum_of(seq: u64, body: &[u64]) -> u64 {
    body.iter().fold(mix(seq), |sum, word| sum.rotate_left(5) ^ word)
}

impl Numbered for Packet {
    fn make(seq: u64) -> Self {
        let start = mix(seq);
        let body = std::array::from_fn(|i| start.rotate_left(i as u32 * 9).wrapping_add(i as u64));
        Self { seq, body, sum: sum_of(seq, &body) }
    }

    fn check(&self, seq: u64) {
        assert_eq!(self.sum, sum_of(self.seq, &self.body), "a message that is not whole where {seq} is due: {self:?}");
        assert_eq!(self.seq, seq, "out of order, lost or repeated");
        assert_eq!(*self, Self::make(seq));
    }
}

/// 8 bytes: 40 bits of sequence number, 24 of checksum.
impl Numbered for u64 {
    fn make(seq: u64) -> Self {
        seq << 24 | mix(seq) >> 40
    }

    fn check(&self, seq: u64) {
        assert_eq!(self & 0xFF_FFFF, mix(self >> 24) >> 40, "not whole where {seq} is due: {self:#x}");
        assert_eq!(self >> 24, seq, "out of order, lost or repeated");
    }
}

/// The length of record `seq`: mostly short, now and then up to `most`.
pub fn record_len(seq: u64, most: usize) -> usize {
    let random = mix(seq ^ 0x5EED) as usize;
    let most = match random % 16 {
        0 => most,
        1..=5 => most.min(700),
        _ => most.min(70),
    };
    (random >> 8) % (most + 1)
}

/// The content of record `seq`.
pub fn fill_record(seq: u64, record: &mut [u8]) {
    let (mut word, mut i) = (mix(seq), 0);
    for chunk in record.chunks_mut(8) {
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        i += 1;
        word = word.rotate_left(7).wrapping_add(seq ^ i);
    }
}

pub fn record(seq: u64, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; record_len(seq, most)];
    fill_record(seq, &mut bytes);
    bytes
}

#[track_caller]
pub fn check_record(found: &[u8], seq: u64, most: usize) {
    let expected = record(seq, most);
    assert_eq!(found.len(), expected.len(), "length of record {seq}");
    if found != expected {
        let at = found.iter().zip(&expected).position(|(a, b)| a != b);
        panic!("record {seq} of {} bytes differs from byte {at:?} on", expected.len());
    }
}

/// A seqlock's value: version, content, checksum, each a word or more.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(transparent)]
pub struct Latest<const WORDS: usize> {
    words: [u64; WORDS],
}

impl<const WORDS: usize> Latest<WORDS> {
    pub fn make(version: u64) -> Self {
        let start = mix(version);
        let mut words = std::array::from_fn(|i| start.wrapping_add(i as u64));
        words[0] = version;
        words[WORDS - 1] = start ^ version;
        Self { words }
    }

    pub fn version(&self) -> u64 {
        self.words[0]
    }

    /// Fails unless it is whole; version 0 is all zeroes.
    pub fn check(&self) {
        let version = self.version();
        let expected = if version == 0 { Self { words: [0; WORDS] } } else { Self::make(version) };
        let torn = self.words.iter().zip(&expected.words).position(|(found, expected)| found != expected);
        assert_eq!(torn, None, "a torn value of version {version}");
    }
}
