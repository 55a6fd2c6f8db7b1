//! Whatever keeps a region from being made or opened.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, chown, seteuid};
use ringway::{OpenError, bytes, remove_unused, seqlock, spsc};

use super::Table;
use crate::common::header;
use crate::common::mounts::mounted;
use crate::common::raw::Raw;
use crate::common::users::{NOBODY, by_descriptor, root};
use crate::memory::{Disk, claim_origin};

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;

pub fn meet(table: &mut Table) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    arguments(table, dir);
    paths(table, dir);
    headers(table, dir);
    files_in_use(table, dir);
    limits(table, dir);
    users(table, dir);
    holes(table, dir);
    memfds(table);
    file_systems(table, dir);
    descriptors(table);
    memory_in_motion(table);
}

fn arguments(table: &mut Table, dir: &Path) {
    let path = &dir.join("arguments");
    table.refused(Spsc::create(path, 0));
    table.refused(Spsc::options().create(path));
    table.refused(Spsc::create(path, u64::MAX));
    table.refused(bytes::Channel::create(path, 7));
    table.refused(spsc::raw::Channel::options().capacity(8).type_layout(0, 1).create(path));
    table.refused(Spsc::options().capacity(8).type_name("x".repeat(65)).create(path));
    table.refused(Spsc::options().capacity(8).type_name("a\0b").create(path));
    table.refused(Spsc::options().capacity(8).huge_pages(true).create(path));
    table.refused(Spsc::options().capacity(8).anonymous().unwrap().region().inheritable_fd());
    table.refused(Spsc::options().from_inherited_fd(-1));
    let (socket, other) = UnixStream::pair().unwrap();
    table.refused(Spsc::create(dir.join("sent"), 8).unwrap().region().send_over(&socket));
    (&other).write_all(b"!").unwrap();
    table.refused(Spsc::options().from_socket(&socket));
    drop(other);
    table.refused(Spsc::options().from_socket(&socket));
}

fn paths(table: &mut Table, dir: &Path) {
    table.refused(Spsc::open(dir.join("missing")));
    table.refused(Spsc::open(dir));
    table.refused(Spsc::create(dir.join("missing/region"), 8));
    fs::write(dir.join("file"), b"a file of somebody").unwrap();
    table.refused(Spsc::open(dir.join("file")));
    table.refused(remove_unused(dir.join("file")));
    table.refused(Spsc::create(dir.join("file/region"), 8));
    fs::write(dir.join("long"), vec![b'x'; 20_000]).unwrap();
    table.refused(Spsc::open(dir.join("long")));
    table.refused(Spsc::create(dir.join("n".repeat(300)), 8));
    table.refused(Spsc::create(dir.join("slash/"), 8));
    table.refused(Spsc::create(dir.join("a\0b"), 8));
    table.refused(Spsc::create("", 8));
    table.refused(Spsc::create("/proc/region", 8));
    table.refused(Spsc::create("/sys/region", 8));
    Spsc::create(dir.join("region"), 8).unwrap();
    table.refused(Spsc::create(dir.join("region"), 8));
    fs::copy(dir.join("region"), dir.join("copy")).unwrap();
    table.refused(Spsc::open(dir.join("copy")));
}

/// Opens a region after something was written at `byte`.
fn altered(dir: &Path, byte: u64, value: &[u8], seal: bool) -> Result<Spsc, OpenError> {
    let path = dir.join("altered");
    let _ = fs::remove_file(&path);
    Spsc::create(&path, 8).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    file.write_all_at(value, byte).unwrap();
    if seal {
        let mut header = [0; header::PAGE];
        file.read_exact_at(&mut header, 0).unwrap();
        header::seal(&mut header);
        file.write_all_at(&header, 0).unwrap();
    }
    Spsc::open(path)
}

fn headers(table: &mut Table, dir: &Path) {
    table.refused(altered(dir, 8, &0x0403_0201_u32.to_ne_bytes(), true));
    table.refused(altered(dir, 12, &1_u32.to_ne_bytes(), true));
    table.refused(altered(dir, 100, b"x", false));
    table.refused(altered(dir, 24, &1_u64.to_ne_bytes(), true));
    let path = &dir.join("header");
    drop(Spsc::create(path, 8).unwrap());
    table.refused(bytes::Channel::open(path));
    table.refused(spsc::Channel::<[u64; 2]>::open(path));
    table.refused(spsc::Channel::<i64>::options().type_name("u64").open(path));
    table.refused(Spsc::options().capacity(9).open(path));
    File::options().write(true).open(path).unwrap().set_len(3 * 4096 + 1).unwrap();
    table.refused(Spsc::open(path));
    let path = &dir.join("corrupt");
    let channel = Spsc::create(path, 8).unwrap();
    Raw::new(channel.region().fd().unwrap()).head().store(1 << 63, std::sync::atomic::Ordering::Relaxed);
    table.refused(channel.snapshot());
}

/// Locks so many bytes from the first on, or all of them if 0.
fn lock(file: &File, bytes: libc::off_t) {
    let kind = libc::F_WRLCK as libc::c_short;
    let lock =
        libc::flock { l_type: kind, l_whence: libc::SEEK_SET as libc::c_short, l_start: 0, l_len: bytes, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
}

fn files_in_use(table: &mut Table, dir: &Path) {
    let path = &dir.join("used");
    let channel = Spsc::create(path, 8).unwrap();
    table.refused(remove_unused(path));
    drop(channel);
    let remover = File::options().read(true).write(true).open(path).unwrap();
    lock(&remover, 1);
    table.refused(Spsc::open(path));
    lock(&remover, 0);
    table.refused(Spsc::open(path));
}

/// Makes the call under another soft limit.
fn limited<T>(resource: Resource, limit: u64, call: impl FnOnce() -> T) -> T {
    let (soft, hard) = getrlimit(resource).unwrap();
    setrlimit(resource, limit, hard).unwrap();
    let result = call();
    setrlimit(resource, soft, hard).unwrap();
    result
}

/// Makes the call as another user, if this one is root.
fn as_nobody<T>(call: impl FnOnce() -> T) -> T {
    if !root() {
        return call();
    }
    seteuid(Uid::from_raw(NOBODY)).unwrap();
    let result = call();
    seteuid(Uid::from_raw(0)).unwrap();
    result
}

fn limits(table: &mut Table, dir: &Path) {
    let path = &dir.join("limits");
    table.refused(limited(Resource::RLIMIT_FSIZE, 4096, || Spsc::create(path, 8)));
    table.refused(limited(Resource::RLIMIT_NOFILE, 3, || Spsc::create(path, 8)));
    let locked = || as_nobody(|| Spsc::options().capacity(1 << 16).lock(true).memfd());
    table.refused(limited(Resource::RLIMIT_MEMLOCK, 4096, locked));
    table.refused(Spsc::options().capacity(1 << 42).memfd());
}

fn users(table: &mut Table, dir: &Path) {
    let path = &dir.join("users");
    drop(Spsc::create(path, 8).unwrap());
    if root() {
        let (_open, reachable) = by_descriptor(dir);
        // The file belongs to root, and only root may read it.
        table.refused(as_nobody(|| Spsc::open(reachable.join("users"))));
        table.refused(as_nobody(|| Spsc::create(reachable.join("new"), 8)));
        fs::create_dir(dir.join("closed")).unwrap();
        fs::set_permissions(dir.join("closed"), Permissions::from_mode(0o700)).unwrap();
        table.refused(as_nobody(|| Spsc::create(reachable.join("closed/new"), 8)));
        chown(path, Some(Uid::from_raw(12345)), None).unwrap();
        table.refused(Spsc::open(path));
    } else {
        table.skip("Reason::Owner", "not root");
        fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
        table.refused(Spsc::open(path));
    }
}

/// Somebody punched a hole. A process that may only read cannot fill it.
fn holes(table: &mut Table, dir: &Path) {
    let path = dir.join("holes");
    drop(Latest::options().mode(0o444).create(&path).unwrap());
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&file, punch, 8192, 4096).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let (_open, reachable) = by_descriptor(dir);
    let owner = nix::unistd::geteuid().as_raw();
    table.refused(as_nobody(|| Latest::options().owner(owner).open_read_only(reachable.join("holes"))));
}

fn memfd(flags: MFdFlags) -> File {
    File::from(memfd_create(c"texts", flags | MFdFlags::MFD_ALLOW_SEALING).unwrap())
}

fn memfds(table: &mut Table) {
    let unsealed = memfd(MFdFlags::empty());
    unsealed.set_len(12288).unwrap();
    table.refused(Spsc::options().from_fd(unsealed.into()));
    let (reader, _writer) = UnixStream::pair().unwrap();
    table.refused(Spsc::options().from_fd(OwnedFd::from(reader)));
    table.refused(Spsc::options().capacity(1 << 40).huge_pages(true).memfd());
    match memfd_create(c"texts", MFdFlags::MFD_HUGETLB | MFdFlags::MFD_ALLOW_SEALING) {
        Ok(huge) => {
            let huge = File::from(huge);
            huge.set_len(6 << 20).unwrap();
            let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
            fcntl(&huge, FcntlArg::F_ADD_SEALS(seals)).unwrap();
            table.refused(Latest::options().from_fd(huge.into()));
        }
        Err(errno) => {
            for case in ["Reason::HugePagesUnasked", "Reason::NoHugePages"] {
                table.skip(case, &format!("huge pages: {errno}"));
            }
        }
    }
}

/// How many words a value has. It is so large that a reader tries only three times, and each try takes so long that a
/// writer without a payload overtakes it.
const LARGE: usize = 3 << 20;

/// File systems on which the memory of a region is not safe.
fn file_systems(table: &mut Table, dir: &Path) {
    let place = dir.join("queues");
    fs::create_dir(&place).unwrap();
    match mounted("mqueue", &place, "") {
        Ok(_mounted) => table.refused(Spsc::create(place.join("region"), 8)),
        Err(error) => table.skip("Reason::FileSystem", &error.to_string()),
    }
    match Disk::btrfs() {
        Ok(disk) => {
            let (path, copy) = (disk.at.join("region"), disk.at.join("copy"));
            drop(Spsc::create(&path, 8).unwrap());
            let mut content = fs::read(&path).unwrap();
            claim_origin(&mut content, &File::create(&copy).unwrap());
            fs::write(&copy, content).unwrap();
            table.refused(Spsc::open(&copy));
        }
        Err(why) => table.skip("Reason::CopyOnWrite", &why),
    }
}

fn descriptors(table: &mut Table) {
    let channel = Spsc::options().capacity(8).memfd().unwrap();
    let number = channel.region().fd().unwrap().as_raw_fd();
    // SAFETY: the channel finds out that its descriptor is gone.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    table.refused(channel.region().inheritable_fd());
}

/// What a reader meets if the writer is faster again and again.
fn memory_in_motion(table: &mut Table) {
    use std::sync::atomic::Ordering::{Relaxed, Release};
    let channel = seqlock::Channel::<[u64; LARGE]>::options().memfd().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let raw = Raw::new(channel.region().fd().unwrap());
            // A value and its mark, in whole lines.
            let words = LARGE + 8;
            // A writer that has nothing to write writes the mark, and then the version.
            for version in (1_u64..).take_while(|_| !done.load(Relaxed)) {
                raw.data((version % 4) as usize * words + LARGE).store(version, Release);
                raw.latest().store(version, Release);
            }
        });
        let mut reader = channel.reader();
        let mut place: Box<[u64; LARGE]> = vec![0; LARGE].try_into().unwrap();
        let overtaken = std::iter::from_fn(|| Some(reader.read_into(&mut place))).find_map(Result::err);
        let busy = std::iter::from_fn(|| Some(channel.snapshot())).find_map(Result::err);
        done.store(true, Relaxed);
        table.add("ReadError", &overtaken.unwrap());
        table.add("Reason", busy.unwrap().reason());
    });
    // A copy in which no value is whole.
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("latest"), dir.path().join("copy"));
    Latest::create(&path).unwrap().writer().unwrap().write(&[1; 4]).unwrap();
    let mut content = fs::read(&path).unwrap();
    content[8192..].fill(0xAA);
    fs::write(&copy, content).unwrap();
    table.refused(Latest::options().open_snapshot(&copy));
}
