//! Seats are claimed, left, and taken from their holders.

use std::convert::Infallible;
use std::time::Duration;

use ringway::{ClaimError, KillError};

use crate::asking::{after_its_death, attached, living_sender, sitting, stay};
use crate::case::{Operation, Place, Tally};
use crate::common::child::Child;
use crate::common::messages::{Numbered, Packet};
use crate::inject::World;
use crate::making::{MESSAGE, Records, Slots, Values, slots_there, values_there};
use crate::worlds;

const LONG: Duration = Duration::from_secs(60);

fn open(place: &Place) -> Slots {
    slots_there(place);
    Slots::open(place.path()).unwrap()
}

/// Fails unless the sender's seat belongs to another process, which is alive.
fn sender_is_taken(place: &Place) {
    match Slots::open(place.path()).unwrap().sender() {
        Err(ClaimError::Taken { .. }) => {}
        Ok(_) => panic!("the seat of a living process was taken"),
        Err(other) => panic!("{other}"),
    }
}

fn receiver_is_taken(place: &Place) {
    match Slots::open(place.path()).unwrap().receiver() {
        Err(ClaimError::Taken { .. }) => {}
        Ok(_) => panic!("the seat of a living process was taken"),
        Err(other) => panic!("{other}"),
    }
}

/// Fails unless both seats can be had, and the message is still there.
fn seats_can_be_had(place: &Place) {
    let channel = Slots::open(place.path()).unwrap();
    let mut tx = channel.sender().unwrap();
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.try_recv(), Ok(MESSAGE));
    tx.try_send(&9).unwrap();
    // The news of a death comes first.
    assert!((0..4).any(|_| rx.try_recv() == Ok(9)));
}

pub fn all(tally: &mut Tally) {
    claiming(tally);
    claiming_elsewhere(tally);
    claiming_after_others(tally);
    leaving(tally);
    killing(tally);
}

fn claiming(tally: &mut Tally) {
    for (name, used) in [("sender", false), ("sender, of a channel in use", true)] {
        let prepare = move |place: &Place| {
            let channel = open(place);
            if used {
                drop(channel.sender().unwrap());
            }
            channel
        };
        Operation::new(name, prepare, |channel, _| channel.sender())
            .beside(sender_is_taken)
            .done(|mut tx, channel, _| {
                tx.try_send(&8).unwrap();
                let mut rx = channel.receiver().unwrap();
                assert_eq!([rx.try_recv(), rx.try_recv()], [Ok(MESSAGE), Ok(8)]);
                rx.try_recv().expect_err("empty");
                tx.try_send(&MESSAGE).unwrap();
            })
            .failed(|channel, _| drop(channel.sender().unwrap()))
            .afterwards(seats_can_be_had)
            .try_all(tally);
    }
    for (name, world) in
        [("sender without locks", worlds::no_locks as World), ("sender without pidfds", worlds::no_pidfds)]
    {
        Operation::new(name, open, |channel, _| channel.sender())
            .world(world)
            .beside(sender_is_taken)
            .done(|mut tx, _, _| tx.try_send(&8).unwrap())
            .failed(|channel, _| drop(channel.sender().unwrap()))
            .afterwards(seats_can_be_had)
            .try_all(tally);
    }
    // A process that dies in the seat leaves it to the next.
    Operation::new("sender, then dead", open, |channel, _| channel.sender())
        .beside(sender_is_taken)
        .done(|tx, _, _| std::mem::forget(tx))
        .changes()
        .afterwards(seats_can_be_had)
        .try_all(tally);
    Operation::new("receiver", open, |channel, _| channel.receiver())
        .beside(receiver_is_taken)
        .done(|rx, _, _| assert_eq!(rx.len(), 1))
        .failed(|channel, _| drop(channel.receiver().unwrap()))
        .afterwards(seats_can_be_had)
        .try_all(tally);
}

/// Seats of other kinds of channel, and on other backings.
fn claiming_elsewhere(tally: &mut Tally) {
    let values = |place: &Place| {
        values_there(place);
        Values::open(place.path()).unwrap()
    };
    Operation::new("writer", values, |channel, _| channel.writer())
        .done(|mut writer, channel, _| {
            writer.write(&Packet::make(2)).unwrap();
            assert_eq!(channel.reader().read(), Ok(Packet::make(2)));
        })
        .failed(|channel, _| {
            assert_eq!(channel.reader().read(), Ok(Packet::make(1)));
            drop(channel.writer().unwrap());
        })
        .try_all(tally);
    let anonymous = |_: &Place| Records::options().capacity_bytes(4096).anonymous().unwrap();
    Operation::new("sender, anonymous", anonymous, |channel, _| channel.sender())
        .done(|mut tx, channel, _| {
            tx.try_send(b"x").unwrap();
            assert_eq!(channel.receiver().unwrap().try_recv(), Ok(b"x".to_vec()));
        })
        .failed(|channel, _| drop(channel.sender().unwrap()))
        .try_all(tally);
    let memfd = |_: &Place| Slots::options().capacity(8).prefault(true).memfd().unwrap();
    Operation::new("sender, memfd, prefault", memfd, |channel, _| channel.sender())
        .done(|mut tx, _, _| tx.try_send(&8).unwrap())
        .failed(|channel, _| drop(channel.sender().unwrap()))
        .try_all(tally);
}

/// Seats that another process has, or had. Nobody takes the seat of a living process, whatever fails.
fn claiming_after_others(tally: &mut Tally) {
    Operation::new("sender, taken", attached, |channel, _| Ok::<_, Infallible>(channel.sender()))
        .stage(living_sender)
        .done(|claimed, _, _| {
            claimed.map(drop).expect_err("the seat of a living process was taken");
        })
        .afterwards(sender_is_taken)
        .try_all(tally);
    Operation::new("sender, after a death", |place| after_its_death(place, attached), |channel, _| channel.sender())
        .stage(living_sender)
        .beside(sender_is_taken)
        .done(|mut tx, _, _| tx.try_send(&8).unwrap())
        .failed(|channel, _| drop(channel.sender().unwrap()))
        .afterwards(seats_can_be_had)
        .try_all(tally);
}

fn leaving(tally: &mut Tally) {
    let seated = |place: &Place| {
        let channel = open(place);
        let seat = Some((channel.sender().unwrap(), channel.receiver().unwrap()));
        (channel, seat)
    };
    Operation::new("drop of endpoints", seated, |(_, ends), _| {
        drop(ends.take());
        Ok::<_, Infallible>(())
    })
    .restore(|(channel, ends), _| *ends = Some((channel.sender().unwrap(), channel.receiver().unwrap())))
    // The pages of the new ends may lie elsewhere, and be one mapping or two.
    .changes()
    .afterwards(seats_can_be_had)
    .try_all(tally);
    Operation::new(
        "drop of a channel",
        |place: &Place| Some(open(place)),
        |channel, _| {
            drop(channel.take());
            Ok::<_, Infallible>(())
        },
    )
    .restore(|channel, place| {
        assert!(!ringway::in_use(place.path()).unwrap());
        *channel = Some(Slots::open(place.path()).unwrap());
    })
    .afterwards(seats_can_be_had)
    .try_all(tally);
}

/// A process that has taken a seat and left it.
fn bystander(place: &Place) -> Option<Child> {
    sitting(place, || {
        drop(open(place).sender().unwrap());
        stay(place)
    })
}

fn killing(tally: &mut Tally) {
    Operation::new("kill_and_take_sender", attached, |channel, _| channel.kill_and_take_sender(LONG))
        .stage(living_sender)
        .beside(sender_is_taken)
        .done(|mut tx, _, _| tx.try_send(&8).unwrap())
        // What could not be done can be tried again.
        .failed(|channel, _| drop(channel.kill_and_take_sender(LONG).unwrap()))
        .afterwards(seats_can_be_had)
        .try_all(tally);
    Operation::new(
        "kill_and_take_sender, after a death",
        |place| after_its_death(place, attached),
        |channel, _| channel.kill_and_take_sender(LONG),
    )
    .stage(living_sender)
    .beside(sender_is_taken)
    .done(|mut tx, _, _| tx.try_send(&8).unwrap())
    .failed(|channel, _| drop(channel.kill_and_take_sender(LONG).unwrap()))
    .afterwards(seats_can_be_had)
    .try_all(tally);
    let receiver_sits = |place: &Place| {
        sitting(place, || {
            let channel = open(place);
            let _rx = channel.receiver().unwrap();
            stay(place)
        })
    };
    Operation::new("kill_and_take_receiver", attached, |channel, _| channel.kill_and_take_receiver(LONG))
        .stage(receiver_sits)
        .beside(receiver_is_taken)
        .done(|rx, _, _| assert_eq!(rx.len(), 1))
        .failed(|channel, _| drop(channel.kill_and_take_receiver(LONG).unwrap()))
        .afterwards(seats_can_be_had)
        .try_all(tally);
    Operation::new("kill_and_take_sender, nobody there", attached, |channel, _| channel.kill_and_take_sender(LONG))
        .stage(bystander)
        .done(|mut tx, _, _| tx.try_send(&8).unwrap())
        .failed(|channel, _| drop(channel.kill_and_take_sender(LONG).unwrap()))
        .afterwards(seats_can_be_had)
        .try_all(tally);
    let own = |place: &Place| {
        let channel = open(place);
        let tx = channel.sender().unwrap();
        (channel, tx)
    };
    Operation::new("kill_and_take_sender, oneself", own, |(channel, _), _| {
        Ok::<_, Infallible>(channel.kill_and_take_sender(LONG))
    })
    .done(|killed, (_, tx), _| {
        match killed {
            Ok(_) => panic!("one's own seat was taken"),
            Err(KillError::NotGone { .. }) => panic!("one was to end oneself"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        tx.try_send(&8).unwrap();
    })
    .try_all(tally);
}
