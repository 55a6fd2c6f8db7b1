//! Receives the ticks that the `producer` example sends, checks that none is missing, and says how many
//! there were. Start them in either order: the first makes the file, and the other opens it.
//!
//! ```text
//! cargo run --release --example consumer -- /dev/shm/ticks
//! cargo run --release --example producer -- /dev/shm/ticks
//! ```
//!
//! It runs until Ctrl-C, or for `--count` ticks. Either may be stopped, killed or crash, and be started again: the other
//! goes on as soon as it is back. A consumer goes on where the one before it stopped.

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

/// Receive ticks from a ring in a file.
#[derive(Parser)]
struct Arguments {
    /// The file; made if it is missing.
    path: PathBuf,
    /// Stop after so many ticks.
    #[arg(long)]
    count: Option<u64>,
    /// How many ticks the ring holds; the same for the producer.
    #[arg(long, default_value_t = 4096)]
    capacity: u64,
    /// Panic after so many ticks, to see what the producer does.
    #[arg(long)]
    panic_after: Option<u64>,
}

/// One price, as the producer writes it.
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

/// Ends a call that is blocked at Ctrl-C. Dropping the receiver then tells the producer.
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

/// What came so far.
#[derive(Default)]
struct Tape {
    count: u64,
    volume: u64,
    last: Option<Tick>,
}

impl Tape {
    /// Counts the tick that was received from a position.
    fn add(&mut self, position: u64, tick: Tick) -> Result<(), String> {
        if tick.position != position {
            return Err(format!("tick {} came where tick {position} was due", tick.position));
        }
        self.count += 1;
        self.volume += tick.volume;
        self.last = Some(tick);
        Ok(())
    }

    fn last_price(&self) -> String {
        self.last.as_ref().map_or("none".into(), |tick| format!("{:.2}", tick.price as f64 / 100.0))
    }

    /// How long ago the last tick was made.
    fn age(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.as_ref().map_or(Duration::ZERO, |tick| now.saturating_sub(Duration::from_nanos(tick.at_ns)))
    }
}

/// A line a second if somebody watches, and a summary at the end for everybody.
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

    fn update(&mut self, tape: &Tape) {
        let since = self.shown.elapsed();
        if self.watched && since >= Duration::from_secs(1) {
            let rate = (tape.count - self.shown_count) as f64 / since.as_secs_f64();
            let (count, price, age) = (tape.count, tape.last_price(), tape.age());
            eprint!("\r\x1b[K{count} ticks received, {rate:.0}/s; last price {price}, {age:.1?} old");
            (self.shown, self.shown_count) = (Instant::now(), tape.count);
        }
    }

    fn finish(&self, tape: &Tape, why: &str) {
        let elapsed = self.start.elapsed();
        let line_start = if self.watched { "\r\x1b[K" } else { "" };
        let (count, volume, price) = (tape.count, tape.volume, tape.last_price());
        let rate = count as f64 / elapsed.as_secs_f64();
        eprintln!("{line_start}{count} ticks received in {elapsed:.2?}, {rate:.0}/s: {why}");
        eprintln!("volume {volume}, last price {price}");
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let options = spsc::Channel::<Tick>::options().capacity(arguments.capacity);
    let mut receiver = options.open_or_create(&arguments.path)?.receiver()?;
    receiver.outlive_peers(true);
    let stop = receiver.canceller();
    stop_on_signals(stop.clone())?;

    let mut meter = Meter::new();
    let mut tape = Tape::default();
    let why = loop {
        if arguments.count == Some(tape.count) {
            break "that was all";
        }
        assert!(arguments.panic_after != Some(tape.count), "a panic was asked for");
        let position = receiver.position();
        match receiver.recv_timeout(Duration::from_secs(1)) {
            Ok(tick) => {
                if tape.count == 0 {
                    // However long it took the producer to come is not part of the rate.
                    meter = Meter::new();
                }
                tape.add(position, tick)?;
            }
            // The producer is slow, or not there.
            Err(error) if error.is_timeout() => meter.update(&tape),
            Err(error) if error.is_cancelled() => break "interrupted",
            Err(error) => return Err(error.into()),
        }
        if tape.count % 1024 == 0 {
            meter.update(&tape);
            // A receiver that always finds a tick is not blocked, and not cancelled.
            if stop.is_cancelled() {
                break "interrupted";
            }
        }
    };
    meter.finish(&tape, why);
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consumer: {error}");
            ExitCode::FAILURE
        }
    }
}
