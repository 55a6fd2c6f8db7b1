//! The record ring: publication (B1), reuse (B2), framing across the end, forged headers.

use super::*;
use crate::protocol::tally::{Count, FIRST_OF_ALL};

/// A record of `words` words. Its bytes differ from those of every other record.
fn record(n: u8, words: usize) -> Vec<u8> {
    (0..words * 8).map(|i| n.wrapping_mul(16) + i as u8).collect()
}

/// B1: a visible record is whole, and nothing is visible behind the last one. The receiver never waits.
#[test]
fn records_publication() {
    explore(|| {
        let ring = record_ring(8);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            sending.model_send(&mut s, &record(1, 1)).unwrap();
            sending.model_send(&mut s, &record(2, 2)).unwrap();
        });
        let mut r = ring.model_receiver();
        let mut received = 0;
        let mut look = || match ring.model_recv(&mut r) {
            Ok(found) => {
                received += 1;
                assert_eq!(found, record(received, usize::from(received)));
            }
            Err(stop) => assert_eq!(stop, Stop::Blocked),
        };
        look();
        look();
        sender.join().unwrap();
        look();
        look();
        assert_eq!(received, 2);
        assert_eq!(ring.model_recv(&mut r), Err(Stop::Blocked));
    });
}

/// B2: words are not written again before their record has been copied. The sender never waits.
#[test]
fn records_reuse() {
    explore(|| {
        let ring = record_ring(4);
        let mut s = ring.model_sender();
        ring.model_send(&mut s, &record(1, 2)).unwrap();
        let mut r = ring.model_receiver();
        let receiving = ring.clone();
        let receiver = thread::spawn(move || {
            assert_eq!(receiving.model_recv(&mut r).unwrap(), record(1, 2));
            r
        });
        let sent = (0..2).any(|_| ring.model_send(&mut s, &record(2, 2)).is_ok());
        let mut r = receiver.join().unwrap();
        assert_eq!(ring.model_recv(&mut r), if sent { Ok(record(2, 2)) } else { Err(Stop::Blocked) });
    });
}

/// Framing across the end of the ring, full and empty: both sides wait.
#[test]
fn records_wrap() {
    explore(|| {
        let ring = record_ring(5);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            for n in 1..=3 {
                until_unblocked(|| sending.model_send(&mut s, &record(n, 2))).unwrap();
            }
        });
        let mut r = ring.model_receiver();
        for n in 1..=3 {
            assert_eq!(until_unblocked(|| ring.model_recv(&mut r)).unwrap(), record(n, 2));
        }
        sender.join().unwrap();
    });
}

/// Payload of the previous lap that looks like the next header is never taken for one.
#[test]
fn records_forged_header() {
    // A ring of whole pages cannot be lapped this quickly; the tests in tests/api forge headers there.
    if cfg!(not(loom)) {
        return;
    }
    explore(|| {
        let ring = record_ring(6);
        let mut s = ring.model_sender();
        let mut r = ring.model_receiver();
        // This record takes positions 1..4. Its second payload word, position 3, is where the header of position 9 will
        // be.
        let forged = 9 << 32 | 1u64;
        let payload = [0u64, forged];
        ring.model_send(&mut s, zerocopy::IntoBytes::as_bytes(&payload)).unwrap();
        assert_eq!(ring.model_recv(&mut r).unwrap().len(), 16);
        ring.model_send(&mut s, &record(2, 1)).unwrap();
        assert_eq!(ring.model_recv(&mut r).unwrap(), record(2, 1));
        assert_eq!(s.pos, 6);
        let sending = ring.clone();
        // This record takes positions 6..9. The forged word is right behind it.
        let sender = thread::spawn(move || sending.model_send(&mut s, &record(3, 2)).unwrap());
        assert_eq!(until_unblocked(|| ring.model_recv(&mut r)).unwrap(), record(3, 2));
        assert_eq!(r.pos, 9);
        assert_eq!(ring.model_recv(&mut r), Err(Stop::Blocked));
        sender.join().unwrap();
        assert_eq!(ring.model_recv(&mut r), Err(Stop::Blocked));
    });
}

/// Checks that a count matches its position. All records here take two words.
fn assert_count(count: Count) {
    assert_eq!(count.position - 1, 2 * count.records, "{count:?}");
}

/// B2: a process that sees a head also sees how many records were consumed, and how many before the next.
#[test]
fn records_tally() {
    explore(|| {
        let ring = record_ring(8);
        let mut s = ring.model_sender();
        (1..=2).for_each(|n| ring.model_send(&mut s, &record(n, 1)).unwrap());
        let mut r = ring.model_receiver();
        let receiving = ring.clone();
        let receiver = thread::spawn(move || {
            (1..=2).for_each(|n| assert_eq!(receiving.model_recv(&mut r).unwrap(), record(n, 1)));
        });
        let consumed = ring.consumed().unwrap();
        assert!(consumed.position <= 5);
        assert_count(consumed);
        receiver.join().unwrap();
        assert_eq!((ring.consumed().unwrap().records, ring.len_for_sender(&s)), (2, 0));
    });
}

/// B3, B4: a count from a checkpoint is right, whatever the sender does meanwhile.
#[test]
fn records_checkpoint() {
    explore(|| {
        let ring = record_ring(8);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            // Under loom there is a checkpoint before the second record, and one before the third. The records are a
            // batch, so that no fence comes in between.
            (1..=3).for_each(|n| sending.model_commit(&mut s, &record(n, 1)).unwrap());
        });
        let published = ring.published(FIRST_OF_ALL).unwrap();
        assert_eq!(published.stopped_by, None);
        assert_count(published.end);
        sender.join().unwrap();
        assert_eq!(ring.published(FIRST_OF_ALL).unwrap().end.records, 3);
    });
}
