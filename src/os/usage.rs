//! The kernel's counters and limits for this process.
#![forbid(unsafe_code)]

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

use super::retry::retry;
use crate::error::OsError;

/// Page faults of this process so far, all its threads together.
///
/// # Examples
///
/// ```
/// let faults = ringway::page_faults()?;
/// println!("{} faults from memory, {} from disk", faults.minor, faults.major);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageFaults {
    /// Faults answered from memory.
    pub minor: u64,
    /// Faults answered from disk.
    pub major: u64,
}

/// Page faults of this process so far (`getrusage(2)`). Any thread may call it.
///
/// # Errors
///
/// The system call failed, which it never does on Linux.
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
/// let before = ringway::page_faults()?;
/// for n in 0..1000 {
///     tx.send(&n)?;
///     rx.recv()?;
/// }
/// println!("{} page faults", ringway::page_faults()?.minor - before.minor);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn page_faults() -> Result<PageFaults, OsError> {
    let usage = retry(|| getrusage(UsageWho::RUSAGE_SELF)).map_err(|e| OsError::new("getrusage", e))?;
    Ok(PageFaults { minor: usage.minor_page_faults() as u64, major: usage.major_page_faults() as u64 })
}

/// The soft limit on a resource; `u64::MAX` if the kernel does not say.
pub(crate) fn limit(resource: Resource) -> u64 {
    retry(|| getrlimit(resource)).map_or(u64::MAX, |(soft, _)| soft)
}
