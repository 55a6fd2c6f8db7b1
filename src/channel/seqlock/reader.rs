//! A reading end of the value.

use core::mem::needs_drop;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Message, garbage};
use crate::error::{ChangedError, ReadError};
use crate::layout::seat::SENDER;
use crate::liveness::Witness;
use crate::memory::CellOf;
use crate::protocol::Stop;
use crate::protocol::cell::{Cells, Unread};
use crate::protocol::seat::{self, End};
use crate::region::Region;
use crate::sync::ReadOnly;
use crate::wait::{Blocked, ParkOn, Wait, block};

/// A reading end: any number of them, each usable from one thread at a time, on both sides of a fork.
pub struct Reader<T> {
    cells: Cells<CellOf<T>, ReadOnly>,
    region: Arc<Region>,
    /// The version that was read last.
    seen: u64,
    /// The last generation of the writer whose death was reported.
    reported: u64,
    wait: Wait,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), region: self.region.clone(), ..*self }
    }
}

impl<T: Message> Reader<T> {
    pub(super) fn new(region: Arc<Region>, cells: Cells<CellOf<T>, ReadOnly>) -> Self {
        // Where the kernel cannot fault the pages in, reading does.
        let _ = region.prefault_here();
        let died = seat::died(&cells.lane.sender);
        // A death is old news where someone sat there since.
        let succeeded = seat::status(&cells.lane.sender).is_ok_and(|status| status.generation > died);
        Self { cells, region, seen: 0, reported: if succeeded { died } else { 0 }, wait: Wait::default() }
    }

    /// The latest whole value; all zeroes if there was none yet ([`version`](Self::version) tells). Never
    /// waits for the writer.
    ///
    /// # Errors
    ///
    /// [`ReadError::Overtaken`] if a writer that never pauses is faster than this reader again and again;
    /// the region is corrupt.
    #[inline(always)]
    pub fn read(&mut self) -> Result<T, ReadError> {
        match self.cells.read() {
            Ok((value, version)) => {
                self.seen = version;
                Ok(value)
            }
            Err(unread) => Err(self.unread(unread)),
        }
    }

    /// The latest whole value, as [`read`](Self::read), copied straight into `place`.
    ///
    /// For a large `T`, say from 16 KiB on: a value that is returned passes over the stack, some times over in a debug
    /// build. To have one on the heap, begin with
    /// [`new_box_zeroed`](zerocopy::FromZeros::new_box_zeroed).
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); `place` then holds parts of several values.
    pub fn read_into(&mut self, place: &mut T) -> Result<(), ReadError> {
        if needs_drop::<T>() {
            return self.read_over(place);
        }
        self.seen = self.cells.read_into(place).map_err(|unread| self.unread(unread))?;
        Ok(())
    }

    /// Apart, so that no value lies on the stack of [`read_into`](Self::read_into).
    #[inline(never)]
    fn read_over(&mut self, place: &mut T) -> Result<(), ReadError> {
        *place = self.read()?;
        Ok(())
    }

    fn unread(&self, unread: Unread) -> ReadError {
        match unread {
            Unread::Overtaken(tries) => ReadError::Overtaken { tries },
            Unread::Garbage(found) => ReadError::Corrupt(garbage(found, self.seen)),
        }
    }

    /// The version of the value read last: how many values had been written up to it. 0: none.
    pub fn version(&self) -> u64 {
        self.seen
    }

    /// Whether there is a value other than the one read last.
    #[inline]
    pub fn has_changed(&self) -> bool {
        self.cells.latest() != self.seen
    }

    /// Whether a writer that is alive sits there now. Asks the kernel.
    pub fn has_writer(&self) -> bool {
        Witness::new(&self.region).is_held(SENDER)
    }

    /// Waits until there is a value other than the one read last.
    ///
    /// A reader that is attached read-only cannot announce that it sleeps; it looks once a millisecond.
    ///
    /// # Errors
    ///
    /// [`ChangedError::Closed`] if a writer was there and left, [`ChangedError::PeerDied`] if it died, and its last
    /// value was read.
    pub fn changed(&mut self) -> Result<(), ChangedError> {
        self.wait_for_change(None)
    }

    /// Waits until there is a value other than the one read last, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`ChangedError::Timeout`], and those of [`changed`](Self::changed).
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), ChangedError> {
        self.wait_for_change(Instant::now().checked_add(timeout))
    }

    fn wait_for_change(&mut self, deadline: Option<Instant>) -> Result<(), ChangedError> {
        let mut call = Call { reader: self, died: 0, lost: false };
        let writable = self.region.writable();
        let changed = call.poll(0).unwrap_or_else(|| {
            let park_on = writable.as_ref().map_or(ParkOn::Nothing, |parts| ParkOn::Shared(&parts.lane.data_wait));
            block(self.wait, deadline, park_on, &mut call).unwrap_or(Err(Stop::Blocked))
        });
        match changed {
            Ok(_) => Ok(()),
            // Nobody will come to this file any more: that says more than that somebody left.
            Err(Stop::Ended(End::Left(_))) if self.region.is_lost() => Err(ChangedError::FileLost),
            Err(stop) => {
                if let Stop::Ended(End::Died(generation)) = stop {
                    self.reported = generation;
                }
                Err(stop.into())
            }
        }
    }

    /// How blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }
}

/// A call that waits for a change.
struct Call<'a, T> {
    reader: &'a Reader<T>,
    /// The generation of a writer that died, by the kernel's word. Whoever may only read does not write it into the region.
    died: u64,
    /// The region's file has lost its name, and the caller asked to be told.
    lost: bool,
}

impl<T: Message> Blocked for Call<'_, T> {
    type Found = Result<u64, Stop>;

    fn poll(&mut self, _: u32) -> Option<Self::Found> {
        let Reader { cells, seen, reported, .. } = self.reader;
        match cells.look_for_change(*seen, *reported, self.died) {
            Err(Stop::Blocked) => self.lost.then_some(Err(Stop::FileLost)),
            changed => Some(changed),
        }
    }

    fn inquire(&mut self) {
        let region = &self.reader.region;
        self.died = Witness::new(region).inquire(SENDER).unwrap_or(0);
        self.lost = region.is_lost();
    }
}

impl From<Stop> for ChangedError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Blocked => ChangedError::Timeout,
            Stop::Ended(End::Left(_)) => ChangedError::Closed,
            Stop::Ended(End::Died(generation)) => ChangedError::PeerDied { generation },
            Stop::FileLost => ChangedError::FileLost,
            Stop::Corrupt(corrupt) => ChangedError::Corrupt(corrupt),
            Stop::Forked => unreachable!("a reader has no seat"),
        }
    }
}
