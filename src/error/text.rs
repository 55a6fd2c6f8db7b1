//! Errors show their text wherever they are printed: `?` in `main`, `unwrap` and `assert_eq!` print with `Debug`.
//!
//! The text has its cause in it. So no error has a `source`, which would be printed once more; causes are public fields.

use core::fmt;

use super::*;

macro_rules! debug_is_text {
    ($($error:ty)*) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })*
    };
}

debug_is_text! {
    ClaimError KillError OpenError OsError Corrupt Reason WriteError ReadError ChangedError
    SendError TrySendError SendTimeoutError RecvError TryRecvError RecvTimeoutError
}
