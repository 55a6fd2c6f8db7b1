//! Seats: a race has one winner, and the loser learns who it is; a successor sees what its predecessor did before it
//! left (P1); generations.

use super::*;
use crate::layout::Seat;
use crate::protocol::seat::{Refused, release, status};
use crate::sync::Ordering::{Acquire, Relaxed};

/// Claims a seat, for a process that sees everyone alive.
fn claim(seat: &Seat, me: Process) -> Result<Claim, Refused<()>> {
    seat::claim(seat, me, |_| false, |_| Ok(()), |_| ())
}

fn taken_by(refused: Refused<()>) -> (Option<Process>, u64) {
    let Refused::Taken(status) = refused else { panic!("{refused:?}") };
    (status.holder, status.generation)
}

/// Of two concurrent claimants one gets the seat, and the other learns who has it.
#[test]
fn seat_race() {
    explore(|| {
        let ends = ends();
        let racers: Vec<_> = (1..=2)
            .map(|pid| {
                let ends = ends.clone();
                thread::spawn(move || claim(&ends.lane.sender, process(pid)))
            })
            .collect();
        let results: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
        let winner = results.iter().position(Result::is_ok).unwrap();
        assert_eq!(taken_by(results[1 - winner].unwrap_err()), (Some(process(winner as u32 + 1)), 1));
        assert_eq!(status(&ends.lane.sender).unwrap().generation, 1);
    });
}

/// P1: a successor sees what its predecessor wrote, and takes the next generation.
#[test]
fn seat_succession() {
    explore(|| {
        let ends = ends();
        let first = claim(&ends.lane.sender, process(1)).unwrap();
        let leaving = ends.clone();
        let predecessor = thread::spawn(move || {
            leaving.lane.sender_line.latest.store(5, Relaxed);
            release(&leaving.lane.sender, first.word);
        });
        let second = loop {
            match claim(&ends.lane.sender, process(2)) {
                Ok(claim) => break claim,
                Err(refused) => assert_eq!(taken_by(refused), (Some(process(1)), 1)),
            }
            thread::yield_now();
        };
        assert_eq!(ends.lane.sender_line.latest.load(Relaxed), 5);
        assert_eq!(second.generation, 2);
        predecessor.join().unwrap();
        assert_eq!(status(&ends.lane.sender).unwrap().holder, Some(process(2)));
    });
}

/// P2: a process that sees a seat's generation finds the count at most one behind, even if the predecessor died between
/// its claim and the count.
#[test]
fn seat_generation() {
    explore(|| {
        let ends = ends();
        ends.lane.sender.holder.store(1 << 48, Relaxed);
        let looking = ends.clone();
        let observer = thread::spawn(move || {
            let low = looking.lane.sender.holder.load(Acquire) >> 48;
            let count = looking.lane.sender.generation.load(Relaxed);
            assert!(count + 1 >= low, "generation {low}, counted {count}");
        });
        assert_eq!(claim(&ends.lane.sender, process(1)).unwrap().generation, 2);
        observer.join().unwrap();
        assert_eq!(status(&ends.lane.sender).unwrap().generation, 2);
    });
}

/// A process asks the kernel about a holder, and is stopped. The holder leaves, and the seat is taken 65,536 times, so that
/// its word is the same again. The answer of the kernel, which was true, takes nothing from the holder of now.
#[cfg(not(loom))]
#[test]
fn seat_word_that_came_round_is_another_turn() {
    let ends = ends();
    let seat = &*ends.lane.sender;
    let first = claim(seat, process(7)).unwrap();
    let go_round = |word: u64| {
        assert_eq!(word, first.word);
        release(seat, word);
        for _ in 1..1 << 16 {
            release(seat, claim(seat, process(7)).unwrap().word);
        }
        assert_eq!(claim(seat, process(7)).unwrap().word, word);
        true
    };
    assert_eq!(seat::dead_holder(seat, go_round), None);
    assert_eq!((seat::died(seat), status(seat).unwrap().generation), (0, (1 << 16) + 1));
    let went_round = std::cell::Cell::new(false);
    let gone = |word| !went_round.replace(true) && go_round(word);
    let refused = seat::claim(seat, process(8), gone, |_| Ok::<_, ()>(()), |_| ()).unwrap_err();
    assert_eq!(taken_by(refused), (Some(process(7)), (1 << 17) + 1));
    assert_eq!(seat::died(seat), 0);
}
