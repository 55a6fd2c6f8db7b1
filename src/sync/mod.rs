//! What shared memory is synchronised with: atomics, fences, the futex, `membarrier`. This is the one switch between
//! the real ones and their models: under `--cfg loom` all of it is loom's, and a model may end a participant before
//! any of its operations.
#![forbid(unsafe_code)]

#[cfg(loom)]
#[path = "model.rs"]
mod form;
#[cfg(not(loom))]
#[path = "real.rs"]
mod form;
mod word;

#[cfg(loom)]
pub(crate) use form::{Died, alive, live_for, time_passes};
pub(crate) use form::{Ordering, fence, futex, heavy_barrier, light_barrier, nap, now};
pub(crate) use word::{AtomicU32, AtomicU64, ReadOnly, Writable};
