//! One sender and many receivers, each on a line of its own, which wait as they do by default.
//!
//! The receivers share the processors that the sender does not use, so their waiting matters: one that spins keeps
//! another from receiving. The slot ring can only spin, and one of the cases sleeps at once.

use ringway::Wait;

use super::{PIPE, SHALLOW, SLOT_RING, SPSC, SPSC_ASLEEP};
use crate::channels::spsc::Spsc;
use crate::crowds::fan_out;
use crate::line::Result;
use crate::names::{Job, name};
use crate::plan::Plan;
use crate::references::pipe::Pipe;
use crate::references::slot_ring::slot_ring;
use crate::turns::Pace;

/// How many processes receive.
pub const RECEIVERS: [usize; 5] = [1, 2, 4, 8, 16];

pub fn plans() -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for receivers in RECEIVERS {
        plans.extend(to(receivers)?);
    }
    Ok(plans)
}

fn to(receivers: usize) -> Result<Vec<Plan>> {
    let pace = Pace { warm_up: SHALLOW as u64, steps: SHALLOW as u64, stretches: 5 };
    let job = Job::Receivers(receivers);
    let all = 0..receivers;
    let slots = all.clone().map(|_| slot_ring::<8, SHALLOW>()).collect::<Result<Vec<_>>>()?;
    let spsc = |wait| all.clone().map(|_| Spsc::<8>::new(SHALLOW, wait)).collect::<Result<Vec<_>>>();
    let pipes = all.clone().map(|_| Pipe::new(64)).collect::<Result<Vec<_>>>()?;
    let (ring, pipe) = (name(SLOT_RING, job), name(PIPE, job));
    Ok(vec![
        fan_out(ring.clone(), pace, slots),
        fan_out(pipe.clone(), pace, pipes).against(ring.clone()),
        fan_out(name(SPSC, job), pace, spsc(Wait::default())?).against(ring).against(pipe.clone()),
        fan_out(name(SPSC_ASLEEP, job), pace, spsc(Wait::Sleep)?).against(pipe),
    ])
}
