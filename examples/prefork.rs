//! A parent hands work to processes it forked before, over one lane to each, and gets the results back
//! over another. The work is hashing the chunks of a file. A worker that is killed is forked again, and goes on
//! with the chunk that its predecessor had in its hands.
//!
//! ```text
//! cargo run --release --example prefork -- FILE --workers 4
//! ```
//!
//! Each chunk is hashed with 64-bit FNV-1a, and so are the chunks' hashes, in order: the digest does not
//! depend on the number of workers. It tells files apart that differ by accident, not by intent.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use ringway::{RecvError, RecvTimeoutError, spsc};

/// Hash a file in several processes.
#[derive(Parser)]
struct Arguments {
    /// The file.
    file: PathBuf,
    /// How many processes hash it [default: one for each processor].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1024))]
    workers: Option<u64>,
    /// Print the hash of each chunk, too.
    #[arg(long)]
    chunks: bool,
}

const CHUNK: u64 = 256 << 10;

/// How many jobs a worker may have at a time. Its lanes hold one more, which it has done but still holds, so nobody
/// ever waits for room.
const AHEAD: u64 = 8;

/// A chunk to hash.
#[ringway::message]
#[repr(C)]
struct Job {
    offset: u64,
    len: u64,
}

/// A job's result.
#[ringway::message]
#[repr(C)]
struct Hashed {
    offset: u64,
    hash: u64,
}

const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with FNV-1a.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// How often a worker is forked again before its parent gives up.
const LIVES: u32 = 5;

/// A forked process, as its parent sees it.
struct Worker<'a> {
    number: u64,
    lives: u32,
    file: &'a File,
    process: Process,
    // Dropped before the process is waited for, which ends it.
    jobs: Option<spsc::Sender<Job>>,
    results: spsc::Receiver<Hashed>,
    lanes: Lanes,
}

/// What crosses the fork.
#[derive(Clone)]
struct Lanes {
    jobs: spsc::Channel<Job>,
    results: spsc::Channel<Hashed>,
}

impl<'a> Worker<'a> {
    fn start(number: u64, file: &'a File) -> Result<Self, Box<dyn Error>> {
        let lanes = Lanes {
            jobs: spsc::Channel::options().capacity(AHEAD + 1).anonymous()?,
            results: spsc::Channel::options().capacity(AHEAD + 1).anonymous()?,
        };
        let (jobs, results) = (Some(lanes.jobs.sender()?), lanes.results.receiver()?);
        Ok(Self { number, lives: LIVES, file, process: Self::fork(number, file, &lanes)?, jobs, results, lanes })
    }

    fn fork(number: u64, file: &File, lanes: &Lanes) -> Result<Process, Box<dyn Error>> {
        Process::fork(|| {
            let work = hash_chunks(file, lanes);
            work.map_err(|error| format!("worker {number}: {error}").into())
        })
    }

    fn hand_out(&mut self, job: &Job) -> Result<(), Box<dyn Error>> {
        match self.jobs.as_mut().map(|jobs| jobs.send(job)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.obituary()),
        }
    }

    /// The result of the job at `offset`, the earliest that is not done yet.
    fn result(&mut self, offset: u64) -> Result<Hashed, Box<dyn Error>> {
        loop {
            let error = match self.results.recv_timeout(Duration::from_millis(100)) {
                Ok(hashed) if hashed.offset == offset => return Ok(hashed),
                // Of one that was killed after it sent this, and before it had done with the job.
                Ok(_) => continue,
                // Of one that was killed before it took its seat, only its parent knows.
                Err(RecvTimeoutError::Timeout) if self.process.is_alive()? => continue,
                Err(error) => error,
            };
            let died =
                matches!(error, RecvTimeoutError::Timeout | RecvTimeoutError::Refused(RecvError::PeerDied { .. }));
            if !died && error != RecvTimeoutError::Refused(RecvError::Closed) {
                return Err(error.into());
            }
            if !died || self.lives == 0 {
                return Err(self.obituary());
            }
            self.lives -= 1;
            eprintln!("prefork: {}; forking it again", self.obituary());
            self.process = Self::fork(self.number, self.file, &self.lanes)?;
        }
    }

    /// Lets the worker finish, and waits for it.
    fn finish(mut self) -> Result<(), Box<dyn Error>> {
        self.jobs = None;
        match self.process.wait()? {
            WaitStatus::Exited(_, 0) => Ok(()),
            _ => Err(self.obituary()),
        }
    }

    fn obituary(&mut self) -> Box<dyn Error> {
        let (number, pid) = (self.number, self.process.pid);
        match self.process.wait() {
            Ok(WaitStatus::Exited(_, code)) => format!("worker {number}, process {pid}, exited with {code}").into(),
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                format!("worker {number}, process {pid}, died of {signal}").into()
            }
            Ok(status) => format!("worker {number}: {status:?}").into(),
            Err(error) => error.into(),
        }
    }
}

/// A child process. Whatever happens, it is waited for: no zombie stays.
struct Process {
    pid: Pid,
    status: Option<WaitStatus>,
}

impl Process {
    fn fork(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Self, Box<dyn Error>> {
        let parent = getpid();
        // SAFETY: this process has one thread, so the child may do whatever this one may.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self { pid: child, status: None }),
            ForkResult::Child => {
                let result = end_with(parent).and_then(|()| work());
                if let Err(error) = &result {
                    eprintln!("prefork: {error}");
                }
                std::process::exit(i32::from(result.is_err()));
            }
        }
    }

    fn is_alive(&mut self) -> nix::Result<bool> {
        self.reap(Some(WaitPidFlag::WNOHANG)).map(|status| status == WaitStatus::StillAlive)
    }

    fn wait(&mut self) -> nix::Result<WaitStatus> {
        self.reap(None)
    }

    fn reap(&mut self, flags: Option<WaitPidFlag>) -> nix::Result<WaitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let status = loop {
            match waitpid(self.pid, flags) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        if status != WaitStatus::StillAlive {
            self.status = Some(status);
        }
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not waited for, so something went wrong, and the id is still its own.
        if self.status.is_none() {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = self.wait();
        }
    }
}

/// Has the kernel end this process when its parent dies, for then nobody would tell it to.
fn end_with(parent: Pid) -> Result<(), Box<dyn Error>> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent { Ok(()) } else { Err("the parent died".into()) }
}

/// What a worker does: hashes as told, until there are no more jobs.
fn hash_chunks(file: &File, lanes: &Lanes) -> Result<(), Box<dyn Error>> {
    let (mut jobs, mut results) = (lanes.jobs.receiver()?, lanes.results.sender()?);
    let mut chunk = vec![0; CHUNK as usize];
    loop {
        // Held until its result is sent: if this process is killed before that, the next worker gets it.
        let job = match jobs.recv_ref() {
            Ok(job) => job,
            Err(RecvError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let Job { offset, len } = job.read();
        let chunk = &mut chunk[..len as usize];
        file.read_exact_at(chunk, offset).map_err(|error| format!("{len} bytes at {offset}: {error}"))?;
        results.send(&Hashed { offset, hash: fnv(EMPTY, chunk) })?;
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let name = arguments.file.display();
    let file = File::open(&arguments.file).map_err(|error| format!("{name}: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("{name}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{name} is no regular file").into());
    }
    let len = metadata.len();
    let count = match arguments.workers {
        Some(count) => count,
        None => available_parallelism()?.get() as u64,
    };
    let mut workers = (0..count).map(|number| Worker::start(number, &file)).collect::<Result<Vec<_>, _>>()?;

    // Chunk by chunk in turn, so the results come in the order of the file.
    let chunks = len.div_ceil(CHUNK);
    let worker_of = |chunk: u64| (chunk % count) as usize;
    let job = |chunk: u64| Job { offset: chunk * CHUNK, len: CHUNK.min(len - chunk * CHUNK) };
    let ahead = AHEAD * count;
    for chunk in 0..ahead.min(chunks) {
        workers[worker_of(chunk)].hand_out(&job(chunk))?;
    }
    let mut digest = EMPTY;
    let mut output = io::stdout().lock();
    for chunk in 0..chunks {
        let Hashed { offset, hash } = workers[worker_of(chunk)].result(job(chunk).offset)?;
        digest = fnv(digest, &hash.to_le_bytes());
        if arguments.chunks {
            writeln!(output, "{hash:016x}  {name} from {offset}")?;
        }
        if chunk + ahead < chunks {
            workers[worker_of(chunk + ahead)].hand_out(&job(chunk + ahead))?;
        }
    }
    for worker in workers {
        worker.finish()?;
    }
    writeln!(output, "{digest:016x}  {name}")?;
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prefork: {error}");
            ExitCode::FAILURE
        }
    }
}
