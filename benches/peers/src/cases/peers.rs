//! The libraries of others, and what the kernel has besides pipes, with all that each can do.

use std::borrow::Cow;

use super::others::{Other, Slower, cases_of};
use super::{SPSC, SPSC_THREADS};
use crate::line::{Line, Pair, Result};
use crate::names::{Job, Name, name};
use crate::peers::{Load, Scratch, Visitor, visit};
use crate::plan::Plan;
use crate::turns::{Pace, one_way, one_way_in_process, round_trip_in_process};

pub fn plans() -> Result<Vec<Plan>> {
    let mut collected = Collected(Vec::new());
    visit(&Scratch::new()?, &mut collected)?;
    Ok(collected.0)
}

/// How much slower than ringway, and whether on a schedule too.
fn other(line: &'static str) -> Other {
    let ([small, large, trip], scheduled) = match line {
        "ringfire" => ([2, 1, 1], true),
        "shaq" => ([4, 1, 1], true),
        "iceoryx2" => ([24, 4, 4], true),
        "iceoryx2, in place" => ([24, 4, 4], false),
        "cloudtoid-interprocess" => ([16, 4, 4], false),
        "Unix socket, stream" => ([64, 4, 64], true),
        "rtrb" | "crossbeam queue" | "crossbeam channel" => ([4, 1, 1], false),
        _ => ([64, 4, 64], false),
    };
    Other { line, slower: Slower { small, large, trip }, scheduled }
}

struct Collected(Vec<Plan>);

impl Visitor for Collected {
    fn line<L: Line>(
        &mut self,
        peer: &'static str,
        Load { bytes, messages, in_place }: Load,
        new: impl Fn() -> Result<L>,
    ) -> Result {
        if messages == 1 {
            self.0.extend(cases_of(&other(peer), bytes, new)?);
        } else {
            let job = if in_place { Job::BatchesInPlace(bytes) } else { Job::Batches(bytes) };
            let plan = one_way(name(peer, job), in_batches(messages), messages as u64, new()?);
            self.0.push(plan.rival_of(name(SPSC, job)));
        }
        Ok(())
    }

    fn pair<P: Pair>(
        &mut self,
        peer: &'static str,
        Load { bytes, messages, .. }: Load,
        new: impl Fn() -> Result<P>,
    ) -> Result {
        let called = |job| Name { line: Cow::Owned(format!("{peer}, two threads")), job };
        let beside = |plan: Plan, job| plan.rival_of(name(SPSC, job)).rival_of(name(SPSC_THREADS, job));
        let slower = other(peer).slower;
        if messages == 1 {
            let (way, trip) = (Job::OneWay(bytes), Job::RoundTrip(bytes));
            self.0.push(beside(one_way_in_process(called(way), slower.pace(bytes), 1, &new()?)?, way));
            self.0.push(beside(round_trip_in_process(called(trip), slower.trips(), [new()?, new()?])?, trip));
        } else {
            let job = Job::Batches(bytes);
            let plan = one_way_in_process(called(job), in_batches(messages), messages as u64, &new()?)?;
            self.0.push(beside(plan, job));
        }
        Ok(())
    }
}

/// As many messages as singly.
fn in_batches(messages: usize) -> Pace {
    Pace::of(4096 / messages as u64)
}
