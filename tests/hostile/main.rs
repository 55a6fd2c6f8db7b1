//! Peers that write whatever they like into the region. They cause no crash, no panic and no hang. No living peer is
//! called dead, and not a byte is written where nothing may be written.
//!
//! | | |
//! |---|---|
//! | [`turns`] | a peer that overwrites a word between any two calls, at random and repeatably |
//! | [`scribbler`] | a process that overwrites everything at full speed |
//! | [`steps`] | how many instructions an operation takes at most |
//! | [`sleepers`] | very many threads that sleep on one word |
//! | [`words`] | each word, each number, each operation |
//! | [`trial`], [`scenes`], [`slot_scene`], [`record_scene`], [`value_scene`] | the operations, on a channel of each kind |
//! | [`rescue`], [`canary`] | calls that wait for ever, and memory beside the buffers of the caller |
//! | [`numbers`] | what is written |
//! | [`said`], [`verdict`] | what may be said of it |
//! | [`rings`] | the ends that say it |
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
