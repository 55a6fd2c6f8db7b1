//! What `bad_input.rs` and `kernel.rs` share: a process to oneself, forks, and looks at `/proc`.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::{env, fs};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm};
use tempfile::TempDir;

/// Set in a process that runs one test and nothing else.
pub const ALONE: &str = "RINGWAY_TEST_ALONE";
/// Where a test that runs alone finds its directory in `/dev/shm`.
const IN_MEMORY: &str = "RINGWAY_TEST_IN_MEMORY";
const RAN: &str = "the test ran alone";
/// Seconds after which a hanging process is killed by its alarm.
const LIMIT: u32 = 180;

/// Runs `test` in a process of its own, whose other threads only wait: it may fork, count descriptors and
/// mappings, and lower limits. Its temporary files have directories of their own, in which nothing may stay, and which
/// are removed when it is killed, too. Call it as the only statement of a `#[test]`, with a closure.
pub fn alone<F: FnOnce()>(test: F) {
    if env::var_os(ALONE).is_some() {
        guard_process();
        test();
        println!("{RAN}");
        return;
    }
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap()];
    let mut command = Command::new(env::current_exe().unwrap());
    command.env("TMPDIR", dirs[0].path()).env(IN_MEMORY, dirs[1].path());
    let output = rerun(&mut command, test_name::<F>());
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for line in text.lines().filter(|line| line.starts_with("SKIPPED")) {
        // Not through `eprintln`, which libtest keeps to itself when the test passes.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    assert!(output.status.success(), "{}\n{text}", output.status);
    assert!(text.contains(RAN), "no such test?\n{text}");
    let names = |dir: &TempDir| fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = dirs.iter().flat_map(names).collect();
    assert!(left.is_empty(), "it left {left:?} in its directories for temporary files");
    // For who runs it with `--nocapture`.
    print!("{text}");
}

/// Runs the test `name` alone, by `command` (to which the arguments are added).
pub fn rerun(command: &mut Command, name: &str) -> std::process::Output {
    let command = command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ALONE, "1").stdin(Stdio::null()).output().unwrap()
}

/// The path of the test whose closure `F` is.
pub fn test_name<F>() -> &'static str {
    let name = std::any::type_name::<F>();
    let name = name.split_once("::").unwrap().1;
    name.strip_suffix("::{{closure}}").expect("a closure in the test itself")
}

/// Neither outlives its parent nor hangs for ever.
fn guard_process() {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    alarm::set(LIMIT);
}

/// Says that something could not be tested here.
pub fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {why}");
}

/// A directory in `/dev/shm`, for a test that is [`alone`].
pub fn in_memory() -> TempDir {
    tempfile::tempdir_in(env::var_os(IN_MEMORY).unwrap()).unwrap()
}

/// A directory whose files' locks are kept by a mapping, for a test that is [`alone`].
pub fn with_locks() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let system = nix::sys::statfs::statfs(dir.path()).unwrap().filesystem_type();
    if system == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC { in_memory() } else { dir }
}

/// A path to `dir` that holds for this process and its children when they have become another user, to whom the
/// directories above may be closed (`TMPDIR` often is of mode 0700). Good while the file is open.
pub fn by_descriptor(dir: &Path) -> (File, PathBuf) {
    let file = File::open(dir).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    (file, path.into())
}

pub fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A child, killed and reaped at the latest when this is dropped.
#[must_use = "dropping it kills the child"]
#[derive(Debug)]
pub struct Child(Option<Pid>);

impl Child {
    pub fn new(pid: Pid) -> Self {
        Self(Some(pid))
    }

    pub fn wait(mut self) -> WaitStatus {
        waitpid(self.0.take().unwrap(), None).unwrap()
    }

    /// Waits, and expects that it ended well.
    pub fn ok(self) {
        let status = self.wait();
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "the child: {status:?}");
    }

    /// Waits, and expects that a signal killed it.
    pub fn killed_by(self, signal: Signal) {
        let status = self.wait();
        assert!(matches!(status, WaitStatus::Signaled(_, by, _) if by == signal), "the child: {status:?}");
    }

    pub fn kill(self) {
        nix::sys::signal::kill(self.0.unwrap(), Signal::SIGKILL).unwrap();
        self.killed_by(Signal::SIGKILL);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}

/// Forks. `None` in the child, which must end in [`end`]. Only in a process that is [`alone`].
pub fn split() -> Option<Child> {
    assert!(env::var_os(ALONE).is_some());
    // SAFETY: the other threads of the process only wait, so the child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Parent { child } => Some(Child::new(child)),
        ForkResult::Child => None,
    }
}

/// Runs `body` in a child that [`split`] made, and ends it: with success unless `body` panics.
pub fn end(body: impl FnOnce()) -> ! {
    guard_process();
    let code = if catch_unwind(AssertUnwindSafe(body)).is_ok() { 0 } else { 101 };
    // SAFETY: ends the process, without the destructors and exit handlers that are the parent's.
    unsafe { libc::_exit(code) }
}

/// Runs `body` in a child.
pub fn fork(body: impl FnOnce()) -> Child {
    match split() {
        Some(child) => child,
        None => end(body),
    }
}

/// Tells threads to stop when it is dropped, also when its test fails, so that whoever waits for them does not for ever.
pub struct Stopper<'a>(pub &'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Makes a process by the bare system call, with the namespaces that `flags` name. `None` in the child.
pub fn cloned(flags: libc::c_int) -> Option<Pid> {
    let (flags, none) = (libc::c_long::from(flags | libc::SIGCHLD), 0_usize);
    // SAFETY: as `fork`, which the arguments make of it; the other threads of the process only wait.
    match unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) } {
        -1 => panic!("clone: {}", std::io::Error::last_os_error()),
        0 => None,
        pid => Some(Pid::from_raw(pid as i32)),
    }
}

/// A process that does `body`, and its id here.
pub fn born(flags: libc::c_int, body: impl FnOnce()) -> (u32, Child) {
    match cloned(flags) {
        Some(pid) => (pid.as_raw() as u32, Child::new(pid)),
        None => end(body),
    }
}

/// What is mounted on a directory. Dropped before the directory is removed, which would fail otherwise.
pub struct Mounted(PathBuf);

/// Mounts a file system at `dir`; after [`private_mounts`], for this process and its children alone.
pub fn mounted(kind: &str, dir: &Path, options: &str) -> Result<Mounted, Errno> {
    mount(Some(kind), dir, Some(kind), MsFlags::empty(), Some(options))?;
    Ok(Mounted(dir.to_owned()))
}

/// Makes what lies at `from` appear at `dir` too.
pub fn bound(from: &Path, dir: &Path) -> Result<Mounted, Errno> {
    mount(Some(from), dir, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(Mounted(dir.to_owned()))
}

impl Drop for Mounted {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

/// The folders of an overlay.
pub struct Overlay {
    pub lower: PathBuf,
    pub upper: PathBuf,
    pub merged: PathBuf,
    _mounts: [Mounted; 2],
}

/// Mounts an overlay on a tmpfs at `dir`, for this process and its children alone: its files' mappings refer to other
/// files than were opened.
pub fn overlay(dir: &Path) -> Result<Overlay, Errno> {
    private_mounts()?;
    let base = mounted("tmpfs", dir, "")?;
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| dir.join(name));
    for made in [&lower, &upper, &work, &merged] {
        fs::create_dir(made).unwrap();
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let top = mounted("overlay", &merged, &options)?;
    Ok(Overlay { lower, upper, merged, _mounts: [top, base] })
}

/// From now on, what this process mounts is mounted for it and its children alone, and gone with them.
pub fn private_mounts() -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// What a failed call may not leave behind.
#[derive(Debug, PartialEq)]
pub struct Footprint {
    files: Vec<String>,
    descriptors: usize,
    /// Bytes and pieces mapped, by what is mapped. The heap may grow.
    mapped: BTreeMap<String, (u64, usize)>,
}

impl Footprint {
    /// Of this process, and of the directory.
    pub fn now(dir: Option<&Path>) -> Self {
        let names = |dir: &Path| -> Vec<String> {
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        };
        let mut files = dir.map(names).unwrap_or_default();
        files.sort();
        let mut mapped = BTreeMap::<String, (u64, usize)>::new();
        for map in maps() {
            if !["[heap]", "[stack]"].contains(&map.what.as_str()) {
                let entry = mapped.entry(format!("{} {}", map.perms, map.what)).or_default();
                *entry = (entry.0 + map.len(), entry.1 + 1);
            }
        }
        Self { files, descriptors: names(Path::new("/proc/self/fd")).len(), mapped }
    }
}

/// A line of `/proc/self/maps`.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub start: usize,
    pub end: usize,
    pub perms: String,
    pub what: String,
}

impl Map {
    pub fn len(&self) -> u64 {
        (self.end - self.start) as u64
    }
}

pub fn maps() -> Vec<Map> {
    parse_maps(&fs::read_to_string("/proc/self/maps").unwrap())
}

pub fn parse_maps(text: &str) -> Vec<Map> {
    let parse = |line: &str| {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        let perms = words.next().unwrap().to_owned();
        let what = words.nth(3).unwrap_or("").trim().to_owned();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        Map { start: number(start), end: number(end), perms, what }
    };
    text.lines().map(parse).collect()
}

/// The shared mappings that `make` adds, in order of address, and what it made.
pub fn mapped_by<T>(make: impl FnOnce() -> T) -> (T, Vec<Map>) {
    let before = maps();
    let made = make();
    let new = maps().into_iter().filter(|map| map.perms.ends_with('s') && !before.contains(map)).collect();
    (made, new)
}

/// A number of `/proc/self/status`, in its own unit.
pub fn status_number(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// A second mapping of a region, through which anything can be written.
pub struct Raw {
    base: NonNull<libc::c_void>,
    len: usize,
    line: usize,
}

// SAFETY: the mapping stays where it is until drop, and is accessed as atomics only.
unsafe impl Sync for Raw {}

const PAGE: usize = 4096;

impl Raw {
    /// Maps all of the region behind `fd`.
    pub fn new(fd: impl AsFd) -> Self {
        let file = File::from(fd.as_fd().try_clone_to_owned().unwrap());
        let len = file.metadata().unwrap().len() as usize;
        let mut padding = [0; 8];
        file.read_exact_at(&mut padding, 24).unwrap();
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe {
            mmap(
                None,
                len.try_into().unwrap(),
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                file,
                0,
            )
        };
        Self { base: base.unwrap(), len, line: u64::from_ne_bytes(padding) as usize }
    }

    fn address(&self, byte: usize) -> *mut u8 {
        assert!(byte.is_multiple_of(8) && byte + 8 <= self.len);
        self.base.as_ptr().cast::<u8>().wrapping_add(byte)
    }

    /// The word at `byte` of the region.
    pub fn word(&self, byte: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping, aligned, and only ever accessed as an atomic.
        unsafe { AtomicU64::from_ptr(self.address(byte).cast()) }
    }

    fn half(&self, byte: usize) -> &AtomicU32 {
        // SAFETY: as in `word`.
        unsafe { AtomicU32::from_ptr(self.address(byte).cast()) }
    }

    pub fn holder(&self, seat: usize) -> &AtomicU64 {
        self.word(PAGE + seat * self.line)
    }

    pub fn generation(&self, seat: usize) -> &AtomicU64 {
        self.word(PAGE + seat * self.line + 8)
    }

    pub fn died(&self, seat: usize) -> &AtomicU64 {
        self.word(PAGE + seat * self.line + 24)
    }

    pub fn handed(&self) -> &AtomicU64 {
        self.word(PAGE + 8 * self.line + 16)
    }

    pub fn head(&self) -> &AtomicU64 {
        self.word(PAGE + 8 * self.line)
    }

    pub fn told(&self) -> &AtomicU64 {
        self.word(PAGE + 8 * self.line + 8)
    }

    pub fn tally(&self) -> &AtomicU64 {
        self.word(PAGE + 8 * self.line + 24)
    }

    pub fn latest(&self) -> &AtomicU64 {
        self.word(PAGE + 9 * self.line)
    }

    pub fn turn(&self) -> &AtomicU64 {
        self.word(PAGE + 9 * self.line + 16)
    }

    /// The position of a checkpoint; behind it stands its count.
    pub fn checkpoint(&self, index: usize) -> &AtomicU64 {
        self.word(PAGE + 9 * self.line + 24 + 16 * index)
    }

    pub fn data_wait(&self) -> &AtomicU32 {
        self.half(PAGE + 10 * self.line)
    }

    pub fn space_wait(&self) -> &AtomicU32 {
        self.half(PAGE + 11 * self.line)
    }

    /// The last word of the control page, which nothing uses.
    pub fn spare(&self) -> &AtomicU32 {
        self.half(2 * PAGE - 8)
    }

    /// Where in the region a word lies.
    pub fn byte_of<T>(&self, word: &T) -> usize {
        std::ptr::from_ref(word).addr() - self.base.addr().get()
    }

    /// The bytes of the region that share a cache line with a word of it.
    pub fn line_of<T>(&self, word: &T) -> Range<usize> {
        let first = self.byte_of(word) / self.line * self.line;
        first..first + self.line
    }

    /// The word at `index` of the data area.
    pub fn data(&self, index: usize) -> &AtomicU64 {
        self.word(2 * PAGE + index * 8)
    }

    pub fn data_words(&self) -> usize {
        (self.len - 2 * PAGE) / 8
    }

    /// All words, the header's included. Only while nobody writes.
    pub fn image(&self) -> Vec<u64> {
        let mut words = vec![0; self.len / 8];
        // SAFETY: the whole mapping, to as many bytes.
        unsafe { self.base.as_ptr().cast::<u64>().copy_to_nonoverlapping(words.as_mut_ptr(), words.len()) };
        words
    }

    /// Makes all words what they were. Only while nobody else writes.
    pub fn put_back(&self, image: &[u64]) {
        assert_eq!(8 * image.len(), self.len);
        // SAFETY: the whole mapping, from as many bytes.
        unsafe { self.base.as_ptr().cast::<u64>().copy_from_nonoverlapping(image.as_ptr(), image.len()) };
    }

    /// All words from the control page on.
    pub fn copy(&self) -> Vec<u64> {
        (PAGE..self.len).step_by(8).map(|byte| self.word(byte).load(Relaxed)).collect()
    }

    pub fn restore(&self, copy: &[u64]) {
        copy.iter().enumerate().for_each(|(i, word)| self.word(PAGE + 8 * i).store(*word, Relaxed));
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; nothing refers to it any more.
        let unmapped = unsafe { munmap(self.base, self.len) };
        unmapped.unwrap();
    }
}

/// Bytes between words that share no cache line, by a region's header.
pub fn line(region: &[u8]) -> usize {
    u64::from_ne_bytes(region[24..32].try_into().unwrap()) as usize
}

/// FNV-1a of all but the last eight bytes of a header.
pub fn checksum(header: &[u8]) -> u64 {
    let sum = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    header[..248].iter().fold(0xcbf2_9ce4_8422_2325, sum)
}

/// Puts the checksum that fits into a header.
pub fn seal_header(header: &mut [u8]) {
    let sum = checksum(header);
    header[248..256].copy_from_slice(&sum.to_ne_bytes());
}
