//! Rings of records: every length from every offset, in place, in slices, and content that looks like a header.

use std::collections::VecDeque;

use ringway::{RecvError, SendError, TooLong, TryRecvError, TrySendError, bytes};

use crate::ends::{page, some_bytes};

#[test]
fn records_of_every_length_cross_whole_from_every_offset() {
    let (channel, mut tx, mut rx) = page();
    assert_eq!((channel.capacity(), tx.capacity(), rx.capacity()), (4096, 4096, 4096));
    assert_eq!((channel.max_len(), tx.max_len()), (4080, 4080));
    let mut buffer = vec![0; 4080];
    for len in 0..=4080 {
        let bytes = some_bytes(len as u64, len);
        tx.try_send(&bytes).unwrap();
        assert_eq!((tx.len(), rx.len()), (1, 1));
        assert_eq!(rx.try_recv_into(&mut buffer), Ok(len));
        assert!(buffer[..len] == bytes, "length {len}");
        assert!(rx.is_empty() && tx.is_empty());
    }
    let found = 4081;
    assert_eq!(
        tx.try_send(&vec![0; found]),
        Err(TrySendError::Refused(SendError::TooLong(TooLong { found, most: 4080 })))
    );
    assert_eq!(tx.send_ref(usize::MAX).err(), Some(SendError::TooLong(TooLong { found: usize::MAX, most: 4080 })));
    // A record can begin at every offset. The lengths are those around the edges that matter at that offset.
    for word in 0..512usize {
        let to_end = (512 - word) * 8;
        let lens = [0, 1, 7, 8, 9, 63, 64, 65, 128, 129, 2047, 2048, 2049, 4073, 4079, 4080];
        let around = (to_end.saturating_sub(17)..to_end + 10).filter(|len| *len <= 4080);
        for len in lens.into_iter().chain(around) {
            // The second record brings the start back to the same word.
            let bytes = some_bytes(word as u64 * 5000 + len as u64, len);
            tx.try_send(&bytes).unwrap();
            let found = rx.try_recv_ref().unwrap();
            assert_eq!((found.len(), found.is_empty()), (len, len == 0));
            assert_eq!(found.as_ptr().addr() % 8, 0);
            // SAFETY: the only sender is idle and uses this crate alone, and nobody forks.
            assert!(unsafe { found.as_slice() } == bytes, "length {len} at word {word}");
            assert!(found.to_vec() == bytes);
            drop(found);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let used = 1 + len.div_ceil(8);
            let mut back = 512 - used;
            while back > 0 {
                let words = back.min(300);
                tx.try_send(&vec![0xFF; (words - 1) * 8]).unwrap();
                assert_eq!(rx.try_recv().unwrap().len(), (words - 1) * 8);
                back -= words;
            }
        }
        tx.try_send(b"").unwrap();
        assert_eq!(rx.try_recv().unwrap(), b"");
    }
}

#[test]
fn a_page_holds_as_many_records_as_fit() {
    // Each record takes a header and whole words. One word stays free.
    for (len, count) in [(0, 511), (1, 255), (8, 255), (9, 170), (16, 170), (4080, 1), (4072, 1), (2032, 2), (2033, 1)]
    {
        let (_channel, mut tx, mut rx) = page();
        for round in 0..5u64 {
            for i in 0..count {
                tx.try_send(&some_bytes(round * 1000 + i, len)).unwrap();
                assert_eq!((tx.len(), rx.len()), (i + 1, i + 1));
            }
            assert_eq!(tx.try_send(&vec![0; len]), Err(TrySendError::Full), "{count} records of {len}");
            assert_eq!(tx.try_send_ref(len).err(), Some(TrySendError::Full));
            for i in 0..count {
                assert_eq!(rx.try_recv().unwrap(), some_bytes(round * 1000 + i, len));
                assert_eq!((tx.len(), rx.len()), (count - i - 1, count - i - 1));
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    }
    // Capacities are rounded up to pages.
    let channel = bytes::Channel::options().capacity_bytes(8).anonymous().unwrap();
    assert_eq!((channel.capacity(), channel.max_len()), (4096, 4080));
}

#[test]
fn a_record_can_be_built_in_place_and_shortened() {
    let (_channel, mut tx, mut rx) = page();
    for (wanted, kept) in [(0, 0), (10, 10), (10, 3), (4080, 0), (4080, 5), (100, 8), (100, 16), (8, 0)] {
        for _ in 0..40 {
            let mut room = tx.send_ref(wanted).unwrap();
            assert_eq!((room.len(), room.is_empty()), (wanted, wanted == 0));
            room.write_at(0, &vec![0xAA; wanted]);
            room.truncate(wanted + 1);
            assert_eq!(room.len(), wanted);
            room.truncate(kept);
            assert_eq!((room.len(), room.is_empty()), (kept, kept == 0));
            room.truncate(usize::MAX);
            assert_eq!(room.len(), kept);
            if kept > 0 {
                room.write_at(kept - 1, b"Z");
                assert_eq!(room.as_mut_ptr().addr() % 8, 0);
            }
            room.send().unwrap();
            let mut expected = vec![0xAA; kept];
            if let Some(last) = expected.last_mut() {
                *last = b'Z';
            }
            assert_eq!(rx.try_recv().unwrap(), expected);
            // Bytes beyond the kept part must not be taken for a record.
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            assert_eq!((tx.len(), rx.len()), (0, 0));
        }
    }
    let mut room = tx.try_send_ref(64).unwrap();
    room.write_at(0, &[1; 64]);
    drop(room);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!((tx.len(), rx.len()), (0, 0));
    tx.send(b"next").unwrap();
    std::mem::forget(rx.recv_ref().unwrap());
    assert_eq!(rx.len(), 1);
    let found = rx.recv_ref().unwrap();
    let mut part = [0; 2];
    found.read_at(1, &mut part);
    assert_eq!(&part, b"ex");
    drop(found);
    assert_eq!(rx.len(), 0);
}

#[test]
fn a_buffer_that_is_too_short_leaves_the_record() {
    let (_channel, mut tx, mut rx) = page();
    for turn in 0..100usize {
        let len = 1 + turn * 40;
        let bytes = some_bytes(turn as u64, len);
        tx.send(&bytes).unwrap();
        for buffer in [0, 1, len - 1].into_iter().filter(|buffer| *buffer < len) {
            let short = RecvError::BufferTooShort { found: len, buffer };
            assert_eq!(rx.recv_into(&mut vec![0; buffer]), Err(short));
            assert_eq!(rx.try_recv_into(&mut vec![0; buffer]), Err(TryRecvError::Refused(short)));
            assert_eq!(rx.recv_slice(&mut vec![0; buffer], &mut [0; 2]), Err(short));
            assert_eq!(rx.try_recv_slice(&mut vec![0; buffer], &mut [0; 2]), Err(TryRecvError::Refused(short)));
            assert_eq!((tx.len(), rx.len()), (1, 1));
        }
        let mut exact = vec![0; len + turn % 2];
        assert_eq!(rx.recv_into(&mut exact), Ok(len));
        assert_eq!(exact[..len], bytes);
    }
}

#[test]
fn record_slices_are_packed_and_taken_as_far_as_they_go() {
    let (_channel, mut tx, mut rx) = page();
    assert_eq!(tx.send_some(&[]), Ok(ringway::Sent(0)));
    assert_eq!(tx.try_send_some(&[]), Ok(ringway::Sent(0)));
    assert_eq!(rx.recv_slice(&mut [0; 9], &mut []), Ok(0));
    assert_eq!(rx.try_recv_slice(&mut [0; 9], &mut []), Ok(0));
    assert_eq!(rx.try_recv_slice(&mut [0; 9], &mut [0]), Err(TryRecvError::Empty));
    for turn in 0..200u8 {
        assert_eq!(tx.send_some(&[b"one", b"", &[turn; 5], b"fourth"]), Ok(ringway::Sent(4)));
        let (mut buffer, mut ends) = ([0xEE; 10], [99; 3]);
        // First the ends run out, then the bytes, then the records.
        assert_eq!(rx.recv_slice(&mut buffer, &mut ends), Ok(3));
        assert_eq!(ends, [3, 3, 8]);
        assert_eq!(buffer[..8], [b'o', b'n', b'e', turn, turn, turn, turn, turn]);
        assert_eq!(buffer[8..], [0xEE; 2]);
        assert_eq!(rx.len(), 1);
        assert_eq!(tx.try_send_some(&[b"fifth", b"6"]), Ok(ringway::Sent(2)));
        let (mut buffer, mut ends) = ([0; 10], [99; 9]);
        assert_eq!(rx.try_recv_slice(&mut buffer, &mut ends), Ok(1));
        assert_eq!((&buffer[..6], ends[0], ends[1]), (&b"fourth"[..], 6, 99));
        assert_eq!(rx.try_recv_slice(&mut buffer, &mut ends), Ok(2));
        assert_eq!((&buffer[..6], &ends[..2]), (&b"fifth6"[..], &[5, 6][..]));
    }
    // Empty records need no room in the buffer.
    assert_eq!(tx.send_some(&[b"", b""]), Ok(ringway::Sent(2)));
    let mut ends = [9; 3];
    assert_eq!(rx.recv_slice(&mut [], &mut ends), Ok(2));
    assert_eq!(ends, [0, 0, 9]);
    // The batch needs more room than there is, and one record never fits.
    let large = [3; 2000];
    assert_eq!(tx.send_some(&[&large, &large, &large]), Ok(ringway::Sent(2)));
    assert_eq!(tx.try_send_some(&[&large]), Err(TrySendError::Full));
    assert_eq!(rx.iter().take(2).map(Result::unwrap).collect::<Vec<_>>(), [large, large]);
    let too_long = [0; 4081];
    assert_eq!(tx.send_some(&[b"x", &too_long, b"y"]), Ok(ringway::Sent(1)));
    let error = SendError::TooLong(TooLong { found: 4081, most: 4080 });
    assert_eq!(tx.send_some(&[&too_long]), Err(error));
    assert_eq!(tx.try_send_some(&[&too_long]), Err(TrySendError::Refused(error)));
    assert_eq!(rx.try_recv().unwrap(), b"x");
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

/// The ring is filled, lap after lap, with payload that looks like a valid header for any position that the word has in
/// the laps to come. No payload may ever be taken for a record.
#[test]
fn payload_cannot_be_taken_for_a_header() {
    // A header that is marked as bringing the news of a death, or one that is not.
    let header = |pos: u64, len: u64| (pos & 4) << 61 | (pos << 30 & ((1 << 43) - 1)) | (len + 1);
    for forged_len in [0u64, 1, 8, 16, 40] {
        let (channel, mut tx, mut rx) = page();
        let mut random = fastrand::Rng::with_seed(forged_len);
        let (mut pos, mut waiting) = (1u64, VecDeque::new());
        let mut received = 0;
        while received < 3000 {
            let words = random.usize(0..=if received % 4 == 0 { 510 } else { 40 });
            // Each payload word claims to be the header of its place one or two laps ahead.
            let ahead = 512 * random.u64(1..=2);
            let payload: Vec<u8> =
                (1..=words as u64).flat_map(|i| header(pos + i + ahead, forged_len).to_ne_bytes()).collect();
            match random.u8(..4) {
                // Written and never sent.
                0 => {
                    if let Ok(mut room) = tx.try_send_ref(payload.len()) {
                        room.write_at(0, &payload);
                        // The payload forges the headers of this lap, too.
                        let now: Vec<u8> =
                            (1..=words as u64).flat_map(|i| header(pos + i, forged_len).to_ne_bytes()).collect();
                        room.write_at(0, &now);
                    }
                }
                // Sent after it was shortened.
                1 => {
                    if let Ok(mut room) = tx.try_send_ref(payload.len()) {
                        let now: Vec<u8> =
                            (1..=words as u64).flat_map(|i| header(pos + i, forged_len).to_ne_bytes()).collect();
                        room.write_at(0, &now);
                        let kept = random.usize(0..=words) * 8;
                        room.truncate(kept);
                        room.send().unwrap();
                        pos += 1 + kept as u64 / 8;
                        waiting.push_back(now[..kept].to_vec());
                    }
                }
                _ => {
                    if tx.try_send(&payload).is_ok() {
                        pos += 1 + words as u64;
                        waiting.push_back(payload);
                    }
                }
            }
            assert_eq!(rx.len(), waiting.len() as u64);
            assert_eq!(tx.len(), waiting.len() as u64);
            let take = random.usize(0..=waiting.len());
            for _ in 0..take {
                assert_eq!(rx.try_recv().unwrap(), waiting.pop_front().unwrap());
                received += 1;
            }
            if waiting.is_empty() {
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            }
            // A successor walks along the headers to find where it goes on.
            if random.u8(..8) == 0 {
                drop(tx);
                tx = channel.sender().unwrap();
            }
        }
        waiting.into_iter().for_each(|payload| assert_eq!(rx.try_recv().unwrap(), payload));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}
