//! Sleeping without a tax on those who are awake.
//!
//! A wait word is a futex that says what those who sleep on it are doing. There is one per direction.
//!
//! | bits | set by | cleared by | a peer that sees it |
//! |---|---|---|---|
//! | [`ASLEEP`] | the sleeper | the waker; the sleeper that gave up; a newcomer to the seat | clears it, counts, and wakes: at most once a sleep, so a sleeper that dies costs one wake-up |
//! | [`GONE`] | the owner, leaving | a newcomer to the seat | looks at the seat before its next message |
//! | bit 2 | nobody yet | | kept for a bell: the sleeper waits in an event loop, and is rung |
//! | the other 29 | the waker: how often it woke | never | nothing |
//!
//! The count is for words that several sleep on. A sleeper has looked, found nothing, and is about to sleep. If it missed a
//! wake-up, it must not take an announcement that another sleeper made after that for its own (model:
//! `sleeper_sees_change`).
//!
//! # Ordering (models: `sleeper_*`)
//!
//! The waker publishes, then looks at the word (S1, then S2). The sleeper sets the word, then looks for what was published
//! (R1, then R2). Neither may look before its own store is out, or each misses the other. That takes a full fence on both
//! sides, or `membarrier` on one. The sleeper issues [`heavy_barrier`] between R1 and R2. It puts a full fence into every
//! registered waker, somewhere between two of its instructions. Between S1 and S2, [`crate::sync::light_barrier`] keeps
//! only the compiler in order. The words carry no data: the stamp, the header or the version orders what is read after a
//! wake-up. So all accesses here are relaxed.
//!
//! The idea of the asymmetric pair is Linux's `membarrier(2)`.

use std::time::Duration;

use crate::sync::{AtomicU32, Ordering::Relaxed, futex, heavy_barrier};

pub(crate) const ASLEEP: u32 = 1;
pub(crate) const GONE: u32 = 2;
const WOKEN: u32 = 8; // wake-ups counted

/// Whether the peer is neither asleep nor gone, by what its word says.
#[inline(always)]
pub(crate) fn awake(word: u32) -> bool {
    word & (ASLEEP | GONE) == 0
}

/// What a sleeper saw when it announced itself.
#[derive(Clone, Copy)]
pub(crate) struct Announced {
    word: u32,
    /// Whether a waker will see it. The kernel may refuse `membarrier`; then nobody can be told to wake this one.
    pub visible: bool,
}

/// Announces that the caller is about to sleep on `word`. What was published before a waker could see that, the caller
/// sees in its next look; so it must look before it parks.
pub(crate) fn announce(word: &AtomicU32) -> Announced {
    let seen = word.fetch_or(ASLEEP, Relaxed) | ASLEEP; // R1
    let visible = heavy_barrier(); // R heavy barrier
    Announced { word: seen, visible }
}

/// Sleeps on `word` for at most `time`, unless it has changed since it was announced. True if it slept that long: then the
/// announcement still stands.
pub(crate) fn park(word: &AtomicU32, announced: Announced, time: Duration) -> bool {
    futex::wait(word, announced.word, time)
}

/// Takes the announcement back. Only the sole owner of a word may: on a word that several may sleep on, it stays for the
/// next waker.
pub(crate) fn withdraw(word: &AtomicU32) {
    word.fetch_and(!ASLEEP, Relaxed);
}

/// How many a ring wakes: its word has one owner.
pub(crate) const OWNER: u32 = 1;

/// How many readers a new value wakes at most, since each costs the writer time. The others look by themselves when they
/// ask the kernel: within 20 ms, or within a second if nobody held the writer's seat.
pub(crate) const READERS: u32 = 1024;

/// Wakes up to `most` of those who sleep on `word`, if someone does.
///
/// One try is enough. If the word changed meanwhile, nobody sleeps on it any more, or the sleeper announced itself after
/// this caller published, and finds that when it looks.
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
