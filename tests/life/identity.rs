//! Processes that could be taken for a holder. None of them is.

use std::fs::{self};
use std::mem::forget;
use std::path::Path;
use std::sync::atomic::Ordering::Acquire;
use std::thread;

use nix::libc::{self};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, alarm};
use ringway::{KillError, RecvError};

use crate::common::alone::{alone, with_locks};
use crate::common::child::Child;
use crate::common::header;
use crate::common::namespaces::{born, cloned};
use crate::common::say::skip;
use crate::holders::{Spsc, holder, kill_unreaped, may_clone, pid_of, rest, sit, stop};
use crate::judgement::close_all;
use crate::lookout::Lookout;
use crate::words::{LONG, ROUNDS, board, say, until};

/// Makes a child with this id. `None` if ids cannot be asked for here.
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
        // A namespace of their own keeps others from taking the id.
        let (_, init) = born(libc::CLONE_NEWPID, || {
            let dir = with_locks();
            let mut lanes = Lookout::all(dir.path());
            for round in 0..ROUNDS {
                let lane = &mut lanes[round % 3];
                let (pid, holder) = born(0, || {
                    // Half of the holders have no lock that could tell.
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
        let mut lanes = Lookout::all(dir.path());
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 3];
            let (pid, child) = born(0, || {
                let _tx = sit(&lane.channel);
                nix::unistd::execv(c"/bin/sleep", &[c"sleep", c"1000"]).unwrap();
            });
            lane.meet(pid);
            lane.wait_until_freed(true);
            lane.dead();
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            assert_ne!(program, std::env::current_exe().unwrap());
            child.kill();
        }
    });
}

/// Makes a child that keeps whatever it inherited, and outlives its parent.
pub fn heir() -> Pid {
    cloned(0).unwrap_or_else(|| {
        alarm::set(60);
        rest()
    })
}

/// A holder with an heir. The heir will become a child of this process.
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

pub fn reap(pid: Pid) {
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
        let mut lanes = Lookout::all(dir.path());
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
        let mut lanes = Lookout::all(dir.path());
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
        let mut lanes = Lookout::all(dir.path());
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 3];
            let channel = lane.channel.clone();
            // The thread has ended when somebody asks after the holder.
            let tx = thread::spawn(move || sit(&channel)).join().unwrap();
            lane.meet(std::process::id());
            lane.alive();
            let own = lane.channel.kill_and_take_sender(LONG);
            assert!(matches!(own, Err(KillError::OwnProcess)));
            drop(tx);
            assert_eq!(lane.rx.recv(), Err(RecvError::Closed));
        }
        for lane in &mut lanes {
            // The first thread of the process ends, and another goes on.
            let (pid, child) = born(0, || {
                let channel = lane.channel.clone();
                thread::spawn(move || {
                    let _tx = sit(&channel);
                    rest()
                });
                // SAFETY: the call is given no memory, and ends this thread alone.
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

/// Makes a region. Its header says that it was made elsewhere.
fn forge_origin(path: &Path, origin: impl FnOnce(u64) -> u64) -> Spsc {
    drop(Spsc::create(path, 4).unwrap());
    let mut bytes = fs::read(path).unwrap();
    let word = u64::from_ne_bytes(bytes[header::ORIGIN..header::ORIGIN + 8].try_into().unwrap());
    bytes[header::ORIGIN..header::ORIGIN + 8].copy_from_slice(&origin(word).to_ne_bytes());
    header::seal(&mut bytes);
    fs::write(path, bytes).unwrap();
    Spsc::open(path).unwrap()
}

#[test]
fn in_a_region_of_another_boot_the_locks_decide() {
    alone(|| {
        let dir = with_locks();
        let other = forge_origin(&dir.path().join("other"), |home| home ^ 1);
        let unknown = forge_origin(&dir.path().join("unknown"), |_| 0);
        let mut lanes = [Lookout::new(other), Lookout::new(unknown)];
        for round in 0..ROUNDS {
            let lane = &mut lanes[round % 2];
            let (pid, child, heir) = testator(&lane.channel);
            lane.meet(pid);
            lane.alive();
            let refused = lane.channel.kill_and_take_sender(LONG).err().unwrap();
            assert!(matches!(refused, KillError::OutOfReach { pid: named } if named == pid), "{refused:?}");
            lane.alive();
            child.kill();
            lane.wait_until_freed(true);
            lane.dead();
            reap(heir);
        }
    });
}
