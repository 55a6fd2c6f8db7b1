//! A case, an operation and what must be true of it, and the points of it at which that is tried.

use std::fmt;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};

use crate::common::messages::mix;
use crate::common::say::say;
use crate::common::victim::{Stopped, Victim};
use crate::heap;
use crate::trace::{Arrival, Trace};

/// Instructions of one case at which a victim is killed, and at which one is stopped, unless all are asked for.
const FEW: usize = 60;
/// Where all points are asked for: every n-th instruction at which one is stopped.
const STOP_EVERY: usize = if cfg!(debug_assertions) { 16 } else { 1 };

/// How many victims are stepped to a point at most, until one goes the way of the first: the kernel's answers differ.
const STEPPED: usize = 20;

/// Whether many instructions are asked for: every one, or every n-th, by `RINGWAY_ALL_POINTS=n`.
pub fn all_points() -> Option<usize> {
    let every = std::env::var("RINGWAY_ALL_POINTS").ok()?;
    Some(every.parse().ok().filter(|n| *n > 0).expect("RINGWAY_ALL_POINTS is 1 for every instruction, or n"))
}

/// Decides which points are tried where not all are: `RINGWAY_DEATHS_SEED`, or 0.
fn seed() -> u64 {
    std::env::var("RINGWAY_DEATHS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// How many points were tried, and how many victims came to the very instruction they were meant to.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    points: usize,
    exact: usize,
    over: usize,
}

impl Tally {
    fn count(&mut self, arrival: Arrival) {
        self.points += 1;
        self.exact += usize::from(arrival == Arrival::Exact);
        self.over += usize::from(arrival == Arrival::Over);
    }

    fn add(&mut self, other: Tally) {
        self.points += other.points;
        self.exact += other.exact;
        self.over += other.over;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6} points, {:6} exact, {} over", self.points, self.exact, self.over)
    }
}

/// An operation in which a victim is killed or stopped, and what must be true then. `S` is what it happens in.
pub struct Case<'a, S> {
    /// What it is done to, the operation, and the state it is done in.
    pub name: [&'a str; 3],
    pub set_up: &'a dyn Fn() -> S,
    /// Prepares, calls [`mark`](crate::common::victim::mark), operates, calls it again, and leaves.
    pub victim: &'a dyn Fn(&S),
    /// Judges what a victim that was killed left behind, and says how far it had come. How the survivors go
    /// about it may depend on the number of the point.
    pub killed: &'a dyn Fn(S, usize) -> u64,
    /// What [`Case::killed`] says at last.
    pub done: u64,
    /// Sees that nothing is taken from a stopped victim, and lets it go on.
    pub stopped: Option<&'a dyn Fn(S, Stopped)>,
}

impl<S> Case<'_, S> {
    pub fn run(&self, total: &mut Tally) {
        let started = Instant::now();
        let trace = Trace::of(self.launch().1);
        let (kill_every, stop_every) = match (all_points(), trace.points()) {
            (Some(every), _) => (every, every * STOP_EVERY),
            (None, points) => (points.div_ceil(FEW), points.div_ceil(FEW)),
        };
        let mut tally = Tally::default();
        // All are launched from this one frame, so that their stacks are alike.
        let mut before = 0;
        for (number, k) in self.every(kill_every, &trace).into_iter().enumerate() {
            let (scene, victim) = self.launch();
            let arrival = Self::kill_at(k, victim, &trace);
            tally.count(arrival);
            let progress = self.judged(k, &trace, || (self.killed)(scene, number));
            assert!(number > 0 || progress == 0, "{:?}: done before it began", self.name);
            if arrival == Arrival::Exact && progress != before {
                // It ran, and may have come to this instruction in another round of a loop: one is to come by steps.
                let mut stepped = None;
                for _ in 0..STEPPED {
                    let (scene, mut victim) = self.launch();
                    let same = trace.step_to(&mut victim, k);
                    victim.kill();
                    let progress = self.judged(k, &trace, || (self.killed)(scene, number));
                    if same {
                        stepped = Some(progress);
                        break;
                    }
                }
                // Nobody could show that it went further: a later point will.
                let shown = stepped.unwrap_or(progress.min(before));
                assert!(shown >= before, "{:?}, point {k}: undone", self.name);
                before = shown;
            }
        }
        assert_eq!(before, self.done, "{:?} never came to its end", self.name);
        if let Some(stopped) = self.stopped {
            for k in self.every(stop_every, &trace) {
                let (scene, victim) = self.launch();
                let (victim, arrival) = Self::stop_at(k, victim, &trace);
                tally.count(arrival);
                self.judged(k, &trace, || stopped(scene, victim));
            }
        }
        assert!(tally.exact * 5 >= tally.points * 4, "{:?}: too few victims came to their points: {tally}", self.name);
        let ([kind, operation, state], instructions) = (self.name, trace.instructions());
        let seconds = started.elapsed().as_secs_f64();
        say(&format!(
            "{kind:8}{operation:18}{state:8}{instructions:7} instructions, every {kill_every:3} killed, every \
             {stop_every:3} stopped: {tally}, {seconds:6.2} s"
        ));
        total.add(tally);
    }

    #[inline(never)]
    fn launch(&self) -> (S, Victim) {
        let scene = (self.set_up)();
        let victim = Victim::new(&self.name.join(", "), || {
            heap::of_a_victim();
            (self.victim)(&scene);
        });
        (scene, victim)
    }

    /// The first and the last point, and every n-th in between; from where on differs from case to case.
    fn every(&self, stride: usize, trace: &Trace) -> Vec<usize> {
        let seed =
            self.name.iter().flat_map(|part| part.bytes()).fold(seed(), |seed, byte| mix(seed ^ u64::from(byte)));
        let last = trace.points() - 1;
        let between = (1 + seed as usize % stride..last).step_by(stride);
        std::iter::once(0).chain(between).chain([last]).collect()
    }

    fn kill_at(k: usize, mut victim: Victim, trace: &Trace) -> Arrival {
        let arrival = trace.lead(&mut victim, k);
        if trace.is_sleep(k) {
            let child = victim.release(None);
            child.wait_until_asleep();
            child.kill();
        } else {
            victim.kill();
        }
        arrival
    }

    fn stop_at(k: usize, mut victim: Victim, trace: &Trace) -> (Stopped, Arrival) {
        let arrival = trace.lead(&mut victim, k);
        let child = if trace.is_sleep(k) {
            let child = victim.release(None);
            child.wait_until_asleep();
            kill(child.pid, Signal::SIGSTOP).unwrap();
            child
        } else {
            victim.release(Some(Signal::SIGSTOP))
        };
        (Stopped::new(child), arrival)
    }

    /// Says at which point a judgement failed.
    fn judged<R>(&self, k: usize, trace: &Trace, judge: impl FnOnce() -> R) -> R {
        struct Say(String);
        impl Drop for Say {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    say(&self.0);
                }
            }
        }
        let _say = Say(format!("FAILED {:?} at point {k} (last: {})", self.name, trace.points() - 1));
        judge()
    }
}
