//! The n-th system call of every operation fails, for every n, with each of nine errors, and once for all later calls
//! too. Then the operation gives a typed error or succeeds; it ends after a bounded number of system calls; nothing
//! is left behind, and nothing destroyed.
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
//! A call that fails is not made. Pauses are not slept out: there is nobody to wait for.
//! `RINGWAY_FAULTS_ONLY=name` tries only the operations with that in their names, `RINGWAY_FAULTS_CALLS=1` lists their
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
#[path = "../support/mod.rs"]
mod support;
mod waiting;
mod worlds;

use std::io::Write;
use std::time::Instant;

use common::{ROLE, exec, ptrace};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

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
        return say(&format!("SKIPPED {role}: faults in system calls, for want of ptrace: {errno}"));
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
    be_on_one_processor(&role);
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

/// So that it asks the kernel for nothing in an operation, and no mapping of its own grows.
fn let_the_allocator_have_enough() {
    // SAFETY: sets a number.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX) };
    drop((0..2000).map(|_| Vec::with_capacity(1000)).collect::<Vec<Vec<u8>>>());
}

/// Tracer and traced take turns, which is faster on one processor.
fn be_on_one_processor(role: &str) {
    let me = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(me) else { return };
    let processors: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    // Two of them run at a time.
    let processor = usize::from(["claims", "waiting"].contains(&role)) % processors.len();
    let mut one = CpuSet::new();
    if one.set(processors[processor]).is_ok() {
        let _ = sched_setaffinity(me, &one);
    }
}

/// On the real standard error: libtest keeps what a test that passes prints.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
