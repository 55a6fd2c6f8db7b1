//! Decides whether the process in a seat is alive. The kernel decides, never a clock.
//!
//! | source | available if | the holder is gone if |
//! |---|---|---|
//! | a pidfd of the process id | holder and observer have the same origin: boot and namespaces of the region's creator | no such process exists, or one with another identity, or it has ended |
//! | the lock on [`seat::lock_byte`] | the holder could take a lock that lasts, which it nearly always can | nobody holds the lock: the endpoint's memory is gone, by exit or exec |
//!
//! Either source is enough to declare a process gone. If neither does, the process is alive: also if it is stopped or
//! swapped out, if its `/proc` cannot be read, or if the kernel refuses a call. An error proves nothing: "no such
//! process" counts only if two calls say so that each find this process itself.
#![forbid(unsafe_code)]

mod kill;
mod patrol;

use std::sync::Arc;

use nix::errno::Errno;

use crate::error::{ClaimError, OsError};
use crate::layout::Process;
use crate::layout::locks::{TRIALS, of_trial};
use crate::layout::seat::IDENTITY_BITS;
use crate::os::filesystem::{self, Kind};
use crate::os::lifeline::Lifeline;
use crate::os::owned::Owned;
use crate::os::process::{self, Fate};
use crate::protocol::Side;
use crate::protocol::seat::{self, holder_of, lock_byte};
use crate::region::Region;

// A seat has room for all of an identity.
const _: () = assert!(process::IDENTITY_BITS == IDENTITY_BITS);

/// Which sign of life to ask for. One may show a process alive that the other shows gone: its id outlasts an exec, and
/// its memory may outlive it by a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Both,
    /// Its id; the lock only if the kernel does not say.
    Id,
    /// Its lock; the id only if the kernel does not say.
    Lock,
}

/// Asks the kernel about the holders of a region's seats. Valid in one process only: a forked child needs its own.
#[derive(Clone)]
pub(crate) struct Witness {
    region: Arc<Region>,
    same_origin: bool,
}

impl Witness {
    pub fn new(region: &Arc<Region>) -> Self {
        let same_origin = match region.origin() {
            // Only this process and its children can have a private copy, even if the boot was not known when it was
            // made.
            0 => region.is_snapshot(),
            origin => process::origin().ok() == Some(origin),
        };
        Self { region: region.clone(), same_origin }
    }

    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Whether the process that put `word` into a seat is gone.
    pub fn is_gone(&self, seat: usize, word: u64) -> bool {
        self.fate(seat, word, Ask::Both, |byte, by_another| self.region.is_locked(byte, by_another)) == Fate::Gone
    }

    /// What the kernel says of the process that put `word` into a seat. `is_locked` asks it whether a byte is locked,
    /// by another process or by any.
    fn fate(&self, seat: usize, word: u64, ask: Ask, is_locked: impl Fn(u64, bool) -> Option<bool>) -> Fate {
        let Some(Process { pid, identity, same_origin, locked }) = holder_of(word) else { return Fate::Unknown };
        let by_id = || if same_origin && self.same_origin { process::fate(pid, identity) } else { Fate::Unknown };
        let by_lock = || match locked.then(|| is_locked(lock_byte(seat, word), pid != std::process::id())).flatten() {
            Some(true) => Fate::Alive,
            Some(false) => Fate::Gone,
            None => Fate::Unknown,
        };
        match ask {
            Ask::Id => by_id().or_else(by_lock),
            Ask::Lock => by_lock().or_else(by_id),
            Ask::Both => match by_id() {
                Fate::Gone => Fate::Gone,
                fate => by_lock().or_else(|| fate),
            },
        }
    }

    /// The generation of a seat's holder, if it died. Records the death for everyone, if this process may write.
    pub fn check_holder(&self, seat: usize) -> Option<u64> {
        let words = self.region.seat(seat);
        let generation = seat::dead_holder(&words, |word| self.is_gone(seat, word))?;
        if seat::died(&words) < generation {
            if let Some(words) = self.region.writable_seat(seat) {
                seat::record_death(&words, generation);
            }
        }
        Some(generation)
    }

    /// Asks whether the peer of one end of a channel is gone, and records its death for all to see.
    pub fn check_peer(&self, side: &Side) {
        side.check_peer(|peer, word| self.is_gone(peer, word));
    }

    /// Whether a living process holds the seat.
    pub fn is_held(&self, seat: usize) -> bool {
        let status = seat::status(&self.region.seat(seat));
        status.is_ok_and(|status| status.holder.is_some() && !self.is_gone(seat, status.word))
    }

    /// This process as it will name itself in a seat, and its lifeline.
    pub fn identify_self(&self) -> Result<(Process, Option<Lifeline>), ClaimError> {
        let (pid, identity) = process::current();
        // A system-call filter may refuse `getpid`. An invalid id would look like that of a process that is gone.
        if pid == 0 || pid >> 22 != 0 {
            return Err(ClaimError::NoSignOfLife(OsError::new("getpid", Errno::ENOSYS)));
        }
        // Without an identity, nobody can tell this process from others that get its id.
        let same_origin = self.same_origin && identity.is_some();
        let identity = identity.unwrap_or(0);
        let lifeline = match self.lifeline(identity) {
            Ok(lifeline) => Some(lifeline),
            // In the region's PID namespace, the process id is enough.
            Err(_) if same_origin => None,
            Err(error) => return Err(self.region.lock_error(error)),
        };
        Ok((Process { pid, identity, same_origin, locked: lifeline.is_some() }, lifeline))
    }

    fn lifeline(&self, identity: u32) -> Result<Lifeline, OsError> {
        if !self.region.keeps_locks() {
            self.probe_locks(identity)?;
            self.region.set_keeps_locks();
        }
        Lifeline::new(self.region.reopen()?, self.region.page_size() as usize)
    }

    /// Checks that a mapping keeps a lock. Some file systems have no locks, and on some (overlayfs) the mapping refers
    /// to another file than the one that was opened and locked. So this takes a lock on a byte that only this thread
    /// uses.
    fn probe_locks(&self, identity: u32) -> Result<(), OsError> {
        let thread = nix::unistd::gettid().as_raw() as u32;
        for trial in 0..TRIALS {
            let file = self.region.reopen()?;
            // On an overlay the mapping refers to the file below.
            if filesystem::kind(file.get()?)? == Kind::Overlay {
                break;
            }
            match self.probe_lock(file, of_trial(thread, identity, trial))? {
                (Some(true), Some(false)) => return Ok(()),
                // A child that another thread forked meanwhile still holds the lock, and may for a long time.
                (Some(true), Some(true)) => {}
                _ => break,
            }
        }
        Err(OsError::new("keep a lock by a mapping", Errno::EOPNOTSUPP))
    }

    /// Locks a byte through a mapping alone. Returns whether it is locked with the mapping, and without it.
    fn probe_lock(&self, file: Owned, byte: u64) -> Result<(Option<bool>, Option<bool>), OsError> {
        let mut trial = Lifeline::new(file, self.region.page_size() as usize)?;
        trial.lock(byte)?;
        trial.close_descriptor();
        let lasted = self.region.is_locked(byte, false);
        drop(trial);
        Ok((lasted, self.region.is_locked(byte, false)))
    }
}
