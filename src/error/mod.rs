//! Every error: what was found, what was expected, and what to do.
//!
//! Making and opening a region has one rich type, [`OpenError`]. Claiming a seat has [`ClaimError`]. The operations on
//! the hot path have small types.
#![forbid(unsafe_code)]

mod claim;
mod corrupt;
mod field;
mod fingerprint;
mod forms;
mod open;
mod os;
mod questions;
mod reason;
mod reason_text;
mod ring;
mod text;
mod value;

pub use claim::*;
pub use corrupt::*;
pub use field::*;
pub use fingerprint::*;
pub(crate) use forms::Try;
pub use open::OpenError;
pub use os::OsError;
pub use reason::Reason;
pub use ring::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TooLong, TryRecvError, TrySendError};
pub use value::*;

const FORKED: &str = "this endpoint belongs to the process that forked this one; claim one of your own \
                      from the channel, which crosses a fork";
const CANCELLED: &str = "the call was cancelled; reset the canceller to go on";
const FILE_LOST: &str = "the region's file was removed or replaced, so a new peer cannot reach it; drop this end and \
                         its channel, and call open_or_create again, on both sides; if that finds a copy, adopt it";
