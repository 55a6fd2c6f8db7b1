//! Why a region could not be made or opened: what was found, what was expected, and what to do.

use core::fmt;
use std::error::Error;

use super::Reason;

/// Why a region could not be made or opened. Nothing is left behind: no file, no descriptor, no mapping.
///
/// # Examples
///
/// ```
/// # use ringway::{Reason, spsc};
/// let error = spsc::Channel::<u64>::open("/dev/shm/nobody-made-this").unwrap_err();
/// assert!(matches!(error.reason(), Reason::Missing));
/// eprintln!("{error}"); // the path, what was found, and what to do
/// ```
pub struct OpenError {
    place: String,
    reason: Reason,
}

impl OpenError {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }

    /// The path; for a region without one, its kind.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc;
    /// let error = spsc::Channel::<u64>::open("/dev/shm/nobody-made-this").unwrap_err();
    /// assert_eq!(error.place(), "/dev/shm/nobody-made-this");
    /// ```
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was found, and what was expected.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::{Reason, spsc};
    /// let error = spsc::Channel::<u64>::options().capacity(0).memfd().unwrap_err();
    /// match error.reason() {
    ///     Reason::Capacity { found, expected } => println!("{found} slots, expected {expected}"),
    ///     other => println!("{other}"),
    /// }
    /// ```
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl Error for OpenError {}
