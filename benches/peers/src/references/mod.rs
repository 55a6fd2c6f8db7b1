//! The least that does the same, written bare: no API, no errors, no dead peers and no sleepers, and trust in
//! everything that is read.

pub mod cache_line;
pub mod cell;
pub mod futex;
pub mod pipe;
pub mod record_ring;
pub mod slot_ring;
