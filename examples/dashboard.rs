//! One process measures the machine every few milliseconds, and any number of others show the latest
//! values. The readers never hold up the writer, and it does not know them: who is slow misses values, as
//! their numbers show.
//!
//! ```text
//! cargo run --release --example dashboard -- --readers 2 --for 5
//! ```

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use ringway::{ChangedError, ReadError, seqlock};

/// Show the state of the machine in several processes.
#[derive(Parser)]
struct Arguments {
    /// How many processes show it.
    #[arg(long, default_value_t = 3)]
    readers: usize,
    /// For how long.
    #[arg(long = "for", value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    duration: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// How often the writer measures.
const PERIOD: Duration = Duration::from_millis(5);

/// What is known of the machine at one moment. Readers see all of it from the same moment.
#[ringway::message]
#[repr(C)]
struct Machine {
    /// Mean number of runnable processes over 1, 5 and 15 minutes.
    load: [f64; 3],
    /// Seconds since boot.
    uptime: f64,
    free_bytes: u64,
    total_bytes: u64,
}

impl Machine {
    fn measure() -> Result<Self, String> {
        let load = read("/proc/loadavg")?;
        let uptime = read("/proc/uptime")?;
        let memory = read("/proc/meminfo")?;
        let loads = [word(&load, 0)?, word(&load, 1)?, word(&load, 2)?];
        Ok(Self {
            load: loads,
            uptime: word(&uptime, 0)?,
            free_bytes: kilobytes(&memory, "MemAvailable:")?,
            total_bytes: kilobytes(&memory, "MemTotal:")?,
        })
    }

    fn line(&self) -> String {
        let Self { load: [one, five, fifteen], uptime, free_bytes, total_bytes } = self;
        let (free, total) = (free_bytes >> 20, total_bytes >> 20);
        format!("up {uptime:.1} s, load {one:.2} {five:.2} {fifteen:.2}, {free} of {total} MiB free")
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn word<T: FromStr>(text: &str, index: usize) -> Result<T, String> {
    let word = text.split_whitespace().nth(index).and_then(|word| word.parse().ok());
    word.ok_or_else(|| format!("no number at place {index} of {text:?}"))
}

fn kilobytes(text: &str, name: &str) -> Result<u64, String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(word::<u64>(rest.ok_or_else(|| format!("/proc/meminfo has no {name}"))?, 0)? * 1024)
}

/// Prints a line whenever what it would say is new, until the writer leaves.
fn show(number: usize, channel: &seqlock::Channel<Machine>) -> Result<(), Box<dyn Error>> {
    let mut reader = channel.reader();
    let mut shown = String::new();
    loop {
        match reader.changed_timeout(Duration::from_secs(1)) {
            Ok(()) => {}
            Err(ChangedError::Timeout) => continue,
            Err(ChangedError::Closed | ChangedError::PeerDied { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let machine = match reader.read() {
            Ok(machine) => machine,
            // The writer is too fast for the moment.
            Err(ReadError::Overtaken { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let line = machine.line();
        if line != shown {
            writeln!(io::stdout(), "reader {number}: value {}: {line}", reader.version())?;
            shown = line;
        }
    }
}

/// Starts reader `number` as a child of this process.
fn start_reader(number: usize, channel: &seqlock::Channel<Machine>) -> Result<Pid, Box<dyn Error>> {
    let parent = getpid();
    // SAFETY: this process has one thread, so the child may do whatever this one may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let result = end_with(parent).and_then(|()| show(number, channel));
            if let Err(error) = &result {
                eprintln!("dashboard: reader {number}: {error}");
            }
            std::process::exit(i32::from(result.is_err()));
        }
    }
}

/// Has the kernel end this process when its parent dies, for then nobody would tell it to.
fn end_with(parent: Pid) -> Result<(), Box<dyn Error>> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent { Ok(()) } else { Err("the parent died".into()) }
}

/// Measures and writes until the time is up, as long as the readers are well.
fn write(channel: &seqlock::Channel<Machine>, duration: Duration) -> Result<u64, Box<dyn Error>> {
    let mut writer = channel.writer()?;
    let start = Instant::now();
    while start.elapsed() < duration {
        writer.write(&Machine::measure()?)?;
        thread::sleep(PERIOD);
        // Any child: the readers go only after the writer.
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => {}
            Ok(status) => return Err(format!("a reader ended early: {status:?}").into()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(writer.version())
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let channel = seqlock::Channel::<Machine>::options().anonymous()?;
    for number in 1..=arguments.readers {
        start_reader(number, &channel)?;
    }
    let written = write(&channel, arguments.duration);
    // The writer has left, which ends the readers.
    let mut failed = 0;
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(_, 0)) => {}
            Ok(_) => failed += 1,
            Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let written = written?;
    if failed > 0 {
        return Err(format!("{failed} readers failed").into());
    }
    writeln!(io::stdout(), "writer: {written} values in {:.1?}", arguments.duration)?;
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dashboard: {error}");
            ExitCode::FAILURE
        }
    }
}
