//! Every bad input gives a typed error that says what was found, never a panic or a signal, and leaves no file,
//! descriptor or mapping behind.
//!
//! | | |
//! |---|---|
//! | [`capacities`] | capacities, types and records that cannot be |
//! | [`files`], [`headers`] | what is no region, and damaged or forged headers |
//! | [`making`], [`limits`] | what cannot be made, and the limits of process and machine |
//! | [`seats`] | seats that are taken, or cannot be |
//! | [`forged_words`] | words that a hostile peer wrote |
//! | [`refusal`] | what is asked of each error |
#![cfg(not(loom))]

mod capacities;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod forged_words;
mod headers;
mod limits;
mod making;
mod refusal;
mod seats;
