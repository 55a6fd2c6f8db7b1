//! What the suites of tests share: each module does one job.
//!
//! | | |
//! |---|---|
//! | [`child`], [`role`] | child processes that cannot outlive their test: forked, or started anew |
//! | [`alone`] | a test in a process of its own |
//! | [`backing`], [`dirs`] | where a region lies: in a file or in memory, on one file system or another |
//! | [`namespaces`], [`mounts`], [`users`] | children in other namespaces, on other file systems, as other users |
//! | [`huge_pages`] | the machine's pool of huge pages |
//! | [`board`], [`stopper`] | counters shared with children; threads that stop with their test |
//! | [`lane`] | a ring of any kind, with numbered messages |
//! | [`messages`] | messages that say whether they are whole |
//! | [`raw`] | a region's words and header, for tests that forge them |
//! | [`proc`], [`footprint`] | what the kernel says of a process, and what a call left behind |
//! | [`descriptor`] | descriptors sent from one process to another |
//! | [`ptrace`], [`victim`], [`processor`] | processes held at an instruction |
//! | [`say`] | what a passing test says |
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod alone;
pub mod backing;
pub mod board;
pub mod child;
pub mod descriptor;
pub mod dirs;
pub mod footprint;
pub mod header;
pub mod huge_pages;
pub mod lane;
pub mod messages;
pub mod mounts;
pub mod namespaces;
pub mod proc;
pub mod processor;
pub mod ptrace;
pub mod raw;
pub mod role;
pub mod say;
pub mod stopper;
pub mod users;
#[cfg(target_arch = "x86_64")]
pub mod victim;
