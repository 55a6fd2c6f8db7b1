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
        let claim = |table: &[Row], pid| rows::claim(table, 1, process(pid), |_, _| false, |_, _| Ok::<_, ()>(()));
        let other = table.clone();
        let racer = thread::spawn(move || claim(&other, 1).unwrap().0);
        let own = claim(&table, 2).unwrap().0;
        assert_ne!(racer.join().unwrap(), own);
        assert_eq!(claim(&table, 3), Err(NoRow::Full));
    });
}

/// Of two calls that are due to ask after all holders, one does.
#[test]
fn rows_one_pass_a_period() {
    explore(|| {
        let patrol = word();
        let begins = |patrol: &AtomicU64| patrol::begin(patrol, 1 << 30).is_some();
        let other = patrol.clone();
        let racer = thread::spawn(move || begins(&other));
        let own = begins(&patrol);
        assert_ne!(racer.join().unwrap(), own);
    });
}
