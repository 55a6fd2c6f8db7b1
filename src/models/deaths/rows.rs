//! Deaths of those who take a row of a table of seats, and of those who ask about all of them.

use super::*;
use crate::layout::Row;
use crate::protocol::{patrol, rows};
use crate::sync::AtomicU64;

fn claim(table: &[Row], kernel: &Kernel, pid: u32) -> (usize, Claim) {
    rows::claim(table, 1, process(pid), |_, word| kernel.gone(word), |_, _| Ok::<_, ()>(()), |_, _| ()).unwrap()
}

/// A claimant dies as it takes a row. A successor, who finds a row free or asks the kernel, gets it, and no generation is
/// used twice.
#[test]
fn row_claimant_dies_anywhere() {
    at_every_step("rows: claim", |kernel, crash| {
        let table = table(2);
        let (taking, thread_kernel) = (table.clone(), kernel.clone());
        let victim = crash.run(kernel, move || _ = claim(&taking, &thread_kernel, VICTIM));
        let (own, first) = claim(&table, kernel, SURVIVOR);
        victim.wait();
        let left = seat::status(&table[1 - own].seat).unwrap();
        let (row, second) = claim(&table, kernel, SUCCESSOR);
        assert_eq!((row, first.generation, second.generation), (1 - own, 1, left.generation + 1));
    });
}

/// One that asks about all holders dies meanwhile. Those of whom it recorded that they died stay recorded, and the next
/// one, a period later, records the rest.
#[test]
fn row_patrol_dies_anywhere() {
    at_every_step("rows: a pass", |kernel, crash| {
        const DEAD: u32 = 9;
        let (table, word) = (table(2), word());
        (0..2).for_each(|_| _ = claim(&table, kernel, DEAD));
        let pass = |table: &[Row], word: &AtomicU64, now| {
            let Some(pass) = patrol::begin(word, now, 0) else { return false };
            rows::record_deaths(table, |_, _| true);
            patrol::end(word, pass, 1);
            true
        };
        let (others, others_word) = (table.clone(), word.clone());
        let victim = crash.run(kernel, move || _ = pass(&others, &others_word, 1 << 30));
        // While the victim asks, or after it.
        pass(&table, &word, (1 << 30) + 1);
        victim.wait();
        assert!(pass(&table, &word, (1 << 30) + 2 * patrol::SHORTEST), "a pass that was not ended keeps others away");
        assert!(table.iter().all(|row| seat::died(&row.seat) == 1));
    });
}
