//! Calls that sleep, and meanwhile ask the kernel about the peer.

use std::convert::Infallible;
use std::time::Duration;

use ringway::{ChangedError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Wait, spsc};

use crate::asking::{after_its_death, attached, living_receiver, living_sender, receiver, sitting, stay};
use crate::case::{Operation, Place, Tally};
use crate::common::child::Child;
use crate::common::messages::{Numbered, Packet};
use crate::making::{Slots, Values};
use crate::worlds;

/// Longer than it takes to ask the first question.
const SHORT: Duration = Duration::from_millis(6);

fn sleeping_receiver(place: &Place) -> (Slots, spsc::Receiver<u64>) {
    let (channel, mut rx) = receiver(place);
    rx.set_wait(Wait::Sleep);
    (channel, rx)
}

/// A process that fills the ring from which another receives.
fn sleeping_sender(place: &Place) -> (Slots, spsc::Sender<u64>) {
    let channel = attached(place);
    let mut tx = channel.sender().unwrap();
    while tx.try_send(&9).is_ok() {}
    tx.set_wait(Wait::Sleep);
    (channel, tx)
}

fn living_writer(place: &Place) -> Option<Child> {
    sitting(place, || {
        let mut writer = Values::create(place.path()).unwrap().writer().unwrap();
        writer.write(&Packet::make(1)).unwrap();
        stay(place)
    })
}

pub fn all(tally: &mut Tally) {
    receiving(tally);
    sending(tally);
    changing(tally);
}

fn receiving(tally: &mut Tally) {
    Operation::new("recv, of the living", sleeping_receiver, |(_, rx), _| Ok::<_, Infallible>(rx.recv_timeout(SHORT)))
        .stage(living_sender)
        .done(|received, _, _| assert_eq!(received, Err(RecvTimeoutError::Timeout)))
        .try_all(tally);
    Operation::new("recv without membarrier", sleeping_receiver, |(_, rx), _| {
        Ok::<_, Infallible>(rx.recv_timeout(SHORT))
    })
    .stage(living_sender)
    .world(worlds::no_membarrier)
    .done(|received, _, _| assert_eq!(received, Err(RecvTimeoutError::Timeout)))
    .try_all(tally);
    let spinning = |place: &Place| {
        let (channel, mut rx) = receiver(place);
        rx.set_wait(Wait::Spin);
        (channel, rx)
    };
    Operation::new("recv, spinning", spinning, |(_, rx), _| Ok::<_, Infallible>(rx.recv_timeout(SHORT)))
        .stage(living_sender)
        .done(|received, _, _| assert_eq!(received, Err(RecvTimeoutError::Timeout)))
        .try_all(tally);
    Operation::new(
        "recv, of the dead",
        |place| after_its_death(place, sleeping_receiver),
        |(_, rx), _| Ok::<_, Infallible>(rx.recv()),
    )
    .stage(living_sender)
    .done(|received, _, _| assert_eq!(received, Err(RecvError::PeerDied { generation: 1 })))
    .waits()
    .try_all(tally);
    // What cannot be asked is not known for as long as it cannot be asked.
    Operation::new(
        "recv_timeout, of the dead",
        |place| after_its_death(place, sleeping_receiver),
        |(_, rx), _| Ok::<_, Infallible>(rx.recv_timeout(SHORT)),
    )
    .stage(living_sender)
    .done(|received, (_, rx), _| match received {
        Err(RecvTimeoutError::Refused(RecvError::PeerDied { generation: 1 })) => {}
        Err(RecvTimeoutError::Timeout) => assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 })),
        other => panic!("{other:?}"),
    })
    .try_all(tally);
}

fn sending(tally: &mut Tally) {
    Operation::new("send, to the living", sleeping_sender, |(_, tx), _| {
        Ok::<_, Infallible>(tx.send_timeout(&9, SHORT))
    })
    .stage(living_receiver)
    .done(|sent, _, _| assert_eq!(sent, Err(SendTimeoutError::Timeout)))
    .try_all(tally);
    Operation::new(
        "send, to the dead",
        |place| after_its_death(place, sleeping_sender),
        |(_, tx), _| Ok::<_, Infallible>(tx.send(&9)),
    )
    .stage(living_receiver)
    .done(|sent, _, _| assert_eq!(sent, Err(SendError::PeerDied { generation: 1 })))
    .waits()
    .try_all(tally);
}

fn changing(tally: &mut Tally) {
    type Reader = ringway::seqlock::Reader<Packet>;
    type Prepare<'a> = &'a dyn Fn(&Place) -> Reader;
    let reader = |channel: &Values| -> Reader {
        let mut reader = channel.reader();
        reader.set_wait(Wait::Sleep);
        assert_eq!(reader.read(), Ok(Packet::make(1)));
        reader
    };
    let shared = |place: &Place| reader(&Values::open(place.path()).unwrap());
    let read_only = |place: &Place| reader(&Values::open_read_only(place.path()).unwrap());
    let readers: [(_, _, Prepare<'_>); 2] = [
        ("changed, of the living", "changed, of the dead", &shared),
        ("changed, read-only, of the living", "changed, read-only, of the dead", &read_only),
    ];
    for (living, dead, prepare) in readers {
        Operation::new(living, prepare, |reader, _| Ok::<_, Infallible>(reader.changed_timeout(SHORT)))
            .stage(living_writer)
            .done(|changed, _, _| assert_eq!(changed, Err(ChangedError::Timeout)))
            .try_all(tally);
        Operation::new(
            dead,
            |place| after_its_death(place, prepare),
            |reader, _| Ok::<_, Infallible>(reader.changed()),
        )
        .stage(living_writer)
        .done(|changed, _, _| assert_eq!(changed, Err(ChangedError::PeerDied { generation: 1 })))
        .waits()
        .try_all(tally);
    }
}
