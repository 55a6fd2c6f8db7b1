//! How long 64 bytes take from one process to another and back: over ringway's channels, and beside them,
//! in the same run, over what they are made of or stand in for.
//!
//! ```text
//! cargo run --release --example latency
//! cargo run --release --example latency -- --sleep
//! ```
//!
//! The two processes are pinned to two processors, on different cores if there are such. The reference is
//! the least that two processes can do: each stores to a cache line of its own and spins on the other's,
//! without a payload. With `--sleep`, where every wait ends in the kernel, it is a bare futex.
//!
//! All cases take turns in short slices, so that whatever else the machine does hits them alike; the ratio
//! to the reference is the median over the slices of the ratio of the slice's medians, with its quartiles.
//! Every round trip is timed on its own, and the clock is part of every figure.

use std::error::Error;
use std::fs::{self, File};
use std::hint::spin_loop;
use std::io::{self, IsTerminal, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::ptr::null;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread::yield_now;
use std::time::Instant;

use clap::Parser;
use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::utsname::uname;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe};
use ringway::zerocopy::IntoBytes;
use ringway::{Wait, bytes, spsc};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Time round trips between two processes.
#[derive(Parser)]
struct Arguments {
    /// Print JSON, with all times in nanoseconds.
    #[arg(long)]
    json: bool,
    /// Let every wait sleep in the kernel at once.
    #[arg(long)]
    sleep: bool,
    /// How many slices each case gets.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    slices: u32,
    /// Round trips in a slice; a twentieth of it where each goes through the kernel.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    round_trips: u32,
}

/// What goes there and back.
type Payload = [u64; 8];

/// Round trips before those that count, in every slice: the peer wakes up, and the caches fill.
const WARM_UP: u64 = 50;

/// One process's end of a way to send payloads there and back.
trait Link {
    fn put(&mut self, payload: &Payload) -> Result;
    fn get(&mut self) -> Result<Payload>;

    /// Times `trips` round trips, in nanoseconds, while the peer runs [`echo`](Self::echo).
    fn time(&mut self, trips: u64) -> Result<Vec<u64>> {
        let mut times = Vec::with_capacity(trips as usize);
        for number in 1..=WARM_UP + trips {
            let payload = [number; 8];
            let start = Instant::now();
            self.put(&payload)?;
            let reply = self.get()?;
            let time = start.elapsed();
            if reply != payload {
                return Err(format!("{payload:?} came back as {reply:?}").into());
            }
            if number > WARM_UP {
                times.push(time.as_nanos() as u64);
            }
        }
        Ok(times)
    }

    fn echo(&mut self, trips: u64) -> Result {
        for _ in 0..WARM_UP + trips {
            let payload = self.get()?;
            self.put(&payload)?;
        }
        Ok(())
    }
}

/// The least there is: a number in a cache line of one's own, and the peer's to spin on.
struct CacheLines {
    mine: &'static AtomicU32,
    peers: &'static AtomicU32,
    seen: u32,
}

impl Link for CacheLines {
    fn put(&mut self, payload: &Payload) -> Result {
        self.mine.store(payload[0] as u32, Release);
        Ok(())
    }

    fn get(&mut self) -> Result<Payload> {
        let mut looks = 0;
        loop {
            let number = self.peers.load(Acquire);
            if number != self.seen {
                self.seen = number;
                return Ok([number.into(); 8]);
            }
            looks += 1;
            if looks < 20_000 {
                spin_loop();
            } else {
                // The peer may be waiting for this very processor.
                yield_now();
            }
        }
    }
}

/// The same, but asleep in the kernel until woken.
struct Futexes(CacheLines);

impl Link for Futexes {
    fn put(&mut self, payload: &Payload) -> Result {
        self.0.put(payload)?;
        futex_wake(self.0.mine)
    }

    fn get(&mut self) -> Result<Payload> {
        while self.0.peers.load(Acquire) == self.0.seen {
            futex_wait(self.0.peers, self.0.seen)?;
        }
        self.0.get()
    }
}

struct Spsc(spsc::Sender<Payload>, spsc::Receiver<Payload>);

impl Link for Spsc {
    fn put(&mut self, payload: &Payload) -> Result {
        Ok(self.0.send(payload)?)
    }

    fn get(&mut self) -> Result<Payload> {
        Ok(self.1.recv()?)
    }
}

struct Bytes(bytes::Sender, bytes::Receiver);

impl Link for Bytes {
    fn put(&mut self, payload: &Payload) -> Result {
        Ok(self.0.send(payload.as_bytes())?)
    }

    fn get(&mut self) -> Result<Payload> {
        let mut payload = Payload::default();
        self.1.recv_into(payload.as_mut_bytes())?;
        Ok(payload)
    }
}

/// One pipe to write to, and one to read from.
struct Pipes(File, File);

impl Link for Pipes {
    fn put(&mut self, payload: &Payload) -> Result {
        Ok(self.0.write_all(payload.as_bytes())?)
    }

    fn get(&mut self) -> Result<Payload> {
        let mut payload = Payload::default();
        self.1.read_exact(payload.as_mut_bytes())?;
        Ok(payload)
    }
}

struct Socket(UnixStream);

impl Link for Socket {
    fn put(&mut self, payload: &Payload) -> Result {
        Ok(self.0.write_all(payload.as_bytes())?)
    }

    fn get(&mut self) -> Result<Payload> {
        let mut payload = Payload::default();
        self.0.read_exact(payload.as_mut_bytes())?;
        Ok(payload)
    }
}

/// What both processes see besides the links. Every field has a pair of cache lines to itself, for
/// processors fetch them in pairs.
#[repr(C)]
struct Shared {
    there: Padded,
    back: Padded,
    /// Which case is next; raised `turn` says so.
    case: Padded,
    turn: Padded,
}

#[repr(C, align(128))]
struct Padded(AtomicU32);

impl Shared {
    fn map() -> Result<&'static Self> {
        let len = NonZeroUsize::new(size_of::<Self>()).ok_or("nothing to share")?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let page =
            unsafe { mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED) }?;
        // SAFETY: a page is large and aligned enough, all zeroes are valid atomics, and it stays mapped.
        Ok(unsafe { page.cast().as_ref() })
    }

    /// Has the child run `case` next.
    fn announce(&self, case: u32) -> Result {
        self.case.0.store(case, Relaxed);
        self.turn.0.fetch_add(1, Release);
        futex_wake(&self.turn.0)
    }

    /// Waits for the turn after `turn`, and returns its case.
    fn next_case(&self, turn: u32) -> Result<u32> {
        while self.turn.0.load(Acquire) == turn {
            futex_wait(&self.turn.0, turn)?;
        }
        Ok(self.case.0.load(Relaxed))
    }
}

/// Sleeps while `word` holds `value`, or for a shorter time.
fn futex_wait(word: &AtomicU32, value: u32) -> Result {
    // SAFETY: the kernel only reads the word, which lives as long as the call.
    let result =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, null::<libc::timespec>()) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn futex_wake(word: &AtomicU32) -> Result {
    // SAFETY: the kernel takes the word's address for a name and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
    Errno::result(result)?;
    Ok(())
}

/// The case number that ends the child.
const QUIT: u32 = u32::MAX;

/// A way to go there and back, and what is known of it.
struct Case {
    name: &'static str,
    key: &'static str,
    /// Round trips in a slice.
    trips: u64,
    link: Box<dyn Link>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Parent,
    Child,
}

/// Everything the two processes talk over, before it is known which is which.
struct Lines {
    shared: &'static Shared,
    spsc: [spsc::Channel<Payload>; 2],
    bytes: [bytes::Channel; 2],
    pipes: [(OwnedFd, OwnedFd); 2],
    sockets: (UnixStream, UnixStream),
}

impl Lines {
    fn new() -> Result<Self> {
        let ring = || spsc::Channel::options().capacity(64).prefault(true).anonymous();
        let records = || bytes::Channel::options().capacity_bytes(4096).prefault(true).anonymous();
        Ok(Self {
            shared: Shared::map()?,
            spsc: [ring()?, ring()?],
            bytes: [records()?, records()?],
            pipes: [pipe()?, pipe()?],
            sockets: UnixStream::pair()?,
        })
    }

    /// The cases of one side, the reference first. The other side's descriptors are closed.
    fn cases(self, side: Side, sleep: bool, round_trips: u32) -> Result<Vec<Case>> {
        let Shared { there, back, .. } = self.shared;
        let [there_ring, back_ring] = self.spsc;
        let [there_records, back_records] = self.bytes;
        let [there_pipe, back_pipe] = self.pipes;
        let wait = if sleep { Wait::Sleep } else { Wait::Spin };

        let (lines, mut spsc, mut bytes, pipes, socket) = match side {
            Side::Parent => (
                CacheLines { mine: &there.0, peers: &back.0, seen: 0 },
                Spsc(there_ring.sender()?, back_ring.receiver()?),
                Bytes(there_records.sender()?, back_records.receiver()?),
                Pipes(there_pipe.1.into(), back_pipe.0.into()),
                Socket(self.sockets.0),
            ),
            Side::Child => (
                CacheLines { mine: &back.0, peers: &there.0, seen: 0 },
                Spsc(back_ring.sender()?, there_ring.receiver()?),
                Bytes(back_records.sender()?, there_records.receiver()?),
                Pipes(back_pipe.1.into(), there_pipe.0.into()),
                Socket(self.sockets.1),
            ),
        };
        spsc.0.set_wait(wait);
        spsc.1.set_wait(wait);
        bytes.0.set_wait(wait);
        bytes.1.set_wait(wait);

        let few = u64::from(round_trips.div_ceil(20));
        let many = if sleep { few } else { round_trips.into() };
        let (name, reference): (_, Box<dyn Link>) =
            if sleep { ("bare futex", Box::new(Futexes(lines))) } else { ("bare cache line", Box::new(lines)) };
        Ok(vec![
            Case { name, key: "reference", trips: many, link: reference },
            Case { name: "ringway spsc", key: "spsc", trips: many, link: Box::new(spsc) },
            Case { name: "ringway bytes", key: "bytes", trips: many, link: Box::new(bytes) },
            Case { name: "pipe", key: "pipe", trips: few, link: Box::new(pipes) },
            Case { name: "Unix socket", key: "socket", trips: few, link: Box::new(socket) },
        ])
    }
}

/// Where the two processes run.
#[derive(Debug)]
enum Placement {
    Pinned { parent: usize, child: usize, one_core: bool },
    OneProcessor(usize),
}

impl Placement {
    /// The first processor this process may use, and the next that is on another core, if there is one.
    fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cpus = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
        let parent = cpus.next().ok_or("there is no processor to run on")?;
        let others: Vec<_> = cpus.collect();
        let elsewhere = others.iter().find(|&&cpu| !share_core(parent, cpu));
        Ok(match elsewhere.or(others.first()) {
            Some(&child) => Self::Pinned { parent, child, one_core: elsewhere.is_none() },
            None => Self::OneProcessor(parent),
        })
    }

    fn pin(&self, side: Side) -> nix::Result<()> {
        let Self::Pinned { parent, child, .. } = *self else { return Ok(()) };
        let mut cpus = CpuSet::new();
        cpus.set(if side == Side::Parent { parent } else { child })?;
        sched_setaffinity(Pid::from_raw(0), &cpus)
    }

    fn describe(&self) -> String {
        match self {
            Self::Pinned { parent, child, one_core: false } => format!("on processors {parent} and {child}"),
            Self::Pinned { parent, child, one_core: true } => {
                format!("on processors {parent} and {child}, which share a core")
            }
            Self::OneProcessor(cpu) => format!("on processor {cpu} alone, so every wait sleeps"),
        }
    }
}

/// Whether the kernel says that two processors are one core's.
fn share_core(one: usize, other: usize) -> bool {
    let core_of = |cpu| {
        let read = |name| fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}")).ok();
        Some((read("physical_package_id")?, read("core_id")?))
    };
    core_of(one).is_some_and(|core| core_of(other) == Some(core))
}

/// Whether the child is to end now.
static FINISHED: AtomicBool = AtomicBool::new(false);

/// Ends this process when its child dies, for it may be waiting for it in a way that nothing ends.
extern "C" fn child_ended(_signal: c_int) {
    const MESSAGE: &[u8] = b"latency: the child process died\n";
    if !FINISHED.load(Relaxed) {
        // SAFETY: the message is readable for its length.
        unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
        // SAFETY: may be called in a signal handler, and leaves nothing behind that matters.
        unsafe { libc::_exit(1) };
    }
}

/// Starts the process that echoes.
fn start_child() -> Result<Side> {
    let flags = SaFlags::SA_RESTART | SaFlags::SA_NOCLDSTOP;
    let action = SigAction::new(SigHandler::Handler(child_ended), flags, SigSet::empty());
    // SAFETY: the handler makes only calls that a handler may make.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    let parent = getpid();
    // SAFETY: this process has one thread, so the child may do whatever this one may.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(Side::Parent),
        ForkResult::Child => {
            // When the parent dies, nobody else would end this process.
            set_pdeathsig(Signal::SIGKILL)?;
            if getppid() == parent { Ok(Side::Child) } else { Err("the parent died".into()) }
        }
    }
}

/// What the child does: echoes as told, until it is told to end.
fn serve(shared: &Shared, cases: &mut [Case]) -> Result {
    for turn in 0.. {
        match shared.next_case(turn)? {
            QUIT => break,
            index => {
                let case = cases.get_mut(index as usize).ok_or("there is no such case")?;
                case.link.echo(case.trips)?;
            }
        }
    }
    Ok(())
}

/// What was measured of a case.
struct Measured {
    name: &'static str,
    key: &'static str,
    times: Histogram<u64>,
    /// The median of each slice.
    medians: Vec<u64>,
}

/// What the parent does: runs all cases in turn, slice by slice.
fn measure(shared: &Shared, cases: &mut [Case], slices: u32) -> Result<Vec<Measured>> {
    let watched = io::stderr().is_terminal();
    let mut measured = Vec::new();
    for case in &*cases {
        let times = Histogram::new_with_bounds(1, 100_000_000_000, 3)?;
        measured.push(Measured { name: case.name, key: case.key, times, medians: Vec::new() });
    }
    for slice in 0..slices {
        if watched {
            eprint!("\r\x1b[Kslice {} of {slices}", slice + 1);
        }
        for (index, (case, measured)) in cases.iter_mut().zip(&mut measured).enumerate() {
            shared.announce(index as u32)?;
            let mut times = case.link.time(case.trips)?;
            times.iter().for_each(|&time| measured.times.saturating_record(time));
            measured.medians.push(median(&mut times));
        }
    }
    if watched {
        eprint!("\r\x1b[K");
    }
    Ok(measured)
}

fn median(values: &mut [u64]) -> u64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

impl Measured {
    /// The quartiles of how much longer this took than the reference, slice by slice.
    fn ratios(&self, reference: &Measured) -> [f64; 3] {
        let pairs = self.medians.iter().zip(&reference.medians);
        let mut ratios: Vec<_> = pairs.map(|(&mine, &its)| mine as f64 / its.max(1) as f64).collect();
        ratios.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| ratios[(ratios.len() - 1) * quarter / 4])
    }

    /// Percentiles 50, 99 and 99.9, and the longest time.
    fn percentiles(&self) -> [u64; 4] {
        [0.5, 0.99, 0.999, 1.0].map(|quantile| self.times.value_at_quantile(quantile))
    }
}

/// Everything there is to report.
struct Report {
    kernel: String,
    placement: Placement,
    sleep: bool,
    slices: u32,
    clock: u64,
    measured: Vec<Measured>,
}

impl Report {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { kernel, placement, slices, clock, measured, .. } = self;
        let waits = if self.sleep { "sleeping" } else { "spinning" };
        writeln!(out, "64 bytes there and back, {waits}, between two processes {}", placement.describe())?;
        writeln!(out, "{kernel}; {slices} slices; reading the clock takes {clock} ns of each time")?;
        writeln!(out)?;
        let titles = ["p50", "p99", "p99.9", "max"].map(|title| format!("{title:>10}")).concat();
        writeln!(out, "{:<16}{titles}   ratio to the first [quartiles]", "")?;
        for case in measured {
            let columns = case.percentiles().map(|time| format!("{:>10}", human(time))).concat();
            let [low, middle, high] = case.ratios(&measured[0]);
            writeln!(out, "{:<16}{columns}   {middle:.2} [{low:.2}, {high:.2}]", case.name)?;
        }
        writeln!(out)?;
        print_histograms(out, [&measured[0], &measured[1]])
    }

    fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        let (parent, child) = match self.placement {
            Placement::Pinned { parent, child, .. } => (parent, child),
            Placement::OneProcessor(cpu) => (cpu, cpu),
        };
        let Self { kernel, sleep, slices, clock, .. } = self;
        writeln!(out, "{{")?;
        // The kernel's name is plain text, which Rust quotes as JSON does.
        writeln!(out, "  \"kernel\": {kernel:?},")?;
        writeln!(out, "  \"cpus\": [{parent}, {child}],")?;
        writeln!(out, "  \"sleep\": {sleep},")?;
        writeln!(out, "  \"slices\": {slices},")?;
        writeln!(out, "  \"clock\": {clock},")?;
        writeln!(out, "  \"cases\": {{")?;
        for (index, case) in self.measured.iter().enumerate() {
            let [p50, p99, p999, max] = case.percentiles();
            let [low, middle, high] = case.ratios(&self.measured[0]);
            let comma = if index + 1 < self.measured.len() { "," } else { "" };
            write!(out, "    {:?}: {{\"count\": {}, ", case.key, case.times.len())?;
            write!(out, "\"p50\": {p50}, \"p99\": {p99}, \"p99.9\": {p999}, \"max\": {max}, ")?;
            writeln!(out, "\"ratio\": {middle:.4}, \"ratio_quartiles\": [{low:.4}, {high:.4}]}}{comma}")?;
        }
        writeln!(out, "  }}\n}}")
    }
}

/// A time in nanoseconds, in a unit that suits it.
fn human(nanoseconds: u64) -> String {
    match nanoseconds {
        0..10_000 => format!("{nanoseconds} ns"),
        10_000..1_000_000 => format!("{:.1} µs", nanoseconds as f64 / 1e3),
        _ => format!("{:.1} ms", nanoseconds as f64 / 1e6),
    }
}

/// Two histograms beside each other, in buckets of equal width on a logarithmic scale.
fn print_histograms(out: &mut impl Write, cases: [&Measured; 2]) -> io::Result<()> {
    const MOST_ROWS: usize = 24;
    const BAR: f64 = 30.0;

    let low = cases.map(|case| case.times.value_at_quantile(0.001)).into_iter().min().unwrap_or(1);
    let high = cases.map(|case| case.times.value_at_quantile(0.999)).into_iter().max().unwrap_or(1);
    let bucket_of = |time: u64, octaves: f64| ((time.max(1) as f64).log2() / octaves) as usize;
    let rows = |octaves| bucket_of(high, octaves) - bucket_of(low, octaves) + 1;
    let octaves = [0.125, 0.25, 0.5].into_iter().find(|&octaves| rows(octaves) <= MOST_ROWS).unwrap_or(1.0);
    let (first, rows) = (bucket_of(low, octaves), rows(octaves));

    // The first row takes what is shorter, too, and one row more what is longer.
    let shares = cases.map(|case| {
        let mut shares = vec![0.0; rows + 1];
        for bucket in case.times.iter_recorded() {
            let row = bucket_of(bucket.value_iterated_to(), octaves).saturating_sub(first).min(rows);
            shares[row] += bucket.count_at_value() as f64 / case.times.len() as f64;
        }
        shares
    });
    let largest = shares.iter().flatten().fold(0.0, |a: f64, &b| a.max(b));

    writeln!(out, "{:>13}   {:<40}{}", "from", cases[0].name, cases[1].name)?;
    let cell = |share: f64| format!("{:5.1} % {}", share * 100.0, "█".repeat((share / largest * BAR).round() as usize));
    for (row, (&one, &other)) in shares[0].iter().zip(&shares[1]).enumerate() {
        let from = ((first + row) as f64 * octaves).exp2().round() as u64;
        let (one, other) = (cell(one), cell(other));
        writeln!(out, "{:>13}   {one:<40}{other}", human(from))?;
    }
    Ok(())
}

/// What one look at the clock takes, in nanoseconds: two of them enclose each round trip, and the time
/// between them is the one's.
fn clock() -> u64 {
    let mut times: Vec<_> = (0..1000).map(|_| Instant::now().elapsed().as_nanos() as u64).collect();
    median(&mut times)
}

fn run(arguments: &Arguments) -> Result {
    let placement = Placement::choose()?;
    let sleep = arguments.sleep || matches!(placement, Placement::OneProcessor(_));
    let lines = Lines::new()?;
    let shared = lines.shared;

    let side = start_child()?;
    placement.pin(side)?;
    let mut cases = lines.cases(side, sleep, arguments.round_trips)?;
    if side == Side::Child {
        return serve(shared, &mut cases);
    }

    let measured = measure(shared, &mut cases, arguments.slices)?;
    FINISHED.store(true, Relaxed);
    shared.announce(QUIT)?;
    waitpid(None, None)?;

    let kernel = uname()?;
    let kernel = format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy());
    let report = Report { kernel, placement, sleep, slices: arguments.slices, clock: clock(), measured };
    let mut out = io::stdout().lock();
    if arguments.json {
        report.print_json(&mut out)?
    } else {
        report.print(&mut out)?
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latency: {error}");
            ExitCode::FAILURE
        }
    }
}
