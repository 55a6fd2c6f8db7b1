//! A ring of records against a queue, at random.

use std::collections::VecDeque;

use ringway::{RecvError, TryRecvError, TrySendError, bytes};

use crate::ends::some_bytes;

const SEED: u64 = 0x7269_6E67_7761_7921;

const OPERATIONS: u64 = 50_000;

/// How many words a record takes.
fn words(record: &[u8]) -> u64 {
    1 + record.len().div_ceil(8) as u64
}

/// A ring of records, and a queue that holds what must be in the ring.
struct Pair {
    random: fastrand::Rng,
    channel: bytes::Channel,
    tx: Option<bytes::Sender>,
    rx: Option<bytes::Receiver>,
    model: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Pair {
    fn new(pages: u64) -> Self {
        let capacity = pages * 4096;
        let channel = bytes::Channel::options().capacity_bytes(capacity).anonymous().unwrap();
        let (tx, rx) = (Some(channel.sender().unwrap()), Some(channel.receiver().unwrap()));
        let random = fastrand::Rng::with_seed(SEED ^ pages);
        Self { random, channel, tx, rx, model: VecDeque::new(), buffer: vec![0; capacity as usize] }
    }

    /// How many words are free. One word is never used.
    fn room(&self) -> u64 {
        self.channel.capacity() / 8 - 1 - self.model.iter().map(|record| words(record)).sum::<u64>()
    }

    /// The length of a record, or of a buffer for one.
    fn length(&mut self) -> usize {
        let most = match self.random.u32(..8) {
            0 => self.channel.max_len(),
            1 => 700,
            _ => 60,
        };
        self.random.usize(..=most)
    }

    fn send(&mut self, form: u32, seed: u64) {
        let len = self.length();
        let (room, record) = (self.room(), some_bytes(seed, len));
        let fits = words(&record) <= room;
        let tx = self.tx.as_mut().unwrap();
        match form {
            0..=2 => {
                let sent = tx.try_send(&record);
                assert_eq!(sent, if fits { Ok(()) } else { Err(TrySendError::Full) });
                self.model.extend(sent.ok().map(|()| record));
            }
            3 => {
                let records: Vec<&[u8]> = (0..self.random.usize(..6)).map(|i| &record[..len >> i]).collect();
                let used = records.iter().scan(0, |used, record| {
                    *used += words(record);
                    Some(*used)
                });
                let count = used.take_while(|used| *used <= room).count();
                let full = !records.is_empty() && count == 0;
                let sent = tx.try_send_some(&records);
                assert_eq!(sent, if full { Err(TrySendError::Full) } else { Ok(ringway::Sent(count)) });
                self.model.extend(records[..count].iter().map(|record| record.to_vec()));
            }
            _ => match tx.try_send_ref(len) {
                Ok(mut slot) => {
                    assert!(fits);
                    slot.write_at(0, &record);
                    let kept = self.random.usize(..=len);
                    slot.truncate(kept);
                    if self.random.u32(..3) > 0 {
                        slot.send().unwrap();
                        self.model.push_back(record[..kept].to_vec());
                    }
                }
                Err(error) => {
                    assert_eq!(error, TrySendError::Full);
                    assert!(!fits);
                }
            },
        }
    }

    fn receive(&mut self, form: u32) {
        let len = self.length();
        let (rx, model) = (self.rx.as_mut().unwrap(), &mut self.model);
        let empty = |error, model: &VecDeque<_>| {
            assert_eq!(error, TryRecvError::Empty);
            assert!(model.is_empty());
        };
        match form {
            6 => assert_eq!(rx.try_recv(), model.pop_front().ok_or(TryRecvError::Empty)),
            7 => match rx.try_recv_into(&mut self.buffer[..len]) {
                Ok(found) => assert_eq!(self.buffer[..found], model.pop_front().unwrap()),
                Err(TryRecvError::Empty) => assert!(model.is_empty()),
                Err(error) => {
                    let found = model[0].len();
                    assert!(found > len);
                    assert_eq!(error, TryRecvError::Refused(RecvError::BufferTooShort { found, buffer: len }));
                }
            },
            8 | 9 => {
                let mut ends = vec![usize::MAX; self.random.usize(1..8)];
                match rx.try_recv_slice(&mut self.buffer, &mut ends) {
                    Ok(count) => {
                        assert_eq!(count, ends.len().min(model.len()), "the buffer takes all there can be");
                        let mut start = 0;
                        for end in &ends[..count] {
                            assert_eq!(self.buffer[start..*end], model.pop_front().unwrap());
                            start = *end;
                        }
                    }
                    Err(error) => empty(error, model),
                }
            }
            _ => match rx.try_recv_ref() {
                Ok(found) => {
                    assert_eq!(Some(&found.to_vec()), model.front());
                    if self.random.bool() {
                        std::mem::forget(found);
                    } else {
                        model.pop_front();
                    }
                }
                Err(error) => empty(error, model),
            },
        }
    }

    fn renew_sender(&mut self) {
        self.tx = None;
        self.tx = Some(self.channel.sender().unwrap());
    }

    fn renew_receiver(&mut self) {
        self.rx = None;
        self.rx = Some(self.channel.receiver().unwrap());
    }

    fn look(&self) {
        let (tx, rx) = (self.tx.as_ref().unwrap(), self.rx.as_ref().unwrap());
        let len = self.model.len() as u64;
        assert_eq!((tx.len(), rx.len()), (len, len));
        assert_eq!((tx.is_empty(), rx.is_empty()), (len == 0, len == 0));
    }
}

#[test]
fn bytes_do_what_a_queue_does() {
    for pages in [1, 2, 5, 16] {
        println!("{pages} pages, seed {SEED:#x}");
        let mut pair = Pair::new(pages);
        for operation in 0..OPERATIONS {
            match pair.random.u32(..14) {
                form @ 0..=5 => pair.send(form, operation),
                form @ 6..=10 => pair.receive(form),
                11 if operation % 5 == 0 => pair.renew_sender(),
                12 if operation % 5 == 0 => pair.renew_receiver(),
                _ => pair.look(),
            }
        }
    }
}
