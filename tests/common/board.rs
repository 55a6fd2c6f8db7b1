//! Counters that a process shares with the children it forks.

use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::child::deadline;

/// Counters shared by a process and the children it forks.
pub struct Board {
    words: NonNull<[AtomicU64; 512]>,
}

const BOARD: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

impl Board {
    pub fn new() -> Self {
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let page = unsafe { mmap_anonymous(None, BOARD, prot, MapFlags::MAP_SHARED) }.unwrap();
        Self { words: page.cast() }
    }

    /// Waits until `parties` have come here. `word` counts them, round after round.
    pub fn meet(&self, word: usize, parties: u64) {
        let mine = self[word].fetch_add(1, SeqCst);
        let all = (mine / parties + 1) * parties;
        self.wait_for(word, all);
    }

    /// Waits until a word has reached a value.
    pub fn wait_for(&self, word: usize, value: u64) {
        let limit = Instant::now() + deadline();
        let mut looks = 0u32;
        while self[word].load(SeqCst) < value {
            looks += 1;
            if looks < 500 {
                std::hint::spin_loop();
            } else if looks < 550 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(100));
                assert!(Instant::now() < limit, "word {word} of the board never reached {value}");
            }
        }
    }
}

impl Deref for Board {
    type Target = [AtomicU64; 512];

    fn deref(&self) -> &Self::Target {
        // SAFETY: the page is mapped until drop, and zeroes are valid atomics.
        unsafe { self.words.as_ref() }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: `new` mapped it, and nothing refers to it any more.
        unsafe { munmap(self.words.cast(), BOARD.get()) }.unwrap();
    }
}
