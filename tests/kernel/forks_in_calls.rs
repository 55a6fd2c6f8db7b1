//! Forks in the middle of a call, or right after one.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use nix::unistd::getppid;
use ringway::{RecvError, SendError, TryRecvError, Wait, bytes, spsc};

use crate::common::alone::alone;
use crate::common::child::{end, fork, split};
use crate::common::raw::Raw;
use crate::regions::Spsc;

/// Runs `work` between two calls of `getppid`, so that a tracer of this process sees where it begins and ends.
pub fn marked(mut work: impl FnMut()) {
    work();
    getppid();
    work();
    getppid();
}

/// A call that is refused in a forked child does not take back what the parent announced before it went to sleep.
#[test]
fn a_refused_call_in_a_child_leaves_the_parent_announced() {
    alone(|| {
        for wait in [Wait::Spin, Wait::default(), Wait::Sleep] {
            let ring = Spsc::options().capacity(1).memfd().unwrap();
            let records = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
            let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
            tx.send(&1).unwrap();
            tx.set_wait(wait);
            rx.set_wait(wait);
            let raw = Raw::new(ring.region().fd().unwrap());
            let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
            record_tx.set_wait(wait);
            record_rx.set_wait(wait);
            let raw_records = Raw::new(records.region().fd().unwrap());
            let words = [raw.data_wait(), raw.space_wait(), raw_records.data_wait(), raw_records.space_wait()];
            let before = words.map(|word| word.fetch_or(1, Relaxed) | 1);
            fork("child", || {
                assert_eq!(rx.recv(), Err(RecvError::Forked));
                assert_eq!(tx.send(&2), Err(SendError::Forked));
                assert_eq!(record_rx.recv(), Err(RecvError::Forked));
                assert_eq!(record_tx.send(&[]), Err(SendError::Forked));
            })
            .succeed();
            assert_eq!(words.map(|word| word.load(Relaxed)), before, "{wait:?}");
        }
    });
}

/// How many more values are dropped before one forks.
static FORK_IN: AtomicI32 = AtomicI32::new(i32::MAX);

#[ringway::message]
#[derive(Debug, PartialEq)]
#[repr(C)]
struct Forks(u64);

impl Drop for Forks {
    fn drop(&mut self) {
        if FORK_IN.fetch_sub(1, Relaxed) == 0 {
            IN_CHILD.with(|child| match split() {
                Some(parents) => parents.succeed(),
                None => child.set(true),
            });
        }
    }
}

thread_local! {
    static IN_CHILD: Cell<bool> = const { Cell::new(false) };
}

/// A batch is received over values whose drop forks. The child takes nothing and the parent takes everything.
#[test]
fn a_drop_that_forks_between_two_messages_of_a_batch_does_no_harm() {
    alone(|| {
        for at in 0..3 {
            let channel = spsc::Channel::<Forks>::options().capacity(8).anonymous().unwrap();
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for n in 1..=6 {
                let value = ManuallyDrop::new(Forks(n));
                tx.send(&value).unwrap();
            }
            let mut values: Vec<Forks> = (0..4).map(|_| Forks(0)).collect();
            FORK_IN.store(at, Relaxed);
            let received = rx.try_recv_slice(&mut values);
            if IN_CHILD.get() {
                end(|| {
                    assert_eq!(received, Ok(at as usize + 1), "what the parent had taken by then");
                    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Forked)));
                });
            }
            FORK_IN.store(i32::MAX, Relaxed);
            assert_eq!(received, Ok(4));
            assert_eq!(values, [1, 2, 3, 4].map(Forks));
            assert_eq!(rx.try_recv(), Ok(Forks(5)));
            assert_eq!(tx.try_send(&Forks(7)), Ok(()));
            assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(Forks(6)), Ok(Forks(7))));
        }
    });
}
