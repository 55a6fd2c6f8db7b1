//! Processes that sit in seats, and what is done to them.

use std::path::Path;

use nix::libc::c_int;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, pause};
use ringway::{seqlock, spsc};

use crate::common::backing::Backing;
use crate::common::child::Child;
use crate::common::namespaces::born;
use crate::common::say::skip;
use crate::common::users::root;

pub type Spsc = spsc::Channel<u64>;

pub type Latest = seqlock::Channel<[u64; 4]>;

pub fn make(backing: Backing, dir: &Path) -> Spsc {
    backing.make(&Spsc::options().capacity(4), dir.join("region"))
}

/// Whether processes with namespaces of their own can be made here.
pub fn may_clone(flags: c_int) -> bool {
    let allowed = flags == 0 || root();
    if !allowed {
        skip("namespaces: only root may make them");
    }
    allowed
}

pub fn rest() -> ! {
    loop {
        pause();
    }
}

/// Takes the sender's seat, and says so.
pub fn sit(channel: &Spsc) -> spsc::Sender<u64> {
    let mut tx = channel.sender().unwrap();
    tx.send(&tx.generation()).unwrap();
    tx
}

/// A process in the sender's seat.
pub fn holder(flags: c_int, channel: &Spsc) -> (u32, Child) {
    born(flags, || {
        let _tx = sit(channel);
        rest()
    })
}

pub fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid as i32)
}

/// Stops a child. Returns when it has stopped.
pub fn stop(pid: u32) {
    kill(pid_of(pid), Signal::SIGSTOP).unwrap();
    let stopped = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid_of(pid)), stopped).unwrap();
}

/// Kills a child, and leaves it as a zombie.
pub fn kill_unreaped(pid: u32) {
    kill(pid_of(pid), Signal::SIGKILL).unwrap();
    waitid(Id::Pid(pid_of(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
}

pub fn has_ended(child: u32) -> bool {
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    waitid(Id::Pid(pid_of(child)), options).unwrap() != WaitStatus::StillAlive
}
