//! Thin wrappers around the kernel: each file covers one facility and sets no policy.

pub(crate) mod clock;
pub(crate) mod extents;
pub(crate) mod file;
pub(crate) mod filesystem;
#[cfg(all(test, not(loom)))]
pub(crate) mod forked;
pub(crate) mod futex;
pub(crate) mod identity;
pub(crate) mod lifeline;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod membarrier;
pub(crate) mod nap;
pub(crate) mod owned;
mod pages;
pub(crate) mod process;
pub(crate) mod reserve;
pub(crate) mod retry;
pub(crate) mod socket;
pub(crate) mod usage;
pub(crate) mod wipe;
