//! The n-th system call of every operation fails, for every n, with each of nine errors. The same is tried once with
//! all later calls failing, too. The operation must give a typed error or succeed, and must end after a bounded number
//! of system calls. It leaves nothing behind and destroys nothing.
//!
//! | | |
//! |---|---|
//! | [`inject`] | a traced process, and how a system call of it fails |
//! | [`calls`] | the system calls by name, and those that are left alone |
//! | [`case`] | an operation, all its faults, and what is asked of every one |
//! | [`left`] | what may not be left behind |
//! | [`worlds`] | kernels and file systems that lack something |
//! | [`known`] | what is red and right |
//! | [`making`], [`copies`], [`removing`], [`claims`], [`asking`], [`waiting`], [`memory`] | the operations |
//!
//! A call that fails is not made. Pauses are not slept out, because there is nobody to wait for.
//! `RINGWAY_FAULTS_ONLY=name` tries only the operations with that in their names. `RINGWAY_FAULTS_CALLS=1` lists their
//! system calls.
#![cfg(all(not(loom), target_arch = "x86_64"))]

mod asking;
mod calls;
mod case;
mod claims;
#[path = "../common/mod.rs"]
mod common;
mod copies;
mod inject;
mod known;
mod left;
mod making;
mod memory;
mod removing;
mod waiting;
mod worlds;

use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::common::processor::be_on_one_processor;
use crate::common::ptrace;
use crate::common::role::{ROLE, exec};
use crate::common::say::{say, skip};
use case::Tally;

#[test]
fn making_and_opening_survive_every_fault() {
    exec("making", "making", true).succeed();
}

#[test]
fn copies_survive_every_fault() {
    exec("copies", "copies", true).succeed();
}

#[test]
fn removing_survives_every_fault() {
    exec("removing", "removing", true).succeed();
}

#[test]
fn claims_survive_every_fault() {
    exec("claims", "claims", true).succeed();
}

#[test]
fn questions_survive_every_fault() {
    exec("asking", "asking", true).succeed();
}

#[test]
fn waiting_survives_every_fault() {
    exec("waiting", "waiting", true).succeed();
}

#[test]
fn a_regions_memory_survives_every_fault() {
    exec("memory", "memory", true).succeed();
}

#[test]
fn child_entry() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if let Err(errno) = ptrace::tracing_allowed() {
        return skip(&format!("{role}: faults in system calls, for want of ptrace: {errno}"));
    }
    let all: fn(&mut Tally) = match role.as_str() {
        "making" => making::all,
        "copies" => copies::all,
        "removing" => removing::all,
        "claims" => claims::all,
        "asking" => asking::all,
        "waiting" => waiting::all,
        "memory" => memory::all,
        other => panic!("no such role: {other}"),
    };
    // Two kinds run at a time, so each has a processor.
    let second = ["claims", "waiting"].contains(&role.as_str());
    be_on_one_processor(|processors| usize::from(second) % processors);
    let_the_allocator_have_enough();
    let started = Instant::now();
    let mut tally = Tally::default();
    all(&mut tally);
    assert_eq!(waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD), "a child was left");
    let Tally { cases, hits, red, known, tried } = tally;
    let seconds = started.elapsed().as_secs_f64();
    say(&format!("{role}: {cases} cases, {hits} faults, {} red, {} known, {seconds:.1} s", red.len(), known.len()));
    assert_eq!(known::outlived(&tried, &known), Vec::<String>::new());
    assert!(red.is_empty(), "{} faults were not survived", red.len());
}

/// Gives the allocator enough, so that it asks the kernel for nothing in an operation, and no mapping of its own grows.
fn let_the_allocator_have_enough() {
    // SAFETY: the call sets a number.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX) };
    drop((0..2000).map(|_| Vec::with_capacity(1000)).collect::<Vec<Vec<u8>>>());
}
