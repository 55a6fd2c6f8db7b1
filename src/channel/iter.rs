//! What the iterators over messages of both rings yield, and when they end.
#![forbid(unsafe_code)]

use crate::error::{RecvError, TryRecvError};

/// The next item, given the result of `recv`. The sender's leaving ends the iterator. A sender's death is an item, for a
/// successor's messages may follow. Any other error is the last item.
#[inline(always)]
pub(super) fn item<T>(received: Result<T, RecvError>, ended: &mut bool) -> Option<Result<T, RecvError>> {
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
