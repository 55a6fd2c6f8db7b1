//! A peer with very many threads that sleep on one wait word. A call would have to wake them all. It wakes as many as
//! an honest peer can have there, and is done.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use nix::errno::Errno;
use nix::libc;
use ringway::{Region, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::{Child, fork};
use crate::common::raw::Raw;

const SLEEPERS: usize = 2000;
/// How many operations are called. Before each of them the word says that somebody sleeps.
const CALLS: usize = 3;
/// How many sleepers an operation on a ring may wake.
const RING: usize = 1;
/// How many readers a write to a seqlock may wake.
const SEQLOCK: usize = 1024;
/// The bit that says that somebody sleeps.
const ASLEEP: u32 = 1;
/// Small stacks, because there are so many. What the threads call needs next to nothing.
const STACK: usize = 32 << 10;

/// Sleeps until it is woken.
fn sleep_on(word: &AtomicU32) {
    loop {
        let nothing = std::ptr::null::<libc::timespec>();
        // SAFETY: the word lies in a mapping that stays for as long as this process.
        let slept =
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, word.load(Relaxed), nothing) };
        if slept == 0 {
            return;
        }
    }
}

/// Moves all sleepers of one word to another. Returns how many they are.
fn move_sleepers(from: &AtomicU32, to: &AtomicU32) -> usize {
    let (none, all) = (0, i32::MAX as usize);
    // SAFETY: both words lie in a mapping that stays.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_futex,
            from.as_ptr(),
            libc::FUTEX_CMP_REQUEUE,
            none,
            all,
            to.as_ptr(),
            from.load(Relaxed),
        )
    };
    Errno::result(moved).unwrap() as usize
}

/// Many threads that sleep on a word, in a process of their own.
struct Sleepers<'a> {
    word: &'a AtomicU32,
    /// A word of the control page that nobody uses.
    spare: &'a AtomicU32,
    _process: Child,
}

impl<'a> Sleepers<'a> {
    fn new(raw: &'a Raw, word: &'a AtomicU32) -> Self {
        let process = fork("child", || {
            thread::scope(|scope| {
                for _ in 0..SLEEPERS {
                    thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || sleep_on(word)).unwrap();
                }
            });
        });
        let sleepers = Self { word, spare: raw.spare(), _process: process };
        while sleepers.count() < SLEEPERS {
            thread::yield_now();
        }
        sleepers
    }

    /// How many threads are asleep.
    fn count(&self) -> usize {
        move_sleepers(self.word, self.spare);
        move_sleepers(self.spare, self.word)
    }
}

/// Calls something that must wake at least one sleeper, and at most `most`.
fn wakes(region: &Region, word: fn(&Raw) -> &AtomicU32, most: usize, mut call: impl FnMut()) {
    let raw = Raw::new(region.fd().unwrap());
    let sleepers = Sleepers::new(&raw, word(&raw));
    let mut asleep = SLEEPERS;
    for _ in 0..CALLS {
        sleepers.word.fetch_or(ASLEEP, Relaxed);
        call();
        let left = sleepers.count();
        let woken = asleep - left;
        assert!(woken <= most, "one call woke {woken}, expected at most {most}");
        assert!(woken > 0 || asleep == 0, "nobody was woken");
        asleep = left;
    }
}

#[test]
fn a_slot_ring_wakes_one() {
    alone(|| {
        let channel = spsc::Channel::<u64>::options().capacity(CALLS as u64).memfd().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        wakes(channel.region(), Raw::data_wait, RING, || tx.try_send(&7).unwrap());
        wakes(channel.region(), Raw::space_wait, RING, || _ = rx.try_recv().unwrap());
    });
}

#[test]
fn a_record_ring_wakes_one() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        wakes(channel.region(), Raw::data_wait, RING, || tx.try_send(b"a").unwrap());
        wakes(channel.region(), Raw::space_wait, RING, || _ = rx.try_recv().unwrap());
    });
}

#[test]
fn a_seqlock_wakes_some() {
    alone(|| {
        let channel = seqlock::Channel::<u64>::options().memfd().unwrap();
        let mut writer = channel.writer().unwrap();
        wakes(channel.region(), Raw::data_wait, SEQLOCK, || writer.write(&7).unwrap());
    });
}

/// An end that leaves wakes those that wait for it, and nobody else.
#[test]
fn who_leaves_wakes_one() {
    alone(|| {
        let channel = spsc::Channel::<u64>::options().capacity(1).memfd().unwrap();
        wakes(channel.region(), Raw::data_wait, RING, || drop(channel.sender().unwrap()));
        wakes(channel.region(), Raw::space_wait, RING, || drop(channel.receiver().unwrap()));
    });
}
