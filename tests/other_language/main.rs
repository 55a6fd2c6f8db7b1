//! A program in another language reads a region by docs/layout.md alone: `reader.py`, in Python. What it finds is compared
//! with what was sent.
//!
//! | | |
//! |---|---|
//! | [`rings`] | messages that wait, at every offset of both rings |
//! | [`values`] | the latest value of a seqlock |
//! | [`ends`] | seats and deaths |
//! | [`damage`] | files that are damaged, and no regions |
//! | [`reader`] | runs `reader.py` |
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod ends;
mod reader;
mod rings;
mod values;
