//! The kinds of cases between two: who does what in a turn, and what is timed.
//!
//! - *One way*: the other side sends, the parent receives and times stretches of messages; a turn's time is the
//!   median of them, so that a stretch in which one of the two did not run does not count.
//! - *Round trip*: the parent sends, the other side sends back, and each trip is timed on its own.
//! - *On a schedule*: the child sends at fixed times, each message with the time it was *due*, and the parent
//!   subtracts that from the time it has it. A sender that was held up sends late but does not restart the schedule,
//!   so that all messages behind a delay count it (no coordinated omission).
//! - *Alone*: the parent works by itself.

use std::hint::spin_loop;
use std::rc::Rc;

use crate::clock::{clock, nanoseconds, stamp};
use crate::line::{Line, Pair, Receiver, Result, Sender};
use crate::names::Name;
use crate::plan::{Measure, Opposite, Plan};
use crate::samples::{Sample, Samples};

/// How a turn of stretches goes.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Steps before those that are timed.
    pub warm_up: u64,
    /// Steps of a stretch.
    pub steps: u64,
    pub stretches: u64,
}

impl Pace {
    pub const fn of(steps: u64) -> Self {
        Self { warm_up: steps, steps, stretches: 48 }
    }

    /// The steps of a turn.
    pub const fn total(self) -> u64 {
        self.warm_up + self.steps * self.stretches
    }

    /// Does the steps, and times the stretches.
    #[inline(always)]
    pub fn run(self, samples: &mut Samples, mut step: impl FnMut() -> Result) -> Result {
        for stretch in 0..=self.stretches {
            samples.start();
            // In one place only, or it would become a call.
            for _ in 0..if stretch == 0 { self.warm_up } else { self.steps } {
                step()?;
            }
            if stretch > 0 {
                samples.lap();
            }
        }
        Ok(())
    }
}

/// Round trips before those that are timed, of so many.
const fn warm_up(trips: u64) -> u64 {
    trips.div_ceil(16)
}

#[inline(always)]
pub fn check(found: u64, expected: u64) -> Result {
    if found == expected { Ok(()) } else { Err(format!("message {expected} came as {found}").into()) }
}

fn sending(mut sender: impl Sender, messages: u64) -> impl FnMut(u32) -> Result {
    let mut number = 0;
    move |_| {
        for _ in 0..messages {
            number += 1;
            sender.put(number)?;
        }
        Ok(())
    }
}

fn receiving(mut receiver: impl Receiver, pace: Pace) -> impl FnMut(&mut Samples) -> Result {
    let mut number = 0;
    move |samples| {
        pace.run(samples, || {
            number += 1;
            check(receiver.get()?, number)
        })
    }
}

fn echoing(mut receiver: impl Receiver, mut sender: impl Sender, trips: u64) -> impl FnMut(u32) -> Result {
    move |_| (0..warm_up(trips) + trips).try_for_each(|_| sender.put(receiver.get()?))
}

fn calling(mut sender: impl Sender, mut receiver: impl Receiver, trips: u64) -> impl FnMut(&mut Samples) -> Result {
    let mut number = 0;
    move |samples| {
        samples.start();
        for _ in 0..warm_up(trips) + trips {
            number += 1;
            sender.put(number)?;
            check(receiver.get()?, number)?;
            samples.lap();
        }
        samples.forget(warm_up(trips));
        Ok(())
    }
}

/// Keeps a line for as long as the parent's ends of it: what it does when it is dropped, no other process does.
pub fn keep<K: 'static>(line: K, mut measure: impl FnMut(&mut Samples) -> Result + 'static) -> Measure {
    Box::new(move |samples| {
        let _kept = &line;
        measure(samples)
    })
}

/// From the child to the parent. `messages` go in one step.
pub fn one_way(name: Name, pace: Pace, messages: u64, line: impl Line) -> Plan {
    let line = Rc::new(line);
    let childs = line.clone();
    Plan::new(
        name,
        Sample::Stretch(pace.steps * messages),
        Box::new(move || {
            let receiver = line.receiver()?;
            Ok(keep(line, receiving(receiver, pace)))
        }),
        Opposite::Child(Box::new(move || Ok(Box::new(sending(childs.sender()?, pace.total()))))),
    )
}

/// From a thread to the parent's own. `messages` go in one step.
pub fn one_way_in_process(name: Name, pace: Pace, messages: u64, pair: &impl Pair) -> Result<Plan> {
    let (sender, receiver) = pair.pair()?;
    Ok(Plan::new(
        name,
        Sample::Stretch(pace.steps * messages),
        Box::new(move || Ok(Box::new(receiving(receiver, pace)))),
        Opposite::Thread(Box::new(sending(sender, pace.total()))),
    ))
}

/// From the parent to the child and back.
pub fn round_trip<L: Line>(name: Name, trips: u64, lines: [L; 2]) -> Plan {
    let lines = Rc::new(lines);
    let childs = lines.clone();
    Plan::new(
        name,
        Sample::One,
        Box::new(move || {
            let [there, back] = &*lines;
            let calling = calling(there.sender()?, back.receiver()?, trips);
            Ok(keep(lines, calling))
        }),
        Opposite::Child(Box::new(move || {
            let [there, back] = &*childs;
            Ok(Box::new(echoing(there.receiver()?, back.sender()?, trips)))
        })),
    )
}

/// From the parent's thread to another and back.
pub fn round_trip_in_process<P: Pair>(name: Name, trips: u64, [there, back]: [P; 2]) -> Result<Plan> {
    let ((there, at_thread), (from_thread, back)) = (there.pair()?, back.pair()?);
    Ok(Plan::new(
        name,
        Sample::One,
        Box::new(move || Ok(Box::new(calling(there, back, trips)))),
        Opposite::Thread(Box::new(echoing(at_thread, from_thread, trips))),
    ))
}

/// Between two messages on a schedule, in nanoseconds: 250,000 a second.
pub const INTERVAL: f64 = 4000.0;

/// From the child to the parent, on a schedule.
pub fn on_schedule(name: Name, messages: u64, line: impl Line) -> Plan {
    let line = Rc::new(line);
    let childs = line.clone();
    let all = warm_up(messages) + messages;
    let measure = move || {
        let (mut receiver, mut last) = (line.receiver()?, 0);
        let measure = move |samples: &mut Samples| {
            for _ in 0..all {
                let due = receiver.get()?;
                samples.since(due);
                if due <= last {
                    return Err(format!("the message due at {due} came after that due at {last}").into());
                }
                last = due;
            }
            samples.forget(warm_up(messages));
            Ok(())
        };
        Ok(keep(line, measure))
    };
    let serve = move || {
        let mut sender = childs.sender()?;
        let clock = clock();
        let interval = INTERVAL / nanoseconds(&clock);
        let serve = move |_| {
            let start = stamp(&clock);
            for index in 1..=all {
                let due = start + (index as f64 * interval) as u64;
                while stamp(&clock) < due {
                    spin_loop();
                }
                sender.put(due)?;
            }
            Ok(())
        };
        Ok(Box::new(serve) as _)
    };
    Plan::new(name, Sample::One, Box::new(measure), Opposite::Child(Box::new(serve)))
}

/// The parent by itself.
pub fn alone<F: FnMut() -> Result + 'static>(
    name: Name,
    pace: Pace,
    start: impl FnOnce() -> Result<F> + 'static,
) -> Plan {
    let measure = move || {
        let mut work = start()?;
        Ok(Box::new(move |samples: &mut Samples| pace.run(samples, &mut work)) as _)
    };
    Plan::new(name, Sample::Stretch(pace.steps), Box::new(measure), Opposite::Nobody)
}
