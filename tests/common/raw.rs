//! A second mapping of a region. Through it a test writes what a hostile peer or a broken file may hold.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::header;

/// A second mapping of a region. Anything can be written through it.
pub struct Raw {
    base: NonNull<libc::c_void>,
    len: usize,
    line: usize,
    /// Where the lane begins.
    lane: usize,
}

// SAFETY: the mapping stays where it is until drop, and is accessed as atomics only.
unsafe impl Sync for Raw {}

const PAGE: usize = 4096;

impl Raw {
    /// Maps all of the region behind `fd`.
    pub fn new(fd: impl AsFd) -> Self {
        let file = File::from(fd.as_fd().try_clone_to_owned().unwrap());
        let len = file.metadata().unwrap().len() as usize;
        let mut start = [0; header::LEN];
        file.read_exact_at(&mut start, 0).unwrap();
        let [line, lane] = [header::PADDING, header::LANES_OFFSET].map(|at| header::number(&start, at) as usize);
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe {
            mmap(
                None,
                len.try_into().unwrap(),
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                file,
                0,
            )
        };
        Self { base: base.unwrap(), len, line, lane }
    }

    fn address(&self, byte: usize) -> *mut u8 {
        assert!(byte % 8 == 0 && byte + 8 <= self.len);
        self.base.as_ptr().cast::<u8>().wrapping_add(byte)
    }

    /// The word at `byte` of the region.
    pub fn word(&self, byte: usize) -> &AtomicU64 {
        // SAFETY: the word lies inside the mapping, is aligned, and is only ever accessed as an atomic.
        unsafe { AtomicU64::from_ptr(self.address(byte).cast()) }
    }

    fn half(&self, byte: usize) -> &AtomicU32 {
        // SAFETY: the same holds as in `word`.
        unsafe { AtomicU32::from_ptr(self.address(byte).cast()) }
    }

    /// Where a seat begins: 0 is the sender's or writer's, 1 the receiver's.
    fn seat(&self, seat: usize) -> usize {
        [self.lane, PAGE][seat]
    }

    pub fn holder(&self, seat: usize) -> &AtomicU64 {
        self.word(self.seat(seat))
    }

    pub fn generation(&self, seat: usize) -> &AtomicU64 {
        self.word(self.seat(seat) + 8)
    }

    pub fn died(&self, seat: usize) -> &AtomicU64 {
        self.word(self.seat(seat) + 24)
    }

    pub fn head(&self) -> &AtomicU64 {
        self.word(self.lane + self.line)
    }

    pub fn reported(&self) -> &AtomicU64 {
        self.word(self.lane + self.line + 8)
    }

    pub fn lent(&self) -> &AtomicU64 {
        self.word(self.lane + self.line + 16)
    }

    pub fn tally(&self) -> &AtomicU64 {
        self.word(self.lane + self.line + 24)
    }

    pub fn latest(&self) -> &AtomicU64 {
        self.word(self.lane + 2 * self.line)
    }

    pub fn turn(&self) -> &AtomicU64 {
        self.word(self.lane + 2 * self.line + 16)
    }

    /// The position of a checkpoint. Its count stands behind it.
    pub fn checkpoint(&self, index: usize) -> &AtomicU64 {
        self.word(self.lane + 2 * self.line + 24 + 16 * index)
    }

    pub fn data_wait(&self) -> &AtomicU32 {
        self.half(self.lane + 3 * self.line)
    }

    pub fn space_wait(&self) -> &AtomicU32 {
        self.half(self.lane + 4 * self.line)
    }

    /// The last word of the control page. Nothing uses it.
    pub fn spare(&self) -> &AtomicU32 {
        self.half(2 * PAGE - 8)
    }

    /// Where in the region a word lies.
    pub fn byte_of<T>(&self, word: &T) -> usize {
        std::ptr::from_ref(word).addr() - self.base.addr().get()
    }

    /// The bytes of the region that share a cache line with a word of it.
    pub fn line_of<T>(&self, word: &T) -> Range<usize> {
        let first = self.byte_of(word) / self.line * self.line;
        first..first + self.line
    }

    /// The word at `index` of the data area.
    pub fn data(&self, index: usize) -> &AtomicU64 {
        self.word(2 * PAGE + index * 8)
    }

    pub fn data_words(&self) -> usize {
        (self.len - 2 * PAGE) / 8
    }

    /// All words, including the header. Call it only while nobody writes.
    pub fn image(&self) -> Vec<u64> {
        let mut words = vec![0; self.len / 8];
        // SAFETY: this reads the whole mapping, into as many bytes.
        unsafe { self.base.as_ptr().cast::<u64>().copy_to_nonoverlapping(words.as_mut_ptr(), words.len()) };
        words
    }

    /// Makes all words what they were. Call it only while nobody else writes.
    pub fn put_back(&self, image: &[u64]) {
        assert_eq!(8 * image.len(), self.len);
        // SAFETY: this writes the whole mapping, from as many bytes.
        unsafe { self.base.as_ptr().cast::<u64>().copy_from_nonoverlapping(image.as_ptr(), image.len()) };
    }

    /// All words from the control page on.
    pub fn copy(&self) -> Vec<u64> {
        (PAGE..self.len).step_by(8).map(|byte| self.word(byte).load(Relaxed)).collect()
    }

    pub fn restore(&self, copy: &[u64]) {
        copy.iter().enumerate().for_each(|(i, word)| self.word(PAGE + 8 * i).store(*word, Relaxed));
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: `new` mapped it, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.base, self.len) };
        unmapped.unwrap();
    }
}
