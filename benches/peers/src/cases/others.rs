//! What is asked of what others have, and the pipe doing it: ringway is compared to it.

use super::latencies::{SCHEDULED, TRIPS};
use super::streams::{SIZES, pace};
use super::{BYTES, PIPE, SPSC};
use crate::line::{Line, Result};
use crate::names::{Job, Name, name};
use crate::plan::Plan;
use crate::references::pipe::Pipe;
use crate::turns::{Pace, on_schedule, one_way, round_trip};

pub fn plans() -> Result<Vec<Plan>> {
    let pipe = Other { line: PIPE, slower: Slower { small: 64, large: 4, trip: 64 }, scheduled: true };
    let mut plans = Vec::new();
    for size in SIZES {
        plans.extend(cases_of(&pipe, size, || Pipe::deep(size))?);
    }
    Ok(plans)
}

/// A line of someone else's.
pub struct Other {
    pub line: &'static str,
    pub slower: Slower,
    /// Whether it is to send on a schedule too.
    pub scheduled: bool,
}

/// How much slower a line is than ringway, about: so much less it does in a turn.
#[derive(Clone, Copy)]
pub struct Slower {
    /// One way, up to 64 bytes.
    pub small: u64,
    pub large: u64,
    /// There and back.
    pub trip: u64,
}

impl Slower {
    /// What a line does in a turn one way, with messages of a size.
    pub fn pace(self, size: usize) -> Pace {
        let slower = if size <= 64 { self.small } else { self.large };
        Pace::of(pace(size).steps.div_ceil(slower))
    }

    pub fn trips(self) -> u64 {
        TRIPS.div_ceil(self.trip)
    }
}

/// All that is asked of a line that sends messages of `size` bytes; `make` makes one.
pub fn cases_of<L: Line>(other: &Other, size: usize, make: impl Fn() -> Result<L>) -> Result<Vec<Plan>> {
    let Other { line, slower, scheduled } = *other;
    let job = Job::OneWay(size);
    let mut plans = vec![one_way(name(line, job), slower.pace(size), 1, make()?).rival_of(rival(size))];
    if size <= 64 {
        let job = Job::RoundTrip(size);
        plans.push(round_trip(name(line, job), slower.trips(), [make()?, make()?]).rival_of(name(SPSC, job)));
    }
    if size == 64 && scheduled {
        let job = Job::Scheduled;
        plans.push(on_schedule(name(line, job), SCHEDULED, make()?).rival_of(name(SPSC, job)));
    }
    Ok(plans)
}

/// What of ringway's sends messages of a size one way: values where they are small, records where not.
fn rival(size: usize) -> Name {
    name(if size <= 64 { SPSC } else { BYTES }, Job::OneWay(size))
}
