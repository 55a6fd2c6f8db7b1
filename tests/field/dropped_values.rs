//! Values with drop code. It runs for each value whose place a received value takes, and may do anything.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use ringway::zerocopy::FromZeros;
use ringway::{RecvError, TryRecvError, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::{end, split};

static DROPS: AtomicUsize = AtomicUsize::new(0);
static FORKS: AtomicBool = AtomicBool::new(false);
static IS_CHILD: AtomicBool = AtomicBool::new(false);

#[ringway::message]
#[repr(C)]
struct Loud(u64);

impl Drop for Loud {
    fn drop(&mut self) {
        DROPS.fetch_add(1, SeqCst);
        if FORKS.swap(false, SeqCst) {
            match split() {
                Some(child) => child.succeed(),
                None => IS_CHILD.store(true, SeqCst),
            }
        }
    }
}

fn drops(work: impl FnOnce()) -> usize {
    let before = DROPS.load(SeqCst);
    work();
    DROPS.load(SeqCst) - before
}

#[test]
fn what_is_received_over_an_old_value_drops_that() {
    alone(|| {
        let channel = spsc::Channel::<Loud>::options().capacity(8).anonymous().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let mut values = [const { Loud(0) }; 3];
        (1..=6).for_each(|n| tx.send(&Loud(n)).unwrap());
        assert_eq!(drops(|| rx.recv_into(&mut values[0]).unwrap()), 1);
        assert_eq!(drops(|| rx.recv_ref().unwrap().read_into(&mut values[1])), 1);
        assert_eq!(drops(|| assert_eq!(rx.recv_slice(&mut values), Ok(3))), 3);
        assert_eq!(values.each_ref().map(|value| value.0), [3, 4, 5]);
        let state = seqlock::Channel::<Loud>::options().anonymous().unwrap();
        state.writer().unwrap().write(&Loud(7)).unwrap();
        assert_eq!(drops(|| state.reader().read_into(&mut values[0]).unwrap()), 1);
        assert_eq!(values[0].0, 7);
    });
}

#[test]
fn drop_code_that_forks_in_a_batch_leaves_the_parent_its_messages_and_the_child_none() {
    alone(|| {
        let channel = spsc::Channel::<Loud>::options().capacity(8).anonymous().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        (1..=4).for_each(|n| tx.send(&Loud(n)).unwrap());
        let mut values = Loud::new_vec_zeroed(4).unwrap();
        FORKS.store(true, SeqCst);
        let received = rx.recv_slice(&mut values);
        assert!(!FORKS.load(SeqCst), "nothing was dropped, so nothing forked");
        if IS_CHILD.load(SeqCst) {
            end(|| {
                assert_eq!((received, values[0].0, values[1].0), (Ok(1), 1, 0));
                assert!(matches!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Forked))));
            });
        }
        assert_eq!(received, Ok(4));
        assert!(values.iter().map(|value| value.0).eq(1..=4));
    });
}
