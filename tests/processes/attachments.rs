//! One region that is attached more than once.

use std::os::unix::net::UnixStream;

use ringway::{Reason, bytes, spsc};

use crate::common::child::fork;
use crate::common::dirs::{file_in, shm_dir};
use crate::common::messages::{check_record, record};
use crate::common::proc::attachments_of;

/// The same region lies at two addresses of one process. Nothing in it may depend on the address.
#[test]
fn two_attachments_lie_at_different_addresses() {
    /// The attachment to which an address belongs.
    fn within(attachments: &[usize], address: usize) -> usize {
        *attachments.iter().filter(|start| **start <= address).max().unwrap()
    }
    let inode = |fd: std::os::fd::BorrowedFd<'_>| nix::sys::stat::fstat(fd).unwrap().st_ino;

    let dir = shm_dir();
    let path = file_in(&dir);
    let first = bytes::Channel::create(&path, 4096).unwrap();
    let second = bytes::Channel::open(&path).unwrap();
    let (mut tx, mut rx) = (first.sender().unwrap(), second.receiver().unwrap());
    let attachments = attachments_of(inode(first.region().fd().unwrap()));
    assert_eq!(attachments.len(), 2, "{attachments:x?}");
    for seq in 0..2000 {
        let bytes = record(seq, 4080);
        let mut room = tx.send_ref(bytes.len()).unwrap();
        let written = room.as_mut_ptr().addr();
        room.write_at(0, &bytes);
        room.send().unwrap();
        let found = rx.recv_ref().unwrap();
        let read = found.as_ptr().addr();
        let (from, to) = (within(&attachments, written), within(&attachments, read));
        assert_ne!(from, to, "{written:#x} and {read:#x} in {attachments:x?}");
        assert_eq!(written - from, read - to);
        check_record(&found.to_vec(), seq, 4080);
    }

    let third = spsc::Channel::<u64>::options().capacity(3).memfd().unwrap();
    let fourth = {
        let fd = third.region().fd().unwrap().try_clone_to_owned().unwrap();
        spsc::Channel::<u64>::from_fd(fd).unwrap()
    };
    let (mut tx, mut rx) = (third.sender().unwrap(), fourth.receiver().unwrap());
    let attachments = attachments_of(inode(third.region().fd().unwrap()));
    assert_eq!(attachments.len(), 2, "{attachments:x?}");
    for seq in 0..10 {
        let mut slot = tx.send_ref().unwrap();
        let written = slot.as_mut_ptr().addr();
        slot.write(&seq);
        slot.send().unwrap();
        let found = rx.recv_ref().unwrap();
        let read = found.as_ptr().addr();
        assert_ne!(within(&attachments, written), within(&attachments, read));
        assert_eq!(found.read(), seq);
    }
}

/// The descriptor of a file is not sealed, so it is refused. A process that received a memfd may pass it on.
#[test]
fn a_descriptor_is_good_from_hand_to_hand() {
    let dir = shm_dir();
    let file = spsc::Channel::<u64>::create(file_in(&dir), 2).unwrap();
    let fd = file.region().inheritable_fd().unwrap();
    let refused = spsc::Channel::<u64>::from_fd(fd).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Unsealed { .. }), "{refused}");

    let first = spsc::Channel::<u64>::options().capacity(2).memfd().unwrap();
    let mut tx = first.sender().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    first.region().send_over(&ours).unwrap();
    let child = fork("child", || {
        let second = spsc::Channel::<u64>::options().from_socket(&theirs).unwrap();
        // It cannot pass the memfd on to a grandchild by inheritance in a test binary, so it opens a copy of the
        // descriptor.
        let third = spsc::Channel::<u64>::from_fd(second.region().inheritable_fd().unwrap()).unwrap();
        assert_eq!(third.receiver().unwrap().recv(), Ok(11));
    });
    tx.send(&11).unwrap();
    child.succeed();
}
