//! Forks: a child can do nothing with the endpoints of its parent, and takes nothing from it.

use std::cell::Cell;
use std::time::Duration;

use ringway::{
    ClaimError, ReadError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    WriteError, bytes, spsc,
};

use crate::common::alone::alone;
use crate::common::backing::Backing;
use crate::common::child::{Child, end, fork, split};
use crate::common::namespaces::cloned;
use crate::regions::{Latest, Spsc, contents, on};
use crate::snapshots::record;

/// Makes a child by the bare system call. The fork handlers of the C library do not see it.
fn raw_clone() -> Option<Child> {
    cloned(0).map(Child::new)
}

/// Fails unless each operation of the parent's endpoints says that they are the parent's.
fn all_forked(tx: &mut spsc::Sender<u64>, rx: &mut spsc::Receiver<u64>) {
    let (long, refused) = (Duration::MAX, SendError::Forked);
    assert_eq!(tx.send(&1), Err(refused));
    assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(refused)));
    assert_eq!(tx.send_timeout(&1, long), Err(SendTimeoutError::Refused(refused)));
    assert_eq!(tx.send_some(&[1, 2]), Err(refused));
    assert_eq!(tx.try_send_some(&[1, 2]), Err(TrySendError::Refused(refused)));
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
    assert_eq!(rx.iter().next(), Some(Err(refused)));
    let _ = (tx.len(), tx.is_closed(), tx.is_empty(), rx.len(), rx.is_closed(), rx.is_empty());
    assert!(refused.to_string().contains("forked"));
}

fn all_bytes_forked(tx: &mut bytes::Sender, rx: &mut bytes::Receiver) {
    let (long, refused) = (Duration::MAX, SendError::Forked);
    for record in [&b""[..], b"record", &[0; 1 << 20]] {
        assert_eq!(tx.send(record), Err(refused));
        assert_eq!(tx.try_send(record), Err(TrySendError::Refused(refused)));
        assert_eq!(tx.send_timeout(record, long), Err(SendTimeoutError::Refused(refused)));
        assert_eq!(tx.send_some(&[record]), Err(refused));
        assert_eq!(tx.try_send_some(&[record]), Err(TrySendError::Refused(refused)));
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
    assert_eq!(rx.iter().next(), Some(Err(refused)));
    let _ = (tx.len(), tx.is_closed(), tx.is_empty(), rx.len(), rx.is_closed(), rx.is_empty());
}

/// Fails unless each seat is taken by this process.
fn assert_seated<const N: usize>(claims: [Option<ClaimError>; N]) {
    for claim in claims {
        let error = claim.expect("the seat is still taken");
        let ours = matches!(error, ClaimError::Taken { pid, .. } if pid == std::process::id());
        assert!(ours, "{error:?}");
    }
}

/// Runs the same in children of every kind: made by the C library, by the bare system call, and by a child. `body` is
/// given a function that makes the child. In the child it returns `None`, and `body` must end in [`end`].
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
        for (backing, used) in Backing::ALL.into_iter().flat_map(|backing| [(backing, false), (backing, true)]) {
            let ring = on(backing, &Spsc::options().capacity(8), dir.path());
            let records = on(backing, &bytes::Channel::options().capacity_bytes(4096), dir.path());
            let latest = on(backing, &Latest::options(), dir.path());
            let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
            let (mut records_tx, mut records_rx) = (records.sender().unwrap(), records.receiver().unwrap());
            let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
            let next = Cell::new(0);
            if used {
                // The ring is in the middle of a lap, and messages are under way.
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
                        // The first attempt must not change the second.
                        for _ in 0..2 {
                            all_forked(&mut tx, &mut rx);
                            all_bytes_forked(&mut records_tx, &mut records_rx);
                            assert_eq!(writer.write(&[1; 4]), Err(WriteError::Forked));
                        }
                        // A reader works on both sides of a fork.
                        let value = if used || reader.version() > 0 { reader.read().unwrap()[0] } else { 0 };
                        assert!([0, 7].contains(&value) || value == 200 + next.get());
                        assert!(!matches!(reader.read(), Err(ReadError::Corrupt(_))));
                    })
                };
                child.succeed();
                assert_seated([
                    ring.sender().err(),
                    ring.receiver().err(),
                    records.sender().err(),
                    records.receiver().err(),
                    latest.writer().err(),
                ]);
                // Nothing came and nothing went, and the parent goes on.
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
            assert_seated([
                ring.sender().err(),
                ring.receiver().err(),
                records.sender().err(),
                records.receiver().err(),
                latest.writer().err(),
            ]);
            assert!(!tx.is_closed() && !rx.is_closed() && latest.reader().has_writer());
            tx.try_send(&5).unwrap();
            assert_eq!(rx.try_recv(), Ok(5));
            records_tx.try_send(b"five").unwrap();
            assert_eq!(records_rx.try_recv().unwrap(), b"five");
            writer.write(&[5; 4]).unwrap();
        }
        drop((tx, rx, records_tx, records_rx, writer));
        // The seats are free for a child.
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
                    // The child may read what the parent may read.
                    assert_eq!((message.read(), found.to_vec()), (1, b"one".to_vec()));
                    assert_eq!(slot.send(), Err(SendError::Forked));
                    space.truncate(1);
                    assert_eq!(space.send(), Err(SendError::Forked));
                    drop((message, found));
                });
            };
            child.succeed();
            assert!(before == [ring.region(), records.region()].map(contents));
            assert_seated([
                ring.sender().err(),
                ring.receiver().err(),
                records.sender().err(),
                records.receiver().err(),
            ]);
            // The child's drop did not consume the message.
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
