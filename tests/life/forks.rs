//! Forks beside claims, and children that drop what belongs to their parent.

use std::fs::File;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::Duration;

use nix::libc::{self};
use ringway::{RecvError, SendError, TryRecvError, TrySendError, WriteError};

use crate::common::alone::{alone, with_locks};
use crate::common::backing::Backing;
use crate::common::child::{Child, end, fork};
use crate::common::namespaces::{born, cloned};
use crate::common::proc::mapped_by;
use crate::common::raw::Raw;
use crate::holders::{Latest, Spsc, make, may_clone};

/// Fills the hole of `len` bytes that the parent's mapping left at `address`.
fn fill_hole(address: usize, len: u64) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: the flags let the kernel refuse an address at which there is something.
    let page = unsafe { libc::mmap(address as *mut libc::c_void, len as usize, protection, flags, -1, 0) };
    assert_eq!(page as usize, address, "nothing of the parent's is there");
    // SAFETY: it was mapped above.
    unsafe { page.cast::<u8>().write_bytes(0x5A, len as usize) };
    page.cast()
}

#[test]
fn a_childs_drop_of_its_parents_endpoints_unmaps_nothing_of_its_own() {
    alone(|| {
        let dir = with_locks();
        for backing in Backing::ALL {
            let (ring, latest) = (make(backing, dir.path()), Latest::options().memfd().unwrap());
            let ((mut tx, mut rx, mut writer), lines) =
                mapped_by(|| (ring.sender().unwrap(), ring.receiver().unwrap(), latest.writer().unwrap()));
            assert_eq!(lines.len(), 3, "{lines:#?}");
            let Some(child) = cloned(0).map(Child::new) else {
                end(move || {
                    assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(SendError::Forked)));
                    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Forked)));
                    assert_eq!(writer.write(&[1; 4]), Err(WriteError::Forked));
                    let pages: Vec<_> =
                        lines.iter().map(|line| (fill_hole(line.start, line.len()), line.len())).collect();
                    let before = crate::common::proc::maps().len();
                    drop((tx, rx, writer));
                    let (wiped, after) = (3, crate::common::proc::maps().len());
                    assert!(after <= before && after + wiped >= before);
                    for (page, len) in pages {
                        // SAFETY: `fill_hole` mapped it, and it is still there unless the test fails.
                        let bytes = unsafe { std::slice::from_raw_parts(page, len as usize) };
                        assert!(bytes.iter().all(|byte| *byte == 0x5A));
                    }
                })
            };
            child.succeed();
            tx.send(&3).unwrap();
            assert_eq!(rx.recv(), Ok(3));
            writer.write(&[3; 4]).unwrap();
            assert!(latest.reader().has_writer());
        }
    });
}

/// A bit of the word of a holder: a lock tells whether it is alive.
const LOCKED: u64 = 1 << 46;

/// Forks all the time. The children keep every descriptor for a while.
fn forks_until(stop: &AtomicU64) {
    while stop.load(Acquire) == 0 {
        let child = fork("child", || thread::sleep(Duration::from_millis(2)));
        child.succeed();
    }
}

#[test]
fn a_claim_gives_its_sign_of_life_while_another_thread_forks() {
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        drop(Spsc::create(&path, 4).unwrap());
        let raw = Raw::new(File::options().read(true).write(true).open(&path).unwrap());
        let claims = || {
            let stop = AtomicU64::new(0);
            thread::scope(|threads| {
                threads.spawn(|| forks_until(&stop));
                for _ in 0..2000 {
                    let channel = Spsc::open(&path).unwrap();
                    let tx = channel.sender();
                    if tx.is_err() || raw.holder(0).load(Acquire) & LOCKED == 0 {
                        stop.store(1, Release);
                        panic!("no lock: {:?}", tx.err());
                    }
                }
                stop.store(1, Release);
            });
        };
        claims();
        if may_clone(libc::CLONE_NEWPID) {
            born(libc::CLONE_NEWPID, claims).1.succeed();
        }
    });
}
