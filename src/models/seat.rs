//! Seats: one winner, named; what a holder did before it left is seen by its successor (P1); generations.

use super::*;
use crate::layout::Seat;
use crate::protocol::seat::{self, Claim, Refused, release, status};
use crate::sync::Ordering::{Acquire, Relaxed};

/// A claimant to whom the kernel says that everyone lives.
fn claim(seat: &Seat, me: Process) -> Result<Claim, Refused<()>> {
    seat::claim(seat, me, |_| false, |_| Ok(()))
}

fn taken_by(refused: Refused<()>) -> (Option<Process>, u64) {
    let Refused::Taken(status) = refused else { panic!("{refused:?}") };
    (status.holder, status.generation)
}

/// Two claim at once: one sits, the other is told who.
#[test]
fn seat_race() {
    explore(|| {
        let control = control();
        let racers: Vec<_> = (1..=2)
            .map(|pid| {
                let control = control.clone();
                thread::spawn(move || claim(&control.seats[0], process(pid)))
            })
            .collect();
        let results: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
        let winner = results.iter().position(Result::is_ok).unwrap();
        assert_eq!(taken_by(results[1 - winner].unwrap_err()), (Some(process(winner as u32 + 1)), 1));
        assert_eq!(status(&control.seats[0]).unwrap().generation, 1);
    });
}

/// P1: a successor sees what its predecessor wrote, and takes the next generation.
#[test]
fn seat_succession() {
    explore(|| {
        let control = control();
        let first = claim(&control.seats[0], process(1)).unwrap();
        let leaving = control.clone();
        let predecessor = thread::spawn(move || {
            leaving.sent.latest.store(5, Relaxed);
            release(&leaving.seats[0], first.word);
        });
        let second = loop {
            match claim(&control.seats[0], process(2)) {
                Ok(claim) => break claim,
                Err(refused) => assert_eq!(taken_by(refused), (Some(process(1)), 1)),
            }
            thread::yield_now();
        };
        assert_eq!(control.sent.latest.load(Relaxed), 5);
        assert_eq!(second.generation, 2);
        predecessor.join().unwrap();
        assert_eq!(status(&control.seats[0]).unwrap().holder, Some(process(2)));
    });
}

/// P2: who sees a seat's generation finds the count at most one behind, even where the predecessor died
/// between its claim and the count.
#[test]
fn seat_generation() {
    explore(|| {
        let control = control();
        control.seats[0].holder.store(1 << 56, Relaxed);
        let looking = control.clone();
        let onlooker = thread::spawn(move || {
            let low = looking.seats[0].holder.load(Acquire) >> 56;
            let count = looking.seats[0].generation.load(Relaxed);
            assert!(count + 1 >= low, "generation {low}, counted {count}");
        });
        assert_eq!(claim(&control.seats[0], process(1)).unwrap().generation, 2);
        onlooker.join().unwrap();
        assert_eq!(status(&control.seats[0]).unwrap().generation, 2);
    });
}
