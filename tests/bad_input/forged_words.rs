//! Words that a hostile peer wrote. Every reader of one detects it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ringway::{
    ChangedError, ClaimError, Corrupt, Fault, ReadError, RecvError, RecvTimeoutError, SendError, SendTimeoutError,
    TryRecvError, TrySendError, bytes,
};

use crate::common::alone::alone;
use crate::common::raw::Raw;
use crate::refusal::{Latest, Spsc};

const CORRUPT_HEADS: [u64; 6] = [0, 2, 1_000_000_001, 1 << 62, u64::MAX, u64::MAX / 2];

#[test]
fn a_head_that_cannot_be_is_found_by_the_sender() {
    alone(|| {
        for head in CORRUPT_HEADS {
            let spsc = Spsc::options().capacity(4).memfd().unwrap();
            let raw = Raw::new(spsc.region().fd().unwrap());
            let mut tx = spsc.sender().unwrap();
            raw.head().store(head, Relaxed);
            let corrupt = Corrupt { fault: Fault::Head, found: head, position: 1 };
            assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            // The endpoint says so for ever.
            raw.head().store(1, Relaxed);
            assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            assert_eq!(tx.send(&1), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.try_send_some(&[1]), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            assert_eq!(tx.send_some(&[1]), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_ref().err(), Some(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_timeout(&1, Duration::MAX), Err(SendTimeoutError::Refused(SendError::Corrupt(corrupt))));
            let text = SendError::Corrupt(corrupt).to_string();
            assert!(text.contains(&format!("{head:#x}")) && text.contains("position 1"), "{text}");
            // A new endpoint has not seen the wrong word, and finds the region as good as before.
            drop(tx);
            spsc.sender().unwrap().try_send(&1).unwrap();

            let bytes = bytes::Channel::options().capacity_bytes(64).memfd().unwrap();
            let raw = Raw::new(bytes.region().fd().unwrap());
            let mut tx = bytes.sender().unwrap();
            raw.head().store(head, Relaxed);
            assert_eq!(tx.try_send(b"a"), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            raw.head().store(1, Relaxed);
            assert_eq!(tx.send(b"a"), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send(&[0; 5000]), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_some(&[b"a"]), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_ref(1).err(), Some(SendError::Corrupt(corrupt)));
        }
    });
}

#[test]
fn a_head_that_cannot_be_is_found_by_who_takes_a_seat() {
    alone(|| {
        let spsc = Spsc::options().capacity(4).memfd().unwrap();
        let bytes = bytes::Channel::options().capacity_bytes(64).memfd().unwrap();
        for head in [0, 1 << 62, u64::MAX] {
            let corrupt = Corrupt { fault: Fault::Head, found: head, position: 0 };
            Raw::new(spsc.region().fd().unwrap()).head().store(head, Relaxed);
            Raw::new(bytes.region().fd().unwrap()).head().store(head, Relaxed);
            for error in [
                spsc.sender().err().unwrap(),
                spsc.receiver().err().unwrap(),
                bytes.sender().err().unwrap(),
                bytes.receiver().err().unwrap(),
            ] {
                assert!(matches!(error, ClaimError::Corrupt(c) if c == corrupt), "{error:?}");
                assert!(error.to_string().contains(&format!("{head:#x}")));
            }
        }
        // The seats were given back, and nothing else was harmed.
        Raw::new(spsc.region().fd().unwrap()).head().store(1, Relaxed);
        spsc.sender().unwrap().send(&5).unwrap();
        assert_eq!(spsc.receiver().unwrap().recv(), Ok(5));
    });
}

#[test]
fn a_stamp_that_cannot_be_is_found_by_the_receiver() {
    alone(|| {
        for stamp in [1, 3, 1 << 40, u64::MAX] {
            let channel = Spsc::options().capacity(4).memfd().unwrap();
            let raw = Raw::new(channel.region().fd().unwrap());
            let mut rx = channel.receiver().unwrap();
            raw.data(1).store(stamp, Relaxed);
            let corrupt = Corrupt { fault: Fault::Stamp, found: stamp, position: 1 };
            let error = TryRecvError::Refused(RecvError::Corrupt(corrupt));
            assert_eq!(rx.try_recv(), Err(error));
            // The endpoint says so for ever, also when the word is as expected again, or is one that a peer may write.
            for later in [2, 0, 1, u64::MAX] {
                raw.data(1).store(later, Relaxed);
                assert_eq!(rx.try_recv(), Err(error), "after a stamp of {later}");
                assert_eq!(rx.try_recv_ref().err(), Some(error), "after a stamp of {later}");
                assert_eq!(rx.try_recv_slice(&mut [0]), Err(error));
                assert_eq!(rx.recv(), Err(RecvError::Corrupt(corrupt)));
                let in_time = rx.recv_timeout(Duration::MAX);
                assert_eq!(in_time, Err(RecvTimeoutError::Refused(RecvError::Corrupt(corrupt))));
                assert_eq!(rx.iter().next(), Some(Err(RecvError::Corrupt(corrupt))));
            }
            assert_eq!(raw.head().load(Relaxed), 1, "nothing was consumed");
        }
    });
}

#[test]
fn a_record_header_that_cannot_be_is_found() {
    alone(|| {
        let most = 4096 - 16;
        let tag = |pos: u64| pos << 30;
        // The header of another position, of no length, of a length that does not fit, of the longest length there is,
        // and garbage.
        let wrong = [
            tag(2) | 2,
            1 << 63 | tag(2) | 2,
            tag(1),
            tag(1) | (most + 2),
            tag(1) | 0x3FFF_FFFF,
            1,
            u64::MAX,
            tag(0) | 5,
        ];
        for header in wrong {
            let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
            let raw = Raw::new(channel.region().fd().unwrap());
            let mut rx = channel.receiver().unwrap();
            raw.data(0).store(header, Relaxed);
            assert_eq!((rx.len(), rx.is_empty()), (0, true));
            let corrupt = Corrupt { fault: Fault::RecordHeader, found: header, position: 1 };
            let error = TryRecvError::Refused(RecvError::Corrupt(corrupt));
            assert_eq!(rx.try_recv(), Err(error));
            for later in [tag(1) | 2, 0, tag(0) | 1, 1, u64::MAX] {
                raw.data(0).store(later, Relaxed);
                assert_eq!(rx.try_recv(), Err(error), "after {later:#x}");
                assert_eq!(rx.try_recv_ref().err(), Some(error));
                assert_eq!(rx.try_recv_into(&mut [0; 8]), Err(error));
                assert_eq!(rx.try_recv_slice(&mut [0; 8], &mut [0]), Err(error));
                assert_eq!(rx.recv(), Err(RecvError::Corrupt(corrupt)));
            }
            raw.data(0).store(header, Relaxed);
            let claimed = channel.sender().err().unwrap();
            let right = matches!(claimed, ClaimError::Corrupt(Corrupt { fault: Fault::RecordHeader, found, .. })
                if found == header);
            assert!(right, "{claimed:?}");
        }
        // The length fits, and garbage lies behind the record.
        let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
        let raw = Raw::new(channel.region().fd().unwrap());
        let mut rx = channel.receiver().unwrap();
        raw.data(0).store(tag(1) | (most + 1), Relaxed);
        assert_eq!(rx.try_recv().unwrap().len(), most as usize);
        raw.data(511).store(7, Relaxed);
        let corrupt = Corrupt { fault: Fault::RecordHeader, found: 7, position: 512 };
        assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Corrupt(corrupt))));
    });
}

#[test]
fn a_version_that_cannot_be_is_found() {
    alone(|| {
        let channel = Latest::options().memfd().unwrap();
        let raw = Raw::new(channel.region().fd().unwrap());
        let mut reader = channel.reader();
        let mut writer = channel.writer().unwrap();
        writer.write(&[1; 4]).unwrap();
        for version in [u64::MAX, 1 << 62, u64::MAX / 2] {
            raw.latest().store(version, Relaxed);
            let error = reader.read().expect_err("no version is so large");
            let right = |corrupt: &Corrupt| corrupt.fault == Fault::Version && corrupt.found == version;
            assert!(matches!(&error, ReadError::Corrupt(corrupt) if right(corrupt)), "{error:?}");
            assert!(error.to_string().contains(&format!("{version:#x}")), "{error}");
            let changed = reader.changed_timeout(Duration::from_millis(1));
            let right = match &changed {
                Ok(()) => true,
                Err(ChangedError::Corrupt(corrupt)) => right(corrupt),
                Err(_) => false,
            };
            assert!(right, "{changed:?}");
        }
        drop(writer);
        let error = channel.writer().err().unwrap();
        assert!(matches!(error, ClaimError::Corrupt(Corrupt { fault: Fault::Version, .. })), "{error:?}");
        // The cell of this version holds another version. The reader must not believe it, nor look at it for ever.
        raw.latest().store(2, Relaxed);
        let error = reader.read().expect_err("no such version was written");
        assert!(matches!(error, ReadError::Overtaken { .. } | ReadError::Corrupt(_)), "{error:?}");
        raw.latest().store(1, Relaxed);
        assert_eq!(reader.read(), Ok([1; 4]));
    });
}

/// What was looked at is all that is consumed, even if the first record claims to be longer by then.
#[test]
fn a_record_that_grows_after_it_was_looked_at_takes_no_other_with_it() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
        let raw = Raw::new(channel.region().fd().unwrap());
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        for record in [b"first", b"other"] {
            tx.send(record).unwrap();
        }
        let mut ahead = rx.peek_many().unwrap();
        assert_eq!(ahead.next_record().unwrap().to_vec(), b"first");
        let header = raw.data(0).load(Relaxed);
        // Two words each: now the first one takes all four.
        raw.data(0).store(header - 5 + 24, Relaxed);
        ahead.consume_up_to(1);
        assert_eq!(raw.head().load(Relaxed), 1, "consumed what was not looked at");
        raw.data(0).store(header, Relaxed);
        rx.peek_many().unwrap().consume_up_to(0);
        assert_eq!(rx.recv(), Ok(b"first".to_vec()));
        assert_eq!(rx.recv(), Ok(b"other".to_vec()));
    });
}
