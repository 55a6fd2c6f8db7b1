//! A copy does not pass for the region it was made from.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ringway::{
    Content, CopySign, FileState, Holder, OpenError, ReadError, Reason, RecvError, Report, TryRecvError, bytes, in_use,
    remove_unused, seqlock, spsc,
};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::footprint::Footprint;
use crate::common::mounts::{bound, mounted, overlay, private_mounts};
use crate::common::raw::seal_header;
use crate::common::say::skip;
use crate::common::stopper::Stopper;
use crate::common::users::by_descriptor;
use crate::memory::Disk;

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;

fn is_copy(error: &OpenError, expected: CopySign) {
    assert!(matches!(error.reason(), Reason::Copy { sign } if *sign == expected), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("copy") && text.contains("open_snapshot") && text.contains("adopt"), "{text}");
}

/// Copies a file as `cp` does, in pieces from front to back.
fn cp(from: &Path, to: &Path) {
    std::io::copy(&mut File::open(from).unwrap(), &mut File::create(to).unwrap()).unwrap();
}

#[test]
fn a_copy_is_refused_with_the_ways_on_and_leaves_nothing_behind() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let [ring, records, latest] = ["ring", "records", "latest"].map(|name| dir.path().join(name));
        let _ring = Spsc::create(&ring, 8).unwrap();
        let _records = bytes::Channel::create(&records, 4096).unwrap();
        let _latest = Latest::create(&latest).unwrap();
        for path in [&ring, &records, &latest] {
            let copy = path.with_extension("copy");
            cp(path, &copy);
            let refused = |open: &dyn Fn(&Path) -> Option<OpenError>| {
                let before = Footprint::now(Some(dir.path()));
                is_copy(&open(&copy).expect("a copy is refused"), CopySign::OtherFile);
                assert_eq!(before, Footprint::now(Some(dir.path())));
            };
            match path.file_name().unwrap().to_str().unwrap() {
                "ring" => {
                    refused(&|path| Spsc::open(path).err());
                    refused(&|path| Spsc::options().capacity(8).open_or_create(path).err());
                }
                "records" => refused(&|path| bytes::Channel::open(path).err()),
                _ => {
                    refused(&|path| Latest::open(path).err());
                    refused(&|path| Latest::open_read_only(path).err());
                }
            }
            assert!(!in_use(&copy).unwrap());
            remove_unused(&copy).unwrap();
        }
    });
}

#[test]
fn a_region_that_was_moved_or_linked_is_no_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved, linked) = (dir.path().join("region"), dir.path().join("moved"), dir.path().join("linked"));
    let id = Spsc::create(&path, 8).unwrap().region().id();
    fs::rename(&path, &moved).unwrap();
    fs::hard_link(&moved, &linked).unwrap();
    fs::set_permissions(&moved, fs::Permissions::from_mode(0o640)).unwrap();
    for path in [&moved, &linked] {
        assert_eq!(Spsc::open(path).unwrap().region().id(), id);
        assert_eq!(Report::open(path).unwrap().copied, None);
    }
}

/// A device number changes with a mount; what a region remembers of its file does not.
#[test]
fn a_region_survives_bind_mounts_and_remounts() {
    alone(|| {
        let disk = match Disk::new("ext4", &["-q"], 64 << 20, "rw") {
            Ok(disk) => disk,
            Err(why) => return skip(&why),
        };
        let channel = Spsc::create(disk.at.join("region"), 8).unwrap();
        let id = channel.region().id();
        channel.sender().unwrap().send(&7).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mounted = bound(&disk.at, dir.path()).unwrap();
        let through = Spsc::open(dir.path().join("region")).unwrap();
        assert_eq!(through.region().id(), id);
        drop((channel, through, mounted));
        disk.remount();
        let channel = Spsc::open(disk.at.join("region")).unwrap();
        assert_eq!((channel.region().id(), channel.receiver().unwrap().try_recv()), (id, Ok(7)));
    });
}

/// It has the inode number and the birth time of the original.
#[test]
fn a_snapshot_of_a_btrfs_subvolume_is_a_copy() {
    alone(|| {
        let disk = match Disk::btrfs() {
            Ok(disk) => disk,
            Err(why) => return skip(&why),
        };
        let (here, there) = (disk.at.join("here"), disk.at.join("there"));
        let btrfs = |args: &[&std::ffi::OsStr]| {
            let output = std::process::Command::new("btrfs").arg("subvolume").args(args).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        btrfs(&["create".as_ref(), here.as_os_str()]);
        let channel = Spsc::create(here.join("region"), 8).unwrap();
        channel.sender().unwrap().send(&7).unwrap();
        channel.region().flush(ringway::Flush::Wait).unwrap();
        btrfs(&["snapshot".as_ref(), here.as_os_str(), there.as_os_str()]);
        let [one, other] = [&here, &there].map(|place| fs::metadata(place.join("region")).unwrap());
        assert_eq!((one.ino(), one.created().unwrap()), (other.ino(), other.created().unwrap()));
        is_copy(&Spsc::open(there.join("region")).unwrap_err(), CopySign::OtherFile);
        let adopted = Spsc::options().adopt(there.join("region")).unwrap();
        assert_eq!(adopted.receiver().unwrap().try_recv(), Ok(7));
        Spsc::open(here.join("region")).unwrap();
    });
}

/// A region whose header says another boot, as after a reboot.
#[test]
fn a_region_of_another_boot_opens_only_as_a_copy_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    Spsc::create(&path, 8).unwrap().sender().unwrap().send(&7).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut header = [0; 256];
    file.read_exact_at(&mut header, 0).unwrap();
    header[160] ^= 1;
    seal_header(&mut header);
    file.write_all_at(&header, 0).unwrap();
    is_copy(&Spsc::open(&path).unwrap_err(), CopySign::OtherBoot);
    assert_eq!(Spsc::options().open_snapshot(&path).unwrap().receiver().unwrap().try_recv(), Ok(7));
    assert_eq!(Spsc::options().adopt(&path).unwrap().receiver().unwrap().try_recv(), Ok(7));
    assert_eq!(Report::open(&path).unwrap().copied, None);
    Spsc::open(&path).unwrap();
}

/// Nobody is ended, buried or asked after on a copy's word.
#[test]
fn a_copy_on_an_overlay_harms_nobody_whom_its_seats_name() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let overlay = match overlay(dir.path()) {
            Ok(overlay) => overlay,
            Err(errno) => return skip(&format!("overlayfs: {errno}")),
        };
        let place = &overlay.merged;
        let (live, copy) = (place.join("live"), place.join("copy"));
        let channel = Spsc::create(&live, 8).unwrap();
        let mut rx = channel.receiver().unwrap();
        let child = fork("child", || {
            let mut tx = channel.sender().unwrap();
            tx.send(&1).unwrap();
            loop {
                std::thread::park();
            }
        });
        assert_eq!(rx.recv(), Ok(1));
        cp(&live, &copy);
        is_copy(&Spsc::open(&copy).unwrap_err(), CopySign::OtherFile);
        let report = Report::open(&copy).unwrap();
        assert!(matches!(report.seats[0].holder, Holder::Copied { .. }), "{report}");
        assert!(report.to_string().contains("a copy: "), "{report}");

        let adopted = Spsc::options().adopt(&copy).unwrap();
        assert_ne!(adopted.region().id(), channel.region().id());
        assert_eq!(adopted.evict_sender(Duration::ZERO).unwrap().generation(), 2);
        assert_eq!(adopted.receiver().unwrap().generation(), 2);
        assert!(rx.has_sender() && !rx.is_closed());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        child.kill();
    });
}

/// What a snapshot of a copy delivers is whole, in order and without a gap, whatever was going on.
#[test]
fn copies_of_a_busy_ring_of_records_deliver_no_torn_one() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = bytes::Channel::create(&live, 1 << 18).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopper = Stopper(&stop);
        scope.spawn(|| {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 1u64.. {
                tx.send(&i.to_le_bytes().repeat((i % 97) as usize + 1)).unwrap();
                if i > 300 {
                    rx.recv().unwrap();
                }
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let mut received = 0;
        for _ in 0..300 {
            cp(&live, &copy);
            is_copy(&bytes::Channel::open(&copy).unwrap_err(), CopySign::OtherFile);
            // A report tells of what the others give.
            let report = Report::open(&copy).unwrap();
            let len = bytes::Channel::options().open_snapshot(&copy).unwrap().receiver().unwrap().len();
            assert!(matches!(report.content, Content::Messages { count, .. } if count == len), "{len}, and {report}");
            for channel in [bytes::Channel::options().open_snapshot(&copy), bytes::Channel::options().adopt(&copy)] {
                let mut rx = channel.unwrap().receiver().unwrap();
                let mut last = None;
                let end = loop {
                    match rx.try_recv() {
                        Ok(got) => {
                            let n = u64::from_le_bytes(got[..8].try_into().unwrap());
                            assert_eq!(got, n.to_le_bytes().repeat((n % 97) as usize + 1));
                            assert!(last.is_none_or(|last| n == last + 1));
                            (last, received) = (Some(n), received + 1);
                        }
                        Err(end) => break end,
                    }
                };
                // Nothing that cannot be. The first copies may have been made before the sender came.
                assert!(matches!(end, TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)), "{end:?}");
            }
        }
        drop(stopper);
        assert!(received > 0);
    });
}

/// Of a ring of values some may be torn (see `open_snapshot`): a stamp comes last, and the value before it may have been
/// read before it was written. All else must be as in any ring.
#[test]
fn copies_of_a_busy_ring_of_values_hold_a_ring_that_can_be_used() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = Spsc::create(&live, 10_000).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopper = Stopper(&stop);
        scope.spawn(|| {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 1u64.. {
                tx.send(&i).unwrap();
                if i > 300 {
                    rx.recv().unwrap();
                }
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let mut received = 0;
        for _ in 0..300 {
            cp(&live, &copy);
            let copied = Spsc::options().open_snapshot(&copy).unwrap();
            let mut rx = copied.receiver().unwrap();
            let waiting = rx.len();
            let end = loop {
                match rx.try_recv() {
                    Ok(_) => received += 1,
                    Err(end) => break end,
                }
            };
            assert!(matches!(end, TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)), "{end:?}");
            assert!(waiting <= copied.capacity());
            let mut tx = copied.sender().unwrap();
            for lap in 0..2 * copied.capacity() {
                tx.try_send(&lap).unwrap();
                assert_eq!(rx.try_recv(), Ok(lap));
            }
        }
        drop(stopper);
        assert!(received > 0);
    });
}

#[test]
fn copies_of_a_busy_value_hold_a_whole_one_or_say_so() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = seqlock::Channel::<[u64; 100]>::create(&live).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopper = Stopper(&stop);
        scope.spawn(|| {
            let mut writer = channel.writer().unwrap();
            let mut i = 0;
            while !stop.load(Relaxed) {
                i += 1;
                writer.write(&[i; 100]).unwrap();
            }
        });
        let mut whole = 0;
        for _ in 0..1000 {
            cp(&live, &copy);
            match seqlock::Channel::<[u64; 100]>::options().open_snapshot(&copy) {
                Ok(channel) => {
                    let value = channel.reader().read().unwrap();
                    assert!(value.iter().all(|word| *word == value[0]), "torn: {value:?}");
                    whole += 1;
                }
                Err(error) => assert!(matches!(error.reason(), Reason::NothingWhole), "{error:?}"),
            }
        }
        drop(stopper);
        assert!(whole > 0);
    });
}

/// All values were being written; that none was ever written is another thing.
#[test]
fn a_copied_value_is_a_whole_one_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let mut writer = Latest::create(&live).unwrap().writer().unwrap();
    (1..=3).for_each(|n| writer.write(&[n; 4]).unwrap());
    cp(&live, &copy);
    let file = OpenOptions::new().write(true).open(&copy).unwrap();
    // Cells of 64 bytes: four words, and the mark.
    let tear = |version: u64| file.write_all_at(&[0xEE; 8], 8192 + version * 64 + 32).unwrap();
    tear(3);
    assert!(matches!(Report::open(&copy).unwrap().content, Content::Value { version: 2 }));
    assert_eq!(Latest::options().open_snapshot(&copy).unwrap().reader().read(), Ok([2; 4]));
    (1..=2).for_each(tear);
    let report = Report::open(&copy).unwrap();
    assert!(matches!(report.content, Content::NothingWhole), "{report}");
    for error in [Latest::options().open_snapshot(&copy).unwrap_err(), Latest::options().adopt(&copy).unwrap_err()] {
        assert!(matches!(error.reason(), Reason::NothingWhole), "{error:?}");
        assert!(error.to_string().contains("recreate"), "{error}");
    }
}

/// A stamp came to the disk, and the one before it did not.
#[test]
fn what_lies_behind_a_gap_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = Spsc::create(&live, 8).unwrap();
    let mut tx = channel.sender().unwrap();
    (1..=5).for_each(|n| tx.send(&n).unwrap());
    cp(&live, &copy);
    let file = OpenOptions::new().write(true).open(&copy).unwrap();
    // The third slot: payload and stamp.
    file.write_all_at(&[0; 16], 2 * 4096 + 2 * 16).unwrap();
    let adopted = Spsc::options().adopt(&copy).unwrap();
    let mut rx = adopted.receiver().unwrap();
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(2)));
    assert!(rx.try_recv().is_err());
    adopted.sender().unwrap().send(&6).unwrap();
    assert_eq!(rx.recv(), Ok(6));
    assert!(matches!(Report::open(&copy).unwrap().content, Content::Messages { count: 0, .. }));
}

#[test]
fn an_adopted_copy_keeps_its_mode_and_goes_on_where_its_original_was() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = bytes::Channel::options().capacity_bytes(4096).mode(0o640).create(&live).unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    for n in 0..100u8 {
        tx.send(&[n; 40]).unwrap();
        if n < 90 {
            rx.recv().unwrap();
        }
    }
    cp(&live, &copy);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o640)).unwrap();
    let adopted = bytes::Channel::options().adopt(&copy).unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing lies beside it");
    // Whoever adopts it next opens it.
    let other = bytes::Channel::options().adopt(&copy).unwrap();
    assert_eq!(other.region().id(), adopted.region().id());
    let (mut tx, mut rx) = (adopted.sender().unwrap(), other.receiver().unwrap());
    tx.send(&[100; 40]).unwrap();
    for n in 90..=100u8 {
        assert_eq!(rx.recv().unwrap(), [n; 40]);
    }
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(adopted.region().file_state(), FileState::Named);
}

#[test]
fn of_many_who_adopt_a_copy_one_makes_the_region() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let _live = Spsc::create(&live, 8).unwrap();
    for _ in 0..30 {
        cp(&live, &copy);
        let adopt = || Spsc::options().adopt(&copy).unwrap().region().id();
        let ids: Vec<u128> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(adopt)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        fs::remove_file(&copy).unwrap();
    }
}

/// Each needs room for the region before it can know that another was faster.
#[test]
fn many_come_at_once_where_there_is_room_for_one_region() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let mounted = crate::common::mounts::private_mounts().and_then(|()| mounted("tmpfs", dir.path(), "size=7m"));
        let _mounted = match mounted {
            Ok(mounted) => mounted,
            Err(errno) => return skip(&format!("tmpfs: {errno}")),
        };
        let (path, copy) = (dir.path().join("region"), dir.path().join("copy"));
        let options = bytes::Channel::options().capacity_bytes(2 << 20);
        let at_once = |make: &(dyn Fn() -> Result<bytes::Channel, OpenError> + Sync)| {
            let ids: Vec<u128> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| make().unwrap().region().id())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        };
        for _ in 0..5 {
            at_once(&|| options.open_or_create(&path));
            cp(&path, &copy);
            at_once(&|| options.adopt(&copy));
            fs::remove_file(&path).unwrap();
            fs::remove_file(&copy).unwrap();
        }
    });
}

/// A backup that root restored and gave to its user, but not to the user's group.
#[test]
fn a_copy_is_adopted_by_its_owner_who_is_not_in_its_group() {
    alone(|| {
        if !crate::common::users::root() {
            return skip("another user: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
        let _live = Spsc::create(&live, 8).unwrap();
        cp(&live, &copy);
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o660)).unwrap();
        std::os::unix::fs::chown(&copy, Some(12345), None).unwrap();
        let (_open, reachable) = by_descriptor(dir.path());
        let child = fork("child", || {
            nix::unistd::setgid(nix::unistd::Gid::from_raw(12345)).unwrap();
            nix::unistd::setuid(nix::unistd::Uid::from_raw(12345)).unwrap();
            Spsc::options().adopt(reachable.join("copy")).unwrap();
        });
        child.succeed();
        let there = fs::metadata(&copy).unwrap();
        assert_eq!((there.uid(), there.gid(), there.mode() & 0o777), (12345, 12345, 0o600));
    });
}

/// What cannot be adopted stays as it is.
#[test]
fn a_copy_that_cannot_be_adopted_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let _live = Spsc::create(&live, 8).unwrap();
    cp(&live, &copy);
    let file = OpenOptions::new().write(true).open(&copy).unwrap();
    // The head, to a position that cannot be.
    let line = 128;
    file.write_all_at(&u64::MAX.to_ne_bytes(), 4096 + 8 * line).unwrap();
    let before = fs::read(&copy).unwrap();
    assert!(matches!(Spsc::options().adopt(&copy).unwrap_err().reason(), Reason::Corrupt(_)));
    assert!(matches!(Spsc::options().capacity(9).adopt(&copy).unwrap_err().reason(), Reason::OtherCapacity { .. }));
    assert!(matches!(Latest::options().adopt(&copy).unwrap_err().reason(), Reason::Kind { .. }));
    assert!(fs::read(&copy).unwrap() == before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// A memfd has no path but those of `/proc`.
#[test]
fn a_memfd_behind_proc_can_be_looked_at() {
    let channel = Spsc::options().capacity(8).memfd().unwrap();
    let mut tx = channel.sender().unwrap();
    tx.send(&7).unwrap();
    let fd = channel.region().fd().unwrap().as_raw_fd();
    for path in
        [format!("/proc/{}/fd/{fd}", std::process::id()), format!("/proc/self/fd/{fd}"), format!("/dev/fd/{fd}")]
    {
        let report = Report::open(&path).unwrap();
        assert!(matches!(report.content, Content::Messages { count: 1, .. }), "{report}");
        assert!(matches!(report.seats[0].holder, Holder::Alive { pid } if pid == std::process::id()), "{report}");
        assert_eq!((report.copied, report.id), (None, channel.region().id()));
        assert_eq!(Spsc::options().open_snapshot(&path).unwrap().receiver().unwrap().try_recv(), Ok(7));
        assert_eq!(in_use(&path).ok(), Some(true));
    }
    let link = tempfile::tempdir().unwrap();
    let path = link.path().join("link");
    std::os::unix::fs::symlink(format!("/proc/self/fd/{fd}"), &path).unwrap();
    assert!(matches!(Report::open(&path).unwrap_err().reason(), Reason::NotAFile { found: "a symbolic link" }));
}

/// On a tmpfs, to read a hole through a mapping takes memory; where there is none, it is a signal.
#[test]
fn a_sparse_copy_on_a_full_file_system_can_be_looked_at() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let _full = match private_mounts().and_then(|()| mounted("tmpfs", dir.path(), "size=3m")) {
            Ok(mounted) => mounted,
            Err(errno) => return skip(&format!("tmpfs: {errno}")),
        };
        let (live, copy, filler) = (dir.path().join("live"), dir.path().join("copy"), dir.path().join("filler"));
        let channel = bytes::Channel::create(&live, 1 << 20).unwrap();
        channel.sender().unwrap().send(b"whole").unwrap();
        let size = channel.region().size() as usize;
        let contents = fs::read(&live).unwrap();
        for is_original in [false, true] {
            let path = if is_original { &live } else { &copy };
            if is_original {
                let file = OpenOptions::new().read(true).write(true).open(&live).unwrap();
                let punch =
                    nix::fcntl::FallocateFlags::FALLOC_FL_PUNCH_HOLE | nix::fcntl::FallocateFlags::FALLOC_FL_KEEP_SIZE;
                nix::fcntl::fallocate(&file, punch, 3 * 4096, (size - 3 * 4096) as i64).unwrap();
            } else {
                let file = File::create(&copy).unwrap();
                file.set_len(size as u64).unwrap();
                file.write_all_at(&contents[..3 * 4096], 0).unwrap();
            }
            let mut full = File::create(&filler).unwrap();
            while std::io::Write::write_all(&mut full, &[1; 4096]).is_ok() {}
            let report = Report::open(path).unwrap();
            assert!(matches!(report.content, Content::Messages { count: 1, .. }), "{report}");
            let snapshot = bytes::Channel::options().open_snapshot(path).unwrap();
            assert_eq!(snapshot.receiver().unwrap().try_recv().unwrap(), b"whole");
            let error = bytes::Channel::options().adopt(path).unwrap_err();
            assert!(matches!(error.reason(), Reason::NoSpace { .. }), "{error:?}");
            fs::remove_file(&filler).unwrap();
        }
        let latest = dir.path().join("latest");
        Latest::create(&latest).unwrap().writer().unwrap().write(&[9; 4]).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&latest).unwrap();
        let punch = nix::fcntl::FallocateFlags::FALLOC_FL_PUNCH_HOLE | nix::fcntl::FallocateFlags::FALLOC_FL_KEEP_SIZE;
        nix::fcntl::fallocate(&file, punch, 3 * 4096, 4096).unwrap();
        let error = Latest::open_read_only(&latest).unwrap_err();
        assert!(matches!(error.reason(), Reason::Holes), "{error:?}");
        let read = Latest::options().open_snapshot(&latest).unwrap().reader().read();
        assert!(matches!(read, Ok([9, 9, 9, 9]) | Err(ReadError::Corrupt(_))), "{read:?}");
    });
}
