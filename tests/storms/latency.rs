//! How soon the survivor hears of a death.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use ringway::{ChangedError, ClaimError, RecvError, SendError, seqlock, spsc};

use crate::cast::reap_killed;
use crate::common::board::Board;
use crate::common::child::{Child, deadline, fork};
use crate::common::say::say;
use crate::turn::take_turn;

/// A descriptor of a process that can be polled for its end.
fn pidfd(child: &Child) -> OwnedFd {
    // SAFETY: the call is given no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.pid.as_raw(), 0) };
    assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    // SAFETY: the kernel just made it, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// How many channels there are at a time. Each has a survivor and one victim after another.
const LANES: usize = 20;

/// The words of a lane: how many victims took their seat, how many deaths were reported, and when the last one was.
const SEATED: usize = 0;

const REPORTED: usize = 100;

const REPORTED_AT: usize = 200;

/// Takes a seat, and waits to be killed.
fn be_victim<T>(board: &Board, lane: usize, claim: impl FnOnce() -> Result<T, ClaimError>) {
    let _seat = claim().unwrap();
    board[SEATED + lane].fetch_add(1, SeqCst);
    std::thread::sleep(deadline());
}

/// Gets one death after another reported, in a call that blocks.
fn survive(board: &Board, lane: usize, start: Instant, mut blocked: impl FnMut() -> Option<u64>) {
    for death in 1.. {
        let reported = blocked();
        board[REPORTED_AT + lane].store(start.elapsed().as_nanos() as u64, SeqCst);
        assert_eq!(reported, Some(death));
        board[REPORTED + lane].store(death, SeqCst);
    }
}

/// Kills the victims of all lanes, one after another, `deaths` times over. Returns, for each death, how many
/// milliseconds the survivor took to return after the kernel had reported the death.
fn latencies(deaths: u64, survivor: &dyn Fn(&Board, usize, Instant), victim: &dyn Fn(&Board, usize)) -> Vec<f64> {
    let (board, start) = (&Board::new(), Instant::now());
    let fork_all = |name: &str, act: &dyn Fn(usize)| (0..LANES).map(|lane| fork(name, || act(lane))).collect();
    let _survivors: Vec<Child> = fork_all("survivor", &|lane| survivor(board, lane, start));
    let mut found = Vec::new();
    for death in 1..=deaths {
        let victims: Vec<Child> = fork_all("victim", &|lane| victim(board, lane));
        (0..LANES).for_each(|lane| board.wait_for(SEATED + lane, death));
        let mut known_at = Vec::new();
        for victim in &victims {
            std::thread::sleep(Duration::from_micros(fastrand::u64(..2000)));
            let fd = pidfd(victim);
            kill(victim.pid, Signal::SIGKILL).unwrap();
            poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            known_at.push(start.elapsed().as_nanos() as u64);
        }
        for (lane, known_at) in known_at.into_iter().enumerate() {
            board.wait_for(REPORTED + lane, death);
            let reported_at = board[REPORTED_AT + lane].load(SeqCst);
            found.push((reported_at as f64 - known_at as f64) / 1e6);
        }
        victims.into_iter().for_each(reap_killed);
    }
    found
}

#[test]
fn the_news_of_a_death_comes_soon() {
    let _turn = take_turn();
    let ring = |_| spsc::Channel::<u64>::options().capacity(2).memfd().unwrap();
    let [empty, full]: [[_; LANES]; 2] = [std::array::from_fn(ring), std::array::from_fn(ring)];
    let values: [_; LANES] = std::array::from_fn(|_| seqlock::Channel::<u64>::options().memfd().unwrap());
    let in_recv = |board: &Board, lane: usize, start| {
        let mut rx = empty[lane].receiver().unwrap();
        survive(board, lane, start, || match rx.recv() {
            Err(RecvError::PeerDied { generation }) => Some(generation),
            _ => None,
        });
    };
    let in_send = |board: &Board, lane: usize, start| {
        let mut tx = full[lane].sender().unwrap();
        while tx.try_send(&0).is_ok() {}
        survive(board, lane, start, || match tx.send(&0) {
            Err(SendError::PeerDied { generation }) => Some(generation),
            _ => None,
        });
    };
    let in_changed = |board: &Board, lane: usize, start| {
        let mut reader = values[lane].reader();
        survive(board, lane, start, || match reader.changed() {
            Err(ChangedError::PeerDied { generation }) => Some(generation),
            _ => None,
        });
    };
    let sends = |board: &Board, lane: usize| be_victim(board, lane, || empty[lane].sender());
    let receives = |board: &Board, lane: usize| be_victim(board, lane, || full[lane].receiver());
    let writes = |board: &Board, lane: usize| be_victim(board, lane, || values[lane].writer());
    report_latencies("recv", latencies(400 / LANES as u64, &in_recv, &sends));
    report_latencies("send", latencies(300 / LANES as u64, &in_send, &receives));
    report_latencies("changed", latencies(300 / LANES as u64, &in_changed, &writes));
}

fn report_latencies(call: &str, mut found: Vec<f64>) {
    found.sort_by(f64::total_cmp);
    let (count, median, worst) = (found.len(), found[found.len() / 2], found[found.len() - 1]);
    say(&format!("blocked in {call}, told of {count} deaths: median {median:.1} ms, worst {worst:.1} ms"));
}
