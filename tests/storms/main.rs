//! Sudden death under load: either side, or both, are killed at any moment and followed by others.
//!
//! The oracle is a ledger beside the channel, in which every process says what it is about to do and what it has done.
//! Whatever a kill leaves undecided by one message, and no more, is allowed for.
//!
//! | | |
//! |---|---|
//! | [`kills`], [`cast`] | the storms, and who kills whom in them |
//! | [`ring`], [`ring_sides`], [`value_sides`] | the channels, and what processes do at their ends of them |
//! | [`ledger`] | what every process says of itself |
//! | [`late`] | which death is told, where many came and went |
//! | [`latency`] | how soon a survivor hears of a death |
//! | [`memory`] | a process that the kernel ends for want of memory |
//! | [`turn`] | one storm at a time |
#![cfg(not(loom))]

mod cast;
#[path = "../common/mod.rs"]
mod common;
mod kills;
mod late;
mod latency;
mod ledger;
mod memory;
mod ring;
mod ring_sides;
mod turn;
mod value_sides;
