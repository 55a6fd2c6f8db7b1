//! Who is alive, who is dead, and what follows: no false alarms, eviction, succession, and clean-up.
#![cfg(not(loom))]

mod common;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::mem::forget;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, c_int};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, alarm, pause};
use ringway::{
    ClaimError, EvictError, OpenError, Reason, RecvError, RecvTimeoutError, Region, Seat, SendError, TryRecvError,
    TrySendError, WriteError, in_use, remove_unused, seqlock, spsc,
};

use crate::common::alone::{alone, with_locks};
use crate::common::child::{Child, end, fork};
use crate::common::footprint::Footprint;
use crate::common::namespaces::{born, cloned};
use crate::common::proc::mapped_by;
use crate::common::raw::Raw;
use crate::common::say::skip;
use crate::common::users::root;

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;

/// How often each thing is tried.
const ROUNDS: usize = 200;
/// Longer than anything here takes; a call that waits so long hangs.
const LONG: Duration = Duration::from_secs(30);
const BACKINGS: [&str; 3] = ["file", "memfd", "anonymous"];

fn make(backing: &str, dir: &Path) -> Spsc {
    let options = Spsc::options().capacity(4);
    match backing {
        "anonymous" => options.anonymous(),
        "memfd" => options.memfd(),
        _ => options.create(dir.join("region")),
    }
    .unwrap()
}

/// Whether processes with these namespaces of their own may be made here.
fn may_clone(flags: c_int) -> bool {
    let allowed = flags == 0 || root();
    if !allowed {
        skip("namespaces: only root may make them");
    }
    allowed
}

fn rest() -> ! {
    loop {
        pause();
    }
}

/// Takes the sender's seat, and says so.
fn sit(channel: &Spsc) -> spsc::Sender<u64> {
    let mut tx = channel.sender().unwrap();
    tx.send(&tx.generation()).unwrap();
    tx
}

/// A process in the sender's seat.
fn holder(flags: c_int, channel: &Spsc) -> (u32, Child) {
    born(flags, || {
        let _tx = sit(channel);
        rest()
    })
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid as i32)
}

/// Stops a child, and returns when it has stopped.
fn stop(pid: u32) {
    kill(pid_of(pid), Signal::SIGSTOP).unwrap();
    let stopped = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid_of(pid)), stopped).unwrap();
}

/// Kills a child, and leaves it as a zombie.
fn kill_unreaped(pid: u32) {
    kill(pid_of(pid), Signal::SIGKILL).unwrap();
    waitid(Id::Pid(pid_of(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
}

fn has_ended(child: u32) -> bool {
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    waitid(Id::Pid(pid_of(child)), options).unwrap() != WaitStatus::StillAlive
}

/// Leaves the processors to those it waits for.
fn until(mut done: impl FnMut() -> bool) {
    for looks in 0.. {
        match looks {
            _ if done() => return,
            ..16 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// Memory that all processes share, for words between the tests' own processes.
fn board() -> Raw {
    Raw::new(Spsc::options().capacity(64).memfd().unwrap().region().fd().unwrap())
}

fn say(word: &AtomicU64, value: usize) {
    word.store(value as u64, Release);
}

fn hear(word: &AtomicU64, value: usize) {
    until(|| word.load(Acquire) == value as u64);
}

/// A channel and its receiver, who is to be told the truth about the one in the sender's seat.
struct Lane {
    channel: Spsc,
    rx: spsc::Receiver<u64>,
    holder: u32,
    /// How often the sender's seat was taken.
    generation: u64,
    /// This process lacks what a claim needs: it may fail, with an error that says so.
    lame: bool,
}

impl Lane {
    fn new(channel: Spsc) -> Self {
        let rx = channel.receiver().unwrap();
        Self { channel, rx, holder: 0, generation: 0, lame: false }
    }

    fn all(dir: &Path) -> [Self; 3] {
        BACKINGS.map(|backing| Self::new(make(backing, dir)))
    }

    fn next(&mut self) -> u64 {
        loop {
            match self.rx.recv_timeout(LONG) {
                Ok(value) => return value,
                // The one before.
                Err(RecvTimeoutError::Refused(RecvError::Closed)) => thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// Waits for a new holder, which calls itself `holder`.
    fn meet(&mut self, holder: u32) {
        self.holder = holder;
        self.generation = self.next();
    }

    fn alive(&mut self) {
        match self.channel.sender() {
            Err(ClaimError::Taken { seat: Seat::Sender, pid, generation }) => {
                assert_eq!((pid, generation), (self.holder, self.generation));
            }
            Err(ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) if self.lame => {}
            other => panic!("the holder lives: {:?}", other.map(|tx| tx.generation())),
        }
        assert!(self.rx.has_sender());
        assert!(!self.rx.is_closed());
        assert_eq!(self.rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    }

    fn told(&mut self) {
        let died = RecvTimeoutError::Refused(RecvError::PeerDied { generation: self.generation });
        assert_eq!(self.rx.recv_timeout(LONG), Err(died));
        assert_eq!(self.rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout), "told once");
    }

    /// Waits until the memory of a dead holder is gone, where its lock is all that can be asked: others may look into it.
    fn let_go(&self, by_lock: bool) {
        until(|| !by_lock || !self.rx.has_sender());
    }

    fn dead(&mut self) {
        assert!(!self.rx.has_sender());
        assert!(self.rx.is_closed());
        self.told();
        match self.channel.sender() {
            Ok(tx) => self.generation += assert_next(self.generation, tx.generation()),
            Err(ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) if self.lame => return,
            Err(error) => panic!("the holder is dead: {error:?}"),
        }
        assert_eq!(self.rx.recv(), Err(RecvError::Closed));
    }
}

fn assert_next(before: u64, now: u64) -> u64 {
    assert_eq!(now, before + 1);
    1
}

fn nothing() {}

fn close_all() {
    // SAFETY: takes no memory; who owned the descriptors must do without them, which is the point.
    assert_eq!(unsafe { libc::close_range(3, u32::MAX, 0) }, 0);
}

fn exhaust_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, most).unwrap();
    while let Ok(file) = File::open("/dev/null") {
        forget(file);
    }
}

/// Only in a process with a mount namespace of its own.
fn unmount_proc() {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    umount2("/proc", MntFlags::MNT_DETACH).unwrap();
    assert!(!Path::new("/proc/self").exists());
}

/// Something out of the ordinary about a process.
struct Oddity {
    flags: c_int,
    before: fn(),
    after: fn(),
    lame: bool,
}

impl Oddity {
    /// Whether the lock may be all that one of these can ask after, or be asked after by.
    fn by_lock(&self) -> bool {
        self.flags & libc::CLONE_NEWPID != 0 || self.lame
    }
}

const ORDINARY: Oddity = Oddity { flags: 0, before: nothing, after: nothing, lame: false };
const ELSEWHERE: Oddity = Oddity { flags: libc::CLONE_NEWPID, ..ORDINARY };
const CLOSED: Oddity = Oddity { after: close_all, ..ORDINARY };
const CLOSED_BEFORE: Oddity = Oddity { before: close_all, ..ORDINARY };
const EXHAUSTED: Oddity = Oddity { after: exhaust_descriptors, lame: true, ..ORDINARY };
const PROCLESS: Oddity = Oddity { flags: libc::CLONE_NEWNS, after: unmount_proc, lame: true, ..ORDINARY };

/// Observes holders of the kind: each takes the seat, something happens to it, it goes on, and is killed.
fn observe(kind: &Oddity) {
    if !may_clone(kind.flags) {
        return;
    }
    let dir = with_locks();
    let mut lanes = Lane::all(dir.path());
    for round in 0..ROUNDS {
        let lane = &mut lanes[round % 3];
        let (pid, child) = born(kind.flags, || {
            (kind.before)();
            let mut tx = sit(&lane.channel);
            (kind.after)();
            tx.send(&0).unwrap();
            rest()
        });
        lane.meet(if kind.flags & libc::CLONE_NEWPID == 0 { pid } else { 1 });
        assert_eq!(lane.next(), 0);
        lane.alive();
        // Half of them are still zombies when they are asked after.
        if round % 2 == 0 {
            kill_unreaped(pid);
            lane.let_go(kind.by_lock());
            lane.dead();
            child.killed_by(Signal::SIGKILL);
        } else {
            child.kill();
            lane.let_go(kind.by_lock());
            lane.dead();
        }
    }
}

/// Lets an observer of the kind see ordinary holders live and die.
fn be_observed(kind: &Oddity) {
    if !may_clone(kind.flags) {
        return;
    }
    let dir = with_locks();
    for backing in BACKINGS {
        let (channel, board) = (make(backing, dir.path()), board());
        let (turn, sitter) = (board.data(0), board.data(1));
        let (_, observer) = born(kind.flags, || {
            let mut lane = Lane::new(channel.clone());
            (kind.after)();
            lane.lame = kind.lame;
            for round in 0..ROUNDS {
                hear(turn, 4 * round + 1);
                lane.meet(sitter.load(Acquire) as u32);
                lane.alive();
                say(turn, 4 * round + 2);
                hear(turn, 4 * round + 3);
                lane.let_go(kind.by_lock());
                lane.dead();
                say(turn, 4 * round + 4);
            }
        });
        for round in 0..ROUNDS {
            hear(turn, 4 * round);
            let (pid, child) = holder(0, &channel);
            say(sitter, pid as usize);
            say(turn, 4 * round + 1);
            hear(turn, 4 * round + 2);
            kill_unreaped(pid);
            say(turn, 4 * round + 3);
            hear(turn, 4 * round + 4);
            child.killed_by(Signal::SIGKILL);
        }
        observer.succeed();
    }
}

macro_rules! tests {
    ($($name:ident: $($body:expr),*;)*) => { $(
        #[test]
        fn $name() {
            alone(|| { $($body;)* });
        }
    )* };
}

tests! {
    a_holder_is_judged_rightly: observe(&ORDINARY);
    a_holder_in_another_pid_namespace_is_judged_rightly: observe(&ELSEWHERE);
    a_holder_that_closed_every_descriptor_is_judged_rightly: observe(&CLOSED), observe(&CLOSED_BEFORE);
    a_holder_without_a_descriptor_left_is_judged_rightly: observe(&EXHAUSTED);
    a_holder_without_proc_is_judged_rightly: observe(&PROCLESS);
    an_observer_in_another_pid_namespace_judges_rightly: be_observed(&ELSEWHERE);
    an_observer_that_closed_every_descriptor_judges_rightly: be_observed(&CLOSED);
    an_observer_without_a_descriptor_left_judges_rightly: be_observed(&EXHAUSTED);
    an_observer_without_proc_judges_rightly: be_observed(&PROCLESS);
}

/// A child with this id; `None` where ids cannot be asked for.
fn born_as(pid: u32) -> Option<Child> {
    fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).ok()?;
    let (found, child) = born(0, || rest());
    assert_eq!(found, pid, "nobody else takes ids in this namespace");
    Some(child)
}

#[test]
fn a_process_with_the_id_of_a_dead_holder_is_not_the_holder() {
    alone(|| {
        if !may_clone(libc::CLONE_NEWPID) {
            return;
        }
        // In a namespace of its own, so that nobody else takes the id.
        let (_, init) = born(libc::CLONE_NEWPID, || {
            let dir = with_locks();
            let mut lanes = Lane::all(dir.path());
            for round in 0..ROUNDS {
                let lane = &mut lanes[round % 3];
                let (pid, holder) = born(0, || {
                    // Half of them have no lock that would tell.
                    if round % 2 == 0 {
                        close_all();
                    }
                    forget(sit(&lane.channel));
                });
                lane.meet(pid);
                holder.succeed();
                let Some(_impostor) = born_as(pid) else {
                    return skip("reuse of process ids: ns_last_pid cannot be written");
                };
                lane.dead();
            }
        });
        init.succeed();
    });
}

#[test]
fn a_holder_that_became_another_program_has_lost_its_seat() {
    alone(|| {
        if !Path::new("/bin/sleep").exists() {
            return skip("exec: there is no /bin/sleep");
        }
        let dir = with_locks();
        let mut lanes = Lane::all(dir.path());
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 3];
            let (pid, child) = born(0, || {
                let _tx = sit(&lane.channel);
                nix::unistd::execv(c"/bin/sleep", &[c"sleep", c"1000"]).unwrap();
            });
            lane.meet(pid);
            lane.let_go(true);
            lane.dead();
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            assert_ne!(program, std::env::current_exe().unwrap());
            child.kill();
        }
    });
}

/// A child that keeps whatever it inherited, and outlives its parent.
fn heir() -> Pid {
    cloned(0).unwrap_or_else(|| {
        alarm::set(60);
        rest()
    })
}

/// A holder with an heir, who will be the child of this process.
fn testator(channel: &Spsc) -> (u32, Child, Pid) {
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let board = board();
    let (pid, child) = born(0, || {
        let _tx = sit(channel);
        say(board.data(0), heir().as_raw() as usize);
        rest()
    });
    until(|| board.data(0).load(Acquire) != 0);
    (pid, child, pid_of(board.data(0).load(Acquire) as u32))
}

fn reap(pid: Pid) {
    kill(pid, Signal::SIGKILL).unwrap();
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _))));
}

fn is_zombie(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ")
}

#[test]
fn a_child_that_inherited_everything_is_not_the_holder() {
    alone(|| {
        let dir = with_locks();
        let mut lanes = Lane::all(dir.path());
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 3];
            let (pid, child, heir) = testator(&lane.channel);
            lane.meet(pid);
            lane.alive();
            if round % 2 == 0 {
                kill(heir, Signal::SIGKILL).unwrap();
                until(|| is_zombie(heir));
                lane.alive();
            }
            child.kill();
            lane.dead();
            reap(heir);
        }
    });
}

#[test]
fn a_stopped_holder_is_alive() {
    alone(|| {
        let dir = with_locks();
        let mut lanes = Lane::all(dir.path());
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 3];
            let (pid, child) = holder(0, &lane.channel);
            lane.meet(pid);
            stop(pid);
            lane.alive();
            kill_unreaped(pid);
            lane.dead();
            child.killed_by(Signal::SIGKILL);
        }
    });
}

#[test]
fn a_holder_is_its_process_and_not_its_thread() {
    alone(|| {
        let dir = with_locks();
        let mut lanes = Lane::all(dir.path());
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 3];
            let channel = lane.channel.clone();
            // The thread has ended when the holder is asked after.
            let tx = thread::spawn(move || sit(&channel)).join().unwrap();
            lane.meet(std::process::id());
            lane.alive();
            let own = lane.channel.evict_sender(LONG);
            assert!(matches!(own, Err(EvictError::OwnProcess)));
            drop(tx);
            assert_eq!(lane.rx.recv(), Err(RecvError::Closed));
        }
        for lane in &mut lanes {
            // The first thread of a process ends, another goes on.
            let (pid, child) = born(0, || {
                let channel = lane.channel.clone();
                thread::spawn(move || {
                    let _tx = sit(&channel);
                    rest()
                });
                // SAFETY: takes no memory, and ends this thread alone.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
            });
            lane.meet(pid);
            until(|| is_zombie(pid_of(pid)));
            lane.alive();
            child.kill();
            lane.dead();
        }
    });
}

/// Makes a region whose header says that it was made elsewhere.
fn forge_home(path: &Path, home: impl FnOnce(u64) -> u64) -> Spsc {
    drop(Spsc::create(path, 4).unwrap());
    let mut bytes = fs::read(path).unwrap();
    let word = u64::from_ne_bytes(bytes[152..160].try_into().unwrap());
    bytes[152..160].copy_from_slice(&home(word).to_ne_bytes());
    crate::common::raw::seal_header(&mut bytes[..256]);
    fs::write(path, bytes).unwrap();
    Spsc::open(path).unwrap()
}

#[test]
fn in_a_region_of_another_boot_the_locks_decide() {
    alone(|| {
        let dir = with_locks();
        let other = forge_home(&dir.path().join("other"), |home| home ^ 1);
        let unknown = forge_home(&dir.path().join("unknown"), |_| 0);
        let mut lanes = [Lane::new(other), Lane::new(unknown)];
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 2];
            let (pid, child, heir) = testator(&lane.channel);
            lane.meet(pid);
            lane.alive();
            let refused = lane.channel.evict_sender(LONG).err().unwrap();
            assert!(matches!(refused, EvictError::OutOfReach { pid: named } if named == pid), "{refused:?}");
            lane.alive();
            child.kill();
            lane.let_go(true);
            lane.dead();
            reap(heir);
        }
    });
}

#[test]
fn what_a_child_in_another_pid_namespace_asks_of_its_parents_endpoint_kills_nobody() {
    alone(|| {
        if !may_clone(libc::CLONE_NEWPID) {
            return;
        }
        let dir = with_locks();
        for mut lane in Lane::all(dir.path()) {
            let (pid, child) = holder(0, &lane.channel);
            lane.meet(pid);
            let (_, asker) = born(libc::CLONE_NEWPID, || {
                let _ = (lane.rx.has_sender(), lane.rx.is_closed());
            });
            asker.succeed();
            lane.alive();
            child.kill();
            lane.dead();
        }
    });
}

#[test]
fn eviction_ends_whoever_lives_and_takes_the_seat() {
    alone(|| {
        let dir = with_locks();
        let mut lanes = Lane::all(dir.path());
        let (back, latest) = (make("memfd", dir.path()), Latest::options().memfd().unwrap());
        let mut turn = 0;
        for (round, fate) in (0..ROUNDS).flat_map(|round| [nothing_to, stop, kill_unreaped].map(|fate| (round, fate))) {
            let lane = &mut lanes[round % 3];
            let (pid, child) = born(0, || {
                let _ends = (latest.writer().unwrap(), back.receiver().unwrap(), sit(&lane.channel));
                rest()
            });
            lane.meet(pid);
            fate(pid);
            // Whichever is first kills; the others find the dead.
            let mut ends = (None, None, None);
            for which in [round, round + 1, round + 2] {
                match which % 3 {
                    0 => ends.0 = Some(lane.channel.evict_sender(LONG).unwrap()),
                    1 => ends.1 = Some(back.evict_receiver(LONG).unwrap()),
                    _ => ends.2 = Some(evict_without_waiting(&latest, pid)),
                }
            }
            child.killed_by(Signal::SIGKILL);
            turn += 2;
            let (tx, rx, writer) = (ends.0.unwrap(), ends.1.unwrap(), ends.2.unwrap());
            assert_eq!((tx.generation(), rx.generation(), writer.generation()), (lane.generation + 1, turn, turn));
            lane.told();
            assert!(matches!(lane.channel.evict_sender(LONG), Err(EvictError::OwnProcess)));
            assert!(matches!(back.evict_receiver(LONG), Err(EvictError::OwnProcess)));
            assert!(matches!(latest.evict_writer(LONG), Err(EvictError::OwnProcess)));
            drop(tx);
            // From nobody.
            let tx = lane.channel.evict_sender(LONG).unwrap();
            lane.generation += 1 + assert_next(lane.generation + 1, tx.generation());
        }
    });
}

fn nothing_to(_: u32) {}

fn evict_without_waiting(latest: &Latest, holder: u32) -> seqlock::Writer<[u64; 4]> {
    loop {
        match latest.evict_writer(Duration::ZERO) {
            Ok(writer) => return writer,
            Err(EvictError::NotGone { pid }) => assert_eq!(pid, holder),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn eviction_spares_who_is_out_of_reach() {
    alone(|| {
        if !may_clone(libc::CLONE_NEWPID) {
            return;
        }
        let dir = with_locks();
        for mut lane in Lane::all(dir.path()) {
            // The holder inside and the evictor outside, and the other way round.
            let (_, child) = holder(libc::CLONE_NEWPID, &lane.channel);
            lane.meet(1);
            assert!(matches!(lane.channel.evict_sender(LONG), Err(EvictError::OutOfReach { pid: 1 })));
            lane.alive();
            child.kill();
            lane.let_go(true);
            lane.dead();

            let (pid, child) = holder(0, &lane.channel);
            lane.meet(pid);
            let (_, evictor) = born(libc::CLONE_NEWPID, || {
                let refused = lane.channel.evict_sender(LONG).err();
                assert!(matches!(refused, Some(EvictError::OutOfReach { pid: named }) if named == pid));
            });
            evictor.succeed();
            lane.alive();
            child.kill();
            // Not out of reach: gone.
            let (_, evictor) = born(libc::CLONE_NEWPID, || drop(lane.channel.evict_sender(LONG).unwrap()));
            evictor.succeed();
            assert_eq!(lane.rx.recv(), Err(RecvError::PeerDied { generation: lane.generation }));
            assert_eq!(lane.rx.recv(), Err(RecvError::Closed));
        }
    });
}

#[test]
fn of_two_evictors_one_has_the_seat_and_nobody_else_is_harmed() {
    alone(|| {
        let dir = with_locks();
        let mut lanes = Lane::all(dir.path());
        for round in 0..ROUNDS {
            let (lane, board) = (&mut lanes[round % 3], board());
            let (victim, child) = holder(0, &lane.channel);
            lane.meet(victim);
            let evict = |result: &AtomicU64| {
                hear(board.data(0), 1);
                match lane.channel.evict_sender(LONG) {
                    Ok(tx) => {
                        say(result, tx.generation() as usize);
                        rest()
                    }
                    // The other was faster; had this one asked later still, it would have ended the other.
                    Err(EvictError::Claim(ClaimError::Taken { .. })) => {}
                    Err(error) => panic!("{error:?}"),
                }
            };
            let [first, second] = [1, 2].map(|i| (board.data(i), born(0, || evict(board.data(i)))));
            say(board.data(0), 1);
            child.killed_by(Signal::SIGKILL);
            // The one that ends was refused, or evicted by the one that stays.
            until(|| has_ended(first.1.0) || has_ended(second.1.0));
            let (lost, won) = if has_ended(first.1.0) { (first, second) } else { (second, first) };
            let status = lost.1.1.end();
            assert!(matches!(status, WaitStatus::Exited(_, 0) | WaitStatus::Signaled(_, Signal::SIGKILL, _)));
            let (result, (pid, winner)) = won;
            until(|| result.load(Acquire) != 0);
            let before = std::mem::replace(&mut lane.generation, result.load(Acquire));
            assert!((before + 1..=before + 2).contains(&lane.generation));
            lane.holder = pid;
            while lane.rx.recv_timeout(Duration::ZERO) != Err(RecvTimeoutError::Timeout) {}
            lane.alive();
            winner.kill();
            lane.dead();
        }
    });
}

/// From now on a signal comes again and again.
fn be_interrupted() {
    extern "C" fn ignore(_: c_int) {}
    let handler = nix::sys::signal::SigHandler::Handler(ignore);
    // SAFETY: the handler does nothing.
    unsafe { nix::sys::signal::signal(Signal::SIGALRM, handler) }.unwrap();
    let time = libc::timeval { tv_sec: 0, tv_usec: 50 };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: reads the timer, and writes none back.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
}

#[test]
fn eviction_is_not_disturbed_by_signals() {
    alone(|| {
        let mut lane = Lane::new(make("memfd", Path::new("")));
        for _ in 0..ROUNDS {
            let (pid, child) = holder(0, &lane.channel);
            lane.meet(pid);
            let (_, evictor) = born(0, || {
                be_interrupted();
                forget(lane.channel.evict_sender(LONG).unwrap());
            });
            evictor.succeed();
            child.killed_by(Signal::SIGKILL);
            // The evictor is dead, too.
            lane.generation += 1;
            lane.dead();
        }
    });
}

#[test]
fn of_many_claimants_of_a_dead_holders_seat_one_wins() {
    const CLAIMANTS: usize = 8;
    alone(|| {
        let dir = with_locks();
        let lanes = Lane::all(dir.path());
        let board = board();
        let (turn, done, winner) = (board.data(0), board.data(1), board.data(2));
        let claim = |round: usize| {
            let generation = 2 + 2 * (round / 3) as u64;
            match lanes[round % 3].channel.sender() {
                Ok(tx) => {
                    assert_eq!(tx.generation(), generation);
                    assert_eq!(winner.swap(u64::from(std::process::id()), AcqRel), 0, "two winners");
                    done.fetch_add(1, Release);
                    hear(turn, 2 * round + 2);
                }
                Err(ClaimError::Taken { seat: Seat::Sender, pid, generation: found }) => {
                    until(|| winner.load(Acquire) != 0);
                    assert_eq!((winner.load(Acquire), found), (u64::from(pid), generation));
                    done.fetch_add(1, Release);
                    return;
                }
                Err(error) => panic!("{error:?}"),
            }
            done.fetch_add(1, Release);
        };
        let claimants = [(); CLAIMANTS].map(|()| {
            let (_, child) = born(0, || {
                for round in 0..ROUNDS {
                    hear(turn, 2 * round + 1);
                    claim(round);
                    until(|| turn.load(Acquire) > 2 * round as u64 + 1);
                }
            });
            child
        });
        for round in 0..ROUNDS {
            let (_, dead) = born(0, || forget(lanes[round % 3].channel.sender().unwrap()));
            dead.succeed();
            say(winner, 0);
            say(done, 0);
            say(turn, 2 * round + 1);
            hear(done, CLAIMANTS);
            say(turn, 2 * round + 2);
            // The winner has left.
            hear(done, CLAIMANTS + 1);
        }
        claimants.into_iter().for_each(|child| child.succeed());
    });
}

/// Two lanes, and the worker at their ends.
struct Worker {
    there: Spsc,
    back: Spsc,
    tx: spsc::Sender<u64>,
    rx: spsc::Receiver<u64>,
    turn: u64,
    child: Child,
}

fn work(there: &Spsc, back: &Spsc, turn: u64) -> Child {
    let work = || {
        let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
        assert_eq!((rx.generation(), tx.generation()), (turn, turn));
        for value in &mut rx {
            tx.send(&(2 * value)).unwrap();
        }
    };
    born(0, work).1
}

impl Worker {
    fn new(backing: &str, dir: &Path) -> Self {
        let new = || make(backing, &tempfile::tempdir_in(dir).unwrap().keep());
        let (there, back) = (new(), new());
        let (tx, rx) = (there.sender().unwrap(), back.receiver().unwrap());
        let child = work(&there, &back, 1);
        Self { there, back, tx, rx, turn: 1, child }
    }

    fn ask(&mut self) {
        self.tx.send(&self.turn).unwrap();
    }

    fn answer(&mut self) {
        assert_eq!(self.rx.recv_timeout(LONG), Ok(2 * self.turn));
    }

    /// Kills the worker and puts another into its place.
    fn respawn(self) -> Self {
        let Self { there, back, tx, mut rx, turn, child } = self;
        child.kill();
        // Asked, and not left to a blocked call's next inquiry.
        assert!(!rx.has_sender());
        let died = RecvError::PeerDied { generation: turn };
        assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Refused(died)));
        assert!(tx.is_closed());
        let child = work(&there, &back, turn + 1);
        Self { there, back, tx, rx, turn: turn + 1, child }
    }
}

#[test]
fn a_pool_survives_its_workers() {
    const WORKERS: u64 = 4;
    const RESPAWNS: u64 = 10_000;
    alone(|| {
        let dir = with_locks();
        let mut pool: VecDeque<Worker> =
            ["file", "memfd", "anonymous", "memfd"].map(|b| Worker::new(b, dir.path())).into();
        pool.iter_mut().for_each(Worker::ask);
        let before = Footprint::now(Some(dir.path()));
        for _ in 0..RESPAWNS {
            let mut worker = pool.pop_front().unwrap();
            worker.answer();
            let mut worker = worker.respawn();
            worker.ask();
            pool.push_back(worker);
        }
        assert_eq!(before, Footprint::now(Some(dir.path())));
        let mut turns = 0;
        for mut worker in pool {
            worker.answer();
            worker.child.kill();
            // Every turn took each seat once.
            assert_eq!(worker.there.receiver().unwrap().generation(), worker.turn + 1);
            assert_eq!(worker.back.sender().unwrap().generation(), worker.turn + 1);
            turns += worker.turn;
        }
        assert_eq!(turns, WORKERS + RESPAWNS);
        assert_eq!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD), "no zombies");
    });
}

/// Fills the hole of `len` bytes that the parent's mapping left at `address`.
fn fill_hole(address: usize, len: u64) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: the flags let the kernel refuse an address at which there is something.
    let page = unsafe { libc::mmap(address as *mut libc::c_void, len as usize, protection, flags, -1, 0) };
    assert_eq!(page as usize, address, "nothing of the parent's is there");
    // SAFETY: mapped above.
    unsafe { page.cast::<u8>().write_bytes(0x5A, len as usize) };
    page.cast()
}

#[test]
fn a_childs_drop_of_its_parents_endpoints_unmaps_nothing_of_its_own() {
    alone(|| {
        let dir = with_locks();
        for backing in BACKINGS {
            let (ring, latest) = (make(backing, dir.path()), Latest::options().memfd().unwrap());
            let ((mut tx, mut rx, mut writer), lines) =
                mapped_by(|| (ring.sender().unwrap(), ring.receiver().unwrap(), latest.writer().unwrap()));
            assert_eq!(lines.len(), 3, "{lines:#?}");
            let Some(child) = cloned(0).map(Child::new) else {
                end(move || {
                    assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(SendError::Forked)));
                    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Forked)));
                    assert_eq!(writer.write(&[1; 4]), Err(WriteError::Forked));
                    let pages: Vec<_> =
                        lines.iter().map(|line| (fill_hole(line.start, line.len()), line.len())).collect();
                    let before = crate::common::proc::maps().len();
                    drop((tx, rx, writer));
                    let (wiped, after) = (3, crate::common::proc::maps().len());
                    assert!(after <= before && after + wiped >= before);
                    for (page, len) in pages {
                        // SAFETY: mapped by `fill_hole`, and still there unless the test fails.
                        let bytes = unsafe { std::slice::from_raw_parts(page, len as usize) };
                        assert!(bytes.iter().all(|byte| *byte == 0x5A));
                    }
                })
            };
            child.succeed();
            tx.send(&3).unwrap();
            assert_eq!(rx.recv(), Ok(3));
            writer.write(&[3; 4]).unwrap();
            assert!(latest.reader().has_writer());
        }
    });
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|metadata| metadata.ino())
}

fn inode_of(channel: &Spsc) -> Option<u64> {
    nix::sys::stat::fstat(channel.region().fd().unwrap()).ok().map(|stat| stat.st_ino)
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

/// Whether it went well; a race may be lost only in one of the ways that have a name.
fn won<T>(result: Result<T, OpenError>) -> Option<T> {
    let error = match result {
        Ok(won) => return Some(won),
        Err(error) => error,
    };
    let fair = matches!(error.reason(), Reason::Missing | Reason::InUse | Reason::Exists | Reason::BeingRemoved);
    assert!(fair, "{error:?}");
    None
}

/// For no longer than an opening takes.
fn pause_a_while() {
    thread::sleep(Duration::from_micros(fastrand::u64(..500)));
}

#[test]
fn no_region_vanishes_under_those_who_opened_it() {
    const RACES: u64 = 1000;
    alone(|| {
        let dir = with_locks();
        let (path, board) = (dir.path().join("region"), board());
        let (opened, removed, done) = (board.data(0), board.data(1), board.data(2));
        let options = Spsc::options().capacity(4);
        let open = |race: u64| {
            pause_a_while();
            let open = match race % 4 {
                0 => options.open(&path),
                1 => options.recreate(&path),
                _ => options.open_or_create(&path),
            };
            let Some(channel) = won(open) else { return };
            opened.fetch_add(1, AcqRel);
            for _ in 0..3 {
                assert_eq!(inode(&path), inode_of(&channel), "the path names what was opened");
                assert!(in_use(&path).unwrap());
                thread::yield_now();
            }
        };
        let open = || {
            (0..RACES).for_each(open);
            done.fetch_add(1, AcqRel);
        };
        let remove = || {
            while done.load(Acquire) < 2 {
                removed.fetch_add(u64::from(won(remove_unused(&path)).is_some()), AcqRel);
                thread::yield_now();
            }
        };
        let racers: [&dyn Fn(); 4] = [&open, &remove, &open, &remove];
        racers.map(|racer| born(0, racer).1).into_iter().for_each(|child| child.succeed());
        assert!(opened.load(Acquire) > RACES / 2 && removed.load(Acquire) > RACES / 20, "{opened:?} {removed:?}");
        won(remove_unused(&path));
        assert_eq!(entries(dir.path()), 0);
    });
}

#[test]
fn an_opener_that_is_stopped_half_way_opens_nothing_that_was_removed() {
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        let (pid, opener) = born(0, || {
            loop {
                if let Some(channel) = won(Spsc::open(&path)) {
                    assert_eq!(inode(&path), inode_of(&channel));
                }
            }
        });
        let mut removed = 0;
        for _ in 0..1000 {
            drop(won(Spsc::create(&path, 4)));
            pause_a_while();
            stop(pid);
            removed += u64::from(won(remove_unused(&path)).is_some());
            kill(pid_of(pid), Signal::SIGCONT).unwrap();
        }
        opener.kill();
        won(remove_unused(&path));
        assert!(removed > 10 && entries(dir.path()) == 0, "{removed}");
    });
}

#[test]
fn a_creator_that_is_killed_leaves_a_whole_file_or_none() {
    alone(|| {
        let dir = with_locks();
        let unnamed = fs::OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(dir.path());
        if unnamed.is_err() {
            return skip("creators killed half-way: the file system has no unnamed files");
        }
        let (path, board) = (dir.path().join("region"), board());
        for _ in 0..300 {
            say(board.data(0), 0);
            let (_, creator) = born(0, || {
                say(board.data(0), 1);
                loop {
                    drop(Spsc::create(&path, 4).unwrap());
                    remove_unused(&path).unwrap();
                }
            });
            hear(board.data(0), 1);
            pause_a_while();
            creator.kill();
            match Spsc::open(&path) {
                Ok(channel) => channel.region().unlink().unwrap(),
                Err(error) => assert!(matches!(error.reason(), Reason::Missing), "{error:?}"),
            }
            assert_eq!(entries(dir.path()), 0);
        }
    });
}

#[test]
fn a_file_is_in_use_until_the_last_one_attached_is_gone() {
    alone(|| {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        let dir = with_locks();
        let path = dir.path().join("region");
        drop(Spsc::create(&path, 4).unwrap());
        for round in 0..ROUNDS {
            until(|| !in_use(&path).unwrap());
            let board = board();
            let (pid, opener) = born(0, || {
                let channel = Spsc::open(&path).unwrap();
                if round % 2 == 0 {
                    close_all();
                }
                say(board.data(0), heir().as_raw() as usize);
                forget(channel);
                rest()
            });
            until(|| board.data(0).load(Acquire) != 0);
            let heir = pid_of(board.data(0).load(Acquire) as u32);
            assert!(in_use(&path).unwrap());
            // A stopped one is attached as well, and nobody waits for it.
            stop(pid);
            let refused = [remove_unused(&path), Spsc::options().capacity(4).recreate(&path).map(drop)];
            assert!(refused.iter().all(|result| matches!(result.as_ref().unwrap_err().reason(), Reason::InUse)));
            opener.kill();
            assert!(in_use(&path).unwrap());
            reap(heir);
        }
        until(|| !in_use(&path).unwrap());
        remove_unused(&path).unwrap();
        assert_eq!(entries(dir.path()), 0);
    });
}

#[test]
fn only_an_unused_region_is_removed() {
    alone(|| {
        let dir = with_locks();
        let at = |name: &str| dir.path().join(name);
        let used = Spsc::create(at("used"), 4).unwrap();
        drop(Spsc::create(at("unused"), 4).unwrap());
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("text"), "no region, but long enough").unwrap();
        std::os::unix::fs::symlink(at("unused"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let refused = |name: &str| remove_unused(at(name)).unwrap_err();
        assert!(matches!(refused("missing").reason(), Reason::Missing));
        assert!(matches!(refused("used").reason(), Reason::InUse));
        assert!(matches!(refused("empty").reason(), Reason::Short { found: 0, .. }));
        assert!(matches!(refused("text").reason(), Reason::NotARegion { .. }));
        for name in ["directory", "link", "fifo"] {
            assert!(matches!(refused(name).reason(), Reason::NotAFile { .. }), "{name}");
            assert!(matches!(in_use(at(name)).unwrap_err().reason(), Reason::NotAFile { .. }), "{name}");
        }
        assert_eq!(entries(dir.path()), 7);
        remove_unused(at("unused")).unwrap();
        drop(used);
        remove_unused(at("used")).unwrap();
        assert_eq!(entries(dir.path()), 5);
    });
}

#[test]
fn a_region_is_made_anew_when_its_pair_is_dead() {
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        let options = Spsc::options().capacity(4);
        for _ in 0..ROUNDS {
            let board = board();
            let (_, pair) = born(0, || {
                let channel = options.recreate(&path).unwrap();
                assert_eq!(channel.receiver().unwrap().generation(), 1);
                let _ends = (sit(&channel), channel.receiver().unwrap());
                say(board.data(0), 1);
                rest()
            });
            hear(board.data(0), 1);
            let before = inode(&path);
            assert!(matches!(options.recreate(&path).unwrap_err().reason(), Reason::InUse));
            assert_eq!(inode(&path), before);
            pair.kill();
            until(|| !in_use(&path).unwrap());
            let channel = options.recreate(&path).unwrap();
            assert_eq!(channel.receiver().unwrap().try_recv(), Err(TryRecvError::Empty));
            assert_eq!(channel.sender().unwrap().generation(), 1);
        }
    });
}

/// Locks a byte of a file as who removes it does.
fn lock(file: &File, byte: i64) {
    let (kind, whence) = (libc::F_WRLCK as libc::c_short, libc::SEEK_SET as libc::c_short);
    let lock = libc::flock { l_type: kind, l_whence: whence, l_start: byte, l_len: 1, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
}

#[test]
fn a_remover_that_never_finishes_hangs_nobody() {
    const UNLINKING: i64 = 1 << 22;
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        let attached = Spsc::create(&path, 4).unwrap();
        let remover = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        lock(&remover, UNLINKING);
        assert_eq!(attached.region().unlink().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(attached);
        lock(&remover, 0);
        let options = Spsc::options().capacity(4);
        let opened = [options.open(&path), options.open_or_create(&path), options.recreate(&path)];
        for refused in opened.map(|result| result.map(drop)).into_iter().chain([remove_unused(&path)]) {
            assert!(matches!(refused.unwrap_err().reason(), Reason::BeingRemoved));
        }
        // It ends without having removed anything, while one waits.
        let patient = thread::spawn({
            let (options, path) = (options.clone(), path.clone());
            move || drop(options.open(path).unwrap())
        });
        drop(remover);
        patient.join().unwrap();
        remove_unused(&path).unwrap();
    });
}

#[test]
fn who_lost_its_descriptor_waits_for_no_fifo() {
    alone(|| {
        let dir = with_locks();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for in_its_place in [fifo_as_descriptor, fifo_at_path] {
            let channel = make("file", dir.path());
            let (_, child) = born(0, || {
                alarm::set(60);
                in_its_place(&fifo, channel.region());
                // It has no other way to give a sign of life than its process id.
                assert_eq!(channel.sender().unwrap().generation(), 1);
            });
            child.succeed();
            fs::remove_file(channel.region().path().unwrap()).unwrap();
        }
    });
}

fn fifo_at_path(fifo: &Path, region: &Region) {
    close_all();
    fs::remove_file(region.path().unwrap()).unwrap();
    fs::hard_link(fifo, region.path().unwrap()).unwrap();
}

fn fifo_as_descriptor(fifo: &Path, region: &Region) {
    let number = region.fd().unwrap().as_raw_fd();
    close_all();
    let fifo = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(fifo).unwrap();
    // SAFETY: whoever owned the number has lost it already.
    assert_eq!(unsafe { libc::dup2(fifo.as_raw_fd(), number) }, number);
}

#[test]
fn two_who_unlink_a_region_remove_nobody_elses() {
    alone(|| {
        let dir = with_locks();
        let (path, board) = (dir.path().join("region"), board());
        let (turn, ready, removed) = (board.data(0), board.data(1), board.data(2));
        let unlink = || {
            for round in 0..ROUNDS {
                hear(turn, 3 * round + 1);
                let channel = Spsc::open(&path).unwrap();
                ready.fetch_add(1, AcqRel);
                hear(turn, 3 * round + 2);
                match channel.region().unlink() {
                    Ok(()) => removed.fetch_add(1, AcqRel),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::NotFound);
                        0
                    }
                };
                ready.fetch_sub(1, AcqRel);
                until(|| turn.load(Acquire) > 3 * round as u64 + 2);
            }
        };
        let both = [(); 2].map(|()| born(0, unlink).1);
        for round in 0..ROUNDS {
            drop(Spsc::create(&path, 4).unwrap());
            say(turn, 3 * round + 1);
            hear(ready, 2);
            say(turn, 3 * round + 2);
            let mut others = None;
            until(|| {
                others = won(Spsc::create(&path, 4));
                others.is_some()
            });
            hear(ready, 0);
            assert_eq!(inode(&path), inode_of(others.as_ref().unwrap()));
            assert_eq!(removed.load(Acquire), round as u64 + 1, "one of them did it");
            fs::remove_file(&path).unwrap();
            say(turn, 3 * round + 3);
        }
        both.into_iter().for_each(|child| child.succeed());
    });
}

/// In a holder's word: it can be asked after by a lock.
const LOCKED: u64 = 1 << 54;

/// Forks all the time, children that keep every descriptor for a while.
fn forks_until(stop: &AtomicU64) {
    while stop.load(Acquire) == 0 {
        let child = fork("child", || thread::sleep(Duration::from_millis(2)));
        child.succeed();
    }
}

#[test]
fn a_claim_gives_its_sign_of_life_while_another_thread_forks() {
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        drop(Spsc::create(&path, 4).unwrap());
        let raw = Raw::new(File::options().read(true).write(true).open(&path).unwrap());
        let claims = || {
            let stop = AtomicU64::new(0);
            thread::scope(|threads| {
                threads.spawn(|| forks_until(&stop));
                for _ in 0..2000 {
                    let channel = Spsc::open(&path).unwrap();
                    let tx = channel.sender();
                    if tx.is_err() || raw.holder(0).load(Acquire) & LOCKED == 0 {
                        stop.store(1, Release);
                        panic!("no lock: {:?}", tx.err());
                    }
                }
                stop.store(1, Release);
            });
        };
        claims();
        if may_clone(libc::CLONE_NEWPID) {
            born(libc::CLONE_NEWPID, claims).1.succeed();
        }
    });
}
