//! ringway's channels, as lines.

pub mod batches_in_place;
pub mod bytes;
pub mod in_place;
pub mod spsc;
