//! ringway's channels, as lines.

pub mod bytes;
pub mod in_place;
pub mod spsc;
