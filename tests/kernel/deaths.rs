//! What the kernel says of a process that was killed, and what the others are told of it.

use std::fs::File;
use std::thread;
use std::time::Duration;

use nix::libc;
use ringway::{ClaimError, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError, bytes, seqlock};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::regions::{Latest, Spsc};

/// The receiver gets all messages of the dead, is told once that it died, and another takes the seat.
#[test]
fn a_killed_holder_is_reported_once_and_its_seat_is_taken() {
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
        let mut reader = ready.reader();
        while reader.version() == 0 {
            let _ = reader.changed_timeout(Duration::from_secs(1));
            reader.read().unwrap();
        }
        let holder = reader.read().unwrap()[0];
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

/// Forks a child that does `work` and stays in its seat. Kills it when the work is done.
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

/// A batch that the news of a death ends early does not lose the news.
#[test]
fn a_batch_that_meets_a_death_half_way_leaves_it_to_be_reported() {
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
        assert_eq!(tx.send_some(&[&record, &record]), Ok(ringway::Sent(1)));
        assert_eq!(tx.try_send(&record), Err(TrySendError::Refused(SendError::PeerDied { generation: 1 })));
        assert_eq!(tx.try_send(&record), Err(TrySendError::Full));
        assert_eq!(words.send_some(&[1, 2, 3, 4]), Ok(ringway::Sent(3)));
        assert_eq!(words.try_send(&4), Err(TrySendError::Refused(SendError::PeerDied { generation: 1 })));
        assert_eq!(words.try_send(&4), Err(TrySendError::Full));
    });
}

/// A successor's first message brings the news of a death. A message that did not fit before it leaves no mark on
/// others.
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

/// A backup program may lock a whole file. That lock keeps nobody from a seat, and keeps no dead process alive.
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
        // The receiver comes after the stranger. An endpoint that has seen a lock last once believes that it lasts.
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
