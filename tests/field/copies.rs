//! A copy does not pass for the region it was made from.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use ringway::{
    Content, CopySign, Holder, OpenError, ReadError, Reason, Report, TryRecvError, bytes, in_use, remove_unused,
    seqlock, spsc,
};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::footprint::Footprint;
use crate::common::header;
use crate::common::mounts::{bound, mounted, overlay, private_mounts};
use crate::common::say::skip;
use crate::memory::Disk;

pub type Spsc = spsc::Channel<u64>;

pub type Latest = seqlock::Channel<[u64; 4]>;

pub fn is_copy(error: &OpenError, expected: CopySign) {
    assert!(matches!(error.reason(), Reason::Copy { sign } if *sign == expected), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("copy") && text.contains("open_snapshot") && text.contains("adopt"), "{text}");
}

/// Copies a file as `cp` does, in pieces from front to back.
pub fn cp(from: &Path, to: &Path) {
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

/// The number of a device changes with a mount. What a region remembers of its file does not.
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

/// The copy has the inode number and the birth time of the original.
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

/// The header of a region names another boot, as after a reboot.
#[test]
fn a_region_of_another_boot_opens_only_as_a_copy_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    Spsc::create(&path, 8).unwrap().sender().unwrap().send(&7).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut header = [0; header::PAGE];
    file.read_exact_at(&mut header, 0).unwrap();
    header[header::BOOT] ^= 1;
    header::seal(&mut header);
    file.write_all_at(&header, 0).unwrap();
    is_copy(&Spsc::open(&path).unwrap_err(), CopySign::OtherBoot);
    assert_eq!(Spsc::options().open_snapshot(&path).unwrap().receiver().unwrap().try_recv(), Ok(7));
    assert_eq!(Spsc::options().adopt(&path).unwrap().receiver().unwrap().try_recv(), Ok(7));
    assert_eq!(Report::open(&path).unwrap().copied, None);
    Spsc::open(&path).unwrap();
}

/// The word of a copy is no reason to end anybody, record a death or ask about anybody.
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
        assert_eq!(adopted.kill_and_take_sender(Duration::ZERO).unwrap().generation(), 2);
        assert_eq!(adopted.receiver().unwrap().generation(), 2);
        assert!(rx.has_sender() && !rx.is_closed());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        child.kill();
    });
}

/// The only path of a memfd is one in `/proc`.
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

/// On a tmpfs, reading a hole through a mapping takes memory. If there is none, a signal comes.
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
