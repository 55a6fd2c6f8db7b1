//! Whether the process in a seat is alive: the kernel's word, and never a clock's.
//!
//! | asked | when | says |
//! |---|---|---|
//! | a pidfd of the process id | holder and observer are at home: same boot and PID namespace as the region's creator | gone: no such process, one of another identity, or one that has ended |
//! | the lock on [`seat::lock_byte`] | the holder could take one that lasts, nearly always | gone: nobody holds it, so the memory in which the endpoint lived is gone, by exit or exec |
//!
//! Either is enough to be gone, and a process of which neither says so is alive: one that is stopped, or
//! swapped out, or whose `/proc` cannot be read, or about which a question is refused. An error is no answer:
//! that there is no such process is believed only where two questions say so that find this process itself.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use crate::error::{ClaimError, KillError, OsError};
use crate::layout::Process;
use crate::layout::locks::{TRIALS, of_trial};
use crate::os::filesystem::{self, Kind};
use crate::os::lifeline::Lifeline;
use crate::os::owned::Owned;
use crate::os::process::{self, Fate, Pidfd};
use crate::protocol::seat::{self, Status, holder_of, lock_byte};
use crate::region::Region;

/// Asks the kernel about those who sit at a region. Good for one process: the parent's is not the child's.
#[derive(Clone)]
pub(crate) struct Witness {
    region: Arc<Region>,
    same_origin: bool,
}

impl Witness {
    pub fn new(region: &Arc<Region>) -> Self {
        let same_origin = match region.origin() {
            // Only this process and its children can have a private copy, even if nobody knew the boot when it was made.
            0 => region.is_snapshot(),
            origin => process::origin().ok() == Some(origin),
        };
        Self { region: region.clone(), same_origin }
    }

    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Whether the holder that put `word` into a seat is gone.
    pub fn is_gone(&self, seat: usize, word: u64) -> bool {
        let Some(Process { pid, identity, same_origin, locked }) = holder_of(word) else { return false };
        same_origin && self.same_origin && process::fate(pid, identity) == Fate::Gone
            || locked && self.region.is_locked(lock_byte(seat, word), pid != std::process::id()) == Some(false)
    }

    /// Asks after the holder of a seat: its generation if it died. Tells everyone, where it may write.
    pub fn inquire(&self, seat: usize) -> Option<u64> {
        let words = self.region.seat(seat);
        let generation = seat::dead_holder(&words, |word| self.is_gone(seat, word))?;
        if seat::died(&words) < generation
            && let Some(words) = self.region.writable_seat(seat)
        {
            seat::record_death(&words, generation);
        }
        Some(generation)
    }

    /// Whether someone who is alive sits there.
    pub fn is_held(&self, seat: usize) -> bool {
        let status = seat::status(&self.region.seat(seat));
        status.is_ok_and(|status| status.holder.is_some() && !self.is_gone(seat, status.word))
    }

    /// This process, as it will name itself in a seat, and what gives its sign of life.
    pub fn introduce_self(&self) -> Result<(Process, Option<Lifeline>), ClaimError> {
        let (pid, identity) = process::current();
        // A filter may refuse `getpid`, and what is no id would be the id of a process that is missing.
        if pid == 0 || pid >> 22 != 0 {
            return Err(ClaimError::NoSignOfLife(OsError::new("getpid", Errno::ENOSYS)));
        }
        // Whom nothing tells from others with its id cannot be asked after by that.
        let same_origin = self.same_origin && identity.is_some();
        let identity = identity.unwrap_or(0);
        let lifeline = match self.lifeline(identity) {
            Ok(lifeline) => Some(lifeline),
            // At home, the process id is enough.
            Err(_) if same_origin => None,
            Err(error) => return Err(self.region.unlockable(error)),
        };
        Ok((Process { pid, identity, same_origin, locked: lifeline.is_some() }, lifeline))
    }

    fn lifeline(&self, identity: u32) -> Result<Lifeline, OsError> {
        if !self.region.keeps_locks() {
            self.try_locks(identity)?;
            self.region.set_keeps_locks();
        }
        Lifeline::new(self.region.reopen()?, self.region.page_size() as usize)
    }

    /// Some file systems have no locks, and on some (overlayfs) the mapping refers to another file than the one that
    /// was opened and locked. So it is tried, on a byte that is this thread's alone.
    fn try_locks(&self, identity: u32) -> Result<(), OsError> {
        let thread = nix::unistd::gettid().as_raw() as u32;
        for trial in 0..TRIALS {
            let file = self.region.reopen()?;
            // On an overlay the mapping refers to the file below.
            if filesystem::kind(file.get()?)? == Kind::Overlay {
                break;
            }
            match self.try_lock(file, of_trial(thread, identity, trial))? {
                (Some(true), Some(false)) => return Ok(()),
                // A child that another thread forked meanwhile holds on to it, for who knows how long.
                (Some(true), Some(true)) => {}
                _ => break,
            }
        }
        Err(OsError::new("keep a lock by a mapping", Errno::EOPNOTSUPP))
    }

    /// Locks a byte by a mapping alone. Says whether it is locked then, and after the mapping has gone.
    fn try_lock(&self, file: Owned, byte: u64) -> Result<(Option<bool>, Option<bool>), OsError> {
        let mut trial = Lifeline::new(file, self.region.page_size() as usize)?;
        trial.lock(byte)?;
        trial.let_go();
        let lasted = self.region.is_locked(byte, false);
        drop(trial);
        Ok((lasted, self.region.is_locked(byte, false)))
    }

    /// Ends the process that sits there, and waits until the kernel says that it is gone.
    pub fn kill_holder(&self, seat: usize, timeout: Duration) -> Result<(), KillError> {
        if self.region.read_only() {
            return Err(ClaimError::ReadOnly.into());
        }
        let words = self.region.seat(seat);
        let Ok(Status { holder: Some(holder), word, .. }) = seat::status(&words) else { return Ok(()) };
        if self.is_gone(seat, word) {
            return Ok(());
        }
        let Process { pid, identity, same_origin, .. } = holder;
        if !(same_origin && self.same_origin) {
            // Where this process is may be what nobody tells it.
            return Err(match process::origin() {
                Err(error) if same_origin => KillError::Refused { pid, error },
                _ => KillError::OutOfReach { pid },
            });
        }
        // At home nobody else has this id, unless the holder is dead.
        if pid == std::process::id() {
            return Err(KillError::OwnProcess);
        }
        let process = match Pidfd::open(pid) {
            Ok(process) => process,
            Err(_) if process::fate(pid, identity) == Fate::Gone => return Ok(()),
            Err(error) => return Err(KillError::Refused { pid, error }),
        };
        match process.fate_of(pid, identity) {
            Fate::Alive => {}
            Fate::Gone => return Ok(()),
            Fate::Unknown => {
                return Err(process
                    .refusal(pid)
                    .map_or(KillError::OutOfReach { pid }, |error| KillError::Refused { pid, error }));
            }
        }
        // It may have left meanwhile, or become another program: then there is nobody to kill.
        if seat::status(&words).is_ok_and(|status| status.word != word) || self.is_gone(seat, word) {
            return Ok(());
        }
        process.kill()?;
        match process.wait_for_end(timeout) {
            Ok(true) => Ok(()),
            Ok(false) => Err(KillError::NotGone { pid }),
            Err(errno) => Err(KillError::Refused { pid, error: OsError::new("poll", errno) }),
        }
    }
}
