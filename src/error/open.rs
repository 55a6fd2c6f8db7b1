//! Why a region could not be made or opened: what was found, what was expected, and what to do.

use core::fmt;
use std::error::Error;

use super::Reason;

/// Why a region could not be made or opened. Nothing is left behind: no file, no descriptor, no mapping.
pub struct OpenError {
    place: String,
    reason: Reason,
}

impl OpenError {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }

    /// The path; for a region without one, its kind.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was found, and what was expected.
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
