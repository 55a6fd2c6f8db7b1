//! The processes of a storm, and what kills them.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::common::child::{Child, deadline, fork};
use crate::common::messages::mix;
use crate::ledger::{ATTEMPTED, COMMITTED, Storm, Word};
use crate::ring_sides::SENDER;

/// The processes of a storm, known by their place. The sender is the first. Each runs `act`, which is given the place,
/// the round, and random numbers.
pub struct Cast<'a> {
    pub storm: &'a Storm,
    pub act: &'a dyn Fn(usize, u64, &mut Rng),
    pub seed: u64,
    alive: Vec<Option<Child>>,
    /// The rounds in which they were forked.
    born: Vec<u64>,
    pub killed: Vec<Child>,
}

impl<'a> Cast<'a> {
    pub fn new(storm: &'a Storm, size: usize, seed: u64, act: &'a dyn Fn(usize, u64, &mut Rng)) -> Self {
        let alive = (0..size).map(|_| None).collect();
        Self { storm, act, seed, alive, born: vec![0; size], killed: Vec::new() }
    }

    /// Forks the members that are missing.
    fn complete(&mut self, round: u64) {
        for member in 0..self.alive.len() {
            if self.alive[member].is_some() {
                continue;
            }
            let seed = mix(self.seed ^ round << 8 ^ member as u64);
            let act = || {
                let _first = Culprit(self.storm, member);
                (self.act)(member, round, &mut Rng::with_seed(seed));
            };
            self.alive[member] = Some(fork(&format!("member {member} of round {round}"), act));
            self.born[member] = round;
        }
    }

    /// Waits until all members are under way, and one has received something new.
    fn meet(&mut self) {
        let (storm, born) = (self.storm, self.born.clone());
        let under_way = |(member, born): (usize, &u64)| storm.word(Word::UnderWay, member).load(SeqCst) == *born;
        self.wait_until(|_| born.iter().enumerate().all(under_way));
        let before = storm.get(Word::Messages);
        self.wait_until(|_| storm.get(Word::Messages) > before);
        // Until here, dead predecessors may have had the seats.
        self.reap();
    }

    fn wait_until(&mut self, there: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + deadline();
        while !there(self) {
            std::thread::sleep(Duration::from_micros(30));
            if let Some(culprit) = self.storm.get(Word::Culprit).checked_sub(1) {
                self.alive[culprit as usize].iter().for_each(Child::succeed);
                self.reap();
                panic!("a member of the cast failed, and was killed before it could say how");
            }
            assert!(Instant::now() < limit, "nobody gets any further");
        }
    }

    fn kill(&mut self, member: usize, round: u64) {
        let child = self.alive[member].take().unwrap();
        self.storm.set(Word::Killed, member, round);
        kill(child.pid, Signal::SIGKILL).unwrap();
        self.killed.push(child);
    }

    fn reap(&mut self) {
        self.killed.drain(..).for_each(reap_killed);
    }

    /// Waits until a member ends by itself.
    fn leave(&mut self, member: usize) {
        self.wait_until(|cast| cast.alive[member].as_ref().is_some_and(|child| !child.running()));
        self.alive[member].take().unwrap().succeed();
    }
}

/// Names the first process to fail. It causes what others see after that.
struct Culprit<'a>(&'a Storm, usize);

impl Drop for Culprit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.word(Word::Culprit, 0).compare_exchange(0, self.1 as u64 + 1, SeqCst, SeqCst);
        }
    }
}

/// Reaps a child that a signal killed. Any other child says what went wrong.
pub fn reap_killed(child: Child) {
    match waitid(Id::Pid(child.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap() {
        WaitStatus::Signaled(_, Signal::SIGKILL, _) => drop(child.end()),
        ended => {
            child.succeed();
            panic!("{ended:?}");
        }
    }
}

/// Kills `quota` processes at random moments. Others always follow them. In the end all leave.
pub fn rage(cast: &mut Cast<'_>, quota: u64, progress: &mut dyn FnMut(u64)) {
    let storm = cast.storm;
    let mut rng = Rng::with_seed(cast.seed);
    let (mut kills, mut round) = (0, 0);
    while kills < quota {
        round += 1;
        cast.complete(round);
        // Now and then they die while they are still taking their seats.
        if rng.u8(..16) > 0 {
            cast.meet();
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..3000)));
        if rng.u8(..8) == 0 {
            storm.set(Word::Stop, 0, round);
            cast.leave(SENDER);
            continue;
        }
        let mut victims: Vec<usize> = (0..cast.alive.len()).filter(|_| rng.bool()).collect();
        rng.shuffle(&mut victims);
        victims.iter().for_each(|victim| cast.kill(*victim, round));
        kills += victims.len() as u64;
        progress(kills);
        if rng.bool() {
            cast.reap();
        }
    }
    cast.complete(round + 1);
    cast.meet();
    storm.set(Word::Finish, 0, 1);
    storm.set(Word::Stop, 0, round + 1);
    (0..cast.alive.len()).for_each(|member| cast.leave(member));
    let undecided = |sender: &u64| storm.senders.get(*sender, ATTEMPTED) > storm.senders.get(*sender, COMMITTED);
    storm.count(Word::Undecided, (1..=storm.get(Word::Newest)).filter(undecided).count() as u64);
}
