//! Kills the process that holds a seat.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::Witness;
use crate::error::{ClaimError, KillError, OsError};
use crate::layout::Process;
use crate::os::process::{self, Fate, Pidfd};
use crate::protocol::seat::{self, Status};

impl Witness {
    /// Kills the process that holds a seat, and waits until the kernel says that it is gone.
    pub fn kill_holder(&self, seat: usize, timeout: Duration) -> Result<(), KillError> {
        if self.region.read_only() {
            return Err(ClaimError::ReadOnly.into());
        }
        let words = self.region.seat(seat);
        let Ok(Status { holder: Some(holder), word, .. }) = seat::status(&words) else { return Ok(()) };
        if self.is_gone(seat, word) {
            return Ok(());
        }
        let Some(process) = self.open_holder(holder)? else { return Ok(()) };
        // Meanwhile the holder may have left, or become another program: then there is nobody to kill.
        if seat::status(&words).is_ok_and(|status| status.word != word) || self.is_gone(seat, word) {
            return Ok(());
        }
        process.kill()?;
        let pid = holder.pid;
        match process.wait_for_end(timeout) {
            Ok(true) => Ok(()),
            Ok(false) => Err(KillError::NotGone { pid }),
            Err(errno) => Err(KillError::Refused { pid, error: OsError::new("poll", errno) }),
        }
    }

    /// A handle to the holder of a seat, if it is certain to be the right process; `None` if it is gone.
    fn open_holder(&self, holder: Process) -> Result<Option<Pidfd>, KillError> {
        let Process { pid, identity, same_origin, .. } = holder;
        if !(same_origin && self.same_origin) {
            // This process may be in the region's PID namespace after all, and unable to find out.
            return Err(match process::origin() {
                Err(error) if same_origin => KillError::Refused { pid, error },
                _ => KillError::OutOfReach { pid },
            });
        }
        // In this PID namespace nobody else has this id, unless the holder is dead.
        if pid == std::process::id() {
            return Err(KillError::OwnProcess);
        }
        let process = match Pidfd::open(pid) {
            Ok(process) => process,
            Err(_) if process::fate(pid, identity) == Fate::Gone => return Ok(None),
            Err(error) => return Err(KillError::Refused { pid, error }),
        };
        match process.fate_of(pid, identity) {
            Fate::Alive => Ok(Some(process)),
            Fate::Gone => Ok(None),
            Fate::Unknown => {
                let refusal = process.refusal(pid);
                Err(refusal.map_or(KillError::OutOfReach { pid }, |error| KillError::Refused { pid, error }))
            }
        }
    }
}
