//! Peers that write whatever they like into the region: no crash, no panic, no hang, no living peer called dead, and not
//! a byte written where nothing may be written.
//!
//! | | |
//! |---|---|
//! | [`turns`] | a peer that overwrites a word between any two calls, at random and repeatably |
//! | [`scribbler`] | a process that overwrites everything at full speed |
//! | [`steps`] | how many instructions an operation takes at most |
//! | [`sleepers`] | very many who are asleep on one word |
//! | [`words`] | each word, each number, each operation |
//! | [`trial`], [`scenes`]; [`slot_scene`], [`record_scene`], [`value_scene`] | the operations, on a channel of each kind |
//! | [`rescue`], [`canary`] | calls that wait for ever; memory beside the caller's buffers |
//! | [`numbers`]; [`said`], [`verdict`]; [`rings`] | what is written; what may be said of it; who says it |
#![cfg(not(loom))]

mod canary;
#[path = "../common/mod.rs"]
mod common;
mod numbers;
mod record_scene;
mod rescue;
mod rings;
mod said;
mod scenes;
mod scribbler;
mod sleepers;
mod slot_scene;
#[cfg(target_arch = "x86_64")]
mod steps;
mod trial;
mod turns;
mod value_scene;
mod verdict;
mod words;
