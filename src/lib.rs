#![doc = include_str!("../README.md")]
#![cfg_attr(loom, allow(dead_code, reason = "the models use the protocols alone"))]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!(
    "ringway runs on 64-bit Linux, on x86-64 and aarch64: it needs futexes, membarrier, pidfds and locks that belong to \
     open files, and its copies are written for these processors"
);

mod channel;
mod error;
mod layout;
mod liveness;
mod memory;
mod message;
#[cfg(test)]
mod models;
mod os;
mod protocol;
mod region;
mod report;
mod sync;
mod wait;

pub use channel::{Channel, Iter, Options, ReadOnlyChannel, Sent, bytes, seqlock, spsc};
pub use error::*;
pub use message::{Fields, Message, Opaque, Schema};
pub use os::usage::{PageFaults, page_faults};
pub use region::{Advice, FileState, Flush, Region, in_use, remove_unused};
pub use report::{Content, Holder, Report, SeatReport};
pub use ringway_derive::{Message, message};
pub use wait::{Canceller, Wait};
pub use zerocopy;
