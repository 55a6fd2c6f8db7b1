//! Channels between processes in shared memory: rings and seqlocks at the speed of a cache line.

pub mod bytes;
mod copy;
mod endpoint;
mod error;
mod layout;
mod options;
mod os;
mod protocol;
mod region;
pub mod seqlock;
pub mod spsc;
mod sync;
mod wait;
mod words;

pub use error::*;
pub use options::Options;
pub use os::usage::{PageFaults, page_faults};
pub use region::{Advice, Flush, Region};
pub use wait::Wait;
pub use zerocopy;
