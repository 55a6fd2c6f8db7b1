//! `ptrace(2)` counts how many instructions an operation takes at most, whatever a word holds.
//!
//! A call that waits takes as many as it likes, so calls that may wait for ever are left out. So are copies of a whole
//! region.

use std::sync::atomic::Ordering::Relaxed;

use crate::common::alone::alone;
use crate::common::processor::be_on_one_processor;
use crate::common::ptrace::{mark, tracing_allowed};
use crate::common::say::skip;
use crate::common::victim::Victim;
use crate::numbers::number;
use crate::record_scene::Records;
use crate::scenes::{Acts, Operation, Scene};
use crate::slot_scene::Slots;
use crate::trial::Trial;
use crate::value_scene::Values;

/// How many instructions a call may take that looks at each word of the data area once, in a build without
/// optimisation. A claim takes the most besides, because it reads `/proc`.
const BASE: usize = 60_000;
const EACH_WORD: usize = 400;
/// Claims take very many steps, so this many times fewer of them are counted.
const CLAIMS: usize = 10;

/// The byte of a word, a number, and an operation.
type Case = (usize, u64, usize);

/// Takes one victim through the cases, as far as it comes. Returns how many cases those are, and the most steps of one.
fn follow<S: Scene>(trial: &Trial<S>, cases: &[Case], most: usize) -> (usize, usize) {
    let mut victim = Victim::new("victim", || {
        for (byte, number, operation) in cases {
            let mut ends = trial.ends();
            trial.raw.word(*byte).store(*number, Relaxed);
            mark();
            let said = (trial.operations[*operation].run)(&trial.scene, &mut ends);
            mark();
            drop((said, ends));
        }
    });
    let mut longest = 0;
    for done in 0..cases.len() {
        let mut steps = 0;
        while !victim.is_over() && steps <= most {
            victim.step();
            steps += 1;
        }
        longest = longest.max(steps);
        if steps > most {
            victim.kill();
            return (done + 1, longest);
        }
        if done + 1 < cases.len() {
            let mark = victim.place().0;
            assert!(victim.run_to(mark, 1), "the next operation begins");
            victim.step();
        }
    }
    victim.kill();
    (cases.len(), longest)
}

/// Counts the steps of every `stride`-th case, or of as many as were asked for.
fn count<S: Scene>(name: &str, stride: usize) {
    if let Err(errno) = tracing_allowed() {
        return skip(&format!("counting the steps of {name}, for want of ptrace: {errno}"));
    }
    be_on_one_processor(|processors| processors - 1);
    let stride = number("RINGWAY_HOSTILE_STRIDE").map_or(stride, |given| stride.min(25 * given as usize));
    let trial = Trial::<S>::new();
    let raw = &trial.raw;
    let places = trial.hot_bytes();
    let all = |claims: bool| {
        let counted = |operation: &Operation<S>| {
            let claim = matches!(operation.acts, Acts::SeatsSender | Acts::SeatsReceiver);
            !operation.blocks && operation.acts != Acts::Copies && claim == claims
        };
        let (operations, trial) = (trial.operations.iter().enumerate(), &trial);
        let operations: Vec<usize> = operations.filter(|(_, is)| counted(is)).map(|(index, _)| index).collect();
        let numbers = places.iter().flat_map(|byte| trial.numbers.iter().map(move |number| (*byte, *number)));
        numbers.flat_map(move |(byte, number)| operations.clone().into_iter().map(move |is| (byte, number, is)))
    };
    let cases: Vec<Case> = all(false).step_by(stride).chain(all(true).step_by(CLAIMS * stride)).collect();
    let most = BASE + EACH_WORD * raw.data_words();
    let (mut done, mut longest, mut failures) = (0, 0, Vec::new());
    while done < cases.len() {
        let (more, steps) = follow(&trial, &cases[done..], most);
        done += more;
        longest = longest.max(steps);
        if steps > most {
            let (byte, number, operation) = cases[done - 1];
            failures.push(format!("{} with {number:#x} at byte {byte}", trial.operations[operation].name));
        }
    }
    println!("{name}: at most {longest} steps in each of {done} cases");
    assert!(failures.is_empty(), "these take more than {most} steps:\n{}", failures.join("\n"));
}

#[test]
fn of_a_slot_ring() {
    alone(|| {
        count::<Slots<8>>("slots of 8 bytes", 7919);
        count::<Slots<200>>("slots of 200 bytes", 19_997);
    });
}

#[test]
fn of_a_record_ring() {
    alone(|| count::<Records>("records", 7919));
}

#[test]
fn of_a_seqlock() {
    alone(|| count::<Values>("values", 997));
}
