//! What the design takes from the kernel, a test each.
//!
//! | | |
//! |---|---|
//! | [`memory`], [`mappings`], [`files`] | what a region is made of |
//! | [`snapshots`] | private copies |
//! | [`deaths`] | what the kernel says of the dead |
//! | [`forks`], [`forks_in_calls`] | what a child can do with its parent's endpoints |
//! | [`calls`] | which system calls are made |
//! | [`regions`] | what these share |
#![cfg(not(loom))]

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod deaths;
mod files;
mod forks;
mod forks_in_calls;
mod mappings;
mod memory;
mod regions;
mod snapshots;
