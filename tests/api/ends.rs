//! Rings with both their ends, and helpers that all modules share.

use std::time::Duration;

use ringway::{SendError, TrySendError, Wait, bytes, spsc};

pub const SHORT: Duration = Duration::from_millis(3);

pub const WAITS: [Wait; 3] = [Wait::Spin, Wait::Sleep, Wait::SpinThenSleep(Duration::from_micros(50))];

/// Ends the whole test process if a call does not return that must.
pub struct Watchdog {
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watchdog {
    pub fn new() -> Self {
        let (alive, watch) = std::sync::mpsc::channel();
        let limit = std::env::var("RINGWAY_TEST_DEADLINE").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        std::thread::spawn(move || {
            if watch.recv_timeout(Duration::from_secs(limit)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{name} stands still");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}

pub fn ring<T: ringway::Message>(capacity: u64) -> (spsc::Channel<T>, spsc::Sender<T>, spsc::Receiver<T>) {
    let channel = spsc::Channel::<T>::options().capacity(capacity).anonymous().unwrap();
    let (tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    (channel, tx, rx)
}

pub fn page() -> (bytes::Channel, bytes::Sender, bytes::Receiver) {
    let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let (tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    (channel, tx, rx)
}

/// `len` bytes. They differ from seed to seed.
pub fn some_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

pub fn refused(error: TrySendError) -> SendError {
    match error {
        TrySendError::Refused(error) => error,
        other => panic!("{other}"),
    }
}

/// Runs work that must panic, without a message.
pub fn panics(work: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err()
}
