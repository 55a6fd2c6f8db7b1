//! Death, and arrest, at every instruction. `ptrace(2)` holds a victim after k instructions of an operation and kills
//! it there, for every k. Those who are left, and a successor, must find everything as promised. The same is done with
//! a `SIGSTOP`: nothing may be taken from a process that only stands still.
//!
//! | | |
//! |---|---|
//! | [`heap`] | the memory of a traced process |
//! | [`trace`] | the instructions of an operation, and the way to each |
//! | [`points`] | a case: an operation, what must be true of it, and the points at which that is tried |
//! | [`small`] | a ring that a few messages fill |
//! | [`scene`] | a ring before and after: what the survivors hear |
//! | [`oracle`] | what they may hear after a death |
//! | [`operations`] | what rings and values share: operations, claims |
//! | [`ring_cases`], [`values`], [`regions`] | the operations, and what holds after each |
//!
//! By default a victim is killed at every n-th instruction. `RINGWAY_ALL_POINTS=1` asks for every one. A debug build
//! has four times as many instructions, and there a victim is stopped at every 16th only.
#![cfg(all(not(loom), target_arch = "x86_64"))]

#[path = "../common/mod.rs"]
mod common;
mod heap;
mod operations;
mod oracle;
mod points;
mod regions;
mod ring_cases;
mod scene;
mod small;
mod trace;
mod values;

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use ringway::{bytes, spsc};

use crate::common::child::deadline;
use crate::common::messages::Packet;
use crate::common::processor::be_on_one_processor;
use crate::common::role::{ROLE, exec};
use crate::common::say::{say, skip};
use points::{Tally, all_points};

/// Longer than all points of one kind take.
const HOURS: Duration = Duration::from_secs(4 * 3600);

/// Runs one kind in a process of its own, which forks from one thread, because forks of one process share its
/// addresses.
fn in_its_own_process(role: &str) {
    exec(role, role, true).succeed_within(if all_points().is_some() { HOURS } else { deadline() });
}

#[test]
fn slots_outlive_a_death_at_any_instruction() {
    in_its_own_process("spsc");
}

#[test]
fn records_outlive_a_death_at_any_instruction() {
    in_its_own_process("bytes");
}

#[test]
fn values_outlive_a_death_at_any_instruction() {
    in_its_own_process("seqlock");
}

#[test]
fn regions_outlive_a_death_at_any_instruction() {
    in_its_own_process("regions");
}

#[test]
fn child_entry() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if let Err(errno) = common::ptrace::tracing_allowed() {
        return skip(&format!("{role}: deaths at every instruction, for want of ptrace: {errno}"));
    }
    let run: fn(&mut Tally) = match role.as_str() {
        "spsc" => ring_cases::all::<spsc::Channel<Packet>>,
        "bytes" => ring_cases::all::<bytes::Channel>,
        "seqlock" => values::all,
        "regions" => regions::all,
        other => panic!("no such role: {other}"),
    };
    // Two kinds run at a time, so each has a processor.
    let last = ["bytes", "seqlock"].contains(&role.as_str());
    be_on_one_processor(|processors| if last { processors - 1 } else { 0 });
    let (descriptors, started) = (open_descriptors(), Instant::now());
    let mut tally = Tally::default();
    run(&mut tally);
    assert_eq!(waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD), "a child was left");
    assert_eq!(open_descriptors(), descriptors, "descriptors were left open");
    let seconds = started.elapsed().as_secs_f64();
    say(&format!("{role}: {tally} in all, {seconds:.1} s"));
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
