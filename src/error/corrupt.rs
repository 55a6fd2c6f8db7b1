//! Values that no peer that follows the protocol can have written.

use core::fmt;
use std::error::Error;

/// A value that no peer that follows the protocol can have written.
///
/// # Examples
///
/// ```
/// # use ringway::{Fault, RecvError, bytes};
/// fn is_garbage(error: RecvError) -> bool {
///     matches!(error, RecvError::Corrupt(corrupt) if corrupt.fault == Fault::RecordHeader)
/// }
/// assert!(!is_garbage(RecvError::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u64)]
pub enum Fault {
    /// A slot's stamp is neither that of the message expected there nor that of the lap before.
    Stamp = 1,
    /// The head, the receiver's position, is before what it has consumed, or beyond what was sent.
    Head = 2,
    /// A record's header names another position, or a length that no record can have.
    RecordHeader = 3,
    /// A seqlock's version is larger than any writer can reach.
    Version = 4,
    /// A count of records contradicts the position up to which they were counted.
    Count = 5,
}

impl Fault {
    pub(crate) fn from_u64(raw: u64) -> Option<Fault> {
        [Fault::Stamp, Fault::Head, Fault::RecordHeader, Fault::Version, Fault::Count]
            .into_iter()
            .find(|f| *f as u64 == raw)
    }
}

/// The region is corrupt: a peer broke the protocol, or another program wrote into it.
///
/// The endpoint that found this stays unusable. Nothing was read or written outside the region.
///
/// # Examples
///
/// ```
/// # use ringway::{RecvError, spsc};
/// let channel = spsc::Channel::<u64>::options().capacity(4).memfd()?;
/// let mut rx = channel.receiver()?;
/// # use std::os::unix::fs::FileExt;
/// # let memfd = std::fs::File::from(channel.region().inheritable_fd()?);
/// # let (size, page) = (channel.region().size(), channel.region().page_size());
/// # memfd.write_all_at(&vec![0xff; page as usize], size - page)?;
/// // A hostile peer has written rubbish.
/// let Err(RecvError::Corrupt(corrupt)) = rx.recv() else { panic!("rubbish was received") };
/// println!("{corrupt}");
/// assert_eq!(rx.recv(), Err(RecvError::Corrupt(corrupt))); // this end stays unusable
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Corrupt {
    /// Which word is wrong.
    pub fault: Fault,
    /// The word's value.
    pub found: u64,
    /// The endpoint's own position when it read the word.
    pub position: u64,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, expected) = match self.fault {
            Fault::Stamp => ("a slot's stamp", "that of this position or of the lap before"),
            Fault::Head => ("the receiver's position", "one between what was consumed and what was sent"),
            Fault::RecordHeader => ("a record's header", "this position's tag and a length that fits"),
            Fault::Version => ("the latest version", "one that a writer can reach"),
            Fault::Count => ("a count of records", "one that fits its position"),
        };
        let Corrupt { found, position, .. } = self;
        write!(f, "the region is corrupt: {what}")?;
        match self.fault {
            Fault::Stamp | Fault::RecordHeader => write!(f, " at position {position}")?,
            _ if *position > 0 => write!(f, ", seen from position {position},")?,
            // The reader has no position of its own yet.
            _ => {}
        }
        write!(f, " holds {found:#x}, expected {expected}; a peer broke the protocol: make a new region")
    }
}

impl Error for Corrupt {}
