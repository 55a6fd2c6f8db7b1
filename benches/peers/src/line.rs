//! What a case is made of: a way from one process to the other, and its two ends.

use std::error::Error;
use std::hint::black_box;

pub type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// A way from one process to the other, described before there are two.
///
/// Each end is made in the process that uses it, after the fork; both processes make the ends of all lines in
/// the same order, so that one may wait for the other.
pub trait Line: 'static {
    type Sender: Sender;
    type Receiver: Receiver;

    fn sender(&self) -> Result<Self::Sender>;
    fn receiver(&self) -> Result<Self::Receiver>;
}

/// A way from one thread to another of one process, whose two ends are made together.
pub trait Pair: 'static {
    type Sender: Sender + Send;
    type Receiver: Receiver + Send;

    fn pair(&self) -> Result<(Self::Sender, Self::Receiver)>;
}

pub trait Sender: 'static {
    /// Sends a message that shows `number`, once there is space.
    fn put(&mut self, number: u64) -> Result;
}

pub trait Receiver: 'static {
    /// Waits for a message, receives all of it, and returns its number.
    fn get(&mut self) -> Result<u64>;
}

/// The number that every word of a payload shows.
#[inline(always)]
pub fn number_of<const N: usize>(payload: &[u64; N]) -> u64 {
    black_box(payload)[N - 1]
}

/// Makes a record show a number, at its end.
#[inline(always)]
pub fn show(record: &mut [u8], number: u64) {
    if let Some(last) = record.last_chunk_mut() {
        *last = number.to_ne_bytes();
    }
}

/// The number that a record shows.
#[inline(always)]
pub fn shown(record: &[u8]) -> u64 {
    black_box(record).last_chunk().map_or(0, |&last| u64::from_ne_bytes(last))
}
