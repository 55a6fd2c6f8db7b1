//! A process that is not to be trusted, and all that it shares with this one: a sealed memfd.
//!
//! ```text
//! cargo run --release --example sandbox                 # as root, or where users may make user namespaces
//! ```
//!
//! The program starts itself once more for each of three parts, in PID, mount, network, IPC and host name namespaces of
//! its own (and, unless it is root, in a user namespace), as another user, on an empty root, with a list of allowed system
//! calls and with one descriptor: a worker that does its work and leaves, one that is killed over it, and one that
//! writes rubbish into the shared memory as fast as it can. Whatever it does, this side gets messages or an error.
//!
//! Three things let a confined process take a seat (docs/sandbox.md says why):
//!
//! - the memfd is made with `mode(0o644)`: the other user opens it anew, to lock it, and with that lock its death is told;
//! - it finds `/proc`, at least mounted with `subset=pid`;
//! - its filter allows the system calls in `filter.rs`.
//!
//! A process that takes its seat first, and is confined then, needs none of the three.

mod confine;
mod filter;

use std::error::Error;
use std::fs;
use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, geteuid, getpid};
use ringway::{RecvError, RecvTimeoutError, bytes};

/// Exchange messages with a confined process, see its death, and survive its rubbish.
#[derive(Parser)]
struct Arguments {
    /// In a process that is started: what it does.
    #[arg(long, hide = true, requires = "fd")]
    part: Option<Part>,
    /// In a process that is started: the descriptor of the region.
    #[arg(long, hide = true, requires = "part", value_parser = clap::value_parser!(i32).range(3..))]
    fd: Option<i32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Says what it sees, and leaves.
    Works,
    /// Says that it is there, and waits to be killed.
    Waits,
    /// Fills the region with rubbish again and again.
    Scribbles,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Works => "works",
            Part::Waits => "waits",
            Part::Scribbles => "scribbles",
        }
    }
}

const RING: u64 = 64 << 10;
/// The exit code of a process that could not be confined here, after it said why.
const NO_SANDBOX: u8 = 77;

/// A confined process, killed and reaped at the latest when this is dropped.
struct Confined {
    pid: Pid,
    status: Option<WaitStatus>,
}

impl Confined {
    fn start(part: Part, channel: &bytes::Channel) -> Result<Self, Box<dyn Error>> {
        let fd = channel.region().inheritable_fd()?;
        Ok(Self { pid: confine::start(&["--part", part.name()], fd)?, status: None })
    }

    fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        if self.status.is_none() {
            kill(self.pid, Signal::SIGKILL)?;
            self.wait()?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<WaitStatus, Box<dyn Error>> {
        let status = match self.status {
            Some(status) => status,
            None => waitpid(self.pid, None)?,
        };
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn channel() -> Result<(bytes::Channel, bytes::Receiver), Box<dyn Error>> {
    // The mode lets another user open it anew. Only who was given the descriptor can find it, whatever its mode.
    let channel = bytes::Channel::options().capacity_bytes(RING).mode(0o644).memfd()?;
    let receiver = channel.receiver()?;
    Ok((channel, receiver))
}

/// The worker's messages until it leaves, and how often it was heard; `None` if there can be no sandbox here.
fn receive_its_work() -> Result<Option<u32>, Box<dyn Error>> {
    let (channel, mut receiver) = channel()?;
    let mut worker = match Confined::start(Part::Works, &channel) {
        Ok(worker) => worker,
        Err(error) => {
            eprintln!("SKIPPED sandbox: {error}");
            return Ok(None);
        }
    };
    let mut heard = 0;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(message) => {
                println!("it says: {}", String::from_utf8_lossy(&message));
                heard += 1;
            }
            Err(RecvTimeoutError::Refused(RecvError::Closed)) if heard > 0 => break,
            // Of one that ended before it took its seat, only its parent knows.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Refused(RecvError::Closed)) => {
                match waitpid(worker.pid, Some(WaitPidFlag::WNOHANG))? {
                    WaitStatus::StillAlive => {}
                    status => {
                        worker.status = Some(status);
                        break;
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    match worker.wait()? {
        WaitStatus::Exited(_, 0) => Ok(Some(heard)),
        WaitStatus::Exited(_, code) if code == i32::from(NO_SANDBOX) => Ok(None),
        status => Err(format!("the worker: {status:?}").into()),
    }
}

/// Kills a worker, and is told so by the channel, which names the dead one's turn.
fn report_its_death() -> Result<u64, Box<dyn Error>> {
    let (channel, mut receiver) = channel()?;
    let mut worker = Confined::start(Part::Waits, &channel)?;
    receiver.recv_timeout(Duration::from_secs(30))?;
    worker.kill()?;
    match receiver.recv() {
        Err(RecvError::PeerDied { generation }) => Ok(generation),
        other => Err(format!("expected to hear of its death, heard {other:?}").into()),
    }
}

/// Receives while a process scribbles over all of the region, for a moment; says what came of it.
fn survive_rubbish() -> Result<String, Box<dyn Error>> {
    let (channel, mut receiver) = channel()?;
    let _scribbler = Confined::start(Part::Scribbles, &channel)?;
    let (start, mut messages) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(5) {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(_) => messages += 1,
            // It wrote nothing yet, or what looks like no message; or like a sender that left or died.
            Err(
                RecvTimeoutError::Timeout | RecvTimeoutError::Refused(RecvError::Closed | RecvError::PeerDied { .. }),
            ) => {}
            Err(RecvTimeoutError::Refused(RecvError::Corrupt(corrupt))) => return Ok(corrupt.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(format!("{messages} messages of rubbish"))
}

/// What a confined process does. It has the memfd and nothing else; what it does not trust is up to it: it names the
/// capacity that it expects.
fn confined(part: Part, fd: i32) -> Result<(), Box<dyn Error>> {
    // SAFETY: the number is that of a descriptor that its parent left open for this program, which nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Part::Scribbles = part {
        return scribble(&fd);
    }
    let channel = bytes::Channel::options().capacity_bytes(RING).from_fd(fd)?;
    let mut sender = channel.sender()?;
    match part {
        Part::Works => {
            let describe = |what: Result<(), String>| what.err().unwrap_or_else(|| "allowed".into());
            let file = fs::read("/etc/passwd").map(drop).map_err(|error| error.to_string());
            let socket = UdpSocket::bind("127.0.0.1:0").map(drop).map_err(|error| error.to_string());
            let files = fs::metadata("/proc/1/fd/3").map_or_else(|error| error.to_string(), |_| "open".into());
            sender.send(format!("I am process {} of user {}", getpid(), geteuid()).as_bytes())?;
            sender.send(format!("a file: {}", describe(file)).as_bytes())?;
            sender.send(format!("a socket: {}", describe(socket)).as_bytes())?;
            sender.send(format!("another descriptor: {files}").as_bytes())?;
            Ok(())
        }
        _ => {
            sender.send(b"here")?;
            loop {
                std::thread::park();
            }
        }
    }
}

/// Writes random words over everything but the first page, which the other side has copied long ago.
fn scribble(fd: &OwnedFd) -> Result<(), Box<dyn Error>> {
    let len = nix::sys::stat::fstat(fd)?.st_size as usize;
    let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let size = NonZeroUsize::new(len).ok_or("an empty memfd")?;
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    let base = unsafe { mmap(None, size, prot, MapFlags::MAP_SHARED, fd, 0) }?.cast::<AtomicU64>();
    let mut random = fastrand::Rng::with_seed(1);
    loop {
        // SAFETY: inside the mapping, which is never unmapped.
        let word = unsafe { base.add(random.usize(512..len / 8)) };
        // SAFETY: the same, aligned, and only ever accessed as an atomic.
        unsafe { word.as_ref() }.store(random.u64(..), Relaxed);
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if let Some((part, fd)) = arguments.part.zip(arguments.fd) {
        return confined(part, fd);
    }
    let Some(messages) = receive_its_work()? else { return Ok(()) };
    println!("it sent {messages} messages and left");
    println!("another was killed, and the channel said so: generation {} died", report_its_death()?);
    println!("another wrote rubbish, and all that came of it here is: {}", survive_rubbish()?);
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(fd) = arguments.fd {
        let enter = confine::enter(fd).and_then(|()| Ok(filter::allow_no_more()?));
        if let Err(error) = enter {
            eprintln!("SKIPPED sandbox: {error}");
            return ExitCode::from(NO_SANDBOX);
        }
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
