//! Sends ticks through a ring in a file, to a process that runs the `consumer` example on the same path. Start
//! them in either order: the first makes the file, and the other opens it.
//!
//! ```text
//! cargo run --release --example producer -- /dev/shm/ticks
//! cargo run --release --example consumer -- /dev/shm/ticks
//! ```
//!
//! It runs until Ctrl-C, or for `--count` ticks. Either may be stopped, killed or crash, and be started again: the other
//! goes on as soon as it is back. Whatever the consumer has not taken waits in the file. Remove the file when done.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use nix::libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use ringway::{Canceller, spsc};

/// Send ticks through a ring in a file.
#[derive(Parser)]
struct Arguments {
    /// The file; made if it is missing.
    path: PathBuf,
    /// Stop after so many ticks.
    #[arg(long)]
    count: Option<u64>,
    /// How many ticks the ring holds; the same for the consumer.
    #[arg(long, default_value_t = 4096)]
    capacity: u64,
    /// Panic after so many ticks, to see what the consumer does.
    #[arg(long)]
    panic_after: Option<u64>,
}

/// One price. The consumer has a struct of its own with this name and these fields: the region remembers
/// both, and refuses a program that has others.
#[ringway::message]
#[repr(C)]
struct Tick {
    /// Its position in the ring, which goes on from one producer to the next.
    position: u64,
    /// Nanoseconds since 1970.
    at_ns: u64,
    /// In cents.
    price: i64,
    volume: u64,
}

/// Ends a call that is blocked at Ctrl-C. Dropping the sender then tells the consumer.
static STOP: OnceLock<Canceller> = OnceLock::new();

extern "C" fn stop(_signal: c_int) {
    if let Some(stop) = STOP.get() {
        stop.cancel();
    }
}

fn stop_on_signals(canceller: Canceller) -> nix::Result<()> {
    STOP.get_or_init(|| canceller);
    let action = SigAction::new(SigHandler::Handler(stop), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler does nothing but cancel, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// A line a second if somebody watches, and one at the end for everybody.
struct Meter {
    start: Instant,
    shown: Instant,
    shown_count: u64,
    watched: bool,
}

impl Meter {
    fn new() -> Self {
        let now = Instant::now();
        Self { start: now, shown: now, shown_count: 0, watched: io::stderr().is_terminal() }
    }

    fn update(&mut self, count: u64) {
        let since = self.shown.elapsed();
        if self.watched && since >= Duration::from_secs(1) {
            let rate = (count - self.shown_count) as f64 / since.as_secs_f64();
            eprint!("\r\x1b[K{count} ticks sent, {rate:.0}/s");
            (self.shown, self.shown_count) = (Instant::now(), count);
        }
    }

    fn finish(&self, count: u64, why: &str) {
        let elapsed = self.start.elapsed();
        let line_start = if self.watched { "\r\x1b[K" } else { "" };
        let rate = count as f64 / elapsed.as_secs_f64();
        eprintln!("{line_start}{count} ticks sent in {elapsed:.2?}, {rate:.0}/s: {why}");
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let options = spsc::Channel::<Tick>::options().capacity(arguments.capacity);
    let mut sender = options.open_or_create(&arguments.path)?.sender()?;
    sender.outlive_peers(true);
    let stop = sender.canceller();
    stop_on_signals(stop.clone())?;

    let mut meter = Meter::new();
    let (mut sent, mut price) = (0, 10_000);
    let why = loop {
        if arguments.count == Some(sent) {
            break "that was all";
        }
        assert!(arguments.panic_after != Some(sent), "a panic was asked for");
        price = (price + fastrand::i64(-1..=1)).max(1);
        let at_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
        let tick = Tick { position: sender.position(), at_ns, price, volume: fastrand::u64(1..1000) };
        match sender.send_timeout(&tick, Duration::from_secs(1)) {
            Ok(()) => sent += 1,
            // The consumer is slow, or not there.
            Err(error) if error.is_timeout() => meter.update(sent),
            Err(error) if error.is_cancelled() => break "interrupted",
            Err(error) => return Err(error.into()),
        }
        if sent % 1024 == 0 {
            meter.update(sent);
            // A sender that always finds room is not blocked, and not cancelled.
            if stop.is_cancelled() {
                break "interrupted";
            }
        }
    };
    meter.finish(sent, why);
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("producer: {error}");
            ExitCode::FAILURE
        }
    }
}
