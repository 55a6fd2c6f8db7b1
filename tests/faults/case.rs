//! An operation, and every way in which one of its system calls can fail.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::wait::WaitStatus;

use crate::calls::ERRNOS;
use crate::common::board::Board;
use crate::common::child::{Child, fork};
use crate::common::ptrace::{mark, trace_me};
use crate::common::say::say;
use crate::inject::{Fault, Run, World, follow};
use crate::known;
use crate::left::Left;

/// A directory for one case alone, and words that its processes share.
pub struct Place {
    dir: tempfile::TempDir,
    pub board: Board,
}

/// The word of the board that says how the operation ended.
const OUTCOME: usize = 0;
/// The word in which a process that lives beside says that it is ready.
pub const READY: usize = 1;
const DONE: u64 = 1;
const FAILED: u64 = 2;

impl Place {
    fn new(on_disk: bool) -> Self {
        let mut dir = tempfile::Builder::new();
        let dir = dir.prefix("ringway-faults-");
        let dir = if on_disk { dir.tempdir() } else { dir.tempdir_in("/dev/shm") };
        Self { dir: dir.unwrap(), board: Board::new() }
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Where the region is, or will be.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("region")
    }

    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

/// What was tried, and what did not hold.
#[derive(Default)]
pub struct Tally {
    pub cases: usize,
    pub hits: usize,
    pub red: Vec<Red>,
    pub known: BTreeSet<usize>,
    /// The names of the operations.
    pub tried: Vec<String>,
}

/// A fault after which not everything was as it should be.
pub struct Red {
    pub operation: String,
    pub call: String,
    pub nth: usize,
    pub errno: Option<Errno>,
    pub lasting: bool,
    pub what: String,
}

impl fmt::Display for Red {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, call, nth, errno, lasting, what } = self;
        let errno = errno.map_or("no fault".into(), |errno| format!("{errno:?}"));
        let lasting = if *lasting { ", and all later ones" } else { "" };
        write!(f, "RED {operation} | {nth}: {call} | {errno}{lasting} | {}", what.trim().replace('\n', " / "))
    }
}

type Stage<'a> = Box<dyn Fn(&Place) -> Option<Child> + 'a>;
type Act<'a, S, R, E> = Box<dyn Fn(&mut S, &Place) -> Result<R, E> + 'a>;
type Done<'a, S, R> = Box<dyn Fn(R, &mut S, &Place) + 'a>;
type Step<'a, S> = Box<dyn Fn(&mut S, &Place) + 'a>;

/// An operation, what comes before it, and what must be true after it. `S` is what it works with, `R` is what it
/// returns.
pub struct Operation<'a, S, R, E> {
    name: &'a str,
    /// Runs in the process of the test: makes a process that lives beside, or lived before.
    stage: Stage<'a>,
    prepare: Box<dyn Fn(&Place) -> S + 'a>,
    run: Act<'a, S, R, E>,
    /// Checks what a success promises. The process itself does so, and then lets go of what it got.
    done: Done<'a, S, R>,
    /// Gives the process back what the operation takes from it in any case.
    restore: Step<'a, S>,
    /// Checks what must be true after a failure.
    failed: Step<'a, S>,
    /// Another process checks this while this one is held where the operation is done.
    beside: Box<dyn Fn(&Place) + 'a>,
    /// Another process checks this when this one has ended.
    afterwards: Box<dyn Fn(&Place) + 'a>,
    /// A success changes files, or keeps what it got.
    changes: bool,
    /// It may wait for ever if the fault lasts.
    waits: bool,
    /// The region lies in the directory for temporary files, which may be on a disk, and not in memory.
    on_disk: bool,
    world: World,
}

impl<'a, S, R, E: Error> Operation<'a, S, R, E> {
    pub fn new(
        name: &'a str,
        prepare: impl Fn(&Place) -> S + 'a,
        run: impl Fn(&mut S, &Place) -> Result<R, E> + 'a,
    ) -> Self {
        Self {
            name,
            stage: Box::new(|_| None),
            prepare: Box::new(prepare),
            run: Box::new(run),
            done: Box::new(|_, _, _| {}),
            restore: Box::new(|_, _| {}),
            failed: Box::new(|_, _| {}),
            beside: Box::new(|_| {}),
            afterwards: Box::new(|_| {}),
            changes: false,
            waits: false,
            on_disk: false,
            world: |_| None,
        }
    }

    pub fn stage(mut self, stage: impl Fn(&Place) -> Option<Child> + 'a) -> Self {
        self.stage = Box::new(stage);
        self
    }

    pub fn done(mut self, done: impl Fn(R, &mut S, &Place) + 'a) -> Self {
        self.done = Box::new(done);
        self
    }

    pub fn restore(mut self, restore: impl Fn(&mut S, &Place) + 'a) -> Self {
        self.restore = Box::new(restore);
        self
    }

    pub fn failed(mut self, failed: impl Fn(&mut S, &Place) + 'a) -> Self {
        self.failed = Box::new(failed);
        self
    }

    pub fn beside(mut self, beside: impl Fn(&Place) + 'a) -> Self {
        self.beside = Box::new(beside);
        self
    }

    pub fn afterwards(mut self, afterwards: impl Fn(&Place) + 'a) -> Self {
        self.afterwards = Box::new(afterwards);
        self
    }

    pub fn changes(mut self) -> Self {
        self.changes = true;
        self
    }

    pub fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    pub fn on_disk(mut self) -> Self {
        self.on_disk = true;
        self
    }

    pub fn world(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// Tries all faults.
    pub fn try_all(self, tally: &mut Tally) {
        if std::env::var("RINGWAY_FAULTS_ONLY").is_ok_and(|only| !self.name.contains(&only)) {
            return;
        }
        tally.tried.push(self.name.to_owned());
        let (started, cases) = (Instant::now(), tally.cases);
        let calls = self.attempt(None, tally).calls;
        for nth in 0..calls.len() {
            for errno in ERRNOS {
                self.attempt(Some(Fault { nth, errno, lasting: false }), tally);
            }
        }
        let mut seen = BTreeSet::new();
        for (nth, call) in calls.iter().enumerate() {
            // A process that is interrupted for ever need not come to an end.
            for errno in [Errno::ENOMEM, Errno::ENOSYS, Errno::EPERM, Errno::EAGAIN] {
                if !self.waits && seen.insert((call.number, errno as i32)) {
                    self.attempt(Some(Fault { nth, errno, lasting: true }), tally);
                }
            }
        }
        let (cases, seconds) = (tally.cases - cases, started.elapsed().as_secs_f64());
        say(&format!("{:40}{:4} system calls {cases:5} cases {seconds:6.2} s", self.name, calls.len()));
        if std::env::var_os("RINGWAY_FAULTS_CALLS").is_some() {
            calls.iter().enumerate().for_each(|(n, call)| say(&format!("    {n}: {call}")));
        }
    }

    fn attempt(&self, fault: Option<Fault>, tally: &mut Tally) -> Run {
        let place = Place::new(self.on_disk);
        let neighbour = (self.stage)(&place);
        let child = fork(self.name, || self.victim(&place, fault));
        let was_done = || place.board[OUTCOME].load(SeqCst) == DONE;
        let mut whose = vec![];
        let mut check = |what: &str, check: &dyn Fn(&Place)| {
            // The check runs in a process of its own, so that its failure ends this case alone.
            let other = fork(what, || check(&place));
            other.wait_for_end();
            if !matches!(other.end(), WaitStatus::Exited(_, 0)) {
                whose.push(format!("{what}: {}", other.log()));
            }
        };
        let run = follow(&child, fault, self.world, || {
            if was_done() {
                check("beside", &*self.beside);
            }
        });
        check("afterwards", &*self.afterwards);
        drop(neighbour);
        let what = match (run.endless, run.ended) {
            (Some(calls), _) => format!("goes on for {calls} system calls"),
            (_, WaitStatus::Exited(_, 0)) if whose.is_empty() => String::new(),
            (_, WaitStatus::Exited(_, 0)) => whose.concat(),
            (_, ended) => {
                let when = if run.over { "" } else { "in the operation: " };
                let how = if matches!(ended, WaitStatus::Exited(..)) { String::new() } else { format!("{ended:?} ") };
                format!("{when}{how}{}{}", child.log(), whose.concat())
            }
        };
        tally.cases += 1;
        tally.hits += usize::from(run.hit.is_some());
        if !what.is_empty() {
            self.note(&run, fault, what, tally);
        }
        run
    }

    fn note(&self, run: &Run, fault: Option<Fault>, what: String, tally: &mut Tally) {
        let known = fault.zip(run.hit.as_ref()).and_then(|(fault, hit)| known::find(self.name, hit, fault));
        if let Some(known) = known {
            tally.known.insert(known);
            return;
        }
        let red = Red {
            operation: self.name.to_owned(),
            call: run.hit.as_ref().map_or_else(String::new, |call| call.to_string()),
            nth: fault.map_or(0, |fault| fault.nth),
            errno: fault.map(|fault| fault.errno),
            lasting: fault.is_some_and(|fault| fault.lasting),
            what,
        };
        say(&red.to_string());
        tally.red.push(red);
    }

    fn victim(&self, place: &Place, fault: Option<Fault>) {
        trace_me().unwrap();
        let mut state = (self.prepare)(place);
        let before = Left::now(place);
        mark();
        let result = (self.run)(&mut state, place);
        place.board[OUTCOME].store(if result.is_ok() { DONE } else { FAILED }, SeqCst);
        mark();
        match result {
            Ok(got) => {
                (self.done)(got, &mut state, place);
                (self.restore)(&mut state, place);
                if !self.changes {
                    Left::now(place).assert_is(&before);
                }
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.is_empty() && !format!("{error:?}").is_empty(), "an error without a text");
                let untrue = ["was copied", "another boot", "whose boot", "no such file; create"];
                assert!(!untrue.iter().any(|lie| text.contains(lie)), "an error that is not true: {text}");
                drop(error);
                (self.restore)(&mut state, place);
                Left::now(place).assert_is(&before);
                match fault {
                    None => panic!("it failed: {text}"),
                    Some(Fault { errno: Errno::EINTR, .. }) => panic!("interrupted once, it failed: {text}"),
                    Some(_) => (self.failed)(&mut state, place),
                }
            }
        }
    }
}
