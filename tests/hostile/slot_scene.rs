//! A slot ring, one lap and a half on, with three messages in it.

use std::time::Duration;

use ringway::{ClaimError, Region, spsc};

use crate::canary::Guarded;
use crate::common::raw::Raw;
use crate::said::{Said, Says, closed, done, peer};
use crate::scenes::Acts::{Copies, LooksAtReceiver, LooksAtSender, Receives, SeatsReceiver, SeatsSender, Sends};
use crate::scenes::{Operation, Scene};

const CAPACITY: u64 = 8;
const HEAD: u64 = 13;
const HELD: u64 = 3;
const MOMENT: Duration = Duration::from_micros(1);

pub struct Slots<const N: usize>(spsc::Channel<[u8; N]>);

pub struct Ends<const N: usize> {
    tx: Option<spsc::Sender<[u8; N]>>,
    rx: Option<spsc::Receiver<[u8; N]>>,
}

impl<const N: usize> Ends<N> {
    fn tx(&mut self) -> &mut spsc::Sender<[u8; N]> {
        self.tx.as_mut().unwrap()
    }

    fn rx(&mut self) -> &mut spsc::Receiver<[u8; N]> {
        self.rx.as_mut().unwrap()
    }
}

/// Receives into a slice between guards.
fn into_guarded<const N: usize, E: Says>(receive: impl FnOnce(&mut [[u8; N]]) -> Result<usize, E>) -> Said {
    let mut values = Guarded::new(5, [0xA5; N]);
    let received = receive(values.middle());
    assert!(!matches!(received, Ok(count) if count == 0 || count > 5), "a number of messages that cannot be");
    received.says()
}

impl<const N: usize> Slots<N> {
    /// How many words a slot has.
    const STRIDE: usize = {
        let words = N.div_ceil(8) + 1;
        if words <= 8 { words.next_power_of_two() } else { words }
    };
}

impl<const N: usize> Scene for Slots<N> {
    type Ends = Ends<N>;

    fn new() -> Self {
        let channel = spsc::Channel::options().capacity(CAPACITY).memfd().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        for i in 1..HEAD + HELD {
            tx.send(&[i as u8; N]).unwrap();
            if i < HEAD {
                rx.recv().unwrap();
            }
        }
        drop((tx, rx));
        Self(channel)
    }

    fn region(&self) -> &Region {
        self.0.region()
    }

    fn ends(&self) -> Result<Ends<N>, ClaimError> {
        Ok(Ends { tx: Some(self.0.sender()?), rx: Some(self.0.receiver()?) })
    }

    fn operations() -> Vec<Operation<Self>> {
        [Self::sending(), Self::receiving(), Self::seats()].into_iter().flatten().collect()
    }

    fn data_words(&self) -> Vec<usize> {
        let stride = Self::STRIDE;
        let all = CAPACITY as usize * stride;
        (0..all).filter(|word| word % stride < 2 || word % stride + 2 >= stride || *word < 2 * stride).collect()
    }

    fn hot_data_words(&self) -> Vec<usize> {
        let stamp = |pos: u64| ((pos - 1) % CAPACITY) as usize * Self::STRIDE + Self::STRIDE - 1;
        (HEAD..=HEAD + HELD).map(stamp).collect()
    }

    fn positions(&self, _: &Raw) -> Vec<u64> {
        let near = [HEAD, HEAD + 1, HEAD + HELD, HEAD + HELD + 1];
        near.iter().flat_map(|pos| [*pos, pos - CAPACITY, pos + CAPACITY]).collect()
    }
}

impl<const N: usize> Slots<N> {
    /// The operations of a sender.
    fn sending() -> Vec<Operation<Self>> {
        let (operation, blocking) = (Operation::<Self>::new, Operation::<Self>::blocking);
        vec![
            operation("try_send", Sends, |_, ends| ends.tx().try_send(&[7; N]).says()),
            operation("send_timeout", Sends, |_, ends| ends.tx().send_timeout(&[7; N], MOMENT).says()),
            operation("try_send_some", Sends, |_, ends| ends.tx().try_send_some(&[[7; N]; 9]).says()),
            operation("try_send_ref", Sends, |_, ends| {
                let slot = ends.tx().try_send_ref().map(|mut slot| {
                    slot.write(&[7; N]);
                    slot.send().unwrap();
                });
                slot.says()
            }),
            operation("try_reserve_many", Sends, |_, ends| {
                let sent = ends.tx().try_reserve_many(5).map(|mut slots| {
                    let count = slots.len();
                    assert!((1..=5).contains(&count), "a number of slots that cannot be");
                    (0..count).for_each(|index| slots.write(index, &[7; N]));
                    slots.send(count).unwrap();
                });
                sent.says()
            }),
            blocking("send", Sends, |_, ends| ends.tx().send(&[7; N]).says()),
            blocking("send_slice", Sends, |_, ends| ends.tx().send_some(&[[7; N]; 5]).says()),
            blocking("send_ref", Sends, |_, ends| ends.tx().send_ref().map(drop).says()),
            operation("sender's len", LooksAtReceiver, |_, ends| {
                assert!(ends.tx().len() <= CAPACITY);
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
            operation("try_recv", Receives, |_, ends| ends.rx().try_recv().says()),
            operation("recv_timeout", Receives, |_, ends| ends.rx().recv_timeout(MOMENT).says()),
            operation("try_recv_slice", Receives, |_, ends| into_guarded(|values| ends.rx().try_recv_slice(values))),
            operation("try_recv_ref", Receives, |_, ends| {
                let slot = ends.rx().try_recv_ref().map(|slot| {
                    let mut part = Guarded::new(N, 0xA5);
                    slot.read_at(0, part.middle());
                    let _ = (slot.read(), slot.is_redelivery(), slot.as_ptr());
                });
                slot.says()
            }),
            operation("try_peek_many", Receives, |_, ends| {
                let received = ends.rx().try_peek_many(5).map(|found| {
                    let count = found.iter().count();
                    assert!((1..=5).contains(&count), "a number of messages that cannot be");
                    found.consume_up_to(count - 1);
                });
                received.says()
            }),
            blocking("recv", Receives, |_, ends| ends.rx().recv().says()),
            blocking("recv_slice", Receives, |_, ends| into_guarded(|values| ends.rx().recv_slice(values))),
            blocking("recv_ref", Receives, |_, ends| ends.rx().recv_ref().map(|slot| slot.read()).says()),
            blocking("iter", Receives, |_, ends| ends.rx().iter().next().says()),
            operation("receiver's len", LooksAtSender, |_, ends| {
                assert!(ends.rx().len() <= CAPACITY);
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
