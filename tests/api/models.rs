//! Both rings against a queue, at random.

use std::collections::VecDeque;
use std::time::Duration;

use ringway::{RecvError, TryRecvError, TrySendError, bytes};

use crate::ends::{ring, some_bytes};

const SEED: u64 = 0x7269_6E67_7761_7921;

const OPERATIONS: usize = 200_000;

#[test]
fn spsc_does_what_a_queue_does() {
    for capacity in [1usize, 2, 3, 7, 64, 1000] {
        println!("capacity {capacity}, seed {SEED:#x}");
        let mut random = fastrand::Rng::with_seed(SEED ^ capacity as u64);
        let (channel, tx, rx) = ring::<u64>(capacity as u64);
        let (mut tx, mut rx) = (Some(tx), Some(rx));
        let mut model = VecDeque::new();
        let mut next = 0u64;
        for operation in 0..OPERATIONS / 4 {
            let (sender, receiver) = (tx.as_mut().unwrap(), rx.as_mut().unwrap());
            let room = capacity - model.len();
            let form = random.u32(..16);
            let batch = random.usize(..capacity.min(20) + 3);
            match form {
                0..=1 => {
                    let sent = sender.try_send(&next);
                    assert_eq!(sent, if room > 0 { Ok(()) } else { Err(TrySendError::Full) });
                    if sent.is_ok() {
                        model.push_back(next);
                    }
                }
                2 if room > 0 => {
                    sender.send(&next).unwrap();
                    model.push_back(next);
                }
                3 | 4 => {
                    let values: Vec<u64> = (0..batch as u64).map(|i| next + i).collect();
                    let fits = batch.min(room);
                    let sent = sender.try_send_slice(&values);
                    assert_eq!(sent, if batch > 0 && room == 0 { Err(TrySendError::Full) } else { Ok(fits) });
                    model.extend(&values[..fits]);
                }
                5 if room > 0 => {
                    let mut slot = sender.send_ref().unwrap();
                    slot.write(&next);
                    if random.bool() {
                        slot.send().unwrap();
                        model.push_back(next);
                    }
                }
                6 => {
                    assert_eq!(sender.send_timeout(&next, Duration::ZERO).is_ok(), room > 0);
                    if room > 0 {
                        model.push_back(next);
                    }
                }
                7..=8 => assert_eq!(receiver.try_recv(), model.pop_front().ok_or(TryRecvError::Empty)),
                9 if !model.is_empty() => assert_eq!(receiver.recv(), Ok(model.pop_front().unwrap())),
                10 | 11 => {
                    let mut values = vec![u64::MAX; batch];
                    let due: Vec<u64> = model.drain(..batch.min(model.len())).collect();
                    let received = receiver.try_recv_slice(&mut values);
                    let empty = batch > 0 && due.is_empty();
                    assert_eq!(received, if empty { Err(TryRecvError::Empty) } else { Ok(due.len()) });
                    assert_eq!(values[..due.len()], due);
                }
                12 => match receiver.try_recv_ref() {
                    Ok(message) => {
                        assert_eq!(Some(&message.read()), model.front());
                        if random.bool() {
                            std::mem::forget(message);
                        } else {
                            model.pop_front();
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, TryRecvError::Empty);
                        assert!(model.is_empty());
                    }
                },
                13 if operation % 5 == 0 => {
                    drop(tx.take());
                    tx = Some(channel.sender().unwrap());
                }
                14 if operation % 5 == 0 => {
                    // The sender must not take a receiver's leaving for the end: it comes again.
                    drop(rx.take());
                    rx = Some(channel.receiver().unwrap());
                }
                _ => {
                    let len = model.len() as u64;
                    assert_eq!((sender.len(), receiver.len()), (len, len));
                    assert_eq!((sender.is_empty(), receiver.is_empty()), (len == 0, len == 0));
                    assert!(!sender.is_closed() && !receiver.is_closed());
                }
            }
            next += 1000;
        }
    }
}

#[test]
fn bytes_do_what_a_queue_does() {
    for pages in [1u64, 2, 5, 16] {
        println!("{pages} pages, seed {SEED:#x}");
        let capacity = pages * 4096;
        let mut random = fastrand::Rng::with_seed(SEED ^ pages);
        let channel = bytes::Channel::options().capacity_bytes(capacity).anonymous().unwrap();
        let (mut tx, mut rx) = (Some(channel.sender().unwrap()), Some(channel.receiver().unwrap()));
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        // One word is never used.
        let words = |model: &VecDeque<Vec<u8>>| -> u64 { model.iter().map(|r| 1 + r.len().div_ceil(8) as u64).sum() };
        let mut buffer = vec![0; capacity as usize];
        for operation in 0..OPERATIONS / 4 {
            let (sender, receiver) = (tx.as_mut().unwrap(), rx.as_mut().unwrap());
            let room = capacity / 8 - 1 - words(&model);
            let most = match random.u32(..8) {
                0 => sender.max_len(),
                1 => 700,
                _ => 60,
            };
            let len = random.usize(..=most);
            let record = some_bytes(operation as u64, len);
            let fits = room > len.div_ceil(8) as u64;
            match random.u32(..14) {
                0..=2 => {
                    let sent = sender.try_send(&record);
                    assert_eq!(sent, if fits { Ok(()) } else { Err(TrySendError::Full) });
                    if fits {
                        model.push_back(record);
                    }
                }
                3 => {
                    let records: Vec<&[u8]> = (0..random.usize(..6)).map(|i| &record[..len >> i]).collect();
                    let (mut left, mut count) = (room, 0);
                    for record in &records {
                        let used = 1 + record.len().div_ceil(8) as u64;
                        if used > left {
                            break;
                        }
                        (left, count) = (left - used, count + 1);
                    }
                    let full = !records.is_empty() && count == 0;
                    let sent = sender.try_send_slice(&records);
                    assert_eq!(sent, if full { Err(TrySendError::Full) } else { Ok(count) });
                    model.extend(records[..count].iter().map(|record| record.to_vec()));
                }
                4 | 5 => match sender.try_send_ref(len) {
                    Ok(mut slot) => {
                        assert!(fits);
                        slot.write_at(0, &record);
                        let kept = random.usize(..=len);
                        slot.truncate(kept);
                        if random.u32(..3) > 0 {
                            slot.send().unwrap();
                            model.push_back(record[..kept].to_vec());
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, TrySendError::Full);
                        assert!(!fits);
                    }
                },
                6 => assert_eq!(receiver.try_recv(), model.pop_front().ok_or(TryRecvError::Empty)),
                7 => match receiver.try_recv_into(&mut buffer[..len]) {
                    Ok(found) => assert_eq!(buffer[..found], model.pop_front().unwrap()),
                    Err(TryRecvError::Empty) => assert!(model.is_empty()),
                    Err(error) => {
                        let found = model[0].len();
                        assert!(found > len);
                        assert_eq!(error, TryRecvError::Refused(RecvError::BufferTooShort { found, buffer: len }));
                    }
                },
                8 | 9 => {
                    let mut ends = vec![usize::MAX; random.usize(1..8)];
                    match receiver.try_recv_slice(&mut buffer, &mut ends) {
                        Ok(count) => {
                            assert_eq!(count, ends.len().min(model.len()), "the buffer takes all there can be");
                            let mut start = 0;
                            for end in &ends[..count] {
                                assert_eq!(buffer[start..*end], model.pop_front().unwrap());
                                start = *end;
                            }
                        }
                        Err(error) => {
                            assert_eq!(error, TryRecvError::Empty);
                            assert!(model.is_empty());
                        }
                    }
                }
                10 => match receiver.try_recv_ref() {
                    Ok(found) => {
                        assert_eq!(Some(&found.to_vec()), model.front());
                        if random.bool() {
                            std::mem::forget(found);
                        } else {
                            model.pop_front();
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, TryRecvError::Empty);
                        assert!(model.is_empty());
                    }
                },
                11 if operation % 5 == 0 => {
                    drop(tx.take());
                    tx = Some(channel.sender().unwrap());
                }
                12 if operation % 5 == 0 => {
                    drop(rx.take());
                    rx = Some(channel.receiver().unwrap());
                }
                _ => {
                    let len = model.len() as u64;
                    assert_eq!((sender.len(), receiver.len()), (len, len));
                    assert_eq!((sender.is_empty(), receiver.is_empty()), (len == 0, len == 0));
                }
            }
        }
    }
}
