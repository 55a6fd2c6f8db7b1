//! Memory that the processes of the laboratory share, and how they wait for each other in it.

use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire};
use std::thread::yield_now;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use ringway::zerocopy::FromZeros;

use crate::line::Result;

/// A word with a pair of cache lines to itself, for processors fetch them in pairs.
#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(128))]
pub struct Padded(pub AtomicU64);

/// A word to sleep on, with a pair of cache lines to itself.
#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(128))]
pub struct Futex(pub AtomicU32);

/// Zeroes that this process and those it forks share for good.
pub fn share<T: FromZeros>(count: usize) -> Result<&'static [T]> {
    const { assert!(align_of::<T>() <= 4096) };
    let bytes = count.checked_mul(size_of::<T>()).and_then(NonZeroUsize::new).ok_or("nothing to share")?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    let memory = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE) }?;
    // SAFETY: pages are aligned enough (asserted above); zeroes are a `T`; nothing unmaps them.
    Ok(unsafe { slice::from_raw_parts(memory.cast().as_ptr(), count) })
}

/// One `T` of zeroes, shared likewise.
pub fn share_one<T: FromZeros>() -> Result<&'static T> {
    share(1)?.first().ok_or_else(|| "nothing to share".into())
}

/// Looks until `done`. Once that takes long it yields: the peer may be waiting for this very processor.
#[inline(always)]
pub fn spin_until(mut done: impl FnMut() -> bool) {
    let mut looks = 0;
    while !done() {
        looks += 1;
        if looks < 20_000 {
            spin_loop();
        } else {
            yield_now();
        }
    }
}

impl Futex {
    /// Sleeps until the word is no longer `seen`, and returns what it is then.
    pub fn wait_while(&self, seen: u32) -> Result<u32> {
        loop {
            let found = self.0.load(Acquire);
            if found != seen {
                return Ok(found);
            }
            let forever = std::ptr::null::<libc::timespec>();
            // SAFETY: the kernel only reads the word, which lives as long as the call. The flavour is the
            // shared one, for the waker may be another process.
            let result = unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAIT, seen, forever) };
            match Errno::result(result) {
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Wakes the one who sleeps on the word.
    pub fn wake(&self) -> Result {
        // SAFETY: the kernel takes the word's address for a name and touches no memory.
        let result = unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, 1) };
        Errno::result(result)?;
        Ok(())
    }
}
