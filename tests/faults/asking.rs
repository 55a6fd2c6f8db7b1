//! Questions: who uses a region, who has its seats, and what lies in it.

use std::convert::Infallible;
use std::sync::atomic::Ordering::SeqCst;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringway::{Content, Holder, Report, in_use, spsc};

use crate::case::{Operation, Place, READY, Tally};
use crate::common::child::{Child, fork};
use crate::inject::World;
use crate::making::{Slots, slots_there};
use crate::removing::user;
use crate::worlds;

/// The word of the board that says which process lives beside this one.
const PID: usize = 2;

/// A process that made a region, sent a message, has the sender's seat, and lives.
pub fn living_sender(place: &Place) -> Option<Child> {
    sitting(place, || {
        let channel = Slots::create(place.path(), 8).unwrap();
        let mut tx = channel.sender().unwrap();
        tx.try_send(&crate::making::MESSAGE).unwrap();
        stay(place)
    })
}

/// Prepares, ends the process that has the other seat, and waits until it is dead.
pub fn after_its_death<S>(place: &Place, prepare: impl Fn(&Place) -> S) -> S {
    let prepared = prepare(place);
    let pid = Pid::from_raw(place.board[PID].load(SeqCst) as i32);
    kill(pid, Signal::SIGKILL).unwrap();
    let dead = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ");
    while !dead() {
        std::thread::yield_now();
    }
    prepared
}

/// A process that has a seat of the region until it is killed.
pub fn sitting(place: &Place, work: impl FnOnce()) -> Option<Child> {
    let child = fork("peer", work);
    place.board[PID].store(child.pid.as_raw() as u64, SeqCst);
    place.board.wait_for(READY, 1);
    Some(child)
}

/// Says that it has the seat, and stays.
pub fn stay(place: &Place) -> ! {
    place.board[READY].store(1, SeqCst);
    loop {
        nix::unistd::pause();
    }
}

pub fn attached(place: &Place) -> Slots {
    Slots::open(place.path()).unwrap()
}

/// A receiver that has taken the message.
pub fn receiver(place: &Place) -> (Slots, spsc::Receiver<u64>) {
    let channel = attached(place);
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.try_recv(), Ok(crate::making::MESSAGE));
    (channel, rx)
}

/// A process that made a region, has the receiver's seat, and lives.
pub fn living_receiver(place: &Place) -> Option<Child> {
    sitting(place, || {
        let _rx = Slots::create(place.path(), 8).unwrap().receiver().unwrap();
        stay(place)
    })
}

fn sender(place: &Place) -> (Slots, spsc::Sender<u64>) {
    let channel = attached(place);
    let tx = channel.sender().unwrap();
    (channel, tx)
}

pub fn all(tally: &mut Tally) {
    Operation::new("in_use, by nobody", slots_there, |(), place| in_use(place.path()))
        .done(|used, (), _| assert!(!used))
        .try_all(tally);
    Operation::new("in_use, by another", |_| (), |(), place| in_use(place.path()))
        .stage(user)
        .done(|used, (), _| assert!(used))
        .try_all(tally);
    let alive = [
        ("has_sender, alive", (|_| None) as World),
        ("has_sender, alive, without locks", worlds::no_locks),
        ("has_sender, alive, without pidfds", worlds::no_pidfds),
    ];
    for (name, world) in alive {
        Operation::new(name, receiver, |(_, rx), _| Ok::<_, Infallible>(rx.has_sender()))
            .stage(living_sender)
            .world(world)
            .done(|has, (_, rx), _| {
                assert!(has, "the living is taken for dead");
                assert!(!rx.is_closed());
                assert_eq!(rx.try_recv(), Err(ringway::TryRecvError::Empty));
            })
            .try_all(tally);
    }
    Operation::new("has_receiver, alive", sender, |(_, tx), _| Ok::<_, Infallible>(tx.has_receiver()))
        .stage(living_receiver)
        .done(|has, (_, tx), _| {
            assert!(has, "the living is taken for dead");
            assert!(!tx.is_closed());
            tx.try_send(&9).unwrap();
        })
        .try_all(tally);
    // One of two signs is enough.
    Operation::new(
        "has_sender, dead",
        |place| after_its_death(place, receiver),
        |(_, rx), _| Ok::<_, Infallible>(rx.has_sender()),
    )
    .stage(living_sender)
    .done(|has, (_, rx), _| {
        assert!(!has, "the dead is taken for alive");
        assert!(rx.is_closed());
    })
    .try_all(tally);
    Operation::new("Report::open", |_| (), |(), place| Report::open(place.path()))
        .stage(living_sender)
        .done(|report, (), _| {
            assert_ne!(report.in_use, Some(false));
            assert!(matches!(report.seats[0].holder, Holder::Alive { .. }), "{report}");
            assert!(matches!(report.content, Content::Messages { count: 1, .. }), "{report}");
        })
        .try_all(tally);
    Operation::new(
        "Report::open, of the dead",
        |place| after_its_death(place, |_| ()),
        |(), place| Report::open(place.path()),
    )
    .stage(living_sender)
    .done(|report, (), _| {
        assert_ne!(report.in_use, Some(true));
        assert!(matches!(report.seats[0].holder, Holder::Dead { .. }), "{report}");
        assert!(matches!(report.content, Content::Messages { count: 1, .. }), "{report}");
    })
    .try_all(tally);
}
