//! The memory of a region: shared, reserved, zero, resident, locked.

use std::fs::{self, File};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::stat::fstat;
use nix::sys::wait::WaitStatus;
use ringway::{Advice, RecvError, Region, bytes, page_faults, seqlock};

use crate::common::alone::{alone, in_memory};
use crate::common::backing::Backing;
use crate::common::child::fork;
use crate::common::proc::status_number;
use crate::regions::{Latest, Spsc, contents, on};
use crate::snapshots::record;

#[test]
fn a_region_is_shared_after_a_fork() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in Backing::ALL {
            let there = on(backing, &Spsc::options().capacity(7), dir.path());
            let back = on(backing, &bytes::Channel::options().capacity_bytes(64), dir.path());
            let latest = on(backing, &Latest::options(), dir.path());
            // The channels were made before the fork. The seats are taken after it.
            let child = fork("child", || {
                let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
                let mut writer = latest.writer().unwrap();
                for value in &mut rx {
                    let value = value.unwrap();
                    tx.send(value.to_string().as_bytes()).unwrap();
                    writer.write(&[value; 4]).unwrap();
                }
            });
            let (mut tx, mut rx) = (there.sender().unwrap(), back.receiver().unwrap());
            for i in 0..1000 {
                tx.send(&i).unwrap();
                assert_eq!(rx.recv().unwrap(), i.to_string().as_bytes());
            }
            drop(tx);
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            child.succeed();
            assert_eq!(latest.reader().read(), Ok([999; 4]));
        }
    });
}

#[test]
fn a_new_region_is_zero_and_all_its_memory_is_reserved() {
    alone(|| {
        for dir in [tempfile::tempdir().unwrap(), in_memory()] {
            // The file probably comes to lie on the blocks of this one, which is full of other bytes.
            fs::write(dir.path().join("full"), vec![0xEE; 1 << 21]).unwrap();
            fs::remove_file(dir.path().join("full")).unwrap();
            for backing in [Backing::Memfd, Backing::File] {
                let channel = on(backing, &bytes::Channel::options().capacity_bytes(1 << 20), dir.path());
                let size = channel.region().size();
                assert_eq!(size, (1 << 20) + 2 * 4096);
                assert!(contents(channel.region())[8192..].iter().all(|byte| *byte == 0));
                let stat = fstat(channel.region().fd().unwrap()).unwrap();
                assert_eq!(stat.st_size as u64, size);
                assert!(stat.st_blocks as u64 * 512 >= size, "{backing:?}: {} blocks for {size}", stat.st_blocks);
            }
        }
    });
}

#[test]
fn prefaulting_makes_every_page_resident() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let pages = |region: &Region| (region.size() / region.page_size()) as usize;
        for backing in Backing::ALL {
            let options = bytes::Channel::options().capacity_bytes(1 << 20).prefault(true);
            let channel = on(backing, &options, dir.path());
            assert_eq!(channel.region().resident_pages().unwrap(), pages(channel.region()), "{backing:?}");
            assert_eq!(pages(channel.region()), 258);
        }
        // This shows what the test is worth: without prefaulting the pages are reserved and not there.
        let lazy = bytes::Channel::options().capacity_bytes(1 << 20).memfd().unwrap();
        let resident = lazy.region().resident_pages().unwrap();
        assert!((2..20).contains(&resident), "{resident}");
        let fd = lazy.region().fd().unwrap().try_clone_to_owned().unwrap();
        let opened = bytes::Channel::options().prefault(true).from_fd(fd).unwrap();
        assert_eq!(opened.region().resident_pages().unwrap(), 258);
        let latest = dir.path().join("latest");
        Latest::create(&latest).unwrap();
        let read_only = Latest::options().prefault(true).open_read_only(&latest).unwrap();
        assert_eq!(read_only.region().resident_pages().unwrap(), pages(read_only.region()));
    });
}

/// Makes something and works with it. Expects no page fault after a warm-up that touches only a small part of its
/// memory. One of three attempts must do, since the kernel may have reasons of its own.
fn faultless<C>(what: &str, make: impl Fn() -> C, mut work: impl FnMut(&mut C, u64)) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut made = make();
        work(&mut made, 100);
        let before = page_faults().unwrap();
        work(&mut made, 100_000);
        let after = page_faults().unwrap();
        if before == after {
            return;
        }
        seen.push((before, after));
    }
    panic!("{what}: {seen:?}");
}

#[test]
fn messages_cause_no_page_faults() {
    alone(|| {
        let shm = in_memory();
        let mut buffer = vec![0; 2000];
        let (record, value) = (vec![7; 1500], [3; 512]);
        for backing in Backing::ALL {
            let make = || {
                let channel = on(backing, &Spsc::options().capacity(10_000).prefault(true), shm.path());
                (channel.sender().unwrap(), channel.receiver().unwrap())
            };
            faultless(&format!("spsc {backing:?}"), make, |(tx, rx), count| {
                let batch = count.min(5000);
                for first in (0..count).step_by(batch as usize) {
                    (first..first + batch).for_each(|i| tx.try_send(&i).unwrap());
                    (first..first + batch).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
                }
            });
            let make = || {
                let options = bytes::Channel::options().capacity_bytes(1 << 20).prefault(true);
                let channel = on(backing, &options, shm.path());
                (channel.sender().unwrap(), channel.receiver().unwrap())
            };
            faultless(&format!("bytes {backing:?}"), make, |(tx, rx), count| {
                for i in 0..count as usize {
                    tx.try_send(&record[..i % 1500]).unwrap();
                    assert_eq!(rx.try_recv_into(&mut buffer), Ok(i % 1500));
                }
            });
            let make = || {
                let options = seqlock::Channel::<[u64; 512]>::options().prefault(true);
                let channel = on(backing, &options, shm.path());
                let mut writer = channel.writer().unwrap();
                writer.write(&value).unwrap();
                (writer, channel.reader())
            };
            faultless(&format!("seqlock {backing:?}"), make, |(writer, reader), count| {
                for _ in 0..count / 100 {
                    assert_eq!(reader.read().map(|value| value[511]), Ok(3));
                }
                // The warm-up writes once, which does not touch all cells.
                for _ in 100..count {
                    writer.write(&value).unwrap();
                    assert_eq!(reader.read().map(|value| value[511]), Ok(3));
                }
            });
        }
        // This shows what the test is worth: it sees a fault where there is one.
        let before = page_faults().unwrap();
        let lazy = std::hint::black_box(vec![1u8; 1 << 24]);
        let after = page_faults().unwrap();
        assert!(after.minor > before.minor, "{}", lazy.len());
    });
}

/// Somebody punched a hole where the file was zero. Opening the file gives it its memory again, or says that it cannot.
#[test]
fn a_sparse_file_gets_its_memory_when_it_is_opened() {
    alone(|| {
        let dir = in_memory();
        let path = dir.path().join("region");
        let size = bytes::Channel::options().capacity_bytes(1 << 20).create(&path).unwrap().region().size();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&file, punch, 2 * 4096, size as i64 - 2 * 4096).unwrap();
        let allocated = || fstat(&file).unwrap().st_blocks as u64 * 512;
        assert!(allocated() < size);
        let _opened = bytes::Channel::open(&path).unwrap();
        assert!(allocated() >= size);
    });
}

/// A child inherits a shared mapping without its page tables.
#[test]
fn messages_cause_no_page_faults_in_a_forked_child() {
    alone(|| {
        let shm = in_memory();
        for backing in Backing::ALL {
            // Now and then there is a fault that has nothing to do with the messages.
            let faultless = (0..3).any(|_| {
                let options = bytes::Channel::options().capacity_bytes(1 << 20).prefault(true);
                let channel = on(backing, &options, shm.path());
                let child = fork("child", || {
                    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
                    let (record, mut buffer) = (vec![7; 1500], vec![0; 2000]);
                    let mut pass = |len: usize, count| {
                        for _ in 0..count {
                            tx.try_send(&record[..len]).unwrap();
                            assert_eq!(rx.try_recv_into(&mut buffer), Ok(len));
                        }
                    };
                    // These messages stay in the first pages of the ring. The later ones come to all pages.
                    pass(8, 100);
                    let before = page_faults().unwrap();
                    pass(1500, 10_000);
                    assert_eq!(page_faults().unwrap(), before);
                });
                matches!(child.end(), WaitStatus::Exited(_, 0))
            });
            assert!(faultless, "{backing:?}");
        }
    });
}

#[test]
fn locking_counts_as_locked() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in Backing::ALL {
            let before = status_number("VmLck");
            let channel = on(backing, &bytes::Channel::options().capacity_bytes(1 << 20).lock(true), dir.path());
            let locked = status_number("VmLck") - before;
            assert!(locked >= channel.region().size() / 1024, "{backing:?}: {locked} KiB");
            drop(channel);
            assert_eq!(status_number("VmLck"), before);
        }
        let path = dir.path().join("latest");
        Latest::create(&path).unwrap();
        let read_only = Latest::options().lock(true).open_read_only(&path).unwrap();
        assert_eq!(status_number("VmLck"), read_only.region().size() / 1024);
    });
}

const ADVICE: [Advice; 6] =
    [Advice::Normal, Advice::Sequential, Advice::Random, Advice::WillNeed, Advice::HugePage, Advice::DontDump];

#[test]
fn advice_is_taken_or_refused_and_changes_nothing() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in Backing::ALL {
            let channel = on(backing, &bytes::Channel::options().capacity_bytes(8192), dir.path());
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for round in 0..5 {
                for (i, advice) in (0..).zip(ADVICE) {
                    tx.try_send(&record(round + i)).unwrap();
                    match channel.region().advise(advice) {
                        Ok(()) => {}
                        Err(error) => {
                            assert_eq!(error.call, "madvise");
                            assert!(advice == Advice::HugePage, "{backing:?} {advice:?}: {error}");
                        }
                    }
                    assert!(rx.try_recv().unwrap() == record(round + i));
                }
            }
        }
    });
}
