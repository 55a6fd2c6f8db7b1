//! What a process may cost besides time: page faults and allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ringway::page_faults;
use ringway::zerocopy::FromZeros;
use serde::{Deserialize, Serialize};

use crate::line::Result;

/// The system's allocator, which counts.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    // Two threads at once may count one for two, but not one for none; a locked instruction would cost those who
    // allocate.
    ALLOCATIONS.store(ALLOCATIONS.load(Relaxed) + 1, Relaxed);
}

// SAFETY: the system's allocator does what is asked.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller vouches.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller vouches.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Costs {
    pub page_faults: u64,
    pub allocations: u64,
}

impl AddAssign for Costs {
    fn add_assign(&mut self, other: Self) {
        self.page_faults += other.page_faults;
        self.allocations += other.allocations;
    }
}

/// What `work` costs this process.
pub fn costs_of<R>(work: impl FnOnce() -> Result<R>) -> Result<(R, Costs)> {
    let faults = || page_faults().map(|faults| faults.minor + faults.major);
    let (faults_before, allocations_before) = (faults()?, ALLOCATIONS.load(Relaxed));
    let result = work()?;
    let allocations = ALLOCATIONS.load(Relaxed) - allocations_before;
    Ok((result, Costs { page_faults: faults()? - faults_before, allocations }))
}

/// Costs that several processes add up.
#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct SharedCosts {
    page_faults: AtomicU64,
    allocations: AtomicU64,
}

impl SharedCosts {
    pub fn add(&self, costs: Costs) {
        self.page_faults.fetch_add(costs.page_faults, Relaxed);
        self.allocations.fetch_add(costs.allocations, Relaxed);
    }

    pub fn sum(&self) -> Costs {
        Costs { page_faults: self.page_faults.load(Relaxed), allocations: self.allocations.load(Relaxed) }
    }
}
