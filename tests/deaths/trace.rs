//! The instructions of an operation, and the cheapest way to each.
//!
//! One victim is stepped through the whole operation, which shows where each instruction lies. Every later victim runs
//! at full speed to a breakpoint at its own instruction or shortly before.

use std::collections::{HashMap, VecDeque};

use crate::common::victim::Victim;

/// The instructions of one operation, as one victim made them.
pub struct Trace {
    /// The instruction and stack pointers before each of them.
    places: Vec<(u64, u64)>,
    /// How a victim comes to each of them.
    ways: Vec<Way>,
    /// The operation ended in a sleep. The sleep is one more point.
    sleeps: bool,
}

/// The last part of the way to an instruction, from an earlier one: to the n-th pass of a breakpoint there, or one step
/// if n is 0.
#[derive(Clone, Copy)]
struct Way {
    from: usize,
    passes: usize,
    /// About how many steps all of the way is worth.
    cost: usize,
}

impl Trace {
    pub fn of(mut victim: Victim) -> Self {
        let mut places = vec![];
        let sleeps = loop {
            if victim.is_over() {
                break false;
            }
            places.push(victim.place());
            assert!(places.len() < 1_000_000, "it is never over");
            if victim.falls_asleep() {
                break true;
            }
            victim.step();
        };
        victim.kill();
        Self { ways: Self::ways(&places), places, sleeps }
    }

    /// Finds the cheapest ways: by breakpoints from the start or from a place that is cheap to reach, then by steps.
    fn ways(places: &[(u64, u64)]) -> Vec<Way> {
        const PASS: usize = 3;
        const CHEAP: usize = 2 * PASS;
        let mut seen = HashMap::<u64, Vec<usize>>::new();
        let mut ways = vec![Way { from: 0, passes: 0, cost: 0 }];
        let mut cheap = VecDeque::from([0]);
        for (k, (place, _)) in places.iter().enumerate().skip(1) {
            let here = seen.entry(*place).or_default();
            here.push(k);
            let passes = |from: usize| here.len() - here.partition_point(|at| *at <= from);
            let by_breakpoint = |from: usize| {
                let passes = passes(from);
                Way { from, passes, cost: ways[from].cost + PASS * passes }
            };
            let by_step = Way { from: k - 1, passes: 0, cost: ways[k - 1].cost + 1 };
            let way = cheap.iter().map(|from| by_breakpoint(*from)).chain([by_step]).min_by_key(|way| way.cost);
            let way = way.unwrap();
            if way.cost <= CHEAP {
                cheap.push_back(k);
            }
            if cheap.len() > 16 {
                cheap.pop_front();
            }
            ways.push(way);
        }
        ways
    }

    pub fn instructions(&self) -> usize {
        self.places.len()
    }

    pub fn points(&self) -> usize {
        self.places.len() + usize::from(self.sleeps)
    }

    /// Whether the k-th point lies so deep in a loop that a victim takes long to get there.
    pub fn is_far(&self, k: usize) -> bool {
        const FAR: usize = 300;
        self.ways.get(k).is_some_and(|way| way.cost > FAR)
    }

    /// Whether the k-th point is the sleep.
    pub fn is_sleep(&self, k: usize) -> bool {
        k == self.places.len()
    }

    /// Runs the victim to the k-th point, or to the instruction with which it falls asleep.
    pub fn lead(&self, victim: &mut Victim, k: usize) -> Arrival {
        let k = k.min(self.places.len() - 1);
        let mut legs: Vec<usize> =
            std::iter::successors(Some(k), |k| Some(self.ways[*k].from)).take_while(|k| *k > 0).collect();
        while let Some(k) = legs.pop() {
            let ((place, _), passes) = (self.places[k], self.ways[k].passes);
            if victim.is_over() || !victim.run_to(place, passes) {
                return Arrival::Over;
            }
            if passes == 0 {
                victim.step();
            }
        }
        if victim.place() == self.places[k] { Arrival::Exact } else { Arrival::Elsewhere }
    }

    /// Steps the victim to the k-th point, or to where its way differs from that of the first victim.
    pub fn step_to(&self, victim: &mut Victim, k: usize) -> bool {
        let k = k.min(self.places.len() - 1);
        for place in &self.places[..k] {
            if victim.place() != *place {
                return false;
            }
            victim.step();
        }
        victim.place() == self.places[k]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    Exact,
    /// The run of this victim was not quite that of the first.
    Elsewhere,
    Over,
}
