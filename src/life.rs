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

use crate::error::{ClaimError, EvictError, OsError};
use crate::layout::Process;
use crate::os::filesystem::{self, Kind};
use crate::os::lifeline::Lifeline;
use crate::os::owned::Owned;
use crate::os::process::{self, Fate, Pidfd};
use crate::protocol::seat::{self, Status, TRIALS, holder_of, lock_byte, trial_byte};
use crate::region::Region;

/// Asks the kernel about those who sit at a region. Good for one process: the parent's is not the child's.
#[derive(Clone)]
pub(crate) struct Witness {
    region: Arc<Region>,
    at_home: bool,
}

impl Witness {
    pub fn new(region: &Arc<Region>) -> Self {
        let at_home = match region.home() {
            // Only this process and its children can have a private copy, even if nobody knew the boot when it was made.
            0 => region.is_snapshot(),
            home => process::home().ok() == Some(home),
        };
        Self { region: region.clone(), at_home }
    }

    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Whether the holder that put `word` into a seat is gone.
    pub fn is_gone(&self, seat: usize, word: u64) -> bool {
        let Some(Process { pid, identity, at_home, locked }) = holder_of(word) else { return false };
        at_home && self.at_home && process::fate(pid, identity) == Fate::Gone
            || locked && self.region.is_locked(lock_byte(seat, word), pid != std::process::id()) == Some(false)
    }

    /// Asks after the holder of a seat: its generation if it died. Tells everyone, where it may write.
    pub fn inquire(&self, seat: usize) -> Option<u64> {
        let control = self.region.control();
        let generation = seat::dead_holder(&control.seats[seat], |word| self.is_gone(seat, word))?;
        if seat::died(&control.seats[seat]) < generation
            && let Some((control, _)) = self.region.writable()
        {
            seat::bury(&control.seats[seat], generation);
        }
        Some(generation)
    }

    /// Whether someone who is alive sits there.
    pub fn is_held(&self, seat: usize) -> bool {
        let status = seat::status(&self.region.control().seats[seat]);
        status.is_ok_and(|status| status.holder.is_some() && !self.is_gone(seat, status.word))
    }

    /// This process, as it will name itself in a seat, and what gives its sign of life.
    pub fn introduce_self(&self) -> Result<(Process, Option<Lifeline>), ClaimError> {
        let (pid, identity) = process::this();
        // A filter may refuse `getpid`, and what is no id would be the id of a process that is missing.
        if pid == 0 || pid >> 22 != 0 {
            return Err(ClaimError::NoSignOfLife(OsError::new("getpid", Errno::ENOSYS)));
        }
        // Whom nothing tells from others with its id cannot be asked after by that.
        let at_home = self.at_home && identity.is_some();
        let identity = identity.unwrap_or(0);
        let lifeline = match self.lifeline(identity) {
            Ok(lifeline) => Some(lifeline),
            // At home, the process id is enough.
            Err(_) if at_home => None,
            Err(error) => return Err(self.region.unlockable(error)),
        };
        Ok((Process { pid, identity, at_home, locked: lifeline.is_some() }, lifeline))
    }

    fn lifeline(&self, identity: u32) -> Result<Lifeline, OsError> {
        if !self.region.keeps_locks() {
            self.try_locks(identity)?;
            self.region.found_to_keep_locks();
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
            match self.try_lock(file, trial_byte(thread, identity, trial))? {
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
    pub fn evict(&self, seat: usize, timeout: Duration) -> Result<(), EvictError> {
        if self.region.read_only() {
            return Err(ClaimError::ReadOnly.into());
        }
        let control = self.region.control();
        let Ok(Status { holder: Some(holder), word, .. }) = seat::status(&control.seats[seat]) else { return Ok(()) };
        if self.is_gone(seat, word) {
            return Ok(());
        }
        let Process { pid, identity, at_home, .. } = holder;
        if !(at_home && self.at_home) {
            // Where this process is may be what nobody tells it.
            return Err(match process::home() {
                Err(error) if at_home => EvictError::Refused { pid, error },
                _ => EvictError::OutOfReach { pid },
            });
        }
        // At home nobody else has this id, unless the holder is dead.
        if pid == std::process::id() {
            return Err(EvictError::OwnProcess);
        }
        let process = match Pidfd::open(pid) {
            Ok(process) => process,
            Err(_) if process::fate(pid, identity) == Fate::Gone => return Ok(()),
            Err(error) => return Err(EvictError::Refused { pid, error }),
        };
        match process.fate_of(pid, identity) {
            Fate::Alive => {}
            Fate::Gone => return Ok(()),
            Fate::Unknown => {
                return Err(process
                    .refusal(pid)
                    .map_or(EvictError::OutOfReach { pid }, |error| EvictError::Refused { pid, error }));
            }
        }
        // It may have left meanwhile, or become another program: then there is nobody to evict.
        if seat::status(&control.seats[seat]).is_ok_and(|status| status.word != word) || self.is_gone(seat, word) {
            return Ok(());
        }
        process.kill()?;
        match process.ended(timeout) {
            Ok(true) => Ok(()),
            Ok(false) => Err(EvictError::NotGone { pid }),
            Err(errno) => Err(EvictError::Refused { pid, error: OsError::new("poll", errno) }),
        }
    }
}
