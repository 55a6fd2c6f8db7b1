//! crossbeam: its queue of fixed capacity and its bounded channel, between two threads of one process.
//!
//! Both are for many producers and many consumers, and both are polled: the queue offers nothing else
//! (documentation of crossbeam-queue 0.3.14, `crossbeam_queue::ArrayQueue`), and `send` and `recv` of the
//! channel would put the thread to sleep after a while
//! (documentation of crossbeam-channel 0.5.17, `crossbeam_channel`).

use std::sync::Arc;

use crossbeam_channel::{TryRecvError, TrySendError, bounded};
use crossbeam_queue::ArrayQueue;

use super::{look_for, look_until};
use crate::line::{Pair, Receiver, Result, Sender, number_of};

pub struct Queue<const N: usize> {
    capacity: usize,
}

impl<const N: usize> Queue<N> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity }
    }
}

impl<const N: usize> Pair for Queue<N> {
    type Sender = Arc<ArrayQueue<[u64; N]>>;
    type Receiver = Arc<ArrayQueue<[u64; N]>>;

    fn pair(&self) -> Result<(Self::Sender, Self::Receiver)> {
        let queue = Arc::new(ArrayQueue::new(self.capacity));
        Ok((Arc::clone(&queue), queue))
    }
}

impl<const N: usize> Sender for Arc<ArrayQueue<[u64; N]>> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        look_until(|| Ok(self.push([number; N]).is_ok()))
    }
}

impl<const N: usize> Receiver for Arc<ArrayQueue<[u64; N]>> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        Ok(number_of(&look_for(|| Ok(self.pop()))?))
    }
}

pub struct Channel<const N: usize> {
    capacity: usize,
}

impl<const N: usize> Channel<N> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity }
    }
}

impl<const N: usize> Pair for Channel<N> {
    type Sender = crossbeam_channel::Sender<[u64; N]>;
    type Receiver = crossbeam_channel::Receiver<[u64; N]>;

    fn pair(&self) -> Result<(Self::Sender, Self::Receiver)> {
        Ok(bounded(self.capacity))
    }
}

impl<const N: usize> Sender for crossbeam_channel::Sender<[u64; N]> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        look_until(|| match self.try_send([number; N]) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err("the receiver went away".into()),
        })
    }
}

impl<const N: usize> Receiver for crossbeam_channel::Receiver<[u64; N]> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let value = look_for(|| match self.try_recv() {
            Ok(value) => Ok(Some(value)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err("the sender went away".into()),
        })?;
        Ok(number_of(&value))
    }
}
