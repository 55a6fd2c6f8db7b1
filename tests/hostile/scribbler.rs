//! A process overwrites everything at full speed while another uses the region: header, control page and data.
//!
//! Each kind is under fire for `RINGWAY_HOSTILE_SECONDS`, by default 2. The seed is `RINGWAY_HOSTILE_SEED`, and is
//! printed. What two processes do at once cannot be repeated exactly, but the strokes can. Twenty minutes of each kind,
//! optimised, with the checks of a debug build:
//!
//! ```text
//! RUSTFLAGS="-C overflow-checks -C debug-assertions" RINGWAY_HOSTILE_SECONDS=1200 \
//!     cargo test --release --test hostile scribbler -- --nocapture
//! ```

use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::unistd::alarm;
use ringway::{ReadError, Region, Report, WriteError, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::raw::Raw;
use crate::numbers::{evil, number};
use crate::rings::{Ends, MOMENT, Reckless};
use crate::turns::{scribble, scribble_seat};
use crate::verdict::claimed;

const PAGE: usize = 4096;
/// The last word of the control page. No kind uses it, so the scribbler counts its strokes there.
const STROKES: usize = 2 * PAGE - 8;

/// How long each kind is under fire.
fn duration() -> Duration {
    Duration::from_secs(number("RINGWAY_HOSTILE_SECONDS").unwrap_or(2))
}

/// The seed. It is printed, and used for everything.
fn seed(name: &str) -> u64 {
    let seed = number("RINGWAY_HOSTILE_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("{name}: seed {seed}");
    seed
}

/// What the region was before the first stroke, including the header.
struct Good(Vec<u64>);

impl Good {
    fn of(raw: &Raw) -> Self {
        let bytes = (0..2 * PAGE + 8 * raw.data_words()).step_by(8);
        Self(bytes.map(|byte| raw.word(byte).load(Relaxed)).collect())
    }

    fn restore(&self, raw: &Raw) {
        let words = self.0.iter().enumerate().map(|(index, word)| (8 * index, word));
        words.filter(|(byte, _)| *byte != STROKES).for_each(|(byte, word)| raw.word(byte).store(*word, Relaxed));
    }
}

/// Overwrites something in one of many ways.
fn stroke(raw: &Raw, good: &Good, random: &mut fastrand::Rng) {
    let near = raw.head().load(Relaxed).min(1 << 20);
    let words = raw.data_words();
    match random.u32(0..100) {
        0 => scribble_seat(raw, random),
        1 => good.restore(raw),
        2..4 => raw.word(8 * random.usize(0..32)).store(evil(random, near), Relaxed),
        // Any word of the control page that is used, or may be one day.
        4..8 => raw.word(PAGE + 8 * random.usize(0..256)).store(evil(random, near), Relaxed),
        8..16 => raw.latest().store(evil(random, near), Relaxed),
        16..40 => raw.data(random.usize(0..words)).store(random.u64(..), Relaxed),
        // The word changes between two values at full speed: right when it is checked, wrong when it is used.
        40..60 => {
            let byte = match random.u32(0..3) {
                0 => PAGE + 8 * random.usize(0..256),
                1 => 2 * PAGE + 8 * random.usize(0..words.min(64)),
                _ => 2 * PAGE + 8 * ((near as usize).wrapping_add(random.usize(0..2)).wrapping_sub(1) % words),
            };
            let word = raw.word(byte);
            let right = if random.bool() { word.load(Relaxed) } else { good.0[byte / 8] };
            // Most of these pass most checks, but have another length.
            let other = if random.u32(0..4) == 0 { evil(random, near) } else { right ^ 1 << random.u32(0..10) };
            for _ in 0..random.u32(1..500) {
                word.store(other, Relaxed);
                word.store(right, Relaxed);
            }
        }
        _ => scribble(raw, random, near, words.min(64)),
    }
}

/// Goes ahead of the receiver of a ring of records. Changes the length of each record it comes to between two lengths
/// that may be.
fn chase(raw: &Raw, _: &Good, random: &mut fastrand::Rng) {
    let bit = 1 << random.u32(0..10);
    for _ in 0..random.u32(1..500) {
        let header = raw.data(raw.head().load(Relaxed).wrapping_sub(1) as usize % raw.data_words());
        let right = header.load(Relaxed);
        // If a sender writes the header meanwhile, it stays.
        if right != 0 && header.compare_exchange(right, right ^ bit, Relaxed, Relaxed).is_ok() {
            let _ = header.compare_exchange(right ^ bit, right, Relaxed, Relaxed);
        }
    }
}

/// How a process overwrites a region that was good once.
type Stroke = fn(&Raw, &Good, &mut fastrand::Rng);

/// Calls `operate` again and again while a child overwrites everything, for as long as was asked for and until there
/// were strokes.
fn under_fire(
    (name, seed): (&str, u64),
    region: &Region,
    time: Duration,
    stroke: Stroke,
    mut operate: impl FnMut(&mut fastrand::Rng),
) {
    let limit = time.as_secs() as u32 + 180;
    alarm::set(limit);
    let raw = Raw::new(region.fd().unwrap());
    let good = Good::of(&raw);
    let child = fork("scribbler", || {
        alarm::set(limit);
        let mut random = fastrand::Rng::with_seed(seed);
        for strokes in 1.. {
            stroke(&raw, &good, &mut random);
            raw.word(STROKES).store(strokes, Relaxed);
        }
    });
    let mut random = fastrand::Rng::with_seed(!seed);
    let (start, mut operations) = (Instant::now(), 0u64);
    while start.elapsed() < time || raw.word(STROKES).load(Relaxed) == 0 {
        operate(&mut random);
        operations += 1;
        if random.u32(0..30) == 0 {
            // So there is something left to get wrong.
            good.restore(&raw);
        }
    }
    let strokes = raw.word(STROKES).load(Relaxed);
    child.kill();
    println!("{name}: {operations} operations under {strokes} strokes in {:.1} s", start.elapsed().as_secs_f64());
}

/// Opens the region once more, by its descriptor and by its path. If its header was overwritten, it is refused;
/// otherwise it was whole.
fn open_again<T>(region: &Region, from_fd: impl FnOnce(std::os::fd::OwnedFd) -> T) {
    let fd = region.fd().unwrap();
    drop(from_fd(fd.try_clone_to_owned().unwrap()));
    let _ = Report::open(format!("/proc/self/fd/{}", fd.as_raw_fd()));
}

fn scribble_over_ring<K: Reckless>(time: Duration, stroke: Stroke) {
    let name = std::any::type_name::<K>();
    let seed = seed(name);
    let mut ends = Ends::new(K::new(&mut fastrand::Rng::with_seed(seed)));
    let fd = ends.ring.region().fd().unwrap().try_clone_to_owned().unwrap();
    let region = K::options().from_fd(fd).unwrap();
    let mut found = 0;
    under_fire((name, seed), region.region(), time, stroke, |random| {
        for _ in 0..50 {
            ends.send(random);
            ends.receive(random);
        }
        match random.u32(0..10) {
            0 => ends.look_around(random),
            1 => ends.renew_sender(),
            2 => ends.renew_receiver(),
            3 => open_again(region.region(), |fd| K::options().from_fd(fd).ok()),
            _ => {}
        }
        found += ends.corrupt();
        ends.renew_corrupt();
    });
    assert!(found > 0, "nothing was found to be corrupt");
}

#[test]
fn a_scribbler_does_a_slot_ring_no_harm() {
    alone(|| {
        let kinds: [fn(Duration, Stroke); 6] = [
            scribble_over_ring::<spsc::Channel<[u8; 1]>>,
            scribble_over_ring::<spsc::Channel<[u8; 8]>>,
            scribble_over_ring::<spsc::Channel<[u8; 24]>>,
            scribble_over_ring::<spsc::Channel<[u8; 64]>>,
            scribble_over_ring::<spsc::Channel<[u8; 200]>>,
            scribble_over_ring::<spsc::Channel<[u8; 5000]>>,
        ];
        kinds.iter().for_each(|scribble_over| scribble_over(duration() / kinds.len() as u32, stroke));
    });
}

#[test]
fn a_scribbler_does_a_record_ring_no_harm() {
    alone(|| scribble_over_ring::<bytes::Channel>(duration(), stroke));
}

/// This finds a length that is read a second time after it was checked.
#[test]
fn a_length_that_changes_at_any_moment_does_a_record_ring_no_harm() {
    alone(|| scribble_over_ring::<bytes::Channel>(duration(), chase));
}

#[test]
fn a_scribbler_does_a_seqlock_no_harm() {
    alone(|| {
        scribble_over_values::<[u8; 1]>(duration() / 3);
        scribble_over_values::<[u8; 32]>(duration() / 3);
        scribble_over_values::<[u8; 5000]>(duration() / 3);
    });
}

fn scribble_over_values<T: ringway::Message>(time: Duration) {
    let name = std::any::type_name::<seqlock::Channel<T>>();
    let channel = seqlock::Channel::<T>::options().memfd().unwrap();
    let mut writer = claimed(channel.writer());
    let mut reader = channel.reader();
    let (mut read, mut refused) = (0, 0);
    under_fire((name, seed(name)), channel.region(), time, stroke, |random| {
        for _ in 0..20 {
            let written = writer.as_mut().map_or(Ok(()), |writer| writer.write(&T::new_zeroed()));
            assert!(matches!(written, Ok(()) | Err(WriteError::Corrupt(_))), "{written:?}");
            let _ = (reader.has_changed(), reader.has_writer(), reader.changed_timeout(MOMENT), reader.version());
            match reader.read() {
                Ok(_) => read += 1,
                Err(ReadError::Overtaken { .. } | ReadError::Corrupt(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        match random.u32(0..10) {
            0 => writer = None,
            1 => drop(channel.snapshot()),
            2 => reader = channel.reader(),
            3 => open_again(channel.region(), |fd| seqlock::Channel::<T>::from_fd(fd).ok()),
            _ => {}
        }
        writer = writer.take().or_else(|| claimed(channel.writer()));
    });
    assert!(read > 0 && refused > 0, "{read} values, {refused} refusals");
}
