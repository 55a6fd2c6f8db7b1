//! A table of seats: each claimant gets a row of its own, and one of those who may ask the kernel does.

use super::*;
use crate::layout::Row;
use crate::protocol::patrol;
use crate::protocol::rows::{self, NoRow};
use crate::sync::AtomicU64;

/// Two claimants that begin with the same row get different rows, and a third one, which finds no other, is told so.
#[test]
fn rows_race() {
    explore(|| {
        let table = table(2);
        let claim =
            |table: &[Row], pid| rows::claim(table, 1, process(pid), |_, _| false, |_, _| Ok::<_, ()>(()), |_, _| ());
        let other = table.clone();
        let racer = thread::spawn(move || claim(&other, 1).unwrap().0);
        let own = claim(&table, 2).unwrap().0;
        assert_ne!(racer.join().unwrap(), own);
        assert_eq!(claim(&table, 3), Err(NoRow::Full));
    });
}

/// Of two calls that are due to ask about all holders, one does.
#[test]
fn rows_one_pass_a_period() {
    explore(|| {
        let patrol = word();
        let begins = |patrol: &AtomicU64| patrol::begin(patrol, 1 << 30, 0).is_some();
        let other = patrol.clone();
        let racer = thread::spawn(move || begins(&other));
        let own = begins(&patrol);
        assert_ne!(racer.join().unwrap(), own);
    });
}

/// While a pass asks, one holder leaves and another process takes its row; the kernel says that the first is gone. Nobody is
/// recorded as dead, for the first left before it ended, and the other lives.
#[test]
fn rows_pass_among_the_living() {
    explore(|| {
        let table = table(1);
        let claim = |table: &[Row], pid| {
            rows::claim(table, 0, process(pid), |_, _| false, |_, _| Ok::<_, ()>(()), |_, _| ()).map(|(_, claim)| claim)
        };
        let first = claim(&table, 1).unwrap();
        let left = Arc::new(AtomicBool::new(false));
        let (others, says) = (table.clone(), left.clone());
        let holder = thread::spawn(move || {
            seat::release(&others[0].seat, first.word);
            says.store(true, std::sync::atomic::Ordering::Release);
            claim(&others, 2).unwrap();
        });
        let gone = |_, word| word == first.word && left.load(std::sync::atomic::Ordering::Acquire);
        assert_eq!(rows::record_deaths(&table, gone), 0);
        holder.join().unwrap();
        assert_eq!(seat::died(&table[0].seat), 0);
    });
}
