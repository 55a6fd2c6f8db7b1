//! Channels in a state of their own, and every operation of their ends.

use ringway::{ClaimError, Region};

use crate::common::raw::Raw;
use crate::said::Said;

/// What an operation may write, and whom it may call dead or gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Acts {
    /// A sender writes messages, its own words, and the wait words.
    Sends,
    /// A receiver writes its own words and the wait words, but no data.
    Receives,
    /// A reader writes the word it sleeps on.
    Waits,
    /// The operation writes nothing but the news of the death of the peer.
    LooksAtReceiver,
    LooksAtSender,
    /// The operation takes or leaves the seat.
    SeatsSender,
    SeatsReceiver,
    /// The operation writes nothing at all.
    Copies,
}

/// An operation.
pub struct Operation<S: Scene> {
    pub name: &'static str,
    pub acts: Acts,
    /// It may wait for ever if the region says that there is something to wait for.
    pub blocks: bool,
    pub run: fn(&S, &mut S::Ends) -> Said,
}

impl<S: Scene> Operation<S> {
    pub fn new(name: &'static str, acts: Acts, run: fn(&S, &mut S::Ends) -> Said) -> Self {
        Self { name, acts, blocks: false, run }
    }

    pub fn blocking(name: &'static str, acts: Acts, run: fn(&S, &mut S::Ends) -> Said) -> Self {
        Self { name, acts, blocks: true, run }
    }
}

/// A channel in a memfd. Some messages are in it, it has gone round more than once, and nobody is at its ends.
pub trait Scene: Sized + 'static {
    type Ends;

    fn new() -> Self;
    fn region(&self) -> &Region;
    /// Both ends. This process has them.
    fn ends(&self) -> Result<Self::Ends, ClaimError>;
    fn operations() -> Vec<Operation<Self>>;
    /// The words of the data area that the next operations use, and some others.
    fn data_words(&self) -> Vec<usize>;
    /// Those of these words that say what comes next.
    fn hot_data_words(&self) -> Vec<usize>;
    /// Positions or versions that mean something now.
    fn positions(&self, raw: &Raw) -> Vec<u64>;
}
