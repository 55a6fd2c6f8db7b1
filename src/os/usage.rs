//! What the kernel counts for this process.
#![forbid(unsafe_code)]

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

use super::retry::retry;
use crate::error::OsError;

/// Page faults of this process so far, all its threads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFaults {
    /// Answered from memory.
    pub minor: u64,
    /// Answered from disk.
    pub major: u64,
}

/// Page faults of this process so far (`getrusage(2)`), from any thread.
///
/// # Errors
///
/// The system call's, which Linux never gives.
pub fn page_faults() -> Result<PageFaults, OsError> {
    let usage = retry(|| getrusage(UsageWho::RUSAGE_SELF)).map_err(|e| OsError::new("getrusage", e))?;
    Ok(PageFaults { minor: usage.minor_page_faults() as u64, major: usage.major_page_faults() as u64 })
}

/// The soft limit on a resource; the largest number there is where it cannot be asked.
pub(crate) fn limit(resource: Resource) -> u64 {
    retry(|| getrlimit(resource)).map_or(u64::MAX, |(soft, _)| soft)
}
