//! A reading end of the value.

use core::mem::needs_drop;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Message;
use super::watch::Watch;
use crate::channel::returns;
use crate::error::{ChangedError, ReadError};
use crate::memory::CellOf;
use crate::protocol::cell::Cells;
use crate::region::Region;
use crate::sync::ReadOnly;
use crate::wait::{Canceller, Wait};

/// A reading end. There may be any number. Any thread may use it, one at a time, on both sides of a fork.
///
/// # Examples
///
/// ```
/// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
/// let mut reader = channel.reader();
/// let mut writer = channel.writer()?;
/// for n in 1..=100 {
///     writer.write(&n)?;
/// }
/// assert_eq!(reader.read()?, 100); // the latest: it missed the others
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<T> {
    watch: Watch<CellOf<T>>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { watch: self.watch.clone() }
    }
}

impl<T: Message> Reader<T> {
    pub(super) fn new(region: Arc<Region>, cells: Cells<CellOf<T>, ReadOnly>) -> Self {
        Self { watch: Watch::new(region, cells) }
    }

    /// The latest whole value; all zeroes if none was written yet ([`version`](Self::version) is then 0). Never waits
    /// for the writer.
    ///
    /// # Errors
    ///
    /// [`ReadError::Overtaken`] if a writer that never pauses is faster than this reader at every try, or
    /// [`ReadError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// assert_eq!((reader.read()?, reader.version()), (0, 0)); // nothing was written yet
    /// writer.write(&7)?;
    /// assert_eq!((reader.read()?, reader.version()), (7, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn read(&mut self) -> Result<T, ReadError> {
        const { returns::<T>() }
        self.latest()
    }

    #[inline(always)]
    fn latest(&mut self) -> Result<T, ReadError> {
        match self.watch.cells.read() {
            Ok((value, version)) => {
                self.watch.seen = version;
                Ok(value)
            }
            Err(unread) => Err(self.watch.unread(unread)),
        }
    }

    /// Copies the latest whole value straight into `place`: see [`read`](Self::read).
    ///
    /// Use it for a large `T`, say 16 KiB or more: a returned value crosses the stack, several times in a debug build.
    /// To have one on the heap, begin with [`new_box_zeroed`](zerocopy::FromZeros::new_box_zeroed).
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); `place` then holds parts of several values.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<[u8; 1 << 16]>()?;
    /// use ringway::zerocopy::FromZeros;
    /// let mut frame = <[u8; 1 << 16]>::new_box_zeroed().expect("memory for a frame");
    /// # writer.write(&[7; 1 << 16])?;
    /// reader.read_into(&mut frame)?; // no copy on the stack
    /// assert_eq!(frame[0], 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_into(&mut self, place: &mut T) -> Result<(), ReadError> {
        if needs_drop::<T>() {
            return self.read_over(place);
        }
        self.watch.seen = self.watch.cells.read_into(place).map_err(|unread| self.watch.unread(unread))?;
        Ok(())
    }

    /// Not inlined, so that [`read_into`](Self::read_into) has no value on its stack.
    #[inline(never)]
    fn read_over(&mut self, place: &mut T) -> Result<(), ReadError> {
        *place = self.latest()?;
        Ok(())
    }

    /// The version of the value read last: how many values had been written up to it. 0 if none.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// writer.write(&7)?;
    /// writer.write(&8)?;
    /// assert_eq!(reader.version(), 0); // nothing was read yet
    /// reader.read()?;
    /// assert_eq!(reader.version(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        self.watch.seen
    }

    /// Whether there is a newer value than the one read last.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// writer.write(&7)?;
    /// assert!(reader.has_changed());
    /// reader.read()?;
    /// assert!(!reader.has_changed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.watch.has_changed()
    }

    /// Whether a living writer holds the seat now. Asks the kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// assert!(reader.has_writer());
    /// drop(writer);
    /// assert!(!reader.has_writer()); // the value is as old as it looks
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_writer(&self) -> bool {
        self.watch.has_writer()
    }

    /// Waits until there is a newer value than the one read last.
    ///
    /// A reader that is attached read-only cannot announce that it sleeps, so it checks once a millisecond.
    ///
    /// # Errors
    ///
    /// Once the latest value was read: [`ChangedError::Closed`] if the writer left, [`ChangedError::PeerDied`] if it
    /// died. Also [`ChangedError::FileLost`] and [`ChangedError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ChangedError;
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// writer.write(&7)?;
    /// reader.changed()?; // sleeps until there is something new
    /// assert_eq!(reader.read()?, 7);
    /// drop(writer);
    /// assert_eq!(reader.changed(), Err(ChangedError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changed(&mut self) -> Result<(), ChangedError> {
        self.watch.wait_for_change(None)
    }

    /// Waits until there is a newer value than the one read last, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`ChangedError::Timeout`], and those of [`changed`](Self::changed).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ChangedError;
    /// # use std::time::Duration;
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// assert_eq!(reader.changed_timeout(Duration::from_millis(1)), Err(ChangedError::Timeout));
    /// writer.write(&7)?;
    /// assert_eq!(reader.changed_timeout(Duration::from_secs(1)), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), ChangedError> {
        self.watch.wait_for_change(Instant::now().checked_add(timeout))
    }

    /// Sets how blocked calls wait from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// reader.set_wait(Wait::Sleep); // a dashboard: no hurry
    /// assert_eq!(reader.wait(), Wait::Sleep);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_wait(&mut self, wait: Wait) {
        self.watch.wait = wait;
    }

    /// How blocked calls wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// assert_eq!(reader.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.watch.wait
    }

    /// Sets whether [`changed`](Self::changed) goes on waiting when the writer leaves or dies: it then never returns
    /// [`ChangedError::Closed`] or [`ChangedError::PeerDied`]. Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ChangedError;
    /// # use std::time::Duration;
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// reader.outlive_peers(true);
    /// drop(writer);
    /// assert_eq!(reader.changed_timeout(Duration::from_millis(1)), Err(ChangedError::Timeout)); // not `Closed`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outlive_peers(&mut self, yes: bool) {
        self.watch.outlives_peers = yes;
    }

    /// What ends the blocked calls of this reader, and of those that are cloned from it later, from any thread or a signal
    /// handler. Each call returns the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ChangedError;
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// let canceller = reader.canceller();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| canceller.cancel());
    ///     assert_eq!(reader.changed(), Err(ChangedError::Cancelled));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canceller(&mut self) -> Canceller {
        self.watch.canceller()
    }
}

impl<T> core::fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seqlock::Reader").field("version", &self.watch.seen).field("wait", &self.watch.wait).finish()
    }
}
