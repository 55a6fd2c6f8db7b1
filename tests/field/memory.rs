//! Memory that was reserved can be missing nevertheless: holes, copy-on-write, hostile sizes.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::memfd::{MFdFlags, memfd_create};
use ringway::{Flush, Reason, seqlock, spsc};

use crate::common::alone::{alone, in_memory};
use crate::common::child::fork;
use crate::common::header;
use crate::common::mounts::private_mounts;
use crate::common::say::skip;
use crate::filter::refuse;

type Spsc = spsc::Channel<[u64; 7]>;
type Value = seqlock::Channel<[u64; 1 << 12]>;

const NONE: Option<&str> = None;

/// Makes a header say that its region was made in this file.
pub fn claim_origin(header: &mut [u8], file: &File) {
    header[header::FILE..header::FILE + 8].copy_from_slice(&file.metadata().unwrap().ino().to_ne_bytes());
    // When it was made, and in which subvolume, is not known.
    header[header::FILE + 8..header::FILE + 24].fill(0);
    header::seal(header);
}

/// A file system in a file, mounted for this process alone. It is unmounted when this is dropped.
pub struct Disk {
    pub at: PathBuf,
    kind: String,
    options: String,
    image: tempfile::TempDir,
}

impl Disk {
    /// Makes a file system of so many bytes. Says why if that is not possible here.
    pub fn new(kind: &str, options: &[&str], bytes: u64, mount_options: &str) -> Result<Self, String> {
        // The file lies in memory, because this is not about the speed of the disk.
        let image = in_memory();
        let (file, at) = (image.path().join("image"), image.path().join("disk"));
        File::create(&file).unwrap().set_len(bytes).unwrap();
        fs::create_dir(&at).unwrap();
        private_mounts().map_err(|error| format!("{kind}: unshare: {error}"))?;
        run(Command::new(format!("mkfs.{kind}")).args(options).arg(&file))?;
        let disk = Self { at, kind: kind.into(), options: format!("loop,{mount_options}"), image };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        let options = ["-t", &self.kind, "-o", &self.options];
        run(Command::new("mount").args(options).arg(self.image.path().join("image")).arg(&self.at))
    }

    /// Unmounts it and mounts it again. Nobody may use it then.
    pub fn remount(&self) {
        umount2(&self.at, MntFlags::empty()).unwrap();
        self.mount().unwrap();
    }

    pub fn btrfs() -> Result<Self, String> {
        Self::new("btrfs", &["-q"], 128 << 20, "compress-force=zstd")
    }

    /// Writes until there is no room left.
    fn fill(&self) {
        let mut file = File::create(self.at.join("ballast")).unwrap();
        // Some room may become free again when data is written back.
        for len in [1 << 20, 4096, 4096] {
            let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(len).collect();
            while fits(file.write_all(&noise)) {}
            fits(file.sync_data());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Err(error) => Err(format!("{name}: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).replace('\n', " "))),
    }
}

/// Whether there was room.
fn fits(written: std::io::Result<()>) -> bool {
    match written {
        Err(error) if error.kind() == ErrorKind::StorageFull => false,
        written => {
            written.unwrap();
            true
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

/// Stores into every page of the region, again and again, and has each round written back.
fn stir(channel: &Spsc) {
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    for round in 0..2 * channel.capacity() {
        tx.try_send(&[round; 7]).unwrap();
        assert_eq!(rx.try_recv().unwrap(), [round; 7]);
        if round % channel.capacity() == 0 {
            channel.region().flush(Flush::Wait).unwrap();
        }
    }
}

/// Stirs a region while its file system fills up. Opens and stirs it again when the file system is full.
fn holds_on_a_full_disk(disk: &Disk, capacity: u64) {
    let path = disk.at.join("region");
    let channel = Spsc::options().capacity(capacity).create(&path).unwrap();
    stir(&channel);
    disk.fill();
    stir(&channel);
    drop(channel);
    stir(&Spsc::open(&path).unwrap());
    let error = Spsc::options().capacity(1 << 20).create(disk.at.join("other")).unwrap_err();
    // xfs has no room for another inode.
    let no_room = |os: &ringway::OsError| os.source.kind() == ErrorKind::StorageFull;
    assert!(
        matches!(error.reason(), Reason::NoSpace { .. }) || matches!(error.reason(), Reason::Os(os) if no_room(os))
    );
}

#[test]
fn a_region_on_btrfs_survives_a_full_disk() {
    alone(|| match Disk::btrfs() {
        // A full btrfs looks for room for a second before it writes a page in place.
        Ok(disk) => holds_on_a_full_disk(&disk, 120),
        Err(why) => skip(&why),
    });
}

#[test]
fn a_file_on_btrfs_that_is_written_by_copying_is_refused() {
    alone(|| {
        let disk = match Disk::btrfs() {
            Ok(disk) => disk,
            Err(why) => return skip(&why),
        };
        let (path, copy) = (disk.at.join("region"), disk.at.join("copy"));
        drop(Spsc::options().capacity(50).create(&path).unwrap());
        // A new file of the same content, without the attribute. It says that it is the original.
        let mut content = fs::read(&path).unwrap();
        claim_origin(&mut content, &File::create(&copy).unwrap());
        fs::write(&copy, content).unwrap();
        fs::rename(&copy, &path).unwrap();
        let error = Spsc::open(&path).unwrap_err();
        assert!(matches!(error.reason(), Reason::CopyOnWrite), "{error}");
        assert!(error.to_string().contains("No_COW") && error.to_string().contains("/dev/shm"), "{error}");
    });
}

#[test]
fn a_region_on_ext4_survives_a_full_disk() {
    alone(|| match Disk::new("ext4", &["-q"], 64 << 20, "rw") {
        Ok(disk) => holds_on_a_full_disk(&disk, 50_000),
        Err(why) => skip(&why),
    });
}

fn xfs() -> Result<Disk, String> {
    Disk::new("xfs", &["-q", "-m", "reflink=1"], 320 << 20, "rw")
}

#[test]
fn a_region_on_xfs_survives_a_full_disk() {
    alone(|| match xfs() {
        Ok(disk) => holds_on_a_full_disk(&disk, 50_000),
        Err(why) => skip(&why),
    });
}

#[test]
fn a_region_on_xfs_that_shares_its_blocks_with_a_copy_gets_its_own_when_it_is_opened() {
    alone(|| {
        let disk = match xfs() {
            Ok(disk) => disk,
            Err(why) => return skip(&why),
        };
        let (path, copy) = (disk.at.join("region"), disk.at.join("copy"));
        stir(&Spsc::options().capacity(50_000).create(&path).unwrap());
        let done = Command::new("cp").arg("--reflink=always").arg(&path).arg(&copy).status().unwrap();
        assert!(done.success());
        let channel = Spsc::open(&path).unwrap();
        disk.fill();
        stir(&channel);
    });
}

/// Takes the memory of a part of a file away.
fn punch(file: &File, from: u64, len: u64) {
    let flags = FallocateFlags::FALLOC_FL_KEEP_SIZE | FallocateFlags::FALLOC_FL_PUNCH_HOLE;
    fallocate(file, flags, from as i64, len as i64).unwrap();
}

fn read_and_write(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// ext2, ext3, and ext4 as it was made long ago. The kernel can reserve nothing there, so it fills no hole.
#[test]
fn a_region_on_ext4_without_extents_is_opened_if_it_is_whole() {
    alone(|| {
        let disk = match Disk::new("ext4", &["-q", "-O", "^extent,^64bit"], 64 << 20, "rw") {
            Ok(disk) => disk,
            Err(why) => return skip(&why),
        };
        holds_on_a_full_disk(&disk, 50_000);
        let path = disk.at.join("region");
        // A hole may be smaller than what the file system counts for its own lists of blocks. It is a hole, too.
        for len in [4096, 1 << 20] {
            punch(&read_and_write(&path), 8192, len);
            let error = Spsc::open(&path).unwrap_err();
            assert!(matches!(error.reason(), Reason::Holes), "{error}");
        }
    });
}

/// A tool that reserves in advance leaves blocks behind the end of a file. They do not make up for missing ones.
#[test]
fn blocks_behind_the_end_hide_no_hole_on_a_full_tmpfs() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let mounted = private_mounts()
            .and_then(|()| mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=1m")));
        if let Err(error) = mounted {
            return skip(&format!("a small tmpfs: {error}"));
        }
        let path = dir.path().join("region");
        let channel = Value::create(&path).unwrap();
        channel.writer().unwrap().write(&[3; 1 << 12]).unwrap();
        drop(channel);
        let file = read_and_write(&path);
        let len = file.metadata().unwrap().len();
        // Behind the end lie as many blocks as are missing, or more.
        for behind in [1 << 14, 1 << 15] {
            fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, len as i64, behind).unwrap();
            assert_eq!(Value::options().open_read_only(&path).unwrap().reader().read().unwrap(), [3; 1 << 12]);
            punch(&file, 8192, 1 << 14);
            let mut ballast = File::create(dir.path().join("ballast")).unwrap();
            while fits(ballast.write_all(&[1; 4096])) {}
            let error = Value::options().open_read_only(&path).err().unwrap();
            assert!(matches!(error.reason(), Reason::Holes), "{error}");
            drop(ringway::Report::open(&path).unwrap());
            ballast.set_len(0).unwrap();
            Value::open(&path).unwrap().writer().unwrap().write(&[3; 1 << 12]).unwrap();
        }
        umount2(dir.path(), MntFlags::MNT_DETACH).unwrap();
    });
}

#[test]
fn a_received_region_with_a_hole_is_not_mapped_by_who_only_reads() {
    let channel = Value::options().memfd().unwrap();
    let received = || channel.region().inheritable_fd().unwrap();
    drop(Value::options().from_fd_read_only(received()).unwrap());
    punch(&File::from(received()), 8192, 4096);
    let error = Value::options().from_fd_read_only(received()).err().unwrap();
    assert!(matches!(error.reason(), Reason::Holes), "{error}");
}

#[test]
fn a_file_system_that_promises_nothing_is_refused_and_nothing_is_left() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        if let Err(error) = private_mounts() {
            return skip(&format!("another file system: {error}"));
        }
        if let Err(error) = mount(Some("mqueue"), dir.path(), Some("mqueue"), MsFlags::empty(), NONE) {
            return skip(&format!("another file system: {error}"));
        }
        let before = fs::read_dir(dir.path()).unwrap().count();
        let error = Spsc::create(dir.path().join("region"), 5).unwrap_err();
        assert!(matches!(error.reason(), Reason::FileSystem { .. }), "{error}");
        assert!(error.to_string().contains("0x19800202") && error.to_string().contains("memfd"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
        umount2(dir.path(), MntFlags::MNT_DETACH).unwrap();
    });
}

/// A sealed memfd. Its header is valid and names 2^32 slots, of which nothing is there.
fn hostile() -> OwnedFd {
    let small = Spsc::options().capacity(64).memfd().unwrap();
    let mut header = vec![0; header::PAGE];
    File::from(small.region().inheritable_fd().unwrap()).read_exact_at(&mut header, 0).unwrap();
    let capacity = 1u64 << 32;
    let data = capacity * 64;
    for (at, number) in [(header::REGION_LEN, data + 8192), (header::DATA_LEN, data), (header::CAPACITY, capacity)] {
        header[at..at + 8].copy_from_slice(&number.to_ne_bytes());
    }
    let file = File::from(memfd_create(c"hostile", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap());
    claim_origin(&mut header, &file);
    file.set_len(data + 8192).unwrap();
    file.write_all_at(&header, 0).unwrap();
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

#[test]
fn a_received_region_larger_than_the_machine_is_refused_at_once() {
    let error = Spsc::options().from_fd(hostile()).unwrap_err();
    assert!(matches!(error.reason(), Reason::NoSpace { needed } if *needed >= 256 << 30), "{error}");
}

#[test]
fn a_file_larger_than_the_machine_is_refused_at_once_although_its_file_system_is_larger() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        if let Err(error) = private_mounts() {
            return skip(&format!("a large tmpfs: {error}"));
        }
        if let Err(error) = mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=4T")) {
            return skip(&format!("a large tmpfs: {error}"));
        }
        let error = Spsc::options().capacity(1 << 34).create(dir.path().join("region")).unwrap_err();
        assert!(matches!(error.reason(), Reason::NoSpace { .. }), "{error}");
        umount2(dir.path(), MntFlags::MNT_DETACH).unwrap();
    });
}

fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_region_has_its_mode_when_it_has_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    drop(Spsc::options().capacity(4).mode(0o640).create(&path).unwrap());
    assert_eq!(mode_of(&path), 0o640);
}

/// Reserving all there is to find out would take it from everybody else for a while.
#[test]
fn what_cannot_fit_on_a_disk_is_refused_before_any_of_it_is_reserved() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let child = fork("child", || {
            refuse(&[libc::SYS_fallocate], Errno::EPERM);
            let error = Spsc::create(dir.path().join("region"), 1 << 40).unwrap_err();
            assert!(matches!(error.reason(), Reason::NoSpace { .. }), "{error}");
        });
        child.succeed();
    });
}
