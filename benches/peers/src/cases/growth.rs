//! Whether a message costs the same in a ring of any size that stays in the cache.

use ringway::Wait;

use super::{SLOT_RING, SPSC};
use crate::channels::spsc::Spsc;
use crate::line::Result;
use crate::names::{Job, name};
use crate::plan::Plan;
use crate::references::slot_ring::slot_ring;
use crate::turns::{Pace, one_way};

/// The size that the others are compared to.
pub const USUAL: usize = 1 << 10;

pub fn plans() -> Result<Vec<Plan>> {
    // The usual size comes first, for all others are compared to it.
    let mut plans = slots::<USUAL>()?;
    plans.extend(slots::<{ 1 << 4 }>()?);
    plans.extend(slots::<{ 1 << 6 }>()?);
    plans.extend(slots::<{ 1 << 8 }>()?);
    plans.extend(slots::<{ 1 << 12 }>()?);
    plans.extend(slots::<{ 1 << 14 }>()?);
    plans.extend(slots::<{ 1 << 16 }>()?);
    Ok(plans)
}

fn slots<const CAPACITY: usize>() -> Result<Vec<Plan>> {
    // Once around before it counts: the other cases have used the cache meanwhile.
    let pace = Pace { warm_up: 4096.max(CAPACITY as u64), ..Pace::of(4096) };
    let (job, usual) = (Job::Slots(CAPACITY), Job::Slots(USUAL));
    let ring = one_way(name(SLOT_RING, job), pace, 1, slot_ring::<1, CAPACITY>()?);
    let spsc = one_way(name(SPSC, job), pace, 1, Spsc::<1>::new(CAPACITY, Wait::Spin)?).against(name(SLOT_RING, job));
    Ok(if CAPACITY == USUAL {
        vec![ring, spsc]
    } else {
        vec![ring.against(name(SLOT_RING, usual)), spsc.against(name(SPSC, usual))]
    })
}
