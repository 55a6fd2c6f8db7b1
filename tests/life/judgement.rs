//! Something is odd about a holder or an observer. Each holder is judged rightly all the same.

use std::fs::File;
use std::mem::forget;
use std::sync::atomic::Ordering::Acquire;

use nix::libc::{self, c_int};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use crate::common::alone::{alone, with_locks};
use crate::common::backing::Backing;
use crate::common::mounts::unmount_proc;
use crate::common::namespaces::born;
use crate::holders::{holder, kill_unreaped, make, may_clone, rest, sit};
use crate::lookout::Lookout;
use crate::words::{ROUNDS, board, say, wait_for};

fn nothing() {}

pub fn close_all() {
    // SAFETY: the call is given no memory. The owners of the descriptors must do without them, which is the point.
    assert_eq!(unsafe { libc::close_range(3, u32::MAX, 0) }, 0);
}

fn exhaust_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, most).unwrap();
    while let Ok(file) = File::open("/dev/null") {
        forget(file);
    }
}

/// Something odd about a process.
struct Oddity {
    flags: c_int,
    before: fn(),
    after: fn(),
    lame: bool,
}

impl Oddity {
    /// Whether the lock may be all that tells such an observer, or that tells of such a holder.
    fn by_lock(&self) -> bool {
        self.flags & libc::CLONE_NEWPID != 0 || self.lame
    }
}

const ORDINARY: Oddity = Oddity { flags: 0, before: nothing, after: nothing, lame: false };

const ELSEWHERE: Oddity = Oddity { flags: libc::CLONE_NEWPID, ..ORDINARY };

const CLOSED: Oddity = Oddity { after: close_all, ..ORDINARY };

const CLOSED_BEFORE: Oddity = Oddity { before: close_all, ..ORDINARY };

const EXHAUSTED: Oddity = Oddity { after: exhaust_descriptors, lame: true, ..ORDINARY };

const PROCLESS: Oddity = Oddity { flags: libc::CLONE_NEWNS, after: unmount_proc, lame: true, ..ORDINARY };

/// Observes holders of this kind. Each takes the seat, something happens to it, it goes on, and it is killed.
fn observe(kind: &Oddity) {
    if !may_clone(kind.flags) {
        return;
    }
    let dir = with_locks();
    let mut lanes = Lookout::all(dir.path());
    for round in 0..ROUNDS {
        let lane = &mut lanes[round % 3];
        let (pid, child) = born(kind.flags, || {
            (kind.before)();
            let mut tx = sit(&lane.channel);
            (kind.after)();
            tx.send(&0).unwrap();
            rest()
        });
        lane.meet(if kind.flags & libc::CLONE_NEWPID == 0 { pid } else { 1 });
        assert_eq!(lane.next(), 0);
        lane.alive();
        // Half of them are still zombies when somebody asks after them.
        if round % 2 == 0 {
            kill_unreaped(pid);
            lane.wait_until_freed(kind.by_lock());
            lane.dead();
            child.killed_by(Signal::SIGKILL);
        } else {
            child.kill();
            lane.wait_until_freed(kind.by_lock());
            lane.dead();
        }
    }
}

/// Lets an observer of this kind see ordinary holders live and die.
fn be_observed(kind: &Oddity) {
    if !may_clone(kind.flags) {
        return;
    }
    let dir = with_locks();
    for backing in Backing::ALL {
        let (channel, board) = (make(backing, dir.path()), board());
        let (turn, sitter) = (board.data(0), board.data(1));
        let (_, observer) = born(kind.flags, || {
            let mut lane = Lookout::new(channel.clone());
            (kind.after)();
            lane.lame = kind.lame;
            for round in 0..ROUNDS {
                wait_for(turn, 4 * round + 1);
                lane.meet(sitter.load(Acquire) as u32);
                lane.alive();
                say(turn, 4 * round + 2);
                wait_for(turn, 4 * round + 3);
                lane.wait_until_freed(kind.by_lock());
                lane.dead();
                say(turn, 4 * round + 4);
            }
        });
        for round in 0..ROUNDS {
            wait_for(turn, 4 * round);
            let (pid, child) = holder(0, &channel);
            say(sitter, pid as usize);
            say(turn, 4 * round + 1);
            wait_for(turn, 4 * round + 2);
            kill_unreaped(pid);
            say(turn, 4 * round + 3);
            wait_for(turn, 4 * round + 4);
            child.killed_by(Signal::SIGKILL);
        }
        observer.succeed();
    }
}

#[test]
fn a_holder_is_judged_rightly() {
    alone(|| observe(&ORDINARY));
}

#[test]
fn a_holder_in_another_pid_namespace_is_judged_rightly() {
    alone(|| observe(&ELSEWHERE));
}

#[test]
fn a_holder_that_closed_every_descriptor_is_judged_rightly() {
    alone(|| {
        observe(&CLOSED);
        observe(&CLOSED_BEFORE);
    });
}

#[test]
fn a_holder_without_a_descriptor_left_is_judged_rightly() {
    alone(|| observe(&EXHAUSTED));
}

#[test]
fn a_holder_without_proc_is_judged_rightly() {
    alone(|| observe(&PROCLESS));
}

#[test]
fn an_observer_in_another_pid_namespace_judges_rightly() {
    alone(|| be_observed(&ELSEWHERE));
}

#[test]
fn an_observer_that_closed_every_descriptor_judges_rightly() {
    alone(|| be_observed(&CLOSED));
}

#[test]
fn an_observer_without_a_descriptor_left_judges_rightly() {
    alone(|| be_observed(&EXHAUSTED));
}

#[test]
fn an_observer_without_proc_judges_rightly() {
    alone(|| be_observed(&PROCLESS));
}
