//! The iterators over messages of both rings: what they yield, and when they end.
#![forbid(unsafe_code)]

use core::iter::FusedIterator;

use crate::error::{RecvError, TryRecvError};

/// A receiving end of a ring. It is `pub` for [`Iter`]; nobody outside the crate can name it.
pub trait Receive {
    type Message;
    fn next_message(&mut self) -> Result<Self::Message, RecvError>;
}

/// The messages of a receiver, as they come: see [`spsc::Receiver::iter`](crate::spsc::Receiver::iter) and
/// [`bytes::Receiver::iter`](crate::bytes::Receiver::iter).
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
/// tx.send_slice(&[1, 2, 3])?;
/// drop(tx);
/// let messages: ringway::Iter<'_, _> = rx.iter();
/// assert_eq!(messages.collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator receives nothing until it is used"]
pub struct Iter<'a, R> {
    receiver: &'a mut R,
    ended: bool,
}

impl<'a, R> Iter<'a, R> {
    pub(super) fn new(receiver: &'a mut R) -> Self {
        Self { receiver, ended: false }
    }
}

impl<R: Receive> Iterator for Iter<'_, R> {
    type Item = Result<R::Message, RecvError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        item(self.receiver.next_message(), &mut self.ended)
    }
}

impl<R: Receive> FusedIterator for Iter<'_, R> {}

/// The next item, given the result of `recv`. The sender's leaving ends the iterator. A sender's death is an item, for a
/// successor's messages may follow. Any other error is the last item.
#[inline(always)]
fn item<T>(received: Result<T, RecvError>, ended: &mut bool) -> Option<Result<T, RecvError>> {
    match received {
        Err(RecvError::Closed) => {
            *ended = true;
            None
        }
        Err(error) => {
            *ended = !error.is_peer_died();
            Some(Err(error))
        }
        Ok(message) => Some(Ok(message)),
    }
}

/// The results of `try_recv` as [`item`]s, until that finds none.
pub(super) fn items_now<T>(
    mut try_recv: impl FnMut() -> Result<T, TryRecvError>,
) -> impl Iterator<Item = Result<T, RecvError>> {
    let mut ended = false;
    core::iter::from_fn(move || match (!ended).then(&mut try_recv)? {
        Ok(message) => Some(Ok(message)),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Refused(error)) => item(Err(error), &mut ended),
    })
}
