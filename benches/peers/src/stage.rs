//! All cases in interleaved slices: in every slice each case has its turn of a few milliseconds, next to the turn of
//! what it is compared to, so that whatever else the machine does hits them alike.

use std::io::{IsTerminal, stderr};
use std::ops::Range;
use std::process::exit;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::thread;

use hdrhistogram::Histogram;
use nix::sys::wait::waitpid;
use nix::unistd::alarm;
use serde::{Deserialize, Serialize};

use crate::costs::{Costs, SharedCosts, costs_of};
use crate::line::Result;
use crate::names::Name;
use crate::plan::{Measure, Opposite, Plan, Serve, ServeThread, Start};
use crate::processes::{
    Bell, Board, CASES, FINISHED, ON, TOO_LONG, end_with_children, or_complain, populate_code, start,
};
use crate::processors::{Placement, pin};
use crate::samples::{Figures, Sample, Samples, buckets, histogram};
use crate::shared::share;

/// Slices before those that count. A fork leaves shared pages for the child to fault in, and some are touched only
/// where a record crosses the end of its ring.
const WARM_UP: u64 = 4;

/// How near the turn of a reference is, at most so many turns before.
const NEAR: usize = 3;

/// A case that was measured.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    pub name: Name,
    pub against: Vec<Name>,
    pub rival_of: Vec<Name>,
    /// Of all messages, where each was timed, in the clock's unit.
    #[serde(with = "buckets")]
    pub times: Option<Histogram<u64>>,
    /// Costs in the slices that count: the parent's, and those of all others.
    pub costs: [Costs; 2],
}

/// A place in every slice.
#[derive(Serialize, Deserialize)]
pub struct Place {
    /// Whose it is, by index.
    pub case: usize,
    /// What its turns came to, slice by slice.
    pub turns: Vec<Figures>,
}

#[derive(Serialize, Deserialize)]
pub struct Outcome {
    pub cases: Vec<Measured>,
    pub places: Vec<Place>,
}

/// Who is called to a case's turns, by the index of the bell.
const CHILD: usize = 0;
const THREAD: usize = 1;
const MEMBERS: usize = 2;

struct Case {
    sample: Sample,
    measure: Measure,
    bells: Range<usize>,
}

/// The case of every place in a slice: each case once, and once more where others need it near.
fn order(plans: &[Plan]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        for name in plan.neighbours() {
            let Some(neighbour) = plans.iter().position(|other| other.name == *name) else { continue };
            if !order.iter().rev().take(NEAR).any(|&near| near == neighbour) {
                order.push(neighbour);
            }
        }
        if order.last() != Some(&index) {
            order.push(index);
        }
    }
    order
}

/// What everyone else does, case by case.
#[derive(Default)]
struct Parts {
    child: Vec<Option<Start<Serve>>>,
    thread: Vec<Option<ServeThread>>,
    members: Vec<Vec<Option<Start<Serve>>>>,
}

impl Parts {
    /// Gives out the next case's parts; returns the bells of those who have one.
    fn give(&mut self, opposite: Opposite) -> Range<usize> {
        let cases = self.child.len();
        let (mut child, mut thread, mut members) = (None, None, Vec::new());
        let bells = match opposite {
            Opposite::Nobody => 0..0,
            Opposite::Child(start) => {
                child = Some(start);
                CHILD..CHILD + 1
            }
            Opposite::Thread(serve) => {
                thread = Some(serve);
                THREAD..THREAD + 1
            }
            Opposite::Members(starts) => {
                members = starts;
                MEMBERS..MEMBERS + members.len()
            }
        };
        self.child.push(child);
        self.thread.push(thread);
        let count = self.members.len().max(members.len());
        self.members.resize_with(count, || (0..cases).map(|_| None).collect());
        let mut members = members.into_iter();
        self.members.iter_mut().for_each(|parts| parts.push(members.next()));
        bells
    }
}

/// Starts the processes, and gives all cases their turns. `title` is shown while it goes on.
pub fn perform(
    title: &str,
    placement: &Placement,
    board: &'static Board,
    plans: Vec<Plan>,
    slices: u64,
) -> Result<Outcome> {
    let order = order(&plans);
    let costs = share::<SharedCosts>(plans.len())?;
    CASES.get_or_init(|| plans.iter().map(|plan| plan.name.to_string()).collect());
    let (mut parts, mut own, mut measured) = (Parts::default(), Vec::new(), Vec::new());
    for Plan { name, sample, against, rival_of, measure, opposite } in plans {
        let times = matches!(sample, Sample::One).then(histogram).transpose()?;
        measured.push(Measured { name, against, rival_of, times, costs: Default::default() });
        own.push((sample, measure, parts.give(opposite)));
    }

    let bells = share::<Bell>(MEMBERS + parts.members.len())?;
    end_with_children()?;
    start(placement.child, || serve(&bells[CHILD], board, costs, parts.child))?;
    for (index, part) in parts.members.into_iter().enumerate() {
        start(placement.member(index), || serve(&bells[MEMBERS + index], board, costs, part))?;
    }
    pin(placement.parent)?;
    populate_code()?;
    let mut cases = Vec::new();
    for (index, (sample, measure, bells)) in own.into_iter().enumerate() {
        watch(index);
        let measure = measure().map_err(|error| format!("{}: {error}", measured[index].name))?;
        cases.push(Case { sample, measure, bells });
    }
    // Last, for a process with two threads must not fork.
    start_thread(&bells[THREAD], placement.child, parts.thread)?;

    let mut stage = Stage { board, bells, turn: 0, cases, samples: Samples::new(), histogram: histogram()? };
    let places = stage.slices(title, &order, &mut measured, slices)?;
    stage.dismiss()?;
    alarm::cancel();
    for (case, costs) in measured.iter_mut().zip(costs) {
        case.costs[1] = costs.sum();
    }
    Ok(Outcome { cases: measured, places })
}

/// Notes which case is on, and gives it its time.
fn watch(case: usize) {
    ON.store(case, Relaxed);
    alarm::set(TOO_LONG);
}

/// What another process does: makes its ends, and serves its turns.
fn serve(bell: &Bell, board: &Board, all_costs: &[SharedCosts], starts: Vec<Option<Start<Serve>>>) -> Result {
    let mut works = Vec::new();
    for (index, start) in starts.into_iter().enumerate() {
        ON.store(index, Relaxed);
        works.push(start.map(|start| start()).transpose()?);
    }
    bell.serve(|case, turn| {
        let work = works[case].as_mut().ok_or("called to a case of someone else's")?;
        let ((), costs) = costs_of(|| work(turn))?;
        if board.counting.0.load(Relaxed) != 0 {
            all_costs[case].add(costs);
        }
        Ok(())
    })
}

/// Starts the thread that serves the turns of cases in one process.
fn start_thread(bell: &'static Bell, processor: usize, mut works: Vec<Option<ServeThread>>) -> Result {
    thread::Builder::new().spawn(move || {
        let mut serve = || {
            pin(processor)?;
            bell.serve(|case, turn| works[case].as_mut().ok_or("called to a case of someone else's")?(turn))
        };
        let code = or_complain(serve());
        if code != 0 {
            exit(code);
        }
    })?;
    Ok(())
}

/// The parent's side.
struct Stage {
    board: &'static Board,
    bells: &'static [Bell],
    turn: u32,
    cases: Vec<Case>,
    samples: Samples,
    /// Of the last turn.
    histogram: Histogram<u64>,
}

impl Stage {
    fn slices(&mut self, title: &str, order: &[usize], measured: &mut [Measured], slices: u64) -> Result<Vec<Place>> {
        let watched = stderr().is_terminal();
        let place = |&case| Place { case, turns: Vec::with_capacity(slices as usize) };
        let mut places: Vec<_> = order.iter().map(place).collect();
        for slice in 0..WARM_UP + slices {
            if watched {
                eprint!("\r\x1b[K{title}: {} %", 100 * slice / (WARM_UP + slices));
            }
            let counts = slice >= WARM_UP;
            self.board.counting.0.store(counts.into(), Relaxed);
            for place in &mut places {
                let (figures, costs) = self.take_turn(place.case)?;
                if counts {
                    let case = &mut measured[place.case];
                    case.costs[0] += costs;
                    if let Some(times) = &mut case.times {
                        times.add(&self.histogram)?;
                    }
                    place.turns.push(figures);
                }
            }
        }
        if watched {
            eprint!("\r\x1b[K");
        }
        Ok(places)
    }

    fn take_turn(&mut self, index: usize) -> Result<(Figures, Costs)> {
        let case = &mut self.cases[index];
        let bells = &self.bells[case.bells.clone()];
        self.turn += 1;
        self.samples.clear();
        watch(index);
        for bell in bells {
            bell.ring(self.turn, index)?;
        }
        let ((), costs) = costs_of(|| (case.measure)(&mut self.samples))?;
        self.board.over.0.store(self.turn, Release);
        for bell in bells {
            bell.wait_until_done(self.turn);
        }
        Ok((self.samples.figures(case.sample, &mut self.histogram)?, costs))
    }

    /// Ends the others.
    fn dismiss(&mut self) -> Result {
        FINISHED.store(true, Relaxed);
        self.turn += 1;
        for bell in self.bells {
            bell.dismiss(self.turn)?;
        }
        for _ in (0..self.bells.len()).filter(|&index| index != THREAD) {
            waitpid(None, None)?;
        }
        Ok(())
    }
}
