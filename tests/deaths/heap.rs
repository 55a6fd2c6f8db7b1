//! A heap on which every victim takes the same way. On an ordinary heap, the way depends on all that was done before.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

const SIZE: usize = 1 << 20;

/// The ordinary heap. In a victim it is an arena that gives memory away and takes none back.
struct Heap {
    arena: UnsafeCell<[u8; SIZE]>,
    taken: AtomicUsize,
}

/// What [`Heap::taken`] holds in a process that is no victim.
const ORDINARY: usize = usize::MAX;

#[global_allocator]
static HEAP: Heap = Heap { arena: UnsafeCell::new([0; SIZE]), taken: AtomicUsize::new(ORDINARY) };

// SAFETY: the bytes of the arena are only given away, each of them once.
unsafe impl Sync for Heap {}

// SAFETY: a block belongs to the system, or is a part of the arena that nobody else was given.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.taken.load(Relaxed) == ORDINARY {
            // SAFETY: the caller promises what the system's allocator demands.
            return unsafe { System.alloc(layout) };
        }
        let room = layout.size() + layout.align();
        let start = self.arena.get().cast::<u8>().wrapping_add(self.taken.fetch_add(room, Relaxed));
        let block = start.wrapping_add(start.align_offset(layout.align()));
        if self.taken.load(Relaxed) > SIZE { std::ptr::null_mut() } else { block }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let arena = self.arena.get().addr();
        if !(arena..arena + SIZE).contains(&block.addr()) {
            // SAFETY: the block is not of the arena, and the caller promises the rest.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

/// From here on this process takes its memory from the arena. It was just forked.
pub fn of_a_victim() {
    HEAP.taken.store(0, Relaxed);
}
