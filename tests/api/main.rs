//! Every public method of the three channels, in one process: at every fill level, at every offset of the ring, at the
//! edges of what it takes, and at random against a model.
//!
//! | | |
//! |---|---|
//! | [`types`], [`sizes`] | what the types promise, and values of every size |
//! | [`schema`] | what a region says of its type, and who is refused for it |
//! | [`slots`], [`slots_in_place`] | rings of slots |
//! | [`records`] | rings of records |
//! | [`many`] | many messages where they lie, and positions |
//! | [`peers`] | how calls end when the peer does, or when they are cancelled |
//! | [`verbs`] | calls with a limit of time, pairs, and what ends print |
//! | [`raw`] | channels of values of any type |
//! | [`values`] | seqlocks, and threads that sleep |
//! | [`snapshots`] | snapshots |
//! | [`descriptors`] | regions passed on by a descriptor |
//! | [`slots_model`], [`records_model`] | both rings against a queue, at random |
//! | [`ends`] | what these share |
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;
mod descriptors;
mod ends;
mod many;
mod peers;
mod raw;
mod records;
mod records_model;
mod schema;
mod sizes;
mod slots;
mod slots_in_place;
mod slots_model;
mod snapshots;
mod types;
mod values;
mod verbs;
