//! What is demanded of the ratios of a run, and the check of a run against it.

use crate::cases::{
    BYTES, CACHE_LINE, CELL, COPY, FUTEX, IN_PLACE, RECORD_RING, SEQLOCK, SLOT_RING, SPSC, USUAL_SLOTS,
};
use crate::names::{Job, Name, name};
use crate::results::{Figure, Run};

/// A ratio, and the most it may be.
pub struct Target {
    pub case: Name,
    pub reference: Name,
    pub figure: Figure,
    pub limit: f64,
}

/// At most `limit` times the reference that does the same job.
const fn same(limit: f64, line: &'static str, reference: &'static str, job: Job) -> Target {
    Target { case: name(line, job), reference: name(reference, job), figure: Figure::Typical, limit }
}

/// The same, for one message in a thousand.
const fn tail(limit: f64, line: &'static str, reference: &'static str, job: Job) -> Target {
    Target { case: name(line, job), reference: name(reference, job), figure: Figure::Tail, limit }
}

/// At most `limit` times another case.
const fn other(limit: f64, case: Name, reference: Name) -> Target {
    Target { case, reference, figure: Figure::Typical, limit }
}

/// In batches, at most `limit` times the slot ring that sends singly.
const fn batches(limit: f64, size: usize) -> Target {
    other(limit, name(SPSC, Job::Batches(size)), name(SLOT_RING, Job::OneWay(size)))
}

/// As fast as in a ring of the usual size.
const fn flat(slots: usize) -> Target {
    other(1.10, name(SPSC, Job::Slots(slots)), name(SPSC, Job::Slots(USUAL_SLOTS)))
}

pub const TARGETS: [Target; 33] = [
    same(1.10, SPSC, CACHE_LINE, Job::RoundTrip(64)),
    tail(1.25, SPSC, CACHE_LINE, Job::RoundTrip(64)),
    same(1.20, BYTES, CACHE_LINE, Job::RoundTrip(64)),
    same(1.10, SPSC, FUTEX, Job::AsleepRoundTrip),
    same(1.10, BYTES, FUTEX, Job::AsleepRoundTrip),
    same(1.10, SPSC, SLOT_RING, Job::OneWay(64)),
    same(1.20, SPSC, SLOT_RING, Job::OneWay(8)),
    batches(0.7, 64),
    batches(0.6, 8),
    same(1.10, BYTES, RECORD_RING, Job::OneWay(4 << 10)),
    same(1.10, BYTES, RECORD_RING, Job::OneWay(64 << 10)),
    same(0.60, IN_PLACE, RECORD_RING, Job::Produced(64 << 10)),
    same(1.5, SEQLOCK, COPY, Job::Read),
    same(1.3, SEQLOCK, CELL, Job::Readers(1)),
    flat(1 << 4),
    flat(1 << 6),
    flat(1 << 8),
    flat(1 << 12),
    flat(1 << 14),
    flat(1 << 16),
    same(0.8, SPSC, "ringfire", Job::RoundTrip(64)),
    same(0.6, SPSC, "ringfire", Job::OneWay(64)),
    same(0.8, SPSC, "shaq", Job::RoundTrip(64)),
    same(0.3, SPSC, "shaq", Job::OneWay(64)),
    same(0.3, SPSC, "shaq", Job::OneWay(8)),
    same(0.9, SPSC, "shaq", Job::Batches(64)),
    same(0.9, SPSC, "shaq", Job::Batches(8)),
    same(1.0, SPSC, "shaq", Job::BatchesInPlace(64)),
    same(0.9, SPSC, "rtrb, two threads", Job::OneWay(64)),
    same(1.0, SPSC, "rtrb, two threads", Job::OneWay(8)),
    same(0.25, SPSC, "iceoryx2", Job::RoundTrip(64)),
    same(0.05, SPSC, "iceoryx2", Job::OneWay(64)),
    same(0.05, SPSC, "iceoryx2", Job::OneWay(8)),
];

/// Page faults by turn, at most. No message causes any, but the kernel may take pages back in any process, and does.
const FAULTS: f64 = 0.01;

/// The target of a comparison, if there is one.
pub fn target(case: &Name, reference: &Name, figure: Figure) -> Option<&'static Target> {
    const { &TARGETS }
        .iter()
        .find(|target| target.case == *case && target.reference == *reference && target.figure == figure)
}

/// What is said of a ratio.
pub fn verdict(found: f64, limit: f64) -> &'static str {
    if found <= limit { "met" } else { "MISSED" }
}

/// Prints every target with what was found; true if all are met. What a run did not measure is not met.
pub fn check(run: &Run) -> bool {
    let ratios = const { &TARGETS }.iter().map(|Target { case, reference, figure, limit }| {
        let what = format!("{case} / {reference}, {figure}");
        (what, run.ratio(case, reference, *figure), *limit)
    });
    let faults = ("page faults by turn of ringway's cases".to_owned(), Some(run.faults_by_turn()), FAULTS);
    let (mut met, mut all) = (0, 0);
    for (what, found, limit) in ratios.chain([faults]) {
        let verdict = found.map_or("not measured", |found| verdict(found, limit));
        let found = found.map_or("-".to_owned(), |found| format!("{found:.3}"));
        println!("{what:<72} {found:>8}   at most {limit:.2}   {verdict}");
        met += u32::from(verdict == "met");
        all += 1;
    }
    println!("\n{met} of {all} met");
    met == all
}
