//! The writing end of the value.

use super::Message;
use crate::channel::endpoint::Endpoint;
use crate::error::WriteError;
use crate::memory::CellOf;
use crate::protocol::Stop;
use crate::protocol::cell::Cells;

/// The writing end. At most one exists among all processes at a time. Any thread of the process that took it may use
/// it, one at a time. The value stays when it is dropped.
///
/// # Examples
///
/// ```
/// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
/// channel.writer()?.write(&7)?; // it leaves, and the value stays
/// let mut successor = channel.writer()?;
/// assert_eq!(successor.version(), 1);
/// successor.write(&8)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer<T> {
    pub(super) end: Endpoint,
    pub(super) cells: Cells<CellOf<T>>,
}

impl<T: Message> Writer<T> {
    /// Makes `value` the latest. Never waits.
    ///
    /// # Errors
    ///
    /// This process is a forked child of the writer's, or the region is corrupt.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// writer.write(&7)?; // never waits, whatever the readers do
    /// writer.write(&8)?;
    /// assert_eq!(reader.read()?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn write(&mut self, value: &T) -> Result<(), WriteError> {
        match self.cells.write(&mut self.end.state, value, self.end.fences) {
            Ok(()) => Ok(()),
            Err(Stop::Corrupt(corrupt)) => Err(WriteError::Corrupt(corrupt)),
            Err(_) => Err(WriteError::Forked),
        }
    }

    /// How many values were written so far, by this writer and those before it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// writer.write(&7)?;
    /// reader.read()?;
    /// assert_eq!(reader.version(), writer.version()); // the reader has the latest
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the writer's seat has been taken, including by this writer. A reader's `PeerDied` names this number.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
    /// assert_eq!(channel.writer()?.generation(), 1);
    /// assert_eq!(channel.writer()?.generation(), 2); // its successor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }
}

impl<T> core::fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seqlock::Writer").field("end", &self.end).finish()
    }
}
