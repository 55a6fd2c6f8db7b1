//! A ring of slots against a queue, at random.

use std::collections::VecDeque;
use std::time::Duration;

use ringway::{TryRecvError, TrySendError, spsc};

use crate::ends::ring;

const SEED: u64 = 0x7269_6E67_7761_7921;

const OPERATIONS: usize = 50_000;

/// A ring of numbers, and a queue that holds what must be in the ring.
struct Pair {
    random: fastrand::Rng,
    channel: spsc::Channel<u64>,
    tx: Option<spsc::Sender<u64>>,
    rx: Option<spsc::Receiver<u64>>,
    model: VecDeque<u64>,
    /// The number that is sent next.
    next: u64,
}

impl Pair {
    fn new(capacity: u64) -> Self {
        let (channel, tx, rx) = ring::<u64>(capacity);
        let random = fastrand::Rng::with_seed(SEED ^ capacity);
        Self { random, channel, tx: Some(tx), rx: Some(rx), model: VecDeque::new(), next: 0 }
    }

    fn room(&self) -> usize {
        self.channel.capacity() as usize - self.model.len()
    }

    /// How many messages are sent or received at once.
    fn batch(&mut self) -> usize {
        self.random.usize(..self.channel.capacity().min(20) as usize + 3)
    }

    fn send(&mut self, form: u32) {
        let (room, next, batch) = (self.room(), self.next, self.batch());
        let tx = self.tx.as_mut().unwrap();
        match form {
            0..=1 => {
                let sent = tx.try_send(&next);
                assert_eq!(sent, if room > 0 { Ok(()) } else { Err(TrySendError::Full) });
                self.model.extend(sent.ok().map(|()| next));
            }
            2 if room > 0 => {
                tx.send(&next).unwrap();
                self.model.push_back(next);
            }
            3 | 4 => {
                let values: Vec<u64> = (0..batch as u64).map(|i| next + i).collect();
                let fits = batch.min(room);
                let sent = tx.try_send_some(&values);
                assert_eq!(
                    sent,
                    if batch > 0 && room == 0 { Err(TrySendError::Full) } else { Ok(ringway::Sent(fits)) }
                );
                self.model.extend(&values[..fits]);
            }
            5 if room > 0 => {
                let mut slot = tx.send_ref().unwrap();
                slot.write(&next);
                if self.random.bool() {
                    slot.send().unwrap();
                    self.model.push_back(next);
                }
            }
            6 => {
                let sent = tx.send_timeout(&next, Duration::ZERO);
                assert_eq!(sent.is_ok(), room > 0);
                self.model.extend(sent.ok().map(|()| next));
            }
            _ => self.look(),
        }
        self.next += 1000;
    }

    fn receive(&mut self, form: u32) {
        let batch = self.batch();
        let rx = self.rx.as_mut().unwrap();
        match form {
            7..=8 => assert_eq!(rx.try_recv(), self.model.pop_front().ok_or(TryRecvError::Empty)),
            9 if !self.model.is_empty() => assert_eq!(rx.recv(), Ok(self.model.pop_front().unwrap())),
            10 | 11 => {
                let mut values = vec![u64::MAX; batch];
                let due: Vec<u64> = self.model.drain(..batch.min(self.model.len())).collect();
                let received = rx.try_recv_slice(&mut values);
                let empty = batch > 0 && due.is_empty();
                assert_eq!(received, if empty { Err(TryRecvError::Empty) } else { Ok(due.len()) });
                assert_eq!(values[..due.len()], due);
            }
            12 => match rx.try_recv_ref() {
                Ok(message) => {
                    assert_eq!(Some(&message.read()), self.model.front());
                    if self.random.bool() {
                        std::mem::forget(message);
                    } else {
                        self.model.pop_front();
                    }
                }
                Err(error) => {
                    assert_eq!(error, TryRecvError::Empty);
                    assert!(self.model.is_empty());
                }
            },
            _ => self.look(),
        }
    }

    fn renew_sender(&mut self) {
        self.tx = None;
        self.tx = Some(self.channel.sender().unwrap());
    }

    /// The sender must not take this for the end of the receiver.
    fn renew_receiver(&mut self) {
        self.rx = None;
        self.rx = Some(self.channel.receiver().unwrap());
    }

    fn look(&self) {
        let (tx, rx) = (self.tx.as_ref().unwrap(), self.rx.as_ref().unwrap());
        let len = self.model.len() as u64;
        assert_eq!((tx.len(), rx.len()), (len, len));
        assert_eq!((tx.is_empty(), rx.is_empty()), (len == 0, len == 0));
        assert!(!tx.is_closed() && !rx.is_closed());
    }
}

#[test]
fn spsc_does_what_a_queue_does() {
    for capacity in [1, 2, 3, 7, 64, 1000] {
        println!("capacity {capacity}, seed {SEED:#x}");
        let mut pair = Pair::new(capacity);
        for operation in 0..OPERATIONS {
            match pair.random.u32(..16) {
                form @ 0..=6 => pair.send(form),
                form @ 7..=12 => pair.receive(form),
                13 if operation % 5 == 0 => pair.renew_sender(),
                14 if operation % 5 == 0 => pair.renew_receiver(),
                _ => pair.look(),
            }
        }
    }
}
