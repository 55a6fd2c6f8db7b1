//! Peers that write whatever they like into the region: no crash, no panic, no hang, no living peer called dead, and not
//! a byte written where nothing may be written.
//!
//! | | |
//! |---|---|
//! | [`turns`] | a peer that overwrites a word between any two calls, at random and repeatably |
//! | [`scribbler`] | a process that overwrites everything at full speed |
//! | [`numbers`], [`verdict`], [`rings`] | what is written, what may be said of it, who says it |
#![cfg(not(loom))]

mod numbers;
mod rings;
mod scribbler;
#[path = "../support/mod.rs"]
mod support;
mod turns;
mod verdict;
