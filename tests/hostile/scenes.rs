//! Channels in a state of their own, and every operation of their ends.

use ringway::{ClaimError, Region};

use crate::common::raw::Raw;
use crate::said::Said;

/// What an operation may write, and whom it may call dead or gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Acts {
    /// A sender's: messages, its own words, and the wait words.
    Sends,
    /// A receiver's: its own words and the wait words, but no data.
    Receives,
    /// A reader's: the word it sleeps on.
    Waits,
    /// Nothing but the news of the peer's death.
    LooksAtReceiver,
    LooksAtSender,
    /// Takes or leaves the seat.
    SeatsSender,
    SeatsReceiver,
    /// Nothing at all.
    Copies,
}

/// One of the operations.
pub struct Operation<S: Scene> {
    pub name: &'static str,
    pub acts: Acts,
    /// It may wait for ever where the region says that there is something to wait for.
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

/// A channel in a memfd, with some messages in it, some more than a lap behind it, and nobody at its ends.
pub trait Scene: Sized + 'static {
    type Ends;

    fn new() -> Self;
    fn region(&self) -> &Region;
    /// Both ends, of this process.
    fn ends(&self) -> Result<Self::Ends, ClaimError>;
    fn operations() -> Vec<Operation<Self>>;
    /// The words of the data area that the next operations use, and some others.
    fn data_words(&self) -> Vec<usize>;
    /// Those of them that say what comes next.
    fn hot_data_words(&self) -> Vec<usize>;
    /// Positions or versions that mean something now.
    fn positions(&self, raw: &Raw) -> Vec<u64>;
}
