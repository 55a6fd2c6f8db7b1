//! Capacities, types and records that cannot be.

use std::time::Duration;

use ringway::{
    OpenError, Reason, SendError, SendTimeoutError, TooLong, TryRecvError, TrySendError, bytes, seqlock, spsc,
};

use crate::common::alone::alone;
use crate::refusal::{Latest, Spsc, assert_reason, good, refused};

#[test]
fn capacities_that_cannot_be() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let path = &dir.join("new");
        let spsc = |capacity| Spsc::options().capacity(capacity);
        let bytes = |capacity| bytes::Channel::options().capacity_bytes(capacity);

        let zero = || refused(Some(dir), || spsc(0).create(path));
        assert_reason!(zero(), Reason::Capacity { found: 0, .. }, "capacity of 0", "at least 1", path.display());
        assert_reason!(refused(None, || spsc(0).memfd()), Reason::Capacity { found: 0, .. }, "at least 1");
        assert_reason!(refused(None, || spsc(0).anonymous()), Reason::Capacity { found: 0, .. }, "at least 1");
        let unset = refused(Some(dir), || Spsc::options().create(path));
        assert_reason!(unset, Reason::Capacity { found: 0, .. }, "to be set");
        let unset = refused(Some(dir), || bytes::Channel::options().open_or_create(path));
        assert_reason!(unset, Reason::Capacity { found: 0, .. }, "to be set");

        for odd in [0, 1, 7, 12, 4097, u64::MAX] {
            let is_odd = |error: OpenError| {
                assert_reason!(error, Reason::Capacity { found, .. } if *found == odd, odd, "multiple of 8");
            };
            is_odd(refused(Some(dir), || bytes(odd).create(path)));
            is_odd(refused(Some(dir), || bytes(odd).open_or_create(path)));
            is_odd(refused(None, || bytes(odd).memfd()));
            is_odd(refused(None, || bytes(odd).anonymous()));
        }

        let most = i64::MAX as u64;
        for large in [u64::MAX, u64::MAX / 16, 1 << 61, 1 << 60, most / 8, most / 16, most] {
            let is_large = |error: OpenError| {
                assert_reason!(error, Reason::Capacity { found, .. } if *found == large, large, "63 bits");
            };
            is_large(refused(Some(dir), || spsc(large).create(path)));
            is_large(refused(Some(dir), || spsc(large).open_or_create(path)));
            is_large(refused(None, || spsc(large).memfd()));
            is_large(refused(None, || spsc(large).anonymous()));
        }

        // Any other number of slots is kept as it is.
        for slots in [1, 3, 7, 513] {
            let channel = spsc(slots).anonymous().unwrap();
            assert_eq!(channel.capacity(), slots);
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for lap in 0..3 {
                (0..slots).for_each(|i| tx.try_send(&(lap * slots + i)).unwrap());
                assert_eq!(tx.try_send(&0), Err(TrySendError::Full));
                (0..slots).for_each(|i| assert_eq!(rx.try_recv(), Ok(lap * slots + i)));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            }
        }
    });
}

#[test]
fn a_capacity_in_bytes_is_named_in_bytes() {
    alone(|| {
        let large = (1 << 63) - 8;
        for large in [1 << 61, 1 << 62, large, u64::MAX - 7] {
            let error = refused(None, || bytes::Channel::options().capacity_bytes(large).memfd());
            assert_reason!(error, Reason::Capacity { found, .. } if *found == large, large, "63 bits");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("region");
        bytes::Channel::create(path, 8192).unwrap();
        let error = refused(None, || bytes::Channel::options().capacity_bytes(16384).open_or_create(path));
        assert_reason!(error, Reason::OtherCapacity { found: 8192, expected: 16384 }, 8192, 16384);
    });
}

/// The capacity is more than any address space holds, and can still be counted. A memfd is not tried: the kernel takes
/// page after page for it and kills other processes meanwhile.
#[test]
fn a_capacity_beyond_all_memory_is_refused_at_once() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("new");
        for large in [1 << 50, 1 << 57] {
            let options = bytes::Channel::options().capacity_bytes(large);
            let error = refused(Some(dir.path()), || options.create(path));
            assert_reason!(error, Reason::NoSpace { .. } | Reason::Os(_), "new");
            let error = refused(None, || options.anonymous());
            assert_reason!(error, Reason::NoSpace { .. } | Reason::Os(_), "anonymous region");
        }
    });
}

#[ringway::message]
#[repr(C, align(4096))]
struct PageAligned([u8; 4096]);

#[ringway::message]
#[repr(C)]
struct ANameOfMoreThanSixtyFourBytesWhichIsMoreThanTheHeaderOfARegionHolds(u64);

#[test]
fn types_that_cannot_cross() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let path = &dir.join("new");

        // The types of typed channels are checked when they are compiled.
        let ring = |size, align| spsc::raw::Channel::options().capacity(4).type_layout(size, align).type_name("T");
        let value = |size, align| seqlock::raw::Channel::options().type_layout(size, align).type_name("T");
        let error = refused(Some(dir), || ring(0, 8).create(path));
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.size == 0, "T (0 bytes, aligned to 8)",
            "at least one byte");
        let error = refused(None, || value(0, 1).memfd());
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.name == "T", "at least one byte");

        let error = refused(Some(dir), || ring(8192, 8192).create(path));
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.align == 8192, 8192, "at most 4096");
        let error = refused(None, || value(8192, 8192).anonymous());
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.align == 8192, 8192, "at most 4096");
        let channel = spsc::Channel::<PageAligned>::options().capacity(2).anonymous().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        for lap in 0..5 {
            tx.try_send(&PageAligned([lap; 4096])).unwrap();
            let received = rx.try_recv_ref().unwrap();
            assert_eq!(received.as_ptr().addr() % 4096, 0);
            assert!(received.read().0 == [lap; 4096]);
        }
        let channel = seqlock::Channel::<PageAligned>::options().anonymous().unwrap();
        channel.writer().unwrap().write(&PageAligned([3; 4096])).unwrap();
        assert!(channel.reader().read().unwrap().0 == [3; 4096]);

        type Long = ANameOfMoreThanSixtyFourBytesWhichIsMoreThanTheHeaderOfARegionHolds;
        let error = refused(Some(dir), || spsc::Channel::<Long>::options().capacity(4).create(path));
        assert_reason!(error, Reason::TypeName { found: 67, expected: 64 }, 67, 64, "type_name");
        let error = refused(None, || Latest::options().type_name("n".repeat(65)).memfd());
        assert_reason!(error, Reason::TypeName { found: 65, expected: 64 }, 65, 64);
        let shortened = spsc::Channel::<Long>::options().capacity(4).type_name("n".repeat(64));
        shortened.create(path).unwrap();
        shortened.open(path).unwrap();
    });
}

/// The header pads a name with zeroes, so a name cannot hold one.
#[test]
fn what_was_created_can_be_opened_whatever_its_type_name() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for (i, name) in ["", "a\0b", "\0", "a b", "ü", "Vec<u8>"].iter().enumerate() {
            let path = dir.path().join(i.to_string());
            let options = Spsc::options().capacity(4).type_name(*name);
            match options.create(&path) {
                Ok(_) => drop(options.open(&path).unwrap()),
                Err(error) => assert!(name.contains('\0') && !path.exists(), "{error}"),
            }
        }
    });
}

#[test]
fn a_record_that_is_too_long_is_refused_and_the_channel_goes_on() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(8).memfd().unwrap();
        let most = channel.max_len();
        assert_eq!((channel.capacity(), most), (4096, 4080));
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let long = vec![1; most + 1];
        let error = SendError::TooLong(TooLong { found: most + 1, most });
        for lap in 0..5 {
            assert_eq!(tx.send(&long), Err(error));
            assert_eq!(tx.try_send(&long), Err(TrySendError::Refused(error)));
            assert_eq!(tx.send_timeout(&long, Duration::MAX), Err(SendTimeoutError::Refused(error)));
            assert_eq!(tx.send_ref(most + 1).err(), Some(error));
            assert_eq!(tx.try_send_ref(most + 1).err(), Some(TrySendError::Refused(error)));
            assert_eq!(tx.send_some(&[&long]), Err(error));
            let enormous = SendError::TooLong(TooLong { found: usize::MAX, most });
            assert_eq!(tx.send_ref(usize::MAX).err(), Some(enormous));
            // A record that is too long ends the batch, unless it is the first of it.
            assert_eq!(tx.send_some(&[b"short", &long, b"never"]), Ok(ringway::Sent(1)));
            assert_eq!(rx.recv().unwrap(), b"short");
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let longest = vec![lap; most];
            tx.try_send(&longest).unwrap();
            assert_eq!(tx.try_send(b""), Err(TrySendError::Full));
            assert_eq!(rx.recv().unwrap(), longest);
        }
        let text = error.to_string();
        assert!(text.contains("4081 bytes") && text.contains("at most 4080"), "{text}");
    });
}

#[test]
fn another_capacity_is_refused() {
    alone(|| {
        let (dir, path) = good();
        let dir = dir.path();
        for capacity in [1, 99, 101, 1 << 40, u64::MAX] {
            let is_other = |error: OpenError| {
                assert_reason!(error, Reason::OtherCapacity { found: 100, expected } if *expected == capacity,
                    "capacity 100", format!("expected {capacity}"));
            };
            is_other(refused(Some(dir), || Spsc::options().capacity(capacity).open_or_create(&path)));
            is_other(refused(Some(dir), || Spsc::options().capacity(capacity).open(&path)));
        }
        let channel = Spsc::options().capacity(100).open_or_create(&path).unwrap();
        assert_eq!(channel.capacity(), 100);
    });
}
