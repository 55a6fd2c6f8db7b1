//! Seqlocks, and threads that sleep until something comes.

use std::time::Duration;

use ringway::{ChangedError, ClaimError, RecvError, Seat, Wait, seqlock};

use crate::ends::{SHORT, WAITS, Watchdog, ring};

#[test]
fn versions_count_what_was_written() {
    let channel = seqlock::Channel::<[u64; 5]>::options().anonymous().unwrap();
    let mut reader = channel.reader();
    assert!(!reader.has_writer());
    assert!(!reader.has_changed());
    assert_eq!(reader.read(), Ok([0; 5]), "all zeroes before the first");
    assert_eq!(reader.version(), 0);
    assert_eq!(reader.changed_timeout(Duration::ZERO), Err(ChangedError::Timeout));
    let mut version = 0;
    for writers in 1..=3 {
        let mut writer = channel.writer().unwrap();
        assert!(reader.has_writer());
        let taken = channel.writer().err().unwrap();
        assert!(matches!(taken, ClaimError::Taken { seat: Seat::Sender, generation, .. } if generation == writers));
        assert_eq!(writer.version(), version);
        for wait in WAITS {
            reader.set_wait(wait);
            assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Timeout));
        }
        for _ in 0..700 {
            version += 1;
            writer.write(&[version; 5]).unwrap();
            assert_eq!(writer.version(), version);
            assert!(reader.has_changed());
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.changed_timeout(Duration::ZERO), Ok(()));
            if version % 3 != 0 {
                assert_eq!(reader.read(), Ok([version; 5]));
                assert_eq!(reader.version(), version);
                assert!(!reader.has_changed());
                assert_eq!(reader.read(), Ok([version; 5]), "again and again");
            }
        }
        // A value that nobody has read is a change. The end comes after it.
        version += 1;
        writer.write(&[version; 5]).unwrap();
        drop(writer);
        assert!(!reader.has_writer());
        assert_eq!(reader.changed(), Ok(()));
        assert_eq!(reader.read(), Ok([version; 5]));
        assert_eq!(reader.changed(), Err(ChangedError::Closed));
        assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Closed));
    }
    // A clone has seen what its original saw. A new reader has seen nothing.
    assert_eq!(reader.clone().version(), version);
    assert!(!reader.clone().has_changed());
    assert!(channel.reader().has_changed());
    assert_eq!(channel.reader().version(), 0);
}

#[test]
fn a_read_only_attachment_reads_and_cannot_write() {
    let _watchdog = Watchdog::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latest");
    let channel = seqlock::Channel::<u64>::create(&path).unwrap();
    let memory = seqlock::Channel::<u64>::options().memfd().unwrap();
    let memory_fd = memory.region().fd().unwrap().try_clone_to_owned().unwrap();
    let pairs = [
        (channel, seqlock::Channel::<u64>::open_read_only(&path).unwrap()),
        (memory, seqlock::Channel::<u64>::options().from_fd_read_only(memory_fd).unwrap()),
    ];
    for (channel, read_only) in &pairs {
        assert!(matches!(read_only.writer().err(), Some(ClaimError::ReadOnly)));
        let mut reader = read_only.reader();
        assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Timeout));
        let mut writer = channel.writer().unwrap();
        for value in 1..=2000 {
            writer.write(&value).unwrap();
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.read(), Ok(value));
        }
        reader.set_wait(Wait::Sleep);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| reader.changed());
            std::thread::sleep(SHORT);
            writer.write(&0).unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        assert_eq!(reader.read(), Ok(0));
        drop(writer);
        assert_eq!(reader.changed(), Err(ChangedError::Closed));
    }
}

#[test]
fn a_sleeping_thread_is_woken_by_what_it_waits_for() {
    let _watchdog = Watchdog::new();
    for wait in WAITS {
        let (_channel, mut tx, mut rx) = ring::<u64>(1);
        let latest = seqlock::Channel::<u64>::options().anonymous().unwrap();
        let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
        tx.set_wait(wait);
        rx.set_wait(wait);
        reader.set_wait(wait);
        std::thread::scope(|scope| {
            let receiver = scope.spawn(move || {
                let first = rx.recv();
                (first, rx)
            });
            let reading = scope.spawn(move || (reader.changed(), reader.read()));
            std::thread::sleep(SHORT);
            tx.send(&5).unwrap();
            writer.write(&6).unwrap();
            assert_eq!(reading.join().unwrap(), (Ok(()), Ok(6)));
            let (first, mut rx) = receiver.join().unwrap();
            assert_eq!(first, Ok(5));
            tx.send(&6).unwrap();
            let sender = scope.spawn(move || {
                tx.send(&7).unwrap();
                tx
            });
            std::thread::sleep(SHORT);
            assert_eq!(rx.recv(), Ok(6));
            let tx = sender.join().unwrap();
            assert_eq!(rx.recv(), Ok(7));
            let receiver = scope.spawn(move || rx.recv());
            std::thread::sleep(SHORT);
            drop(tx);
            assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
        });
    }
}
