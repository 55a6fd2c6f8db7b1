//! Sleeping without a tax on those who are awake.
//!
//! A wait word is a futex that says what those who sleep on it are doing. There is one per direction.
//!
//! | bits | set by | cleared by | a peer that sees it |
//! |---|---|---|---|
//! | [`ASLEEP`] | the sleeper | the waker; the sleeper that gave up; a newcomer to the seat | clears it, counts, and wakes: at most once a sleep, so a sleeper that dies costs one wake-up |
//! | [`GONE`] | the owner, leaving | a newcomer to the seat | looks at the seat before its next message |
//! | the other 30 | the waker: how often it woke | never | nothing |
//!
//! The count is for words that several sleep on: one that looked, found nothing and is about to sleep must
//! not take the announcement of another, made after the wake-up it missed, for its own (model:
//! `sleeper_sees_change`).
//!
//! # Ordering (models: `sleeper_*`)
//!
//! The waker publishes, then looks at the word (S1 then S2); the sleeper sets the word, then looks
//! for what was published (R1 then R2). Each must not look before its own store is out, or both miss
//! the other. That takes a full fence on both sides, or `membarrier` on one: the sleeper issues
//! [`heavy_barrier`] between R1 and R2, which puts a full fence into every registered waker at some
//! point between two of its instructions, and [`crate::sync::light_barrier`] between S1 and S2 keeps
//! only the compiler in order. The words carry no data: what is read after a wake-up is ordered by
//! the stamp, the header or the version itself, so all accesses here are relaxed.
//!
//! The idea of the asymmetric pair is Linux's `membarrier(2)`.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, Ordering::Relaxed};

#[cfg(not(loom))]
use crate::os::{futex, membarrier::heavy_barrier, nap::nap};

#[cfg(loom)]
use crate::models::{futex, heavy_barrier};
#[cfg(loom)]
use std::thread::sleep as nap;

pub(crate) const ASLEEP: u32 = 1;
pub(crate) const GONE: u32 = 2;
const WOKEN: u32 = 4;

/// Whether the peer is neither asleep nor gone, by what its word says.
#[inline(always)]
pub(crate) fn awake(word: u32) -> bool {
    word & (ASLEEP | GONE) == 0
}

/// How long a sleeper naps between two looks when nobody can be told to wake it: because the kernel
/// refuses `membarrier`, or the region is attached read-only.
const NAP: Duration = Duration::from_millis(1);

/// What a sleeper does besides sleeping.
pub(crate) trait Watch {
    type Found;
    /// Whether what is waited for is there.
    fn look(&mut self) -> Option<Self::Found>;
    /// Asks the kernel about the peer, whose death wakes nobody.
    fn inquire(&mut self);
    /// How long until the kernel is to be asked again.
    fn until_inquiry(&self) -> Duration;
}

/// Sleeps on `word` until there is an answer; `None` once `deadline` has passed.
///
/// The sole owner of a word (`owned`) takes its announcement back when it need not sleep; on a word
/// that several may sleep on, it stays for the next waker.
pub(crate) fn sleep_until<W: Watch>(
    word: &AtomicU32,
    owned: bool,
    deadline: Option<Instant>,
    watch: &mut W,
) -> Option<W::Found> {
    let found = announced_sleep(word, deadline, watch);
    if owned {
        word.fetch_and(!ASLEEP, Relaxed);
    }
    found
}

fn announced_sleep<W: Watch>(word: &AtomicU32, deadline: Option<Instant>, watch: &mut W) -> Option<W::Found> {
    loop {
        let announced = word.fetch_or(ASLEEP, Relaxed) | ASLEEP; // R1
        let answered = heavy_barrier();
        // R2
        if let Some(found) = watch.look() {
            return Some(found);
        }
        // As long as it is slept on to the end, the announcement stands and need not be made again.
        loop {
            let nap = watch.until_inquiry().min(if answered { Duration::MAX } else { NAP });
            let Some(nap) = cut(nap, deadline) else {
                watch.inquire();
                return watch.look();
            };
            let slept_out = futex::wait(word, announced, nap);
            if watch.until_inquiry() == Duration::ZERO {
                watch.inquire();
            }
            if let Some(found) = watch.look() {
                return Some(found);
            }
            if !slept_out {
                break;
            }
        }
    }
}

/// Naps until there is an answer, without a word to announce it in; `None` once `deadline` has passed.
pub(crate) fn nap_until<W: Watch>(deadline: Option<Instant>, watch: &mut W) -> Option<W::Found> {
    loop {
        if let Some(found) = watch.look() {
            return Some(found);
        }
        let Some(time) = cut(NAP, deadline) else {
            watch.inquire();
            return watch.look();
        };
        nap(time);
        if watch.until_inquiry() == Duration::ZERO {
            watch.inquire();
        }
    }
}

/// A nap that ends at the deadline; `None` if that has passed.
fn cut(nap: Duration, deadline: Option<Instant>) -> Option<Duration> {
    let Some(deadline) = deadline else { return Some(nap) };
    let left = deadline.saturating_duration_since(Instant::now());
    (left > Duration::ZERO).then(|| nap.min(left))
}

/// How many a ring's word wakes: it has one owner, and whoever else sleeps on it is none of the ring's.
pub(crate) const OWNER: u32 = 1;

/// How many readers a new value wakes at most, however many sleep: each costs the writer time. The others look by
/// themselves within 20 ms, when they ask the kernel.
pub(crate) const READERS: u32 = 1024;

/// Wakes up to `most` of those who sleep on `word`, if someone does.
///
/// One try is enough: if the word changed meanwhile, either nobody sleeps on it any more, or one announced itself
/// after what this caller published, and will find it when it looks.
#[cold]
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    let seen = word.load(Relaxed);
    if seen & ASLEEP == 0 {
        return;
    }
    let woken = (seen & !ASLEEP).wrapping_add(WOKEN);
    if word.compare_exchange(seen, woken, Relaxed, Relaxed).is_ok() {
        futex::wake(word, most);
    }
}

/// A newcomer's first act: its predecessor may have left the word asleep or gone.
pub(crate) fn arrive(word: &AtomicU32) {
    word.fetch_and(!(ASLEEP | GONE), Relaxed);
}

/// The owner's last act while it has the seat.
pub(crate) fn leave(word: &AtomicU32) {
    word.fetch_or(GONE, Relaxed);
}
