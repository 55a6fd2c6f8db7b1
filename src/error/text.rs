//! Errors show their text wherever they are printed: `?` in `main`, `unwrap` and `assert_eq!` print with `Debug`.
//!
//! The text has its cause in it. So no error has a `source`, which would be printed once more; causes are public fields.

use core::fmt;

use super::*;

/// `Debug` of an enum: the variant's name, and the text. A new variant does not compile until it stands here.
macro_rules! debug_is_name_and_text {
    ($($error:ident: $($variant:ident)*;)*) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let name = match self {
                    $($error::$variant { .. } => stringify!($variant),)*
                };
                write!(f, "{name}: {self}")
            }
        })*
    };
}

debug_is_name_and_text! {
    ClaimError: Taken ReadOnly Corrupt CorruptSeat FileMode NoSignOfLife Os Open;
    KillError: OwnProcess OutOfReach Refused NotGone Claim Os;
    Reason: Exists InUse BeingRemoved Locked Missing NotAFile Owner Permission DirectoryPermission Copy Holes Short Length NotARegion Endianness Version Checksum Field Kind Type OtherCapacity Capacity UnsupportedType NoType TypeName NulInTypeName NoDirectory NoSpace FileSystem CopyOnWrite DescriptorClosed FileSizeLimit LockLimit DescriptorLimit NoHugePages HugePagesUnsupported HugePagesUnasked Unsealed Busy NothingWhole Corrupt Anonymous NamedFile Os;
    SendError: Closed PeerDied Forked FileLost Cancelled TooLong WrongSize Corrupt;
    TrySendError: Full Refused;
    SendTimeoutError: Timeout Refused;
    RecvError: Closed PeerDied Forked FileLost Cancelled BufferTooShort Corrupt;
    TryRecvError: Empty Refused;
    RecvTimeoutError: Timeout Refused;
    WriteError: Forked WrongSize Corrupt;
    ReadError: BufferTooShort Overtaken Corrupt;
    ChangedError: Closed PeerDied FileLost Cancelled Timeout Corrupt;
}

macro_rules! debug_is_text {
    ($($error:ident)*) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })*
    };
}

debug_is_text! { Corrupt OpenError OsError }
