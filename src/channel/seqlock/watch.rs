//! What readers of values of any type have in common: what they read last, what was reported to them, and how they wait.

use std::sync::Arc;
use std::time::Instant;

use super::garbage;
use crate::error::{ChangedError, ReadError};
use crate::layout::seat::SENDER;
use crate::liveness::Witness;
use crate::memory::CellShape;
use crate::protocol::Stop;
use crate::protocol::cell::{Cells, Unread};
use crate::protocol::seat::{self, End};
use crate::protocol::wait_word::READERS;
use crate::region::Region;
use crate::sync::ReadOnly;
use crate::wait::{Blocked, Canceller, ParkOn, Wait, block};

/// A reader without the type of its values.
#[derive(Clone)]
pub(super) struct Watch<S> {
    pub cells: Cells<S, ReadOnly>,
    region: Arc<Region>,
    /// The version read last.
    pub seen: u64,
    /// The newest generation of the writer whose death was reported.
    reported: u64,
    pub wait: Wait,
    /// Calls go on waiting when the writer ends.
    pub outlives_peers: bool,
    cancel: Option<Canceller>,
}

impl<S: CellShape> Watch<S> {
    pub fn new(region: Arc<Region>, cells: Cells<S, ReadOnly>) -> Self {
        // If the kernel cannot fault the pages in, reading does.
        let _ = region.prefault_here();
        let (died, wait) = (seat::died(&cells.lane.sender), region.wait());
        // A death is old news if someone has taken the seat since.
        let succeeded = seat::status(&cells.lane.sender).is_ok_and(|status| status.generation > died);
        Self {
            cells,
            region,
            seen: 0,
            reported: if succeeded { died } else { 0 },
            wait,
            outlives_peers: false,
            cancel: None,
        }
    }

    pub fn unread(&self, unread: Unread) -> ReadError {
        match unread {
            Unread::Overtaken(tries) => ReadError::Overtaken { tries },
            Unread::Garbage(found) => ReadError::Corrupt(garbage(found, self.seen)),
        }
    }

    #[inline]
    pub fn has_changed(&self) -> bool {
        self.cells.latest() != self.seen
    }

    /// What ends the blocked calls of this reader and of those that are cloned from it later.
    pub fn canceller(&mut self) -> Canceller {
        let word = || self.region.writable().map(|parts| (parts.lane.part(|lane| &*lane.data_wait), READERS));
        self.cancel.get_or_insert_with(|| Canceller::new(word())).clone()
    }

    pub fn has_writer(&self) -> bool {
        Witness::new(&self.region).is_held(SENDER)
    }

    /// Waits until there is a newer value than the one read last.
    pub fn wait_for_change(&mut self, deadline: Option<Instant>) -> Result<(), ChangedError> {
        let mut call = Call { watch: self, died: 0, lost: false };
        let writable = self.region.writable();
        let changed = call.poll(0).unwrap_or_else(|| {
            let park_on = writable.as_ref().map_or(ParkOn::Nothing, |parts| ParkOn::Shared(&parts.lane.data_wait));
            block(self.wait, deadline, park_on, &mut call).unwrap_or(Err(Stop::Blocked))
        });
        match changed {
            Ok(_) => Ok(()),
            // No new peer can reach this file, which matters more than that the old one left.
            Err(Stop::Ended(End::Left(_))) if self.region.is_lost() => Err(ChangedError::FileLost),
            Err(stop) => {
                if let Stop::Ended(End::Died(generation)) = stop {
                    self.reported = generation;
                }
                Err(stop.into())
            }
        }
    }
}

/// A call that waits for a change.
struct Call<'a, S> {
    watch: &'a Watch<S>,
    /// The generation of a writer that died, as the kernel says. A read-only process cannot record it in the region.
    died: u64,
    /// The region's file has lost its name, and the caller watches it.
    lost: bool,
}

impl<S: CellShape> Blocked for Call<'_, S> {
    type Found = Result<u64, Stop>;

    fn poll(&mut self, _: u32) -> Option<Self::Found> {
        let Watch { cells, seen, reported, outlives_peers, cancel, .. } = self.watch;
        let changed = match cells.look_for_change(*seen, *reported, self.died) {
            Err(Stop::Ended(_)) if *outlives_peers => Err(Stop::Blocked),
            changed => changed,
        };
        match changed {
            Err(Stop::Blocked) if self.lost => Some(Err(Stop::FileLost)),
            Err(Stop::Blocked) if cancel.as_ref().is_some_and(Canceller::is_cancelled) => Some(Err(Stop::Cancelled)),
            Err(Stop::Blocked) => None,
            changed => Some(changed),
        }
    }

    fn check_peer(&mut self) -> bool {
        let region = &self.watch.region;
        self.died = Witness::new(region).check_holder(SENDER).unwrap_or(0);
        self.lost = region.is_lost();
        seat::is_occupied(&self.watch.cells.lane.sender) || region.is_watched()
    }
}

impl From<Stop> for ChangedError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Blocked => ChangedError::Timeout,
            Stop::Ended(End::Left(_)) => ChangedError::Closed,
            Stop::Ended(End::Died(generation)) => ChangedError::PeerDied { generation },
            Stop::FileLost => ChangedError::FileLost,
            Stop::Cancelled => ChangedError::Cancelled,
            Stop::Corrupt(corrupt) => ChangedError::Corrupt(corrupt),
            Stop::Forked => unreachable!("a reader has no seat"),
        }
    }
}
