#![doc = include_str!("../README.md")]
#![cfg_attr(loom, allow(dead_code, reason = "the models use the protocols alone"))]

#[cfg(not(loom))]
pub mod bytes;
#[cfg(not(loom))]
mod channel;
#[cfg(all(target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
mod copy;
#[cfg(not(loom))]
mod endpoint;
mod error;
mod layout;
#[cfg(not(loom))]
mod life;
#[cfg(test)]
mod models;
#[cfg(not(loom))]
mod open_error;
#[cfg(not(loom))]
mod options;
#[cfg(not(loom))]
mod os;
mod protocol;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod report;
#[cfg(not(loom))]
pub mod seqlock;
mod span;
#[cfg(not(loom))]
pub mod spsc;
// Elsewhere a message is copied word by word, and each of them is a look.
#[cfg(all(test, target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
mod steps;
mod sync;
#[cfg(not(loom))]
mod wait;
mod words;

#[cfg(not(loom))]
pub use channel::Channel;
pub use error::*;
#[cfg(not(loom))]
pub use open_error::*;
#[cfg(not(loom))]
pub use options::Options;
#[cfg(not(loom))]
pub use os::usage::{PageFaults, page_faults};
#[cfg(not(loom))]
pub use region::{Advice, FileState, Flush, Region, in_use, remove_unused};
#[cfg(not(loom))]
pub use report::{Content, Holder, Report, SeatReport};
#[cfg(not(loom))]
pub use wait::Wait;
pub use zerocopy;
