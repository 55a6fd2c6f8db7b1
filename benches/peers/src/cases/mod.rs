//! All cases. Each comes after the reference that it is compared to.

mod growth;
mod latencies;
mod many;
mod others;
#[cfg(feature = "peers")]
mod peers;
mod streams;
mod values;

use crate::line::Result;
use crate::plan::Plan;
use crate::processes::Board;

pub use growth::USUAL as USUAL_SLOTS;
pub use many::RECEIVERS;
pub use streams::{ENDLESS_STEPS, SIZES, endless};
pub use values::READERS;

/// Slots of a ring that is streamed through.
pub const DEEP: usize = 1024;

/// Slots of a ring that never holds more than one message, or a few.
pub const SHALLOW: usize = 64;

pub const CACHE_LINE: &str = "cache line";
pub const FUTEX: &str = "futex";
pub const SLOT_RING: &str = "slot ring";
pub const SLOT_RING_THREADS: &str = "slot ring, two threads";
pub const SLOT_RING_IN_PLACE: &str = "slot ring in place";
pub const RECORD_RING: &str = "memcpy ring";
pub const RECORD_RING_IN_PLACE: &str = "bare ring in place";
pub const PIPE: &str = "pipe";
pub const COPY: &str = "plain copy";
pub const CELL: &str = "bare seqlock";
pub const SPSC: &str = "spsc";
pub const SPSC_THREADS: &str = "spsc, two threads";
/// The same, but it never spins before it sleeps.
pub const SPSC_ASLEEP: &str = "spsc, sleeping at once";
pub const BYTES: &str = "bytes";
pub const IN_PLACE: &str = "bytes in place";
pub const SEQLOCK: &str = "seqlock";

/// Lines that are references, drawn and written as such.
pub const REFERENCES: [&str; 9] = [
    SLOT_RING_IN_PLACE,
    RECORD_RING_IN_PLACE,
    CACHE_LINE,
    FUTEX,
    SLOT_RING,
    SLOT_RING_THREADS,
    RECORD_RING,
    COPY,
    CELL,
];

/// Lines of ringway's.
pub const RINGWAY: [&str; 6] = [SPSC, SPSC_ASLEEP, SPSC_THREADS, BYTES, IN_PLACE, SEQLOCK];

/// What others have, job by job, so that many share the neighbour that they are compared to.
fn of_others() -> Result<Vec<Plan>> {
    let mut plans = others::plans()?;
    #[cfg(feature = "peers")]
    plans.extend(peers::plans()?);
    plans.sort_by_key(|plan| plan.name.job);
    Ok(plans)
}

/// All cases whose names contain `only`, and those they are compared to.
pub fn all(board: &'static Board, only: &str) -> Result<Vec<Plan>> {
    let mut plans = latencies::plans()?;
    plans.extend(streams::plans()?);
    plans.extend(growth::plans()?);
    plans.extend(values::plans(board)?);
    plans.extend(many::plans()?);
    plans.extend(of_others()?);

    let wanted: Vec<_> = plans
        .iter()
        .filter(|plan| plan.name.to_string().contains(only))
        .flat_map(|plan| [&plan.name].into_iter().chain(plan.neighbours()).cloned())
        .collect();
    plans.retain(|plan| wanted.contains(&plan.name));
    if plans.is_empty() {
        return Err(format!("there is no case with {only:?} in its name").into());
    }
    Ok(plans)
}
