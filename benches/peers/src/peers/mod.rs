//! The peers: other ways from one process to the other, each set up as its own documentation says.
//!
//! All are lossless and in order, and hold about as many messages where that can be said. Those that can be
//! polled are polled in the same way; those of the kernel block.

mod cloudtoid;
mod crossbeam;
mod iceoryx2;
mod ipc_channel;
mod kernel;
mod ringfire;
mod rtrb;
mod scratch;
mod shaq;

use std::hint::spin_loop;
use std::thread::yield_now;

use crate::line::{Line, Pair, Result};
use cloudtoid::Cloudtoid;
use iceoryx2::{Iceoryx2, Take};
use ipc_channel::IpcChannel;
use kernel::{Queue, Sockets};
use ringfire::{Ringfire, RingfireBatches};
use rtrb::{Rtrb, RtrbBatches};
pub use scratch::{Scratch, sweep};
use shaq::{Shaq, ShaqBatches, ShaqBig, ShaqInPlace};

/// Messages of a batch. The number put is that of its last message.
pub const BATCH: usize = 64;

/// Messages that a line of small messages holds.
const DEEP: usize = 1024;

/// Messages that a line of 4 KiB holds.
const DEEP_4_KIB: usize = 64;

/// Messages that a line of 64 KiB holds.
const DEEP_64_KIB: usize = 16;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Bytes of a message.
    pub bytes: usize,
    /// Messages of a `put` and of a `get`.
    pub messages: usize,
    /// Whether they are made and used where they lie.
    pub in_place: bool,
}

const fn one(bytes: usize) -> Load {
    Load { bytes, messages: 1, in_place: false }
}

const fn batch(bytes: usize) -> Load {
    Load { bytes, messages: BATCH, in_place: false }
}

const fn batch_in_place(bytes: usize) -> Load {
    Load { in_place: true, ..batch(bytes) }
}

/// Is shown all peers, with all they can do.
pub trait Visitor {
    /// A peer between processes. Lines are made before there are two processes: two of them for round trips.
    fn line<L: Line>(&mut self, peer: &'static str, load: Load, new: impl Fn() -> Result<L>) -> Result;

    /// A peer within a process.
    fn pair<P: Pair>(&mut self, peer: &'static str, load: Load, new: impl Fn() -> Result<P>) -> Result;
}

/// Shows a visitor all peers.
pub fn visit(scratch: &Scratch, visitor: &mut impl Visitor) -> Result {
    const LOADS: [(usize, usize); 4] = [(64, DEEP), (8, DEEP), (4 << 10, DEEP_4_KIB), (64 << 10, DEEP_64_KIB)];

    visitor.line("ringfire", one(64), || Ok(Ringfire::<8>::new(scratch, DEEP)))?;
    visitor.line("ringfire", one(8), || Ok(Ringfire::<1>::new(scratch, DEEP)))?;
    visitor.line("ringfire", batch(64), || Ok(RingfireBatches::<8>::new(scratch, DEEP)))?;
    visitor.line("ringfire", batch(8), || Ok(RingfireBatches::<1>::new(scratch, DEEP)))?;
    visitor.line("ringfire", one(4 << 10), || Ok(Ringfire::<512>::new(scratch, DEEP_4_KIB)))?;
    visitor.line("ringfire", one(64 << 10), || Ok(Ringfire::<8192>::new(scratch, DEEP_64_KIB)))?;

    visitor.line("shaq", one(64), || Shaq::<8>::new(scratch, DEEP))?;
    visitor.line("shaq", one(8), || Shaq::<1>::new(scratch, DEEP))?;
    visitor.line("shaq", batch(64), || ShaqBatches::<8>::new(scratch, DEEP))?;
    visitor.line("shaq", batch(8), || ShaqBatches::<1>::new(scratch, DEEP))?;
    visitor.line("shaq", batch_in_place(64), || ShaqInPlace::<8>::new(scratch, DEEP))?;
    visitor.line("shaq", batch_in_place(8), || ShaqInPlace::<1>::new(scratch, DEEP))?;
    visitor.line("shaq", one(4 << 10), || ShaqBig::<512>::new(scratch, DEEP_4_KIB))?;
    visitor.line("shaq", one(64 << 10), || ShaqBig::<8192>::new(scratch, DEEP_64_KIB))?;

    for (bytes, capacity) in LOADS {
        let load = one(bytes);
        visitor.line("iceoryx2", load, || Ok(Iceoryx2::new(scratch, bytes, capacity, Take::Copied)))?;
        visitor.line("iceoryx2, in place", load, || Ok(Iceoryx2::new(scratch, bytes, capacity, Take::InPlace)))?;
        visitor.line("cloudtoid-interprocess", load, || Ok(Cloudtoid::new(scratch, bytes, capacity)))?;
        visitor.line("ipc-channel", load, || IpcChannel::new(bytes))?;
        visitor.line("Unix socket, stream", load, || Sockets::stream(bytes))?;
        visitor.line("Unix socket, packets", load, || Sockets::packets(bytes))?;
        if bytes <= Queue::LONGEST {
            visitor.line("POSIX message queue", load, || Queue::new(scratch, bytes))?;
        }
    }

    visitor.pair("rtrb", one(64), || Ok(Rtrb::<8>::new(DEEP)))?;
    visitor.pair("rtrb", one(8), || Ok(Rtrb::<1>::new(DEEP)))?;
    visitor.pair("rtrb", batch(64), || Ok(RtrbBatches::<8>::new(DEEP)))?;
    visitor.pair("rtrb", batch(8), || Ok(RtrbBatches::<1>::new(DEEP)))?;
    visitor.pair("crossbeam queue", one(64), || Ok(crossbeam::Queue::<8>::new(DEEP)))?;
    visitor.pair("crossbeam queue", one(8), || Ok(crossbeam::Queue::<1>::new(DEEP)))?;
    visitor.pair("crossbeam channel", one(64), || Ok(crossbeam::Channel::<8>::new(DEEP)))?;
    visitor.pair("crossbeam channel", one(8), || Ok(crossbeam::Channel::<1>::new(DEEP)))
}

/// Looks until there is something. Once that takes long it yields: the peer may be waiting for this very
/// processor.
#[inline(always)]
fn look_for<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let mut looks = 0;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        looks += 1;
        if looks < 20_000 {
            spin_loop();
        } else {
            yield_now();
        }
    }
}

/// Looks until it is so.
#[inline(always)]
fn look_until(mut look: impl FnMut() -> Result<bool>) -> Result {
    look_for(|| Ok(look()?.then_some(())))
}
