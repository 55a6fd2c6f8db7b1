//! Processes race for a seat, and one of them has it.

use std::sync::atomic::Ordering::SeqCst;

use nix::unistd::Pid;
use ringway::{ClaimError, Seat, spsc};

use crate::common::board::Board;
use crate::common::child::{Child, fork};

/// The generation of a seat, from the error of a claim that failed.
pub fn generation_of(error: ClaimError, seat: Seat, pid: Pid) -> u64 {
    match error {
        ClaimError::Taken { seat: found, pid: holder, generation } => {
            assert_eq!(found, seat);
            assert_eq!(holder as i32, pid.as_raw());
            generation
        }
        other => panic!("{other}"),
    }
}

/// Eight processes race for both seats, round after round. One wins each seat, and the others learn which one.
#[test]
fn eight_processes_race_for_each_seat_and_one_wins() {
    const PARTIES: u64 = 8;
    const ROUNDS: u64 = 200;
    let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let board = Board::new();
    // Word 0 of the board is the meeting. The others say what each process got of each seat.
    let place = |seat: usize, me: usize| 10 + seat * 20 + me * 2;
    let racers: Vec<Child> = (0..PARTIES as usize)
        .map(|me| {
            let (channel, board) = (&channel, &board);
            fork(&format!("racer {me}"), move || {
                let pid = std::process::id();
                for round in 1..=ROUNDS {
                    board.meet(0, PARTIES);
                    let tx = channel.sender();
                    let rx = channel.receiver();
                    let result = |seat, claimed: Option<&ClaimError>| match claimed {
                        None => (u64::from(pid), 0),
                        Some(ClaimError::Taken { seat: found, pid, generation }) => {
                            assert_eq!(*found, seat);
                            (u64::from(*pid), *generation)
                        }
                        Some(other) => panic!("{other}"),
                    };
                    for (i, (holder, generation)) in
                        [result(Seat::Sender, tx.as_ref().err()), result(Seat::Receiver, rx.as_ref().err())]
                            .into_iter()
                            .enumerate()
                    {
                        board[place(i, me)].store(holder, SeqCst);
                        board[place(i, me) + 1].store(generation, SeqCst);
                    }
                    board.meet(0, PARTIES);
                    for seat in 0..2 {
                        let holder = board[place(seat, me)].load(SeqCst);
                        let mut winners = 0;
                        for other in 0..PARTIES as usize {
                            assert_eq!(board[place(seat, other)].load(SeqCst), holder, "one holder, known to all");
                            match board[place(seat, other) + 1].load(SeqCst) {
                                0 => winners += 1,
                                generation => assert_eq!(generation, round),
                            }
                        }
                        assert_eq!(winners, 1, "seat {seat}, round {round}");
                    }
                    board.meet(0, PARTIES);
                    drop((tx, rx));
                }
            })
        })
        .collect();
    racers.iter().for_each(Child::succeed);
}

/// The same without any order. The holder is alone, and every turn is counted.
#[test]
fn a_seat_that_changes_hands_all_the_time_has_one_holder() {
    const TURNS: u64 = 1000;
    let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let board = Board::new();
    let racers: Vec<Child> = (0..8)
        .map(|me| {
            let (channel, board) = (&channel, &board);
            fork(&format!("racer {me}"), move || {
                let mut turns = 0;
                while turns < TURNS {
                    match channel.sender() {
                        Ok(tx) => {
                            assert_eq!(board[0].fetch_add(1, SeqCst), 0, "two holders");
                            if turns % 16 == 0 {
                                std::thread::yield_now();
                            }
                            assert_eq!(board[0].fetch_sub(1, SeqCst), 1, "two holders");
                            drop(tx);
                            turns += 1;
                        }
                        Err(ClaimError::Taken { seat: Seat::Sender, generation, .. }) => {
                            let before = board[1 + me].swap(generation, SeqCst);
                            assert!(generation >= before, "generation {generation} after {before}");
                            std::thread::yield_now();
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    racers.iter().for_each(Child::succeed);
    let _tx = channel.sender().unwrap();
    let again = channel.sender().err().unwrap();
    assert_eq!(generation_of(again, Seat::Sender, nix::unistd::getpid()), 8 * TURNS + 1);
}
