//! Rings of slots: at every fill level, at every offset of the ring, in every form.

use std::time::{Duration, Instant};

use ringway::{
    ClaimError, RecvError, RecvTimeoutError, Seat, SendError, SendTimeoutError, TooLong, TryRecvError, TrySendError,
    spsc,
};

use crate::ends::{SHORT, WAITS, Watchdog, page, refused, ring};

#[test]
fn a_seat_is_taken_until_it_is_left() {
    let channel = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let same = channel.clone();
    for turn in 1..=1500u64 {
        let tx = channel.sender().unwrap();
        let taken = same.sender().err().unwrap();
        let ClaimError::Taken { seat: Seat::Sender, pid, generation } = taken else { panic!("{taken}") };
        assert_eq!((pid, generation), (std::process::id(), turn));
        assert!(taken.to_string().contains(&pid.to_string()), "{taken}");
        // The other seat is taken through the other channel.
        let rx = same.receiver().unwrap();
        let taken = channel.receiver().err().unwrap();
        assert!(matches!(taken, ClaimError::Taken { seat: Seat::Receiver, generation, .. } if generation == turn));
        drop((tx, rx));
    }
}

#[test]
fn length_and_state_at_every_fill_level_and_across_the_end() {
    for capacity in [1, 2, 3, 5, 8] {
        let (channel, mut tx, mut rx) = ring::<u64>(capacity);
        assert_eq!((channel.capacity(), tx.capacity(), rx.capacity()), (capacity, capacity, capacity));
        let (mut next, mut due) = (0, 0);
        // The ring is filled up to every level and emptied again, from every offset.
        for round in 0..3 * capacity + 2 {
            for level in 0..=capacity {
                for sent in 1..=level {
                    tx.try_send(&next).unwrap();
                    next += 1;
                    assert_eq!((tx.len(), rx.len()), (sent, sent), "capacity {capacity}, round {round}");
                    assert_eq!((tx.is_empty(), rx.is_empty()), (false, false));
                }
                assert_eq!(tx.try_send(&999).err(), (level == capacity).then_some(TrySendError::Full));
                if level < capacity {
                    // The ring took that message after all.
                    assert_eq!(rx.len(), level + 1);
                    for _ in 0..level {
                        assert_eq!(rx.try_recv(), Ok(due));
                        due += 1;
                    }
                    assert_eq!(rx.try_recv(), Ok(999));
                } else {
                    for left in (0..level).rev() {
                        assert_eq!(rx.try_recv(), Ok(due));
                        due += 1;
                        assert_eq!((tx.len(), rx.len()), (left, left));
                    }
                }
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                assert_eq!((tx.len(), rx.len()), (0, 0));
                assert!(tx.is_empty() && rx.is_empty() && !tx.is_closed() && !rx.is_closed());
            }
            // This moves the start by one slot.
            tx.try_send(&next).unwrap();
            assert_eq!(rx.try_recv(), Ok(next));
            (next, due) = (next + 1, due + 1);
        }
        // Ends that come later see the same.
        tx.try_send(&next).unwrap();
        drop((tx, rx));
        let (tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        assert_eq!((tx.len(), rx.len()), (1, 1));
    }
}

#[test]
fn timeouts_leave_the_ring_as_it_was() {
    let _watchdog = Watchdog::new();
    for wait in WAITS {
        let (_channel, mut tx, mut rx) = ring::<u64>(2);
        tx.set_wait(wait);
        rx.set_wait(wait);
        let start = Instant::now();
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= SHORT);
        assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        tx.send_timeout(&1, Duration::ZERO).unwrap();
        tx.send_timeout(&2, Duration::MAX).unwrap();
        let start = Instant::now();
        assert_eq!(tx.send_timeout(&3, SHORT), Err(SendTimeoutError::Timeout));
        assert!(start.elapsed() >= SHORT);
        assert_eq!(tx.send_timeout(&3, Duration::ZERO), Err(SendTimeoutError::Timeout));
        assert_eq!((tx.len(), rx.len()), (2, 2));
        assert_eq!(rx.recv_timeout(Duration::MAX), Ok(1));
        assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(2));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        tx.send(&4).unwrap();
        assert_eq!(rx.recv(), Ok(4));

        let (_channel, mut tx, mut rx) = page();
        tx.set_wait(wait);
        rx.set_wait(wait);
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        tx.send_timeout(&[1; 4000], Duration::ZERO).unwrap();
        assert_eq!(tx.send_timeout(&[2; 4000], SHORT), Err(SendTimeoutError::Timeout));
        assert_eq!((tx.len(), rx.len()), (1, 1));
        assert_eq!(rx.recv_timeout(Duration::MAX).unwrap(), [1; 4000]);
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        let long = vec![0; 4081];
        let too_long = SendError::TooLong(TooLong { found: 4081, most: 4080 });
        assert_eq!(tx.send_timeout(&long, SHORT), Err(SendTimeoutError::Refused(too_long)));
    }
}

#[test]
fn a_full_and_an_empty_ring_say_so_to_every_form() {
    let (_channel, mut tx, mut rx) = ring::<u64>(2);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(rx.try_recv_slice(&mut [0; 3]), Err(TryRecvError::Empty));
    assert_eq!(rx.try_recv_ref().err(), Some(TryRecvError::Empty));
    assert_eq!(tx.try_send_some(&[1, 2, 3]), Ok(ringway::Sent(2)));
    assert_eq!(tx.try_send(&3), Err(TrySendError::Full));
    assert_eq!(tx.try_send_some(&[3]), Err(TrySendError::Full));
    assert_eq!(tx.try_send_ref().err(), Some(TrySendError::Full));
    assert_eq!(rx.iter().take(2).map(Result::unwrap).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn slices_are_taken_as_far_as_they_go() {
    for capacity in [1u64, 2, 3, 5, 8] {
        let (_channel, mut tx, mut rx) = ring::<u64>(capacity);
        assert_eq!(tx.send_some(&[]), Ok(ringway::Sent(0)));
        assert_eq!(tx.try_send_some(&[]), Ok(ringway::Sent(0)));
        assert_eq!(rx.recv_slice(&mut []), Ok(0));
        assert_eq!(rx.try_recv_slice(&mut []), Ok(0));
        let (mut next, mut due) = (0u64, 0u64);
        for len in (0..capacity as usize + 4).cycle().take(100) {
            let values: Vec<u64> = (next..next + len as u64).collect();
            let sent = if len % 2 == 0 { tx.send_some(&values) } else { tx.try_send_some(&values).map_err(refused) };
            let fits = len.min(capacity as usize);
            assert_eq!(sent, Ok(ringway::Sent(fits)), "{len} into {capacity}");
            next += fits as u64;
            assert_eq!(tx.len(), fits as u64);
            let mut room = vec![u64::MAX; len + 2];
            // The messages are taken in two parts.
            let first = rx.try_recv_slice(&mut room[..fits / 2]).unwrap_or(0);
            assert_eq!(first, fits / 2);
            let second = if fits > first { rx.recv_slice(&mut room[first..]).unwrap() } else { 0 };
            assert_eq!(first + second, fits);
            assert_eq!(room[..fits], values[..fits]);
            assert!(room[fits..].iter().all(|value| *value == u64::MAX), "nothing beyond what was received");
            due += fits as u64;
            assert_eq!(rx.try_recv_slice(&mut room), Err(TryRecvError::Empty));
        }
        assert_eq!(next, due);
    }
}

#[test]
fn iterators_end_where_the_sender_left() {
    let _watchdog = Watchdog::new();
    let (channel, mut tx, mut rx) = ring::<u64>(4);
    let (records, mut record_tx, mut record_rx) = page();
    for turn in 0..4u64 {
        tx.send_slice(&[turn, turn + 1, turn + 2]).unwrap();
        record_tx.send_slice(&[b"a", b"", b"ccc"]).unwrap();
        drop((tx, record_tx));
        assert!(rx.is_closed() && !rx.is_empty() && record_rx.is_closed() && !record_rx.is_empty());
        let mut found = Vec::new();
        for value in &mut rx {
            found.push(value.unwrap());
        }
        assert_eq!(found, [turn, turn + 1, turn + 2]);
        assert_eq!(record_rx.iter().map(Result::unwrap).collect::<Vec<_>>(), [&b"a"[..], b"", b"ccc"]);
        for _ in 0..2 {
            assert_eq!(rx.iter().next(), None);
            assert_eq!((&mut record_rx).into_iter().next(), None);
            let closed = TryRecvError::Refused(RecvError::Closed);
            assert_eq!(rx.try_recv(), Err(closed));
            assert_eq!(rx.recv_slice(&mut [0]), Err(RecvError::Closed));
            assert_eq!(rx.try_recv_ref().err(), Some(closed));
            assert_eq!(rx.recv_ref().err(), Some(RecvError::Closed));
            assert_eq!(record_rx.try_recv(), Err(closed));
            assert_eq!(record_rx.recv_into(&mut [0; 9]), Err(RecvError::Closed));
            assert_eq!(record_rx.recv_slice(&mut [0; 9], &mut [0]), Err(RecvError::Closed));
            assert_eq!(record_rx.recv_timeout(SHORT), Err(RecvTimeoutError::Refused(RecvError::Closed)));
        }
        // A new sender comes, and the ring goes on.
        (tx, record_tx) = (channel.sender().unwrap(), records.sender().unwrap());
        assert!(!rx.is_closed() && !record_rx.is_closed());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(record_rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_receiver_that_left_is_reported_by_every_form_of_send() {
    let _watchdog = Watchdog::new();
    let closed = SendError::Closed;
    let try_closed = TrySendError::Refused(closed);
    let (_channel, mut tx, rx) = ring::<u64>(1);
    let (_records, mut record_tx, record_rx) = page();
    assert!(!tx.is_closed());
    tx.send(&1).unwrap();
    record_tx.send(&[0; 4080]).unwrap();
    drop((rx, record_rx));
    assert!(tx.is_closed() && record_tx.is_closed());
    assert_eq!(tx.send(&2), Err(closed));
    assert_eq!(tx.try_send(&2), Err(try_closed));
    assert_eq!(tx.send_timeout(&2, SHORT), Err(SendTimeoutError::Refused(closed)));
    assert_eq!(tx.send_some(&[2]), Err(closed));
    assert_eq!(tx.try_send_some(&[2]), Err(try_closed));
    assert_eq!(tx.send_ref().err(), Some(closed));
    assert_eq!(tx.try_send_ref().err(), Some(try_closed));
    assert_eq!(record_tx.send(b""), Err(closed));
    assert_eq!(record_tx.try_send(b""), Err(try_closed));
    assert_eq!(record_tx.send_timeout(b"", SHORT), Err(SendTimeoutError::Refused(closed)));
    assert_eq!(record_tx.send_some(&[b""]), Err(closed));
    assert_eq!(record_tx.try_send_some(&[b""]), Err(try_closed));
    assert_eq!(record_tx.send_ref(0).err(), Some(closed));
    assert_eq!(record_tx.try_send_ref(0).err(), Some(try_closed));
    assert_eq!((tx.len(), record_tx.len()), (1, 1));
}
