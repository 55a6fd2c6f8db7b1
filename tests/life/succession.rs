//! One claimant follows a dead holder, and a pool survives its workers.

use std::collections::VecDeque;
use std::mem::forget;
use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use ringway::{ClaimError, RecvError, RecvTimeoutError, Seat, spsc};

use crate::common::alone::{alone, with_locks};
use crate::common::backing::Backing;
use crate::common::child::Child;
use crate::common::footprint::Footprint;
use crate::common::namespaces::born;
use crate::holders::{Spsc, make};
use crate::lookout::Lookout;
use crate::words::{LONG, ROUNDS, board, say, until, wait_for};

#[test]
fn of_many_claimants_of_a_dead_holders_seat_one_wins() {
    const CLAIMANTS: usize = 8;
    alone(|| {
        let dir = with_locks();
        let lanes = Lookout::all(dir.path());
        let board = board();
        let (turn, done, winner) = (board.data(0), board.data(1), board.data(2));
        let claim = |round: usize| {
            let generation = 2 + 2 * (round / 3) as u64;
            match lanes[round % 3].channel.sender() {
                Ok(tx) => {
                    assert_eq!(tx.generation(), generation);
                    assert_eq!(winner.swap(u64::from(std::process::id()), AcqRel), 0, "two winners");
                    done.fetch_add(1, Release);
                    wait_for(turn, 2 * round + 2);
                }
                Err(ClaimError::Taken { seat: Seat::Sender, pid, generation: found }) => {
                    until(|| winner.load(Acquire) != 0);
                    assert_eq!((winner.load(Acquire), found), (u64::from(pid), generation));
                    done.fetch_add(1, Release);
                    return;
                }
                Err(error) => panic!("{error:?}"),
            }
            done.fetch_add(1, Release);
        };
        let claimants = [(); CLAIMANTS].map(|()| {
            let (_, child) = born(0, || {
                for round in 0..ROUNDS {
                    wait_for(turn, 2 * round + 1);
                    claim(round);
                    until(|| turn.load(Acquire) > 2 * round as u64 + 1);
                }
            });
            child
        });
        for round in 0..ROUNDS {
            let (_, dead) = born(0, || forget(lanes[round % 3].channel.sender().unwrap()));
            dead.succeed();
            say(winner, 0);
            say(done, 0);
            say(turn, 2 * round + 1);
            wait_for(done, CLAIMANTS);
            say(turn, 2 * round + 2);
            // The winner has left.
            wait_for(done, CLAIMANTS + 1);
        }
        claimants.into_iter().for_each(|child| child.succeed());
    });
}

/// Two channels, and the worker at their ends.
struct Worker {
    there: Spsc,
    back: Spsc,
    tx: spsc::Sender<u64>,
    rx: spsc::Receiver<u64>,
    turn: u64,
    child: Child,
}

fn work(there: &Spsc, back: &Spsc, turn: u64) -> Child {
    let work = || {
        let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
        assert_eq!((rx.generation(), tx.generation()), (turn, turn));
        for value in &mut rx {
            tx.send(&(2 * value.unwrap())).unwrap();
        }
    };
    born(0, work).1
}

impl Worker {
    pub fn new(backing: Backing, dir: &Path) -> Self {
        let new = || make(backing, &tempfile::tempdir_in(dir).unwrap().keep());
        let (there, back) = (new(), new());
        let (tx, rx) = (there.sender().unwrap(), back.receiver().unwrap());
        let child = work(&there, &back, 1);
        Self { there, back, tx, rx, turn: 1, child }
    }

    fn ask(&mut self) {
        self.tx.send(&self.turn).unwrap();
    }

    fn answer(&mut self) {
        assert_eq!(self.rx.recv_timeout(LONG), Ok(2 * self.turn));
    }

    /// Kills the worker and puts another in its place.
    fn respawn(self) -> Self {
        let Self { there, back, tx, mut rx, turn, child } = self;
        child.kill();
        // Asks the kernel now, instead of leaving that to the next check of a blocked call.
        assert!(!rx.has_sender());
        let died = RecvError::PeerDied { generation: turn };
        assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Refused(died)));
        assert!(tx.is_closed());
        let child = work(&there, &back, turn + 1);
        Self { there, back, tx, rx, turn: turn + 1, child }
    }
}

#[test]
fn a_pool_survives_its_workers() {
    const WORKERS: u64 = 4;
    const RESPAWNS: u64 = 10_000;
    alone(|| {
        let dir = with_locks();
        let mut pool: VecDeque<Worker> = [Backing::File, Backing::Memfd, Backing::Anonymous, Backing::Memfd]
            .map(|b| Worker::new(b, dir.path()))
            .into();
        pool.iter_mut().for_each(Worker::ask);
        let before = Footprint::now(Some(dir.path()));
        for _ in 0..RESPAWNS {
            let mut worker = pool.pop_front().unwrap();
            worker.answer();
            let mut worker = worker.respawn();
            worker.ask();
            pool.push_back(worker);
        }
        assert_eq!(before, Footprint::now(Some(dir.path())));
        let mut turns = 0;
        for mut worker in pool {
            worker.answer();
            worker.child.kill();
            // In every turn each seat was taken once.
            assert_eq!(worker.there.receiver().unwrap().generation(), worker.turn + 1);
            assert_eq!(worker.back.sender().unwrap().generation(), worker.turn + 1);
            turns += worker.turn;
        }
        assert_eq!(turns, WORKERS + RESPAWNS);
        assert_eq!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD), "no zombies");
    });
}
