//! Eviction ends the holder of the seat, and nobody else.

use std::mem::forget;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

use nix::libc::{self, c_int};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use ringway::{ClaimError, KillError, RecvError, RecvTimeoutError, seqlock};

use crate::common::alone::{alone, with_locks};
use crate::common::backing::Backing;
use crate::common::namespaces::born;
use crate::holders::{Latest, has_ended, holder, kill_unreaped, make, may_clone, rest, sit, stop};
use crate::lookout::{Lookout, assert_next};
use crate::words::{LONG, ROUNDS, board, say, until, wait_for};

#[test]
fn what_a_child_in_another_pid_namespace_asks_of_its_parents_endpoint_kills_nobody() {
    alone(|| {
        if !may_clone(libc::CLONE_NEWPID) {
            return;
        }
        let dir = with_locks();
        for mut lane in Lookout::all(dir.path()) {
            let (pid, child) = holder(0, &lane.channel);
            lane.meet(pid);
            let (_, asker) = born(libc::CLONE_NEWPID, || {
                let _ = (lane.rx.has_sender(), lane.rx.is_closed());
            });
            asker.succeed();
            lane.alive();
            child.kill();
            lane.dead();
        }
    });
}

#[test]
fn eviction_ends_a_living_holder_and_takes_the_seat() {
    alone(|| {
        let dir = with_locks();
        let mut lanes = Lookout::all(dir.path());
        let (back, latest) = (make(Backing::Memfd, dir.path()), Latest::options().memfd().unwrap());
        let mut turn = 0;
        for (round, fate) in (0..ROUNDS).flat_map(|round| [nothing_to, stop, kill_unreaped].map(|fate| (round, fate))) {
            let lane = &mut lanes[round % 3];
            let (pid, child) = born(0, || {
                let _ends = (latest.writer().unwrap(), back.receiver().unwrap(), sit(&lane.channel));
                rest()
            });
            lane.meet(pid);
            fate(pid);
            // The first evictor kills. The others find the holder dead.
            let mut ends = (None, None, None);
            for which in [round, round + 1, round + 2] {
                match which % 3 {
                    0 => ends.0 = Some(lane.channel.kill_and_take_sender(LONG).unwrap()),
                    1 => ends.1 = Some(back.kill_and_take_receiver(LONG).unwrap()),
                    _ => ends.2 = Some(evict_without_waiting(&latest, pid)),
                }
            }
            child.killed_by(Signal::SIGKILL);
            turn += 2;
            let (tx, rx, writer) = (ends.0.unwrap(), ends.1.unwrap(), ends.2.unwrap());
            assert_eq!((tx.generation(), rx.generation(), writer.generation()), (lane.generation + 1, turn, turn));
            lane.sees_death();
            assert!(matches!(lane.channel.kill_and_take_sender(LONG), Err(KillError::OwnProcess)));
            assert!(matches!(back.kill_and_take_receiver(LONG), Err(KillError::OwnProcess)));
            assert!(matches!(latest.kill_and_take_writer(LONG), Err(KillError::OwnProcess)));
            drop(tx);
            // Nobody has the seat now.
            let tx = lane.channel.kill_and_take_sender(LONG).unwrap();
            lane.generation += 1 + assert_next(lane.generation + 1, tx.generation());
        }
    });
}

fn nothing_to(_: u32) {}

fn evict_without_waiting(latest: &Latest, holder: u32) -> seqlock::Writer<[u64; 4]> {
    loop {
        match latest.kill_and_take_writer(Duration::ZERO) {
            Ok(writer) => return writer,
            Err(KillError::NotGone { pid }) => assert_eq!(pid, holder),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn eviction_spares_who_is_out_of_reach() {
    alone(|| {
        if !may_clone(libc::CLONE_NEWPID) {
            return;
        }
        let dir = with_locks();
        for mut lane in Lookout::all(dir.path()) {
            // Once the holder is inside a namespace and the evictor outside, and once the other way round.
            let (_, child) = holder(libc::CLONE_NEWPID, &lane.channel);
            lane.meet(1);
            assert!(matches!(lane.channel.kill_and_take_sender(LONG), Err(KillError::OutOfReach { pid: 1 })));
            lane.alive();
            child.kill();
            lane.wait_until_freed(true);
            lane.dead();

            let (pid, child) = holder(0, &lane.channel);
            lane.meet(pid);
            let (_, evictor) = born(libc::CLONE_NEWPID, || {
                let refused = lane.channel.kill_and_take_sender(LONG).err();
                assert!(matches!(refused, Some(KillError::OutOfReach { pid: named }) if named == pid));
            });
            evictor.succeed();
            lane.alive();
            child.kill();
            // The holder is not out of reach, but gone.
            let (_, evictor) = born(libc::CLONE_NEWPID, || drop(lane.channel.kill_and_take_sender(LONG).unwrap()));
            evictor.succeed();
            assert_eq!(lane.rx.recv(), Err(RecvError::PeerDied { generation: lane.generation }));
            assert_eq!(lane.rx.recv(), Err(RecvError::Closed));
        }
    });
}

#[test]
fn of_two_evictors_one_has_the_seat_and_nobody_else_is_harmed() {
    alone(|| {
        let dir = with_locks();
        let mut lanes = Lookout::all(dir.path());
        for round in 0..ROUNDS {
            let (lane, board) = (&mut lanes[round % 3], board());
            let (victim, child) = holder(0, &lane.channel);
            lane.meet(victim);
            let evict = |result: &AtomicU64| {
                wait_for(board.data(0), 1);
                match lane.channel.kill_and_take_sender(LONG) {
                    Ok(tx) => {
                        say(result, tx.generation() as usize);
                        rest()
                    }
                    // The other evictor was faster. If this one had asked later, it would have ended the other.
                    Err(KillError::Claim(ClaimError::Taken { .. })) => {}
                    Err(error) => panic!("{error:?}"),
                }
            };
            let [first, second] = [1, 2].map(|i| (board.data(i), born(0, || evict(board.data(i)))));
            say(board.data(0), 1);
            child.killed_by(Signal::SIGKILL);
            // One of them ends: it was refused, or the one that stays evicted it.
            until(|| has_ended(first.1.0) || has_ended(second.1.0));
            let (lost, won) = if has_ended(first.1.0) { (first, second) } else { (second, first) };
            let status = lost.1.1.end();
            assert!(matches!(status, WaitStatus::Exited(_, 0) | WaitStatus::Signaled(_, Signal::SIGKILL, _)));
            let (result, (pid, winner)) = won;
            until(|| result.load(Acquire) != 0);
            let before = std::mem::replace(&mut lane.generation, result.load(Acquire));
            assert!((before + 1..=before + 2).contains(&lane.generation));
            lane.holder = pid;
            while lane.rx.recv_timeout(Duration::ZERO) != Err(RecvTimeoutError::Timeout) {}
            lane.alive();
            winner.kill();
            lane.dead();
        }
    });
}

/// From now on a signal comes again and again.
fn be_interrupted() {
    extern "C" fn ignore(_: c_int) {}
    let handler = nix::sys::signal::SigHandler::Handler(ignore);
    // SAFETY: the handler does nothing.
    unsafe { nix::sys::signal::signal(Signal::SIGALRM, handler) }.unwrap();
    let time = libc::timeval { tv_sec: 0, tv_usec: 50 };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: the call reads the timer, and writes nothing back.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
}

#[test]
fn eviction_is_not_disturbed_by_signals() {
    alone(|| {
        let mut lane = Lookout::new(make(Backing::Memfd, Path::new("")));
        for _ in 0..ROUNDS {
            let (pid, child) = holder(0, &lane.channel);
            lane.meet(pid);
            let (_, evictor) = born(0, || {
                be_interrupted();
                forget(lane.channel.kill_and_take_sender(LONG).unwrap());
            });
            evictor.succeed();
            child.killed_by(Signal::SIGKILL);
            // The evictor is dead, too.
            lane.generation += 1;
            lane.dead();
        }
    });
}
