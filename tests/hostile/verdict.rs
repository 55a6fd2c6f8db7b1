//! What an endpoint may say of a region to which anybody writes.

use ringway::{
    ClaimError, Corrupt, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

/// If an endpoint has said once that something is wrong, it says so for ever.
#[derive(Default)]
pub struct Sticky(Option<Corrupt>);

impl Sticky {
    /// `found` is the corruption that the call reported, or `None`.
    pub fn look(&mut self, found: Option<Corrupt>) {
        match self.0 {
            Some(_) => assert_eq!(found, self.0, "an endpoint that found corruption stays unusable"),
            None => self.0 = found,
        }
    }

    pub fn is_corrupt(&self) -> bool {
        self.0.is_some()
    }
}

fn of_send(error: SendError) -> Option<Corrupt> {
    match error {
        SendError::Corrupt(corrupt) => Some(corrupt),
        SendError::Closed | SendError::PeerDied { .. } | SendError::TooLong(_) => None,
        other => panic!("{other:?}"),
    }
}

pub fn of_try_send<T>(result: Result<T, TrySendError>) -> Option<Corrupt> {
    match result {
        Err(TrySendError::Refused(error)) => of_send(error),
        _ => None,
    }
}

pub fn of_send_timeout<T>(result: Result<T, SendTimeoutError>) -> Option<Corrupt> {
    match result {
        Err(SendTimeoutError::Refused(error)) => of_send(error),
        _ => None,
    }
}

fn of_recv(error: RecvError) -> Option<Corrupt> {
    match error {
        RecvError::Corrupt(corrupt) => Some(corrupt),
        RecvError::Closed | RecvError::PeerDied { .. } | RecvError::BufferTooShort { .. } => None,
        other => panic!("{other:?}"),
    }
}

pub fn of_try_recv<T>(result: Result<T, TryRecvError>) -> Option<Corrupt> {
    match result {
        Err(TryRecvError::Refused(error)) => of_recv(error),
        _ => None,
    }
}

pub fn of_recv_timeout<T>(result: Result<T, RecvTimeoutError>) -> Option<Corrupt> {
    match result {
        Err(RecvTimeoutError::Refused(error)) => of_recv(error),
        _ => None,
    }
}

/// Fails unless this may come of taking a seat in a region to which anybody writes.
pub fn claimed<T>(result: Result<T, ClaimError>) -> Option<T> {
    match result {
        Ok(end) => Some(end),
        Err(ClaimError::Taken { .. } | ClaimError::Corrupt(_) | ClaimError::CorruptSeat { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}
