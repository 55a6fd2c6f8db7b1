//! What the design takes from the kernel, a test each.
#![cfg(not(loom))]

mod common;

use std::cell::Cell;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, fstat, umask};
use nix::sys::wait::WaitStatus;
use nix::unistd::getppid;
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
use ringway::{
    Advice, ChangedError, ClaimError, Flush, ReadError, Reason, RecvError, RecvTimeoutError, Region, SendError,
    SendTimeoutError, TryRecvError, TrySendError, Wait, WriteError, bytes, page_faults, seqlock, spsc,
};

use crate::common::alone::{alone, in_memory};
use crate::common::child::{Child, end, fork, split};
use crate::common::mounts::overlay;
use crate::common::namespaces::cloned;
use crate::common::proc::{Map, mapped_by, maps, status_number};
use crate::common::raw::Raw;
use crate::common::say::skip;

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;

const BACKINGS: [&str; 3] = ["anonymous", "memfd", "file"];

/// Makes a channel on each backing; the file lies in `dir`.
macro_rules! on {
    ($backing:expr, $options:expr, $dir:expr) => {
        match $backing {
            "anonymous" => $options.anonymous(),
            "memfd" => $options.memfd(),
            _ => $options.create(tempfile::Builder::new().tempdir_in($dir).unwrap().keep().join("region")),
        }
        .unwrap()
    };
}

fn open_file(region: &Region) -> File {
    File::open(region.path().unwrap()).unwrap()
}

/// What the file behind a region holds, as `read(2)` sees it.
fn contents(region: &Region) -> Vec<u8> {
    let number = region.fd().unwrap().as_raw_fd();
    let mut all = vec![0; region.size() as usize];
    let file = File::open(format!("/proc/self/fd/{number}")).unwrap();
    file.read_exact_at(&mut all, 0).unwrap();
    all
}

#[test]
fn a_region_is_shared_after_a_fork() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in BACKINGS {
            let there = on!(backing, Spsc::options().capacity(7), dir.path());
            let back = on!(backing, bytes::Channel::options().capacity_bytes(64), dir.path());
            let latest = on!(backing, Latest::options(), dir.path());
            // The channels were made before, the seats are taken after.
            let child = fork("child", || {
                let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
                let mut writer = latest.writer().unwrap();
                for value in &mut rx {
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
fn a_snapshot_of_a_slot_ring_is_private() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in ["memfd", "file"] {
            let channel = on!(backing, Spsc::options().capacity(2000), dir.path());
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0..3000 {
                tx.try_send(&i).unwrap();
                assert_eq!(rx.try_recv(), Ok(i));
            }
            (3000..4500).for_each(|i| tx.try_send(&i).unwrap());
            let before = contents(channel.region());
            let mut copies = vec![channel.snapshot().unwrap()];
            if let Some(path) = channel.region().path() {
                copies.push(Spsc::options().open_snapshot(path).unwrap());
            }
            // The second copy is not looked at before the original has changed.
            for copy in &copies {
                let (mut tx, mut rx) = (copy.sender().unwrap(), copy.receiver().unwrap());
                (3000..4500).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                (0..2000).for_each(|i| tx.try_send(&i).unwrap());
                assert_eq!(tx.try_send(&0), Err(TrySendError::Full));
                (0..2000).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
                drop(tx);
                assert_eq!(rx.recv(), Err(RecvError::Closed));
                assert!(copy.region().fd().is_none());
            }
            assert!(before == contents(channel.region()), "nothing of it reached the {backing}");

            let copy = channel.snapshot().unwrap();
            (3000..4500).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
            (0..2000).for_each(|i| tx.try_send(&i).unwrap());
            let mut rx = copy.receiver().unwrap();
            (3000..4500).for_each(|i| assert_eq!(rx.try_recv(), Ok(i), "what is later does not reach the snapshot"));
            // The original's sender does not sit at the copy, and did not leave it either.
            assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
        }
    });
}

/// A record of 1,000 bytes.
fn record(i: u64) -> Vec<u8> {
    (0..125).flat_map(|word| (i * 1000 + word).to_ne_bytes()).collect()
}

/// One in whose ring a record crosses the end: the mirror must be a copy of the same pages.
#[test]
fn a_snapshot_of_a_record_ring_is_private() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in ["memfd", "file"] {
            let channel = on!(backing, bytes::Channel::options().capacity_bytes(8192), dir.path());
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0..6 {
                tx.try_send(&record(i)).unwrap();
                assert_eq!(rx.try_recv().unwrap(), record(i));
            }
            // 6 · 1008 of 8192 bytes are used, so that the third of these crosses the end.
            (6..13).for_each(|i| tx.try_send(&record(i)).unwrap());
            let before = contents(channel.region());
            let (copy, other) = (channel.snapshot().unwrap(), channel.snapshot().unwrap());

            let (mut copied_tx, mut copied) = (copy.sender().unwrap(), copy.receiver().unwrap());
            (6..13).for_each(|i| assert!(copied.try_recv().unwrap() == record(i), "record {i}"));
            assert_eq!(copied.try_recv(), Err(TryRecvError::Empty));
            for i in 0..100 {
                copied_tx.try_send(&record(i)).unwrap();
                assert!(copied.try_recv() == Ok(record(i)), "record {i} of the copy itself");
            }
            assert!(before == contents(channel.region()), "nothing of it reached the {backing}");

            // The original goes on, all the way round.
            (6..13).for_each(|i| assert_eq!(rx.try_recv().unwrap(), record(i)));
            (20..28).for_each(|i| tx.try_send(&record(i)).unwrap());
            let mut other = other.receiver().unwrap();
            for i in 6..13 {
                assert!(other.try_recv().unwrap() == record(i), "record {i}: later ones do not reach the snapshot");
            }
        }
    });
}

#[test]
fn a_snapshot_of_a_value_is_private() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in ["memfd", "file"] {
            let channel = on!(backing, Latest::options(), dir.path());
            let mut writer = channel.writer().unwrap();
            (0..100).for_each(|i| writer.write(&[i; 4]).unwrap());
            let before = contents(channel.region());
            let copy = channel.snapshot().unwrap();
            assert_eq!(copy.reader().read(), Ok([99; 4]));
            let mut copied = copy.writer().unwrap();
            (1000..1200).for_each(|i| copied.write(&[i; 4]).unwrap());
            assert_eq!(copy.reader().read(), Ok([1199; 4]));
            assert!(before == contents(channel.region()), "nothing of it reached the {backing}");
            let copy = channel.snapshot().unwrap();
            (100..300).for_each(|i| writer.write(&[i; 4]).unwrap());
            assert_eq!(copy.reader().read(), Ok([99; 4]));
            assert_eq!(channel.reader().read(), Ok([299; 4]));
        }
    });
}

/// Takes snapshots while a child sends and receives without a pause.
fn snapshots_in_use(region: &Region, busy: impl FnOnce(), mut look: impl FnMut()) {
    let before = contents(region);
    let child = fork("busy", busy);
    // From then on the child is at it, however late it was scheduled.
    while before == contents(region) {
        std::thread::yield_now();
    }
    (0..200).for_each(|_| look());
    child.kill();
}

#[test]
fn a_snapshot_of_a_slot_ring_in_use_is_a_prefix_of_what_was_sent() {
    alone(|| {
        let channel = spsc::Channel::<[u64; 512]>::options().capacity(32).memfd().unwrap();
        let busy = || {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0.. {
                tx.send(&[i; 512]).unwrap();
                if tx.len() > 20 {
                    rx.recv().unwrap();
                }
            }
        };
        snapshots_in_use(channel.region(), busy, || {
            let mut rx = channel.snapshot().unwrap().receiver().unwrap();
            let mut last = None;
            loop {
                match rx.try_recv() {
                    Ok(value) => {
                        assert_eq!(value, [value[0]; 512], "part one message, part another");
                        assert!(last.is_none_or(|last| value[0] == last + 1), "{last:?} {}", value[0]);
                        last = Some(value[0]);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    });
}

#[test]
fn a_snapshot_of_a_record_ring_in_use_is_a_prefix_of_what_was_sent() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(16384).memfd().unwrap();
        let busy = || {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0.. {
                tx.send(&record(i)).unwrap();
                if tx.len() > 10 {
                    rx.recv_into(&mut [0; 1000]).unwrap();
                }
            }
        };
        snapshots_in_use(channel.region(), busy, || {
            let mut rx = channel.snapshot().unwrap().receiver().unwrap();
            let mut last = None;
            loop {
                match rx.try_recv() {
                    Ok(value) => {
                        let i = u64::from_ne_bytes(value[..8].try_into().unwrap()) / 1000;
                        assert!(value == record(i), "part one record, part another");
                        assert!(last.is_none_or(|last| i == last + 1), "{last:?} {i}");
                        last = Some(i);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    });
}

#[test]
fn a_snapshot_of_a_value_in_use_has_a_whole_one() {
    alone(|| {
        let channel = seqlock::Channel::<[u64; 512]>::options().memfd().unwrap();
        let values: Vec<[u64; 512]> = (1..9).map(|i| [i; 512]).collect();
        let busy = || {
            let mut writer = channel.writer().unwrap();
            loop {
                values.iter().for_each(|value| writer.write(value).unwrap());
            }
        };
        snapshots_in_use(channel.region(), busy, || {
            let value = channel.snapshot().unwrap().reader().read().expect("the copy has a value");
            assert!(value[0] > 0);
            assert_eq!(value, [value[0]; 512]);
        });
    });
}

#[test]
fn a_new_region_is_zero_and_all_its_memory_is_reserved() {
    alone(|| {
        for dir in [tempfile::tempdir().unwrap(), in_memory()] {
            // On the same blocks, in all likelihood, as what is full of something else.
            fs::write(dir.path().join("full"), vec![0xEE; 1 << 21]).unwrap();
            fs::remove_file(dir.path().join("full")).unwrap();
            for backing in ["memfd", "file"] {
                let channel = on!(backing, bytes::Channel::options().capacity_bytes(1 << 20), dir.path());
                let size = channel.region().size();
                assert_eq!(size, (1 << 20) + 2 * 4096);
                assert!(contents(channel.region())[8192..].iter().all(|byte| *byte == 0));
                let stat = fstat(channel.region().fd().unwrap()).unwrap();
                assert_eq!(stat.st_size as u64, size);
                assert!(stat.st_blocks as u64 * 512 >= size, "{backing}: {} blocks for {size}", stat.st_blocks);
            }
        }
    });
}

#[test]
fn a_file_truncated_behind_our_back_is_an_error_of_ours() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let (ring, latest) = (dir.path().join("ring"), dir.path().join("latest"));
        drop(bytes::Channel::create(&ring, 1 << 16).unwrap());
        drop(Latest::create(&latest).unwrap());
        for (path, whole) in [(&ring, (1 << 16) + 8192), (&latest, 16384)] {
            assert_eq!(fs::metadata(path).unwrap().len(), whole);
            for len in [whole - 1, whole - 4096, 8192, 4096, 256, 255, 0] {
                OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
                let errors = if path == &ring {
                    vec![
                        bytes::Channel::open(path).map(drop),
                        bytes::Channel::options().open_snapshot(path).map(drop),
                        bytes::Channel::options().prefault(true).lock(true).open(path).map(drop),
                    ]
                } else {
                    vec![
                        Latest::open(path).map(drop),
                        Latest::open_read_only(path).map(drop),
                        Latest::options().open_snapshot(path).map(drop),
                    ]
                };
                for error in errors {
                    let error = error.expect_err("it is too short");
                    let right = match error.reason() {
                        Reason::Length { found, expected } => (*found, *expected) == (len, whole),
                        Reason::Short { found, .. } => *found == len && len < 256,
                        _ => false,
                    };
                    assert!(right, "{error}");
                }
            }
        }
    });
}

#[test]
fn what_was_sent_can_be_read_from_the_file() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in BACKINGS {
            let channel = on!(backing, bytes::Channel::options().capacity_bytes(4096), dir.path());
            let mut tx = channel.sender().unwrap();
            for (flush, text) in
                [(Flush::Wait, b"a record to be waited for"), (Flush::Start, b"another, to be begun with")]
            {
                tx.send(text).unwrap();
                channel.region().flush(flush).unwrap();
                if backing == "file" {
                    let mut all = vec![0; channel.region().size() as usize];
                    open_file(channel.region()).read_exact_at(&mut all, 0).unwrap();
                    assert!(all.windows(text.len()).any(|window| window == text));
                }
            }
        }
    });
}

#[test]
fn a_record_that_crosses_the_end_is_whole_across_a_fork() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in BACKINGS {
            let channel = on!(backing, bytes::Channel::options().capacity_bytes(8192), dir.path());
            let child = fork("child", || {
                let mut tx = channel.sender().unwrap();
                (0..500).for_each(|i| tx.send(&record(i)).unwrap());
            });
            let mut rx = channel.receiver().unwrap();
            for i in 0..500 {
                assert!(rx.recv().unwrap() == record(i), "{backing}: record {i}");
            }
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            child.succeed();
        }
    });
}

/// The parts of a region in memory: what `make` maps, which must be in one piece, with `mirror` bytes
/// behind it.
fn parts<T>(make: impl FnOnce() -> T, size: impl FnOnce(&T) -> u64) -> (T, Vec<Map>) {
    let (made, parts) = mapped_by(make);
    assert!(parts.windows(2).all(|two| two[0].end == two[1].start), "{parts:?}");
    assert_eq!(parts.iter().map(Map::len).sum::<u64>(), size(&made), "{parts:?}");
    (made, parts)
}

/// Reads or writes a byte at an address, whatever lies there.
fn poke(address: usize, write: bool) {
    let byte = std::ptr::with_exposed_provenance_mut::<u8>(address);
    if write {
        // SAFETY: not sound: done in a child that is to be killed for it.
        unsafe { byte.write_volatile(1) };
    } else {
        // SAFETY: as above.
        unsafe { byte.read_volatile() };
    }
}

#[test]
fn the_header_is_read_only_and_guards_stand_on_both_sides() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in BACKINGS {
            let options = bytes::Channel::options().capacity_bytes(8192);
            let (channel, parts) = parts(|| on!(backing, options, dir.path()), |c| c.region().size() + 8192);
            let (first, last) = (&parts[0], &parts[parts.len() - 1]);
            assert_eq!((first.perms.as_str(), first.len()), ("r--s", 4096), "{backing}");
            assert!(parts[1..].iter().all(|part| part.perms == "rw-s"), "{backing}: {parts:?}");
            let guards = |edge: &dyn Fn(&Map) -> bool| {
                let beside: Vec<Map> = maps().into_iter().filter(edge).collect();
                assert!(beside.len() == 1 && beside[0].perms == "---p" && beside[0].len() >= 4096, "{beside:?}");
            };
            guards(&|map| map.end == first.start);
            guards(&|map| map.start == last.end);

            for (address, write) in [
                (first.start, true),
                (first.start + 255, true),
                (first.end - 1, true),
                (first.start - 1, false),
                (first.start - 4096, false),
                (last.end, false),
                (last.end, true),
                (last.end + 4095, false),
            ] {
                fork("child", || poke(address, write)).killed_by(Signal::SIGSEGV);
            }
            for (address, write) in [(first.start, false), (first.end, false), (last.end - 1, true)] {
                fork("child", || poke(address, write)).succeed();
            }
            drop(channel);
            let left = maps().into_iter().filter(|map| map.start < last.end && map.end > first.start).count();
            assert_eq!(left, 0, "unmapped");
        }
    });
}

#[test]
fn a_region_may_lie_at_different_addresses() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let (first, here) = parts(|| bytes::Channel::create(&path, 8192).unwrap(), |c| c.region().size() + 8192);
        let (second, there) = parts(|| bytes::Channel::open(&path).unwrap(), |c| c.region().size() + 8192);
        assert_ne!(here[0].start, there[0].start);
        let (mut tx, mut rx) = (first.sender().unwrap(), second.receiver().unwrap());
        for i in 0..100 {
            tx.try_send(&record(i)).unwrap();
            assert!(rx.try_recv().unwrap() == record(i));
        }
        drop(tx);
        let child = fork("child", || {
            // The parent's mappings are still there, so this is another place.
            let open = || bytes::Channel::open(&path).unwrap();
            let (third, own) = parts(open, |c| c.region().size() + 8192);
            assert!(own[0].start != here[0].start && own[0].start != there[0].start);
            let mut tx = third.sender().unwrap();
            (0..7).for_each(|i| tx.try_send(&record(i)).unwrap());
        });
        child.succeed();
        (0..7).for_each(|i| assert!(rx.try_recv().unwrap() == record(i)));
    });
}

#[test]
fn a_memfd_keeps_its_size() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let channel = Spsc::options().capacity(100).memfd().unwrap();
        let file = File::from(channel.region().fd().unwrap().try_clone_to_owned().unwrap());
        let size = channel.region().size();
        for len in [0, 4096, size - 1, size + 1, size + 4096] {
            assert_eq!(file.set_len(len).unwrap_err().raw_os_error(), Some(libc::EPERM), "{len}");
        }
        assert_eq!(file.metadata().unwrap().len(), size);
        assert_eq!(file.write_at(b"x", size).unwrap_err().raw_os_error(), Some(libc::EPERM));
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        let more = fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE));
        assert_eq!(more, Err(nix::errno::Errno::EPERM), "nobody can seal it against its users");
        drop(dir);
    });
}

#[test]
fn modes_are_as_given_whatever_the_umask() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for mask in [0, 0o022, 0o077, 0o777] {
            umask(Mode::from_bits_truncate(mask));
            for mode in [None, Some(0o600), Some(0o640), Some(0o666), Some(0o400), Some(0o000)] {
                let path = dir.path().join(format!("{mask:o} {mode:?}"));
                let options = Spsc::options().capacity(4);
                let options = mode.map_or(options.clone(), |mode| options.mode(mode));
                let (file, memfd) = (options.create(&path).unwrap(), options.memfd().unwrap());
                for region in [file.region(), memfd.region()] {
                    let found = fstat(region.fd().unwrap()).unwrap().st_mode & 0o7777;
                    assert_eq!(found, mode.unwrap_or(0o600), "umask {mask:o}");
                }
                let named = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(named, mode.unwrap_or(0o600));
            }
        }
    });
}

#[test]
fn unlink_removes_the_file_only_if_it_is_the_same() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let channel = Spsc::create(&path, 4).unwrap();
        let opened = Spsc::open(&path).unwrap();
        opened.region().unlink().unwrap();
        assert!(!path.exists());
        assert_eq!(channel.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
        // Those attached go on.
        channel.sender().unwrap().send(&1).unwrap();
        assert_eq!(opened.receiver().unwrap().recv(), Ok(1));

        let other = Spsc::create(&path, 4).unwrap();
        assert_eq!(channel.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
        assert!(path.exists(), "it is another's");
        fs::rename(&path, dir.path().join("renamed")).unwrap();
        std::os::unix::fs::symlink("renamed", &path).unwrap();
        assert_eq!(other.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
        assert!(path.exists(), "a link to it is not it");
        let memfd = Spsc::options().capacity(4).memfd().unwrap();
        assert_eq!(memfd.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn prefaulting_makes_every_page_resident() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let pages = |region: &Region| (region.size() / region.page_size()) as usize;
        for backing in BACKINGS {
            let options = bytes::Channel::options().capacity_bytes(1 << 20).prefault(true);
            let channel = on!(backing, options, dir.path());
            assert_eq!(channel.region().resident_pages().unwrap(), pages(channel.region()), "{backing}");
            assert_eq!(pages(channel.region()), 258);
        }
        // What this test is worth: otherwise they are reserved, and not there.
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

/// Works with what `make` makes, and expects no page fault after a warm-up that is far from touching all
/// of its memory: in one of three attempts, since the kernel may have reasons of its own.
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
        for backing in BACKINGS {
            let make = || {
                let channel = on!(backing, Spsc::options().capacity(10_000).prefault(true), shm.path());
                (channel.sender().unwrap(), channel.receiver().unwrap())
            };
            faultless(&format!("spsc {backing}"), make, |(tx, rx), count| {
                let batch = count.min(5000);
                for first in (0..count).step_by(batch as usize) {
                    (first..first + batch).for_each(|i| tx.try_send(&i).unwrap());
                    (first..first + batch).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
                }
            });
            let make = || {
                let options = bytes::Channel::options().capacity_bytes(1 << 20).prefault(true);
                let channel = on!(backing, options, shm.path());
                (channel.sender().unwrap(), channel.receiver().unwrap())
            };
            faultless(&format!("bytes {backing}"), make, |(tx, rx), count| {
                for i in 0..count as usize {
                    tx.try_send(&record[..i % 1500]).unwrap();
                    assert_eq!(rx.try_recv_into(&mut buffer), Ok(i % 1500));
                }
            });
            let make = || {
                let options = seqlock::Channel::<[u64; 512]>::options().prefault(true);
                let channel = on!(backing, options, shm.path());
                let mut writer = channel.writer().unwrap();
                writer.write(&value).unwrap();
                (writer, channel.reader())
            };
            faultless(&format!("seqlock {backing}"), make, |(writer, reader), count| {
                for _ in 0..count / 100 {
                    assert_eq!(reader.read().map(|value| value[511]), Ok(3));
                }
                // One write warms up, not all cells.
                for _ in 100..count {
                    writer.write(&value).unwrap();
                    assert_eq!(reader.read().map(|value| value[511]), Ok(3));
                }
            });
        }
        // What this test is worth: it sees a fault where there is one.
        let before = page_faults().unwrap();
        let lazy = std::hint::black_box(vec![1u8; 1 << 24]);
        let after = page_faults().unwrap();
        assert!(after.minor > before.minor, "{}", lazy.len());
    });
}

/// Somebody punched out what was zero; opening the file gives it its memory again, or says that it cannot.
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

/// The end of a ring is told by its copy too, though the ring's own receiver was told.
#[test]
fn a_snapshot_of_a_finished_ring_says_that_it_is_finished() {
    alone(|| {
        let channel = Spsc::options().capacity(2).memfd().unwrap();
        channel.sender().unwrap().send(&1).unwrap();
        let mut rx = channel.receiver().unwrap();
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Err(RecvError::Closed)));
        assert_eq!(channel.snapshot().unwrap().receiver().unwrap().recv(), Err(RecvError::Closed));
    });
}

/// The dead are drained, told of once, and succeeded.
#[test]
fn a_killed_holder_is_told_of_once_and_its_seat_is_taken() {
    alone(|| {
        let (there, ready) = (Spsc::options().capacity(1).anonymous().unwrap(), Latest::options().anonymous().unwrap());
        let child = fork("child", || {
            let mut tx = there.sender().unwrap();
            tx.send(&7).unwrap();
            ready.writer().unwrap().write(&[std::process::id().into(); 4]).unwrap();
            loop {
                std::thread::park();
            }
        });
        let mut told = ready.reader();
        while told.version() == 0 {
            let _ = told.changed_timeout(Duration::from_secs(1));
            told.read().unwrap();
        }
        let holder = told.read().unwrap()[0];
        assert!(matches!(there.sender().err(), Some(ClaimError::Taken { pid, .. }) if u64::from(pid) == holder));
        let mut rx = there.receiver().unwrap();
        assert!(rx.has_sender());
        child.kill();
        assert!(!rx.has_sender());
        assert_eq!(rx.recv(), Ok(7), "what was committed is there");
        assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 }));
        assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        let mut successor = there.sender().unwrap();
        assert_eq!(successor.generation(), 2);
        successor.send(&8).unwrap();
        assert_eq!(rx.recv(), Ok(8));
    });
}

/// Forks a child that does `work` and stays in its seat until it is killed, when that is done.
fn die_after(work: impl FnOnce(seqlock::Writer<[u64; 4]>)) {
    let done = Latest::options().anonymous().unwrap();
    let child = fork("child", || {
        work(done.writer().unwrap());
        loop {
            thread::park();
        }
    });
    assert_eq!(done.reader().changed(), Ok(()));
    child.kill();
}

/// The news of a death that ends a batch early is not lost with the rest of it.
#[test]
fn a_batch_that_meets_a_death_half_way_leaves_it_to_be_told() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
        let ring = Spsc::options().capacity(3).anonymous().unwrap();
        let (mut tx, mut words) = (channel.sender().unwrap(), ring.sender().unwrap());
        die_after(|mut done| {
            std::mem::forget((channel.receiver().unwrap(), ring.receiver().unwrap()));
            done.write(&[1; 4]).unwrap();
        });
        assert!(!tx.has_receiver() && !words.has_receiver());
        let record = [7; 3000];
        assert_eq!(tx.send_slice(&[&record, &record]), Ok(1));
        assert_eq!(tx.try_send(&record), Err(TrySendError::Refused(SendError::PeerDied { generation: 1 })));
        assert_eq!(tx.try_send(&record), Err(TrySendError::Full));
        assert_eq!(words.send_slice(&[1, 2, 3, 4]), Ok(3));
        assert_eq!(words.try_send(&4), Err(TrySendError::Refused(SendError::PeerDied { generation: 1 })));
        assert_eq!(words.try_send(&4), Err(TrySendError::Full));
    });
}

/// A successor's first message brings the news of a death; one that did not fit before it leaves no mark on others.
#[test]
fn only_the_first_message_of_a_successor_is_marked() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
        let raw = crate::common::raw::Raw::new(channel.region().fd().unwrap());
        die_after(|mut done| {
            let mut tx = channel.sender().unwrap();
            tx.send(&[1; 8]).unwrap();
            std::mem::forget(tx);
            done.write(&[1; 4]).unwrap();
        });
        let mut tx = channel.sender().unwrap();
        assert_eq!(tx.try_send(&[2; 4080]), Err(TrySendError::Full));
        (2..5).for_each(|n| tx.try_send(&[n; 8]).unwrap());
        let marked = |word| raw.data(word).load(std::sync::atomic::Ordering::Relaxed) >> 63 == 1;
        assert_eq!([0, 2, 4, 6].map(marked), [false, true, false, false]);
        let mut rx = channel.receiver().unwrap();
        assert_eq!(rx.recv().unwrap(), [1; 8]);
        assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 }));
        (2..5).for_each(|n| assert_eq!(rx.recv().unwrap(), [n; 8]));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    });
}

/// A lock on the whole file, as a backup program may take it, keeps nobody from a seat, or alive.
#[test]
fn a_stranger_that_locks_the_whole_file_hinders_nobody_at_home() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let channel = Spsc::create(&path, 4).unwrap();
        let stranger = File::open(&path).unwrap();
        let (kind, whence) = (libc::F_RDLCK as libc::c_short, libc::SEEK_SET as libc::c_short);
        let whole = libc::flock { l_type: kind, l_whence: whence, l_start: 0, l_len: 0, l_pid: 0 };
        nix::fcntl::fcntl(&stranger, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole)).unwrap();
        // Not before: a lock that was seen to last once is believed to last.
        let mut rx = channel.receiver().unwrap();
        die_after(|mut done| {
            let mut tx = channel.sender().unwrap();
            tx.send(&7).unwrap();
            std::mem::forget(tx);
            done.write(&[1; 4]).unwrap();
        });
        assert_eq!(rx.recv(), Ok(7));
        assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 }));
        assert_eq!(channel.sender().unwrap().generation(), 2);
        drop((rx, channel));
        assert!(ringway::in_use(&path).unwrap(), "who locks it looks like a user");
    });
}

/// A child inherits a shared mapping, but not its page tables.
#[test]
fn messages_cause_no_page_faults_in_a_forked_child() {
    alone(|| {
        let shm = in_memory();
        for backing in BACKINGS {
            // A fault that has nothing to do with the messages may come once in a while.
            let faultless = (0..3).any(|_| {
                let options = bytes::Channel::options().capacity_bytes(1 << 20).prefault(true);
                let channel = on!(backing, options, shm.path());
                let child = fork("child", || {
                    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
                    let (record, mut buffer) = (vec![7; 1500], vec![0; 2000]);
                    let mut pass = |len: usize, count| {
                        for _ in 0..count {
                            tx.try_send(&record[..len]).unwrap();
                            assert_eq!(rx.try_recv_into(&mut buffer), Ok(len));
                        }
                    };
                    // These stay in the ring's first pages; the others come to all of them.
                    pass(8, 100);
                    let before = page_faults().unwrap();
                    pass(1500, 10_000);
                    assert_eq!(page_faults().unwrap(), before);
                });
                matches!(child.end(), WaitStatus::Exited(_, 0))
            });
            assert!(faultless, "{backing}");
        }
    });
}

#[test]
fn locking_counts_as_locked() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in BACKINGS {
            let before = status_number("VmLck");
            let channel = on!(backing, bytes::Channel::options().capacity_bytes(1 << 20).lock(true), dir.path());
            let locked = status_number("VmLck") - before;
            assert!(locked >= channel.region().size() / 1024, "{backing}: {locked} KiB");
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
        for backing in BACKINGS {
            let channel = on!(backing, bytes::Channel::options().capacity_bytes(8192), dir.path());
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for round in 0..5 {
                for (i, advice) in (0..).zip(ADVICE) {
                    tx.try_send(&record(round + i)).unwrap();
                    match channel.region().advise(advice) {
                        Ok(()) => {}
                        Err(error) => {
                            assert_eq!(error.call, "madvise");
                            assert!(advice == Advice::HugePage, "{backing} {advice:?}: {error}");
                        }
                    }
                    assert!(rx.try_recv().unwrap() == record(round + i));
                }
            }
        }
    });
}

/// The flags of every mapping that begins at one of these addresses, from `/proc/self/smaps`.
fn flags(starts: &[usize]) -> Vec<String> {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut found = Vec::new();
    let mut start = 0;
    for line in smaps.lines() {
        if let Some((number, _)) = line.split_once('-')
            && let Ok(number) = usize::from_str_radix(number, 16)
        {
            start = number;
        }
        if let Some(flags) = line.strip_prefix("VmFlags:")
            && starts.contains(&start)
        {
            found.push(flags.to_owned());
        }
    }
    found
}

#[test]
fn what_is_not_to_be_dumped_is_not_dumped_through_the_mirror_either() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in BACKINGS {
            let make = || {
                let channel = on!(backing, bytes::Channel::options().capacity_bytes(8192), dir.path());
                channel.region().advise(Advice::DontDump).unwrap();
                channel
            };
            let (_channel, parts) = parts(make, |c| c.region().size() + 8192);
            // From the third page on it is data.
            let data: Vec<usize> =
                parts.iter().map(|part| part.start).filter(|start| *start >= parts[0].start + 8192).collect();
            let flags = flags(&data);
            assert!(!flags.is_empty() && flags.iter().all(|flags| flags.contains(" dd")), "{backing}: {flags:?}");
        }
    });
}

#[test]
fn a_read_only_attachment_reads_and_cannot_write() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latest");
        let channel = Latest::create(&path).unwrap();
        let mut writer = channel.writer().unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let (read_only, parts) = parts(|| Latest::open_read_only(&path).unwrap(), |c| c.region().size());
        assert!(parts.iter().all(|part| part.perms == "r--s"), "{parts:?}");
        let fd = read_only.region().fd().unwrap();
        let access = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).unwrap() & libc::O_ACCMODE;
        assert_eq!(access, libc::O_RDONLY);
        assert!(matches!(read_only.writer(), Err(ClaimError::ReadOnly)));
        for page in 0..3 {
            fork("child", || poke(parts[0].start + page * 4096 + 8, true)).killed_by(Signal::SIGSEGV);
        }

        let mut reader = read_only.reader();
        assert_eq!((reader.read(), reader.version(), reader.has_writer()), (Ok([0; 4]), 0, true));
        assert_eq!(reader.changed_timeout(Duration::from_millis(3)), Err(ChangedError::Timeout));
        writer.write(&[1; 4]).unwrap();
        assert_eq!(reader.changed_timeout(Duration::MAX), Ok(()));
        assert_eq!((reader.read(), reader.version()), (Ok([1; 4]), 1));
        let child = fork("child", || {
            // Nobody can be told that it sleeps, and it finds out.
            let mut reader = read_only.reader();
            reader.set_wait(ringway::Wait::Sleep);
            let mut last = 0;
            while reader.changed() == Ok(()) {
                let value = reader.read().unwrap();
                assert!(value[0] >= last && value == [value[0]; 4]);
                last = value[0];
            }
            assert_eq!(reader.changed(), Err(ChangedError::Closed));
            assert_eq!((last, reader.version()), (20, 20));
        });
        (2..=20).for_each(|value| writer.write(&[value; 4]).unwrap());
        drop(writer);
        child.succeed();
    });
}

/// A child by the bare system call, which the C library's fork handlers do not see.
fn raw_clone() -> Option<Child> {
    cloned(0).map(Child::new)
}

/// Checks that each operation of a parent's endpoints says so.
fn all_forked(tx: &mut spsc::Sender<u64>, rx: &mut spsc::Receiver<u64>) {
    let (long, refused) = (Duration::MAX, SendError::Forked);
    assert_eq!(tx.send(&1), Err(refused));
    assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(refused)));
    assert_eq!(tx.send_timeout(&1, long), Err(SendTimeoutError::Refused(refused)));
    assert_eq!(tx.send_slice(&[1, 2]), Err(refused));
    assert_eq!(tx.try_send_slice(&[1, 2]), Err(TrySendError::Refused(refused)));
    assert_eq!(tx.send_ref().err(), Some(refused));
    assert_eq!(tx.try_send_ref().err(), Some(TrySendError::Refused(refused)));
    let refused = RecvError::Forked;
    assert_eq!(rx.recv(), Err(refused));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(refused)));
    assert_eq!(rx.recv_timeout(long), Err(RecvTimeoutError::Refused(refused)));
    assert_eq!(rx.recv_slice(&mut [0; 2]), Err(refused));
    assert_eq!(rx.try_recv_slice(&mut [0; 2]), Err(TryRecvError::Refused(refused)));
    assert_eq!(rx.recv_ref().err(), Some(refused));
    assert_eq!(rx.try_recv_ref().err(), Some(TryRecvError::Refused(refused)));
    assert_eq!(rx.iter().next(), None);
    let _ = (tx.len(), tx.is_closed(), tx.is_empty(), rx.len(), rx.is_closed(), rx.is_empty());
    assert!(refused.to_string().contains("forked"));
}

fn all_bytes_forked(tx: &mut bytes::Sender, rx: &mut bytes::Receiver) {
    let (long, refused) = (Duration::MAX, SendError::Forked);
    for record in [&b""[..], b"record", &[0; 1 << 20]] {
        assert_eq!(tx.send(record), Err(refused));
        assert_eq!(tx.try_send(record), Err(TrySendError::Refused(refused)));
        assert_eq!(tx.send_timeout(record, long), Err(SendTimeoutError::Refused(refused)));
        assert_eq!(tx.send_slice(&[record]), Err(refused));
        assert_eq!(tx.try_send_slice(&[record]), Err(TrySendError::Refused(refused)));
        assert_eq!(tx.send_ref(record.len()).err(), Some(refused));
        assert_eq!(tx.try_send_ref(record.len()).err(), Some(TrySendError::Refused(refused)));
    }
    let refused = RecvError::Forked;
    assert_eq!(rx.recv(), Err(refused));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(refused)));
    assert_eq!(rx.recv_timeout(long), Err(RecvTimeoutError::Refused(refused)));
    assert_eq!(rx.recv_into(&mut [0; 8]), Err(refused));
    assert_eq!(rx.try_recv_into(&mut [0; 8]), Err(TryRecvError::Refused(refused)));
    assert_eq!(rx.recv_slice(&mut [0; 8], &mut [0; 8]), Err(refused));
    assert_eq!(rx.try_recv_slice(&mut [0; 8], &mut [0; 8]), Err(TryRecvError::Refused(refused)));
    assert_eq!(rx.recv_ref().err(), Some(refused));
    assert_eq!(rx.try_recv_ref().err(), Some(TryRecvError::Refused(refused)));
    assert_eq!(rx.iter().next(), None);
    let _ = (tx.len(), tx.is_closed(), tx.is_empty(), rx.len(), rx.is_closed(), rx.is_empty());
}

/// Whether both seats of a channel are taken by this process.
macro_rules! assert_seated {
    ($($claimed:expr),*) => {
        $({
            let error = $claimed.err().expect("the seat is still taken");
            let ours = matches!(error, ClaimError::Taken { pid, .. } if pid == std::process::id());
            assert!(ours, "{error:?}");
        })*
    };
}

/// Runs the same in children of every kind: by the C library and by the bare system call, and in a child's
/// child. `body` says whether it is the child's turn: then it must end in [`end`].
fn in_every_child(mut body: impl FnMut(&dyn Fn() -> Option<Child>)) {
    body(&split);
    body(&raw_clone);
    body(&|| match split() {
        Some(child) => Some(child),
        None => {
            let grandchild = split()?;
            end(|| grandchild.succeed())
        }
    });
}

#[test]
fn a_childs_use_of_its_parents_endpoints_is_refused() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for (backing, used) in BACKINGS.into_iter().flat_map(|backing| [(backing, false), (backing, true)]) {
            let ring = on!(backing, Spsc::options().capacity(8), dir.path());
            let records = on!(backing, bytes::Channel::options().capacity_bytes(4096), dir.path());
            let latest = on!(backing, Latest::options(), dir.path());
            let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
            let (mut records_tx, mut records_rx) = (records.sender().unwrap(), records.receiver().unwrap());
            let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
            let next = Cell::new(0);
            if used {
                // In the middle of a lap, with messages under way.
                for _ in 0..5 {
                    (0..3).for_each(|i| tx.try_send(&i).unwrap());
                    (0..3).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
                    (0..3).for_each(|i| records_tx.try_send(&record(i)).unwrap());
                    (0..3).for_each(|i| assert_eq!(records_rx.try_recv().unwrap(), record(i)));
                }
                writer.write(&[7; 4]).unwrap();
            }
            tx.try_send(&100).unwrap();
            records_tx.try_send(&record(100)).unwrap();
            in_every_child(|split| {
                let Some(child) = split() else {
                    end(|| {
                        // Twice: the first attempt changes nothing of the second.
                        for _ in 0..2 {
                            all_forked(&mut tx, &mut rx);
                            all_bytes_forked(&mut records_tx, &mut records_rx);
                            assert_eq!(writer.write(&[1; 4]), Err(WriteError::Forked));
                        }
                        // A reader is good on both sides.
                        let value = if used || reader.version() > 0 { reader.read().unwrap()[0] } else { 0 };
                        assert!([0, 7].contains(&value) || value == 200 + next.get());
                        assert!(!matches!(reader.read(), Err(ReadError::Corrupt(_))));
                    })
                };
                child.succeed();
                assert_seated!(ring.sender(), ring.receiver(), records.sender(), records.receiver(), latest.writer());
                // Nothing came, nothing went, and the parent goes on.
                assert_eq!((tx.len(), rx.len()), (1, 1));
                assert_eq!((records_tx.len(), records_rx.len()), (1, 1));
                next.set(next.get() + 1);
                let n = next.get();
                tx.try_send(&(100 + n)).unwrap();
                assert_eq!(rx.try_recv(), Ok(100 + n - 1));
                records_tx.try_send(&record(100 + n)).unwrap();
                assert!(records_rx.try_recv().unwrap() == record(100 + n - 1));
                writer.write(&[200 + n; 4]).unwrap();
                assert_eq!(reader.read(), Ok([200 + n; 4]));
            });
        }
    });
}

#[test]
fn a_childs_drop_of_its_parents_endpoints_changes_nothing() {
    alone(|| {
        let ring = Spsc::options().capacity(8).memfd().unwrap();
        let records = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
        let latest = Latest::options().memfd().unwrap();
        let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
        let (mut records_tx, mut records_rx) = (records.sender().unwrap(), records.receiver().unwrap());
        let mut writer = latest.writer().unwrap();
        for kind in [split, raw_clone] {
            let before = [ring.region(), records.region(), latest.region()].map(contents);
            let Some(child) = kind() else {
                end(move || drop((tx, rx, records_tx, records_rx, writer)));
            };
            child.succeed();
            assert!(before == [ring.region(), records.region(), latest.region()].map(contents));
            assert_seated!(ring.sender(), ring.receiver(), records.sender(), records.receiver(), latest.writer());
            assert!(!tx.is_closed() && !rx.is_closed() && latest.reader().has_writer());
            tx.try_send(&5).unwrap();
            assert_eq!(rx.try_recv(), Ok(5));
            records_tx.try_send(b"five").unwrap();
            assert_eq!(records_rx.try_recv().unwrap(), b"five");
            writer.write(&[5; 4]).unwrap();
        }
        drop((tx, rx, records_tx, records_rx, writer));
        // Free for a child.
        let child = fork("child", || {
            let mut tx = ring.sender().unwrap();
            tx.send(&9).unwrap();
            latest.writer().unwrap().write(&[9; 4]).unwrap();
            records.sender().unwrap().send(b"nine").unwrap();
        });
        child.succeed();
        assert_eq!(ring.receiver().unwrap().recv(), Ok(9));
        assert_eq!(records.receiver().unwrap().recv().unwrap(), b"nine");
        assert_eq!(latest.reader().read(), Ok([9; 4]));
    });
}

#[test]
fn a_childs_guards_do_nothing() {
    alone(|| {
        for kind in [split, raw_clone] {
            let ring = Spsc::options().capacity(2).memfd().unwrap();
            let records = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
            let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
            let (mut records_tx, mut records_rx) = (records.sender().unwrap(), records.receiver().unwrap());
            tx.try_send(&1).unwrap();
            records_tx.try_send(b"one").unwrap();
            let (mut slot, message) = (tx.try_send_ref().unwrap(), rx.try_recv_ref().unwrap());
            let (mut space, found) = (records_tx.try_send_ref(3).unwrap(), records_rx.try_recv_ref().unwrap());
            slot.write(&2);
            space.write_at(0, b"two");

            let before = [ring.region(), records.region()].map(contents);
            let Some(child) = kind() else {
                end(move || {
                    slot.write(&666);
                    space.write_at(0, b"bad");
                    // What the parent may read, the child may read too.
                    assert_eq!((message.read(), found.to_vec()), (1, b"one".to_vec()));
                    assert_eq!(slot.send(), Err(SendError::Forked));
                    space.truncate(1);
                    assert_eq!(space.send(), Err(SendError::Forked));
                    drop((message, found));
                });
            };
            child.succeed();
            assert!(before == [ring.region(), records.region()].map(contents));
            assert_seated!(ring.sender(), ring.receiver(), records.sender(), records.receiver());
            // Not consumed by the child's drop.
            assert_eq!((message.read(), found.to_vec()), (1, b"one".to_vec()));
            drop((message, found));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(records_rx.try_recv(), Err(TryRecvError::Empty));
            slot.send().unwrap();
            space.send().unwrap();
            assert_eq!(rx.try_recv(), Ok(2));
            assert_eq!(records_rx.try_recv().unwrap(), b"two");
        }
    });
}

#[test]
fn a_program_opens_the_descriptor_that_it_inherits() {
    const FD: &str = "RINGWAY_TEST_FD";
    alone(|| {
        if let Ok(number) = std::env::var(FD) {
            let (kept, closed) = number.split_once(' ').unwrap();
            assert!(fs::metadata(format!("/proc/self/fd/{closed}")).is_err(), "it was to be closed on exec");
            let number = kept.parse().unwrap();
            // SAFETY: the parent leaves this descriptor to this process, which nobody else here knows.
            let fd = unsafe { OwnedFd::from_raw_fd(number) };
            let channel = Spsc::from_fd(fd).unwrap();
            assert_eq!(channel.receiver().unwrap().recv(), Ok(5));
            channel.sender().unwrap().send(&6).unwrap();
            return;
        }
        let channel = Spsc::options().capacity(4).memfd().unwrap();
        channel.sender().unwrap().send(&5).unwrap();
        let (kept, closed) = (channel.region().inheritable_fd().unwrap(), channel.region().fd().unwrap());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(FD, format!("{} {}", kept.as_raw_fd(), closed.as_raw_fd()));
        let output = crate::common::alone::rerun(&mut command, "a_program_opens_the_descriptor_that_it_inherits");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(channel.receiver().unwrap().recv(), Ok(6));
    });
}

/// What lies between two calls of `getppid` is `work`, to whoever traces this process.
fn marked(mut work: impl FnMut()) {
    work();
    getppid();
    work();
    getppid();
}

/// A call that is refused in a forked child does not take back what the parent announced before it went to sleep.
#[test]
fn a_refused_call_in_a_child_leaves_the_parent_announced() {
    alone(|| {
        for wait in [Wait::Spin, Wait::default(), Wait::Sleep] {
            let ring = Spsc::options().capacity(1).memfd().unwrap();
            let records = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
            let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
            tx.send(&1).unwrap();
            tx.set_wait(wait);
            rx.set_wait(wait);
            let raw = Raw::new(ring.region().fd().unwrap());
            let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
            record_tx.set_wait(wait);
            record_rx.set_wait(wait);
            let raw_records = Raw::new(records.region().fd().unwrap());
            let words = [raw.data_wait(), raw.space_wait(), raw_records.data_wait(), raw_records.space_wait()];
            let before = words.map(|word| word.fetch_or(1, Relaxed) | 1);
            fork("child", || {
                assert_eq!(rx.recv(), Err(RecvError::Forked));
                assert_eq!(tx.send(&2), Err(SendError::Forked));
                assert_eq!(record_rx.recv(), Err(RecvError::Forked));
                assert_eq!(record_tx.send(&[]), Err(SendError::Forked));
            })
            .succeed();
            assert_eq!(words.map(|word| word.load(Relaxed)), before, "{wait:?}");
        }
    });
}

/// How many more values are dropped before one forks.
static FORK_IN: AtomicI32 = AtomicI32::new(i32::MAX);

#[derive(Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Forks(u64);

impl Drop for Forks {
    fn drop(&mut self) {
        if FORK_IN.fetch_sub(1, Relaxed) == 0 {
            IN_CHILD.with(|child| match split() {
                Some(parents) => parents.succeed(),
                None => child.set(true),
            });
        }
    }
}

thread_local! {
    static IN_CHILD: Cell<bool> = const { Cell::new(false) };
}

/// A batch is received over values whose drop forks: the child takes nothing, and the parent everything.
#[test]
fn a_drop_that_forks_between_two_messages_of_a_batch_does_no_harm() {
    alone(|| {
        for at in 0..3 {
            let channel = spsc::Channel::<Forks>::options().capacity(8).anonymous().unwrap();
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for n in 1..=6 {
                let value = ManuallyDrop::new(Forks(n));
                tx.send(&value).unwrap();
            }
            let mut values: Vec<Forks> = (0..4).map(|_| Forks(0)).collect();
            FORK_IN.store(at, Relaxed);
            let received = rx.try_recv_slice(&mut values);
            if IN_CHILD.get() {
                end(|| {
                    assert_eq!(received, Ok(at as usize + 1), "what the parent had taken by then");
                    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Forked)));
                });
            }
            FORK_IN.store(i32::MAX, Relaxed);
            assert_eq!(received, Ok(4));
            assert_eq!(values, [1, 2, 3, 4].map(Forks));
            assert_eq!(rx.try_recv(), Ok(Forks(5)));
            assert_eq!(tx.try_send(&Forks(7)), Ok(()));
            assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(Forks(6)), Ok(Forks(7))));
        }
    });
}

#[test]
fn those_who_are_awake_make_no_system_calls() {
    const TRACED: &str = "RINGWAY_TEST_TRACED";
    const MARKS: usize = 12;
    alone(|| {
        if std::env::var_os(TRACED).is_some() {
            let dir = tempfile::tempdir().unwrap();
            let ring = Spsc::options().capacity(10).memfd().unwrap();
            let records = Spsc::create(dir.path().join("ring"), 1000).unwrap();
            let bytes = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
            let latest = Latest::options().memfd().unwrap();
            for channel in [&ring, &records] {
                let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
                for wait in [Wait::default(), Wait::Sleep] {
                    tx.set_wait(wait);
                    rx.set_wait(wait);
                    marked(|| {
                        for i in 0..100_000 {
                            tx.send(&i).unwrap();
                            assert_eq!(rx.recv(), Ok(i));
                        }
                    });
                }
            }
            let (mut tx, mut rx) = (bytes.sender().unwrap(), bytes.receiver().unwrap());
            let mut buffer = [0; 100];
            marked(|| {
                for i in 0..100_000 {
                    tx.send(&[1; 100][..i % 100]).unwrap();
                    assert_eq!(rx.recv_into(&mut buffer), Ok(i % 100));
                }
            });
            let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
            marked(|| {
                for i in 0..100_000 {
                    writer.write(&[i; 4]).unwrap();
                    assert_eq!(reader.changed(), Ok(()));
                    assert_eq!(reader.read(), Ok([i; 4]));
                }
            });
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("trace");
        let mut strace = Command::new("strace");
        strace.arg("-f").arg("-qq").arg("-o").arg(&trace).arg(std::env::current_exe().unwrap()).env(TRACED, "1");
        if Command::new("strace").arg("--version").output().is_err() {
            return skip("system calls: there is no strace");
        }
        let output = crate::common::alone::rerun(&mut strace, "those_who_are_awake_make_no_system_calls");
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if text.contains("Operation not permitted") && !output.status.success() {
            return skip("system calls: tracing is not allowed");
        }
        assert!(output.status.success(), "{text}");
        check_trace(&trace, MARKS);
    });
}

/// Checks that nothing lies between the first and the second mark, the third and the fourth, and so on.
fn check_trace(trace: &Path, marks: usize) {
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let at: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].contains("getppid(")).collect();
    assert_eq!(at.len(), marks, "{trace}");
    for pair in at.chunks(2) {
        assert_eq!(pair[0] + 1, pair[1], "{:#?}", &lines[pair[0]..=pair[1]]);
    }
    assert!(lines.iter().any(|line| line.contains("memfd_create")), "it traces");
}

/// A mapping of a file on overlayfs holds no lock that was taken on the file.
#[test]
fn on_an_overlay_the_living_live_and_the_dead_are_dead() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let overlay = match overlay(dir.path()) {
            Ok(overlay) => overlay,
            Err(errno) => return skip(&format!("overlayfs: {errno}")),
        };
        let channel = Spsc::create(overlay.merged.join("region"), 4).unwrap();
        let mut rx = channel.receiver().unwrap();
        let go = Latest::options().anonymous().unwrap();
        let mut go_on = go.reader();
        let child = fork("child", || {
            let mut tx = channel.sender().unwrap();
            tx.send(&7).unwrap();
            go.writer().unwrap().write(&[1; 4]).unwrap();
            loop {
                thread::park();
            }
        });
        go_on.changed().unwrap();
        assert_eq!(rx.recv(), Ok(7));
        assert!(rx.has_sender() && !rx.is_closed());
        assert_eq!(rx.recv_timeout(Duration::from_millis(30)), Err(RecvTimeoutError::Timeout));
        assert!(matches!(channel.sender().err(), Some(ClaimError::Taken { generation: 1, .. })));
        child.kill();
        assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 }));
        assert_eq!(channel.sender().unwrap().generation(), 2);
    });
}
