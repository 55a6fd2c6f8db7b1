#![doc = include_str!("../README.md")]
#![cfg_attr(loom, allow(dead_code, reason = "the models use the protocols alone"))]

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
