//! Asks the kernel about every holder of a table of seats, for all who wait in the region: see
//! [`crate::protocol::patrol`] for who asks, and when.
//!
//! A pass that a blocked call begins asks for one sign of life, and the caller's next pass for the other. Nearly every
//! death shows in both; the others (an exec, and a memory that outlives its process) are found by the second. A pass at
//! once asks for both.
//!
//! The kernel walks all of a file's locks to answer about one, so the question costs more with many holders. The file is
//! opened once a pass.
//!
//! No channel has rows yet: the tests below are the only callers.
#![cfg_attr(any(not(test), loom), expect(dead_code, reason = "the kinds with rows are its users"))]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use super::{Ask, Witness};
use crate::layout::Row;
use crate::memory::View;
use crate::os::clock;
use crate::os::process::Fate;
use crate::protocol::patrol::{self, JITTER, Pass};
use crate::protocol::rows;
use crate::sync::AtomicU64;

/// The table of seats of a region, and the word that says when it was last asked about. Valid in one process only, as its
/// witness is: in a forked child it asks nothing.
pub(crate) struct Patrol {
    witness: Witness,
    rows: View<[Row]>,
    word: View<AtomicU64>,
    process: u32,
    /// The next pass asks for locks.
    by_lock: AtomicBool,
}

impl Patrol {
    /// `None` if the region is read-only: deaths could not be recorded.
    pub fn new(witness: &Witness) -> Option<Self> {
        let region = witness.region();
        let word = region.writable()?.control.part(|control| &control.region.patrol);
        let (rows, process, by_lock) = (region.writable_rows()?, std::process::id(), AtomicBool::new(false));
        Some(Self { witness: witness.clone(), rows, word, process, by_lock })
    }

    /// A pass, if it is time for one and nobody else begins it: for calls that are blocked. Returns how many deaths it
    /// recorded; `None` if it was not this caller's turn.
    pub fn pass_if_due(&self) -> Option<usize> {
        let now = clock::monotonic().filter(|_| self.process == std::process::id())?;
        let pass = patrol::begin(&self.word, now, random(now) % JITTER)?;
        let ask = if self.by_lock.fetch_not(Relaxed) { Ask::Lock } else { Ask::Id };
        Some(self.pass(pass, ask))
    }

    /// A pass at once: for a parent that has just waited for a child. Returns how many deaths it recorded.
    pub fn pass_now(&self) -> usize {
        match clock::monotonic().filter(|_| self.process == std::process::id()) {
            Some(now) => self.pass(patrol::begin_now(&self.word, now), Ask::Both),
            None => 0,
        }
    }

    fn pass(&self, pass: Pass, ask: Ask) -> usize {
        let region = self.witness.region();
        let others = region.others_locks();
        let is_locked =
            |byte, by_another| if by_another { others.is_locked(byte) } else { region.is_locked(byte, false) };
        let (began, used) = (Instant::now(), clock::processor());
        let gone = |number, word| self.witness.fate(number, word, ask, is_locked) == Fate::Gone;
        let deaths = rows::record_deaths(&self.rows, gone);
        let used = clock::processor().zip(used).map(|(after, before)| after.saturating_sub(before));
        patrol::end(&self.word, pass, used.unwrap_or(began.elapsed().as_micros() as u64));
        deaths
    }
}

/// Differs between processes and from time to time.
fn random(now: u64) -> u64 {
    (now << 32 | u64::from(std::process::id())).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::error::TypeFingerprint;
    use crate::layout::Kind;
    use crate::os::forked::Forked;
    use crate::protocol::rows::NoRow;
    use crate::protocol::seat::{self, Claim, lock_byte};
    use crate::region::header::Spec;
    use crate::region::{Region, Settings};

    fn region(rows: u64) -> Arc<Region> {
        let carries = TypeFingerprint { size: 8, align: 8, name: "u64".into(), described: None };
        let spec = Spec { kind: Kind::Spsc, carries: Some(carries), capacity: Some(1), rows: Some(rows) };
        Arc::new(Region::memfd(&spec, &Settings::default()).unwrap())
    }

    /// How many rows somebody holds who is not known to have died.
    fn held(region: &Arc<Region>) -> usize {
        region.writable_rows().unwrap().iter().filter(|row| seat::is_occupied(&row.seat)).count()
    }

    fn patrol(region: &Arc<Region>) -> Patrol {
        Patrol::new(&Witness::new(region)).unwrap()
    }

    /// Takes a row as an endpoint does.
    fn claim(region: &Arc<Region>, first: usize) -> Result<(usize, Claim), NoRow<nix::errno::Errno>> {
        let witness = Witness::new(region);
        let (me, line) = witness.identify_self().unwrap();
        let line = std::mem::ManuallyDrop::new(line.unwrap());
        let gone = |number, word| witness.is_gone(number, word);
        rows::claim(
            &region.writable_rows().unwrap(),
            first,
            me,
            gone,
            |number, word| line.lock(lock_byte(number, word)).map_err(|error| error.errno()),
            |number, word| line.unlock(lock_byte(number, word)),
        )
    }

    /// As many living holders, each a process.
    fn holders(region: &Arc<Region>, number: usize) -> Vec<Forked> {
        let holders: Vec<_> = (0..number).map(|first| Forked::new(|| _ = claim(region, first).unwrap())).collect();
        let started = Instant::now();
        while held(region) < number {
            assert!(started.elapsed() < Duration::from_secs(120), "a holder did not come");
            std::thread::sleep(Duration::from_millis(1));
        }
        holders
    }

    #[test]
    fn one_pass_records_every_death_and_nothing_else() {
        let region = region(64);
        let mut holders = holders(&region, 20);
        let patrol = patrol(&region);
        assert_eq!(patrol.pass_now(), 0);
        drop(holders.split_off(13));
        assert_eq!(patrol.pass_now(), 7);
        assert_eq!(held(&region), 13);
        assert_eq!(patrol.pass_now(), 0, "a death is recorded once");
        let died = region.writable_rows().unwrap().iter().filter(|row| seat::died(&row.seat) == 1).count();
        assert_eq!(died, 7);
    }

    /// The calls of one region that are blocked at one time: one of them asks.
    #[test]
    fn one_of_the_blocked_calls_asks_for_all() {
        let region = region(64);
        let mut holders = holders(&region, 3);
        let patrols: Vec<_> = (0..50).map(|_| patrol(&region)).collect();
        drop(holders.pop());
        // The clock moves on by far less than the longest period, and by that the last pass is made to look long.
        let long = patrol::begin_now(&patrols[0].word, clock::monotonic().unwrap());
        patrol::end(&patrols[0].word, long, patrol::LONGEST);
        assert!(patrols.iter().all(|patrol| patrol.pass_if_due().is_none()));
        patrols[7].word.store(0, crate::sync::Ordering::Relaxed);
        assert_eq!(patrols[7].pass_if_due(), Some(1));
    }

    #[test]
    fn a_full_table_gives_the_rows_of_the_dead_to_claimants() {
        let region = region(8);
        let mut holders = holders(&region, 8);
        assert_eq!(claim(&region, 3), Err(NoRow::Full));
        let dead = holders.remove(5);
        drop(dead);
        let (row, second) = claim(&region, 3).unwrap();
        assert_eq!((row, second.generation), (5, 2));
        assert_eq!(claim(&region, 3), Err(NoRow::Full), "this process lives");
    }

    #[test]
    fn a_region_without_rows_has_nothing_to_ask_after() {
        let region = region(0);
        assert_eq!(patrol(&region).pass_now(), 0);
        assert_eq!(claim(&region, 3), Err(NoRow::Full));
    }

    /// What a pass costs, printed: `cargo test --release --lib -- --ignored --nocapture cost_of_a_pass`
    #[test]
    #[ignore = "forks a thousand processes, to measure"]
    fn cost_of_a_pass() {
        for number in [1, 64, 256, 1024] {
            let region = region(number as u64);
            let _holders = holders(&region, number);
            let patrol = patrol(&region);
            for ask in [Ask::Both, Ask::Id, Ask::Lock] {
                let mut times: Vec<_> = (0..40)
                    .map(|_| {
                        let start = clock::processor().unwrap();
                        patrol.pass(patrol::begin_now(&patrol.word, 1), ask);
                        clock::processor().unwrap() - start
                    })
                    .collect();
                times.sort();
                println!("{number} holders, {ask:?}: {} – {} – {} microseconds", times[10], times[20], times[30]);
            }
        }
    }
}
