//! Which deaths are told if many senders came and went before the receiver looked.

use std::mem::ManuallyDrop;
use std::path::Path;

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use ringway::{RecvError, Wait, bytes, spsc};

use crate::cast::reap_killed;
use crate::common::backing::Backing;
use crate::common::child::{fork, in_child};
use crate::common::lane::{Lane, Sends};
use crate::common::messages::Packet;
use crate::ring::{Manner, Ring};
use crate::turn::{Seed, take_turn};

const PLAIN: Manner = Manner { wait: Wait::Sleep, in_place: false, lags: false };

/// The turn of a sender: whether it sends a message, and whether it is killed.
type Turn = (bool, bool);

/// A message, named by its sender's generation, or the end of a sender.
type Event = Result<u64, RecvError>;

/// What a late receiver on one kind of ring gets, after some turns.
type Late = fn(&[Turn]) -> Vec<Event>;

/// What a receiver should get that comes after all turns.
fn expected(turns: &[Turn]) -> Vec<Event> {
    let (mut events, mut death) = (Vec::new(), None);
    let report = |death: &mut Option<u64>| death.take().map(|generation| Err(RecvError::PeerDied { generation }));
    for (generation, (sends, killed)) in (1..).zip(turns) {
        if *sends {
            events.extend(report(&mut death));
            events.push(Ok(generation));
        }
        death = if *killed { Some(generation) } else { death };
    }
    events.extend(report(&mut death));
    events
}

fn received<L: Lane>(turns: &[Turn]) -> Vec<Event> {
    let ring = Ring::<L>::make(1 << 16, Backing::Anonymous, Path::new(""));
    for (sends, killed) in turns {
        let child = fork("sender", || {
            let mut tx = ring.sender(PLAIN);
            if *sends {
                let generation = tx.generation();
                ring.send(&mut tx, generation, PLAIN).unwrap();
            }
            if *killed {
                kill(nix::unistd::Pid::this(), Signal::SIGKILL).unwrap();
            }
            drop(ManuallyDrop::into_inner(tx));
        });
        if *killed { reap_killed(child) } else { child.succeed() }
    }
    // The end of this sender is told, too.
    fork("last sender", || drop(ManuallyDrop::into_inner(ring.sender(PLAIN)))).succeed();
    let (mut rx, mut events) = (ring.receiver(PLAIN), Vec::new());
    loop {
        let mut message = 0;
        match ring.recv(&mut rx, PLAIN, &mut |key, _| message = key) {
            Ok(()) => events.push(Ok(message)),
            Err(RecvError::Closed) => return events,
            Err(error) => events.push(Err(error)),
        }
        assert!(events.len() <= 2 * turns.len(), "no end: {events:?}");
    }
}

#[test]
fn a_late_receiver_sees_each_death_in_its_place() {
    let _turn = take_turn();
    let seed = Seed::new();
    let mut rng = Rng::with_seed(seed.0);
    let [silent_death, death, leaving] = [(false, true), (true, true), (true, false)];
    let mut cases = vec![
        vec![death, leaving, death, leaving],
        [vec![leaving; 20], vec![death, leaving]].concat(),
        [vec![silent_death; 20], vec![leaving]].concat(),
    ];
    cases.extend((0..6).map(|_| (0..40).map(|_| (rng.u8(..4) == 0, rng.bool())).collect()));
    let kinds: [(&str, Late); 3] = [
        ("words", received::<spsc::Channel<u64>>),
        ("packets", received::<spsc::Channel<Packet>>),
        ("records", received::<bytes::Channel>),
    ];
    for (case, (kind, received)) in cases.iter().zip(kinds.into_iter().cycle()) {
        in_child("late receiver", || assert_eq!(received(case), expected(case), "{kind} after {case:?}"));
    }
}
