//! How a region is mapped: mirrored, between guards, anywhere, read-only.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use ringway::{Advice, ChangedError, ClaimError, RecvError, bytes};

use crate::common::alone::alone;
use crate::common::backing::Backing;
use crate::common::child::fork;
use crate::common::proc::{Map, mapped_by, maps};
use crate::regions::{Latest, on};
use crate::snapshots::record;

#[test]
fn a_record_that_crosses_the_end_is_whole_across_a_fork() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in Backing::ALL {
            let channel = on(backing, &bytes::Channel::options().capacity_bytes(8192), dir.path());
            let child = fork("child", || {
                let mut tx = channel.sender().unwrap();
                (0..500).for_each(|i| tx.send(&record(i)).unwrap());
            });
            let mut rx = channel.receiver().unwrap();
            for i in 0..500 {
                assert!(rx.recv().unwrap() == record(i), "{backing:?}: record {i}");
            }
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            child.succeed();
        }
    });
}

/// Runs `make`. Returns what it made, and the mappings that came with it. They must lie in one piece and have `size`
/// bytes together.
fn parts<T>(make: impl FnOnce() -> T, size: impl FnOnce(&T) -> u64) -> (T, Vec<Map>) {
    let (made, parts) = mapped_by(make);
    assert!(parts.windows(2).all(|two| two[0].end == two[1].start), "{parts:?}");
    assert_eq!(parts.iter().map(Map::len).sum::<u64>(), size(&made), "{parts:?}");
    (made, parts)
}

/// Reads or writes a byte at an address, whatever is there.
fn poke(address: usize, write: bool) {
    let byte = std::ptr::with_exposed_provenance_mut::<u8>(address);
    if write {
        // SAFETY: this is not sound. A child does it, and must be killed for it.
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
        for backing in Backing::ALL {
            let options = bytes::Channel::options().capacity_bytes(8192);
            let (channel, parts) = parts(|| on(backing, &options, dir.path()), |c| c.region().size() + 8192);
            let (first, last) = (&parts[0], &parts[parts.len() - 1]);
            assert_eq!((first.perms.as_str(), first.len()), ("r--s", 4096), "{backing:?}");
            assert!(parts[1..].iter().all(|part| part.perms == "rw-s"), "{backing:?}: {parts:?}");
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
            // The parent's mappings are still there, so this one lies elsewhere.
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

/// The flags of every mapping that begins at one of these addresses, from `/proc/self/smaps`.
fn flags(starts: &[usize]) -> Vec<String> {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut found = Vec::new();
    let mut start = 0;
    for line in smaps.lines() {
        if let Some(Ok(number)) = line.split_once('-').map(|(number, _)| usize::from_str_radix(number, 16)) {
            start = number;
        }
        match line.strip_prefix("VmFlags:") {
            Some(flags) if starts.contains(&start) => found.push(flags.to_owned()),
            _ => {}
        }
    }
    found
}

#[test]
fn what_is_not_to_be_dumped_is_not_dumped_through_the_mirror_either() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in Backing::ALL {
            let make = || {
                let channel = on(backing, &bytes::Channel::options().capacity_bytes(8192), dir.path());
                channel.region().advise(Advice::DontDump).unwrap();
                channel
            };
            let (_channel, parts) = parts(make, |c| c.region().size() + 8192);
            // The data begins at the third page.
            let data: Vec<usize> =
                parts.iter().map(|part| part.start).filter(|start| *start >= parts[0].start + 8192).collect();
            let flags = flags(&data);
            assert!(!flags.is_empty() && flags.iter().all(|flags| flags.contains(" dd")), "{backing:?}: {flags:?}");
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
            // Nobody can wake this reader, which may not write. It finds out by itself.
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
