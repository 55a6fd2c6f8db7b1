//! A record ring, one lap and a half on, with three records in it.

use std::time::Duration;

use ringway::{ClaimError, Region, bytes};

use crate::canary::Guarded;
use crate::common::raw::Raw;
use crate::said::{Said, Says, closed, done, peer};
use crate::scenes::Acts::{Copies, LooksAtReceiver, LooksAtSender, Receives, SeatsReceiver, SeatsSender, Sends};
use crate::scenes::{Operation, Scene};

const CAPACITY: u64 = 512;
const RECORD: [u8; 40] = [7; 40];
/// How many words one record takes.
const WORDS: u64 = 6;
/// How many records were received before.
const PASSED: u64 = 128;
const HEAD: u64 = 1 + PASSED * WORDS;
const HELD: u64 = 3;
const MOMENT: Duration = Duration::from_micros(1);

pub struct Records(bytes::Channel);

pub struct Ends {
    tx: Option<bytes::Sender>,
    rx: Option<bytes::Receiver>,
}

impl Ends {
    fn tx(&mut self) -> &mut bytes::Sender {
        self.tx.as_mut().unwrap()
    }

    fn rx(&mut self) -> &mut bytes::Receiver {
        self.rx.as_mut().unwrap()
    }
}

/// Receives into a buffer between guards. The buffer may be too short.
fn into_guarded<E: Says>(len: usize, receive: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Said {
    let mut buffer = Guarded::new(len, 0xA5);
    let received = receive(buffer.middle());
    assert!(!matches!(received, Ok(received) if received > len), "more than fits");
    received.says()
}

fn into_guarded_slice<E: Says>(receive: impl FnOnce(&mut [u8], &mut [usize]) -> Result<usize, E>) -> Said {
    let (mut buffer, mut ends) = (Guarded::new(100, 0xA5), Guarded::new(3, usize::MAX));
    let received = receive(buffer.middle(), ends.middle());
    if let Ok(count) = received {
        let ends = &ends.middle()[..count];
        assert!(ends.is_sorted() && ends.iter().all(|end| *end <= 100), "{ends:?}");
    }
    received.says()
}

fn checked(record: &[u8]) {
    assert!(record.len() as u64 <= CAPACITY * 8 - 16, "a record longer than any");
}

impl Scene for Records {
    type Ends = Ends;

    fn new() -> Self {
        let channel = bytes::Channel::options().capacity_bytes(CAPACITY * 8).memfd().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        for i in 0..PASSED + HELD {
            tx.send(&RECORD).unwrap();
            if i < PASSED {
                rx.recv().unwrap();
            }
        }
        drop((tx, rx));
        Self(channel)
    }

    fn region(&self) -> &Region {
        self.0.region()
    }

    fn ends(&self) -> Result<Ends, ClaimError> {
        Ok(Ends { tx: Some(self.0.sender()?), rx: Some(self.0.receiver()?) })
    }

    fn operations() -> Vec<Operation<Self>> {
        [Self::sending(), Self::receiving(), Self::seats()].into_iter().flatten().collect()
    }

    fn data_words(&self) -> Vec<usize> {
        let at = |pos: u64| ((pos - 1) % CAPACITY) as usize;
        let records = (0..=HELD).flat_map(|record| {
            let header = at(HEAD + record * WORDS);
            [header - 1, header, header + 1, header + 5]
        });
        let mut words: Vec<usize> = (0..14).chain(records).chain([CAPACITY as usize - 1]).collect();
        words.sort();
        words.dedup();
        words
    }

    fn hot_data_words(&self) -> Vec<usize> {
        (0..=HELD).map(|record| ((HEAD + record * WORDS - 1) % CAPACITY) as usize).collect()
    }

    fn positions(&self, _: &Raw) -> Vec<u64> {
        let near = [HEAD, HEAD + WORDS, HEAD + HELD * WORDS];
        near.iter().flat_map(|pos| [*pos, pos - CAPACITY, pos + CAPACITY]).collect()
    }
}

impl Records {
    /// The operations of a sender.
    fn sending() -> Vec<Operation<Self>> {
        let (operation, blocking) = (Operation::<Self>::new, Operation::<Self>::blocking);
        vec![
            operation("try_send", Sends, |_, ends| ends.tx().try_send(&RECORD).says()),
            operation("try_send of the longest", Sends, |_, ends| ends.tx().try_send(&[7; 4080]).says()),
            operation("send_timeout", Sends, |_, ends| ends.tx().send_timeout(&RECORD, MOMENT).says()),
            operation("try_send_some", Sends, |_, ends| ends.tx().try_send_some(&[&RECORD, b"", &[7; 900]]).says()),
            operation("try_send_ref", Sends, |_, ends| {
                let slot = ends.tx().try_send_ref(800).map(|mut slot| {
                    slot.write_at(0, &[7; 800]);
                    slot.truncate(30);
                    slot.send().unwrap();
                });
                slot.says()
            }),
            blocking("send", Sends, |_, ends| ends.tx().send(&RECORD).says()),
            blocking("send_slice", Sends, |_, ends| ends.tx().send_some(&[&RECORD, &RECORD]).says()),
            blocking("send_ref", Sends, |_, ends| ends.tx().send_ref(40).map(drop).says()),
            operation("sender's len", LooksAtReceiver, |_, ends| {
                assert!(ends.tx().len() < CAPACITY);
                Said::Done
            }),
            operation("sender's is_empty", LooksAtReceiver, |_, ends| done(ends.tx().is_empty())),
            operation("has_receiver", LooksAtReceiver, |_, ends| peer(ends.tx().has_receiver())),
            operation("sender's is_closed", LooksAtReceiver, |_, ends| closed(ends.tx().is_closed())),
        ]
    }

    /// The operations of a receiver.
    fn receiving() -> Vec<Operation<Self>> {
        let (operation, blocking) = (Operation::<Self>::new, Operation::<Self>::blocking);
        vec![
            operation("try_recv", Receives, |_, ends| ends.rx().try_recv().inspect(|got| checked(got)).says()),
            operation("recv_timeout", Receives, |_, ends| {
                ends.rx().recv_timeout(MOMENT).inspect(|got| checked(got)).says()
            }),
            operation("try_recv_into", Receives, |_, ends| into_guarded(100, |buffer| ends.rx().try_recv_into(buffer))),
            operation("try_recv_slice", Receives, |_, ends| {
                into_guarded_slice(|buffer, found| ends.rx().try_recv_slice(buffer, found))
            }),
            operation("try_recv_ref", Receives, |_, ends| {
                let record = ends.rx().try_recv_ref().map(|record| {
                    checked(&record.to_vec());
                    let mut part = Guarded::new(record.len(), 0xA5);
                    record.read_at(0, part.middle());
                    let _ = (record.is_redelivery(), record.is_empty(), record.as_ptr());
                });
                record.says()
            }),
            operation("try_peek_many", Receives, |_, ends| {
                let received = ends.rx().try_peek_many().map(|mut ahead| {
                    while let Some(record) = ahead.next_record() {
                        checked(&record.to_vec());
                    }
                    let seen = ahead.seen();
                    ahead.consume_up_to(seen);
                });
                received.says()
            }),
            blocking("recv", Receives, |_, ends| ends.rx().recv().inspect(|got| checked(got)).says()),
            blocking("recv_into", Receives, |_, ends| into_guarded(30, |buffer| ends.rx().recv_into(buffer))),
            blocking("recv_slice", Receives, |_, ends| {
                into_guarded_slice(|buffer, found| ends.rx().recv_slice(buffer, found))
            }),
            blocking("recv_ref", Receives, |_, ends| {
                ends.rx().recv_ref().map(|record| checked(&record.to_vec())).says()
            }),
            blocking("iter", Receives, |_, ends| ends.rx().iter().next().says()),
            operation("receiver's len", LooksAtSender, |_, ends| {
                assert!(ends.rx().len() < CAPACITY);
                Said::Done
            }),
            operation("receiver's is_empty", LooksAtSender, |_, ends| done(ends.rx().is_empty())),
            operation("is_redelivery", LooksAtSender, |_, ends| done(ends.rx().is_redelivery())),
            operation("has_sender", LooksAtSender, |_, ends| peer(ends.rx().has_sender())),
            operation("receiver's is_closed", LooksAtSender, |_, ends| closed(ends.rx().is_closed())),
        ]
    }

    /// Operations on the seats, and on the whole channel.
    fn seats() -> Vec<Operation<Self>> {
        let operation = Operation::<Self>::new;
        vec![
            operation("sender again", SeatsSender, |scene, _| scene.0.sender().says()),
            operation("receiver again", SeatsReceiver, |scene, _| scene.0.receiver().says()),
            operation("sender leaves", SeatsSender, |_, ends| done(ends.tx.take())),
            operation("receiver leaves", SeatsReceiver, |_, ends| done(ends.rx.take())),
            operation("another sender", SeatsSender, |scene, ends| {
                ends.tx = None;
                scene.0.sender().says()
            }),
            operation("another receiver", SeatsReceiver, |scene, ends| {
                ends.rx = None;
                scene.0.receiver().says()
            }),
            operation("snapshot", Copies, |scene, _| {
                let Ok(copy) = scene.0.snapshot() else { return Said::Corrupt };
                let Ok(mut rx) = copy.receiver() else { return Said::Corrupt };
                while rx.try_recv().is_ok() {}
                Said::Done
            }),
        ]
    }
}
