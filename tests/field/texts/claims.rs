//! Whatever keeps a process from a seat, or from killing the holder.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::libc;
use nix::mount::{MntFlags, umount2};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, pause, setuid};
use ringway::{KillError, seqlock, spsc};

use super::Table;
use crate::common::mounts::private_mounts;
use crate::common::namespaces::born;
use crate::common::raw::Raw;
use crate::common::users::{NOBODY, root};

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;
const LONG: Duration = Duration::from_secs(60);

pub fn meet(table: &mut Table) {
    table.failed("ClaimError", ringway::spsc::pair::<u64>(0));
    seats(table);
    corrupt_seats(table);
    limits(table);
    kills(table);
    if root() {
        sandboxes(table);
    } else {
        for case in ["ClaimError::FileMode", "ClaimError::NoSignOfLife", "KillError::OutOfReach"] {
            table.skip(case, "not root");
        }
    }
}

fn memfd() -> Spsc {
    Spsc::options().capacity(8).memfd().unwrap()
}

fn seats(table: &mut Table) {
    let channel = memfd();
    let _tx = channel.sender().unwrap();
    table.failed("ClaimError", channel.sender());
    table.failed("KillError", channel.kill_and_take_sender(LONG));
    table.elsewhere(0, |table| table.failed("ClaimError", channel.sender()));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    drop(Latest::options().create(&path).unwrap());
    let read_only = Latest::open_read_only(&path).unwrap();
    table.failed("ClaimError", read_only.writer());
    table.failed("KillError", read_only.kill_and_take_writer(LONG));
}

fn corrupt_seats(table: &mut Table) {
    let channel = memfd();
    let raw = Raw::new(channel.region().fd().unwrap());
    raw.head().store(1 << 63, Relaxed);
    table.failed("ClaimError", channel.receiver());
    let channel = memfd();
    let raw = Raw::new(channel.region().fd().unwrap());
    raw.generation(0).store(1 << 63, Relaxed);
    table.failed("ClaimError", channel.sender());
}

fn limits(table: &mut Table) {
    let channel = memfd();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
    table.failed("ClaimError", channel.sender());
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    // There is no page for what an end knows for itself.
    table.elsewhere(0, |table| {
        let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
        setrlimit(Resource::RLIMIT_AS, 1 << 20, hard).unwrap();
        table.failed("ClaimError", channel.sender());
    });
}

/// A process in the seat. It takes a while to free its memory.
fn large_holder(channel: &Spsc) -> (u32, crate::common::child::Child) {
    born(0, || {
        let _tx = channel.sender().unwrap();
        let len = NonZeroUsize::new(256 << 20).unwrap();
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        unsafe { mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }.unwrap();
        ready(channel);
        loop {
            pause();
        }
    })
}

/// Says that it is ready, in a seat that nobody uses.
fn ready(channel: &Spsc) {
    Raw::new(channel.region().fd().unwrap()).spare().store(1, Relaxed);
}

fn wait_until_ready(channel: &Spsc) {
    let raw = Raw::new(channel.region().fd().unwrap());
    while raw.spare().load(Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kills(table: &mut Table) {
    // The process may be gone before anybody looks.
    for _ in 0..1000 {
        let channel = memfd();
        let (_, child) = large_holder(&channel);
        wait_until_ready(&channel);
        let killed = channel.kill_and_take_sender(Duration::ZERO);
        drop(child);
        if let Err(error @ KillError::NotGone { .. }) = killed {
            table.add("KillError", &error);
            break;
        }
    }
    // The process of another user may not be ended.
    let channel = memfd();
    let (_, child) = large_holder(&channel);
    wait_until_ready(&channel);
    table.elsewhere(0, |table| {
        if root() {
            setuid(Uid::from_raw(NOBODY)).unwrap();
            table.failed("KillError", channel.kill_and_take_sender(LONG));
        } else {
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
            table.failed("KillError", channel.kill_and_take_sender(LONG));
        }
    });
    // Nor may a process for which the kernel refuses a descriptor.
    table.elsewhere(0, |table| {
        crate::filter::refuse(&[libc::SYS_pidfd_open], nix::errno::Errno::EPERM);
        table.failed("KillError", channel.kill_and_take_sender(LONG));
    });
    child.kill();
}

fn sandboxes(table: &mut Table) {
    let channel = memfd();
    table.elsewhere(libc::CLONE_NEWPID, |table| {
        setuid(Uid::from_raw(NOBODY)).unwrap();
        table.failed("ClaimError", channel.sender());
    });
    table.elsewhere(libc::CLONE_NEWPID, |table| {
        private_mounts().unwrap();
        umount2("/proc", MntFlags::MNT_DETACH).unwrap();
        table.failed("ClaimError", channel.sender());
    });
    table.elsewhere(libc::CLONE_NEWPID, |table| {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
        table.failed("ClaimError", channel.sender());
    });
    let _tx = channel.sender().unwrap();
    table.elsewhere(libc::CLONE_NEWPID, |table| table.failed("KillError", channel.kill_and_take_sender(LONG)));
}
