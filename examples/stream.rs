//! Streams a file, or its standard input, to another program: this one, started a second time, which
//! writes what it receives to the same standard output. The records cross in shared memory.
//!
//! ```text
//! cargo run --release --example stream -- FILE > COPY
//! some-command | cargo run --release --example stream > COPY
//! ```
//!
//! The region is a memfd without a name. The program that is started inherits its descriptor and is told
//! the number on its command line.

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use ringway::{RecvError, SendError, SendTimeoutError, bytes};

/// Stream a file through shared memory to another process, which writes it to standard output.
#[derive(Parser)]
struct Arguments {
    /// The file; standard input if it is `-` or left out.
    file: Option<PathBuf>,
    /// In the program that is started: the descriptor of the region.
    #[arg(long, hide = true, requires = "sender_pid", conflicts_with = "file", value_parser = clap::value_parser!(i32).range(3..))]
    receive_fd: Option<RawFd>,
    /// In the program that is started: the process that started it.
    #[arg(long, hide = true, requires = "receive_fd")]
    sender_pid: Option<u32>,
}

const RECORD: usize = 64 << 10;
const RING: u64 = 1 << 20;

/// Sends all of `input` to a process started for it.
fn send(name: &str, mut input: impl Read) -> Result<(), Box<dyn Error>> {
    let channel = bytes::Channel::options().capacity_bytes(RING).memfd()?;
    let mut sender = channel.sender()?;
    let mut child = start_receiver(&channel)?;

    let sent = send_records(name, &mut input, &mut sender, &mut child);
    // Only now does the receiver know that nothing more comes.
    drop(sender);
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("the receiving process failed: {status}").into());
    }
    sent
}

fn start_receiver(channel: &bytes::Channel) -> Result<Child, Box<dyn Error>> {
    let inherited = channel.region().inheritable_fd()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(format!("--receive-fd={}", inherited.as_raw_fd()))
        .arg(format!("--sender-pid={}", std::process::id()))
        .spawn()?;
    Ok(child)
}

fn send_records(
    name: &str,
    input: &mut impl Read,
    sender: &mut bytes::Sender,
    child: &mut Child,
) -> Result<(), Box<dyn Error>> {
    let mut progress = Progress::new();
    let mut buffer = vec![0; RECORD];
    loop {
        let record = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => &buffer[..len],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("{name}: {error}").into()),
        };
        loop {
            match sender.send_timeout(record, Duration::from_millis(100)) {
                Ok(()) => break,
                // The receiver may be slow. If it was killed, it could not say that it left.
                Err(SendTimeoutError::Timeout) if child.try_wait()?.is_none() => {}
                Err(
                    SendTimeoutError::Timeout
                    | SendTimeoutError::Refused(SendError::Closed | SendError::PeerDied { .. }),
                ) => {
                    return Err("the receiving process left before the end".into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        progress.add(record.len());
    }
}

/// How much was sent, and how fast, for somebody who watches.
struct Progress {
    start: Instant,
    shown: Instant,
    bytes: usize,
    watched: bool,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { start: now, shown: now, bytes: 0, watched: io::stderr().is_terminal() }
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.watched && self.shown.elapsed() >= Duration::from_millis(200) {
            self.shown = Instant::now();
            self.show("");
        }
    }

    fn show(&self, end: &str) {
        let rate = self.bytes as f64 / self.start.elapsed().as_secs_f64();
        eprint!("\r\x1b[K{} bytes, {:.0} MB/s{end}", self.bytes, rate / 1e6);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.watched {
            self.show("\n");
        }
    }
}

/// Writes what comes through the region behind descriptor `fd` to standard output.
fn receive(fd: RawFd, sender_pid: u32) -> Result<(), Box<dyn Error>> {
    // A sender that is killed cannot say that it left; so end with it, even if it was killed already.
    set_pdeathsig(Signal::SIGKILL)?;
    if parent_id() != sender_pid {
        return Err("the sending process is gone".into());
    }
    let mut receiver = bytes::Channel::options().from_inherited_fd(fd)?.receiver()?;
    // Unbuffered, for whole records are written.
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut buffer = vec![0; RECORD];
    loop {
        match receiver.recv_into(&mut buffer) {
            Ok(len) => output.write_all(&buffer[..len]).map_err(|error| format!("standard output: {error}"))?,
            Err(RecvError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if let (Some(fd), Some(sender_pid)) = (arguments.receive_fd, arguments.sender_pid) {
        return receive(fd, sender_pid);
    }
    match arguments.file.as_deref() {
        Some(path) if path != Path::new("-") => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
            send(&name, file)
        }
        _ => send("standard input", io::stdin().lock()),
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stream: {error}");
            ExitCode::FAILURE
        }
    }
}
