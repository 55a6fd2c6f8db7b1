//! A case is an operation and what must be true of it. It is tried at many points of the operation.

use std::fmt;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};

use crate::common::messages::mix;
use crate::common::say::say;
use crate::common::victim::{Stopped, Victim};
use crate::heap;
use crate::trace::{Arrival, Trace};

/// At so many instructions of one case a victim is killed, and at so many one is stopped, unless all are asked for.
const FEW: usize = 30;
/// If all points are asked for, a victim is stopped at every n-th of them.
const STOP_EVERY: usize = if cfg!(debug_assertions) { 16 } else { 1 };

/// Unless every instruction is asked for, one of so many is tried of those that lie deep in a loop.
const FAR_APART: usize = 32;

/// How many victims are stepped to a point until one takes the way of the first. The answers of the kernel differ.
const STEPPED: usize = 20;

/// `RINGWAY_ALL_POINTS=n` asks for every n-th instruction.
pub fn all_points() -> Option<usize> {
    let every = std::env::var("RINGWAY_ALL_POINTS").ok()?;
    Some(every.parse().ok().filter(|n| *n > 0).expect("RINGWAY_ALL_POINTS is 1 for every instruction, or n"))
}

/// Decides which points are tried if not all are: `RINGWAY_DEATHS_SEED`, or 0.
fn seed() -> u64 {
    std::env::var("RINGWAY_DEATHS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// How many points were tried, and how many victims reached exactly the instruction they were meant for.
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

/// An operation in which a victim is killed or stopped, and what must be true after that. `S` is the scene of it.
pub struct Case<'a, S> {
    /// The kind of channel, the operation, and the state it begins in.
    pub name: [&'a str; 3],
    pub set_up: &'a dyn Fn() -> S,
    /// Prepares, calls [`mark`](crate::common::ptrace::mark), runs the operation, calls it again, and leaves.
    pub victim: &'a dyn Fn(&S),
    /// Judges what a killed victim left behind, and returns how far the operation had come. The number of the point may
    /// decide how the survivors go about it.
    pub killed: &'a dyn Fn(S, usize) -> u64,
    /// What [`Case::killed`] returns at the last point.
    pub done: u64,
    /// Checks that nothing is taken from a stopped victim, and lets it go on.
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
        // All victims are launched from this one frame, so their stacks are alike.
        let mut before = 0;
        for (number, k) in self.every(kill_every, &trace).into_iter().enumerate() {
            let (scene, victim) = self.launch();
            let arrival = Self::kill_at(k, victim, &trace);
            tally.count(arrival);
            let progress = self.judged(k, &trace, || (self.killed)(scene, number));
            assert!(number > 0 || progress == 0, "{:?}: done before it began", self.name);
            if arrival == Arrival::Exact && progress != before {
                // The victim ran at full speed, and may have come to this instruction in another round of a loop. So
                // one is stepped there.
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
                // No victim could show that the operation had come further. A later point will.
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

    /// The first and the last point, and every n-th in between. The offset differs from case to case.
    fn every(&self, stride: usize, trace: &Trace) -> Vec<usize> {
        let seed =
            self.name.iter().flat_map(|part| part.bytes()).fold(seed(), |seed, byte| mix(seed ^ u64::from(byte)));
        let last = trace.points() - 1;
        let between = (1 + seed as usize % stride..last).step_by(stride);
        // The rounds of a long loop are alike. Only who asks for every instruction waits for all of them.
        let rounds = if stride == 1 { 1 } else { FAR_APART };
        let near = |(nth, k): &(usize, usize)| nth % rounds == 0 || !trace.is_far(*k);
        let between = between.enumerate().filter(near).map(|(_, k)| k);
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
