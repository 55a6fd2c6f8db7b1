//! Channels between processes in shared memory: rings and seqlocks at the speed of a cache line.
//!
//! ```
//! use ringway::spsc;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("numbers");
//! // In one program, with a path such as /dev/shm/numbers:
//! let mut tx = spsc::Channel::<u64>::open_or_create(&path, 1024)?.sender()?;
//! tx.send(&7)?;
//!
//! // In the other, which may start before or after it:
//! let mut rx = spsc::Channel::<u64>::open_or_create(&path, 1024)?.receiver()?;
//! assert_eq!(rx.recv()?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No daemon runs between the two, nothing is copied through the kernel, and two awake ends make no system call. A whole
//! struct is sent with [`#[ringway::message]`](macro@message) on it.
//!
//! # Which channel
//!
//! | what you send | channel | ends |
//! |---|---|---|
//! | values of one type and size, each once and in order | [`spsc`] | one [`Sender`](spsc::Sender), one [`Receiver`](spsc::Receiver) |
//! | records of any length, each once and in order | [`bytes`] | one [`Sender`](bytes::Sender), one [`Receiver`](bytes::Receiver) |
//! | the latest value of something; older ones may be missed | [`seqlock`] | one [`Writer`](seqlock::Writer), any number of [`Reader`](seqlock::Reader)s |
//!
//! For more senders or receivers use a ring for each: see [`guide::patterns`]. For a program that does not know the type of
//! the values there are [`spsc::raw`] and [`seqlock::raw`].
//!
//! # The calls of a ring
//!
//! | to | [`spsc`] | [`bytes`] |
//! |---|---|---|
//! | send one; all of many; as many as fit | [`send`](spsc::Sender::send); [`send_slice`](spsc::Sender::send_slice); [`send_some`](spsc::Sender::send_some) | the same |
//! | fill in messages where they lie: one; a batch | [`send_ref`](spsc::Sender::send_ref); [`reserve_many`](spsc::Sender::reserve_many) | [`send_ref`](bytes::Sender::send_ref) |
//! | receive one; many; all as they come; all that is there | [`recv`](spsc::Receiver::recv), [`recv_into`](spsc::Receiver::recv_into); [`recv_slice`](spsc::Receiver::recv_slice); [`iter`](spsc::Receiver::iter); [`try_iter`](spsc::Receiver::try_iter) | the same |
//! | use a message where it lies, and consume it when dropped | [`recv_ref`](spsc::Receiver::recv_ref) | the same |
//! | look ahead, and consume later, or in part | [`peek_many`](spsc::Receiver::peek_many) | the same |
//! | know the place in the stream, over successors too | [`position`](spsc::Receiver::position) counts messages | [`position`](bytes::Receiver::position) counts words of 8 bytes, [`records`](bytes::Receiver::records) records |
//!
//! Each call that waits has forms that never wait (`try_send`) or wait for a limited time (`send_timeout`,
//! `send_deadline`), where these make sense. A call that sends a part of what it was given returns [`Sent`], and the compiler
//! warns if that is not used.
//!
//! # Where the memory comes from
//!
//! | backing | made by | shared with |
//! |---|---|---|
//! | a file, in `/dev/shm` or on a disk | [`create`](Options::create), [`open_or_create`](Options::open_or_create), [`open`](Options::open) | every process that may open the path; it stays until it is [removed](remove_unused) |
//! | a sealed memfd | [`memfd`](Options::memfd); [`from_inherited_fd`](Options::from_inherited_fd), [`from_socket`](Options::from_socket), [`from_fd`](Options::from_fd) | who inherits or receives the descriptor |
//! | anonymous memory | [`anonymous`](Options::anonymous) | children that are forked later |
//!
//! A channel does nothing by itself. A process takes a *seat* of it, such as [`sender`](spsc::Channel::sender). Each
//! seat has one holder at a time, and a second claimant gets an error that names the first.
//!
//! # How a peer ends
//!
//! A peer that drops its end has left: the other side takes what was sent, and then gets `Closed`. A peer that was killed,
//! crashed, exited without dropping its end or panicked has died: the other side gets `PeerDied`, after all that was
//! committed, and some 20 ms after the kernel knows. A peer that is merely stopped or slow is alive, and keeps its seat. After
//! the first two the seat is free, and a successor goes on where the other stopped: see [`guide::restart`].
//!
//! # The guide
//!
//! - [`guide::patterns`]: many to one, one to many, request and answer, several rings at once, async, video frames
//! - [`guide::forking`]: parents, children, and programs that are started by exec
//! - [`guide::restart`]: services that are restarted, upgraded or killed
//! - [`guide::containers`]: `/dev/shm`, namespaces, volumes, seccomp, users
//! - [`guide::hostile_peers`]: peers that are not trusted
//! - [`guide::tuning`]: latency, throughput, and what waiting costs
//!
//! To look at a region from outside, print a [`Report`].
//!
//! # Platform
//!
//! Linux on x86-64 and aarch64, and Rust 1.85 or newer. The crate has no features and needs no C compiler.
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
pub mod guide;
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
pub use region::{Advice, FileState, Flush, Memory, Region, in_use, remove_unused};
pub use report::{Content, Holder, Report, SeatReport};
pub use ringway_derive::{Message, message};
pub use wait::{Canceller, Wait};
pub use zerocopy;

/// The examples in the README are compiled and run as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
