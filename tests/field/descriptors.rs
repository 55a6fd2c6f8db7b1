//! Somebody closed descriptors, and other files have their numbers by now.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use nix::libc;
use ringway::{Reason, Region, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;

type Spsc = spsc::Channel<u64>;

/// Does what a daemon does that knows nothing of the libraries it links.
fn close_all() {
    // SAFETY: closes this process's descriptors, as a program is free to do.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    assert_eq!(closed, 0);
}

/// The numbers of open descriptors from 3 on.
fn open_numbers() -> Vec<RawFd> {
    // SAFETY: the call asks for flags, and is given no memory.
    (3..100).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

/// Opens ten files of the application. One of them has the number that the descriptor of the region had.
fn logs(dir: &Path) -> Vec<File> {
    (0..10).map(|i| File::create(dir.join(format!("log {i}"))).unwrap()).collect()
}

/// Closes everything and opens other files. Neither a question to the region nor its drop may touch one of them.
fn survives<C>(what: &str, channel: C, region: impl Fn(&C) -> &Region, work: impl FnOnce(&C)) {
    let dir = tempfile::tempdir().unwrap();
    close_all();
    let logs = logs(dir.path());
    let expected = open_numbers();
    assert!(region(&channel).fd().is_none(), "{what}: another file's descriptor was lent");
    match region(&channel).inheritable_fd() {
        Err(error) if matches!(error.reason(), Reason::DescriptorClosed) => {
            assert!(error.to_string().contains("closed the region's descriptor"), "{error}");
        }
        Err(error) => assert!(matches!(error.reason(), Reason::Anonymous), "{what}: {error}"),
        Ok(fd) => panic!("{what}: {} is a copy of another file's descriptor", fd.as_raw_fd()),
    }
    work(&channel);
    assert_eq!(open_numbers(), expected, "{what}: before the drop");
    drop(channel);
    assert_eq!(open_numbers(), expected, "{what}: the drop closed a file that was not the channel's");
    for (i, log) in logs.iter().enumerate() {
        let name = fs::read_link(format!("/proc/self/fd/{}", log.as_raw_fd())).unwrap();
        assert!(name.ends_with(format!("log {i}")), "{what}: {name:?}");
    }
}

fn both_ends(channel: &Spsc) {
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    tx.send(&7).unwrap();
    assert_eq!(rx.recv().unwrap(), 7);
    assert!(tx.has_receiver() && rx.has_sender());
}

#[test]
fn a_descriptor_that_is_no_longer_ours_is_neither_closed_nor_lent_nor_duplicated() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        survives("created", Spsc::create(&path, 4).unwrap(), Spsc::region, both_ends);
        survives("opened", Spsc::open(&path).unwrap(), Spsc::region, both_ends);
        survives("memfd", Spsc::options().capacity(4).memfd().unwrap(), Spsc::region, both_ends);
        survives("anonymous", Spsc::options().capacity(4).anonymous().unwrap(), Spsc::region, both_ends);
        let bytes = bytes::Channel::options().capacity_bytes(64).memfd().unwrap();
        let received = bytes.region().inheritable_fd().unwrap();
        drop(bytes);
        let bytes = bytes::Channel::options().from_fd(received).unwrap();
        survives("from_fd", bytes, bytes::Channel::region, |bytes| drop(bytes.sender().unwrap()));
        let value = dir.path().join("value");
        drop(seqlock::Channel::<u64>::create(&value).unwrap());
        let value = seqlock::Channel::<u64>::options().open_read_only(&value).unwrap();
        survives("read-only", value, seqlock::Channel::region, |value| assert_eq!(value.reader().read().unwrap(), 0));
    });
}

#[test]
fn an_endpoint_outlives_every_descriptor_and_closes_none() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let channel = Spsc::create(dir.path().join("region"), 4).unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        survives("with endpoints", channel, Spsc::region, |_| {
            tx.send(&7).unwrap();
            assert_eq!(rx.recv().unwrap(), 7);
        });
        let logs = logs(dir.path());
        let expected = open_numbers();
        drop((tx, rx));
        assert_eq!(open_numbers(), expected);
        drop(logs);
    });
}

#[test]
fn a_path_is_unlinked_although_its_descriptor_was_closed() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        survives("unlinked", Spsc::create(&path, 4).unwrap(), Spsc::region, |channel| {
            channel.region().unlink().unwrap();
        });
        assert!(!path.exists());
    });
}

/// A daemon has closed its standard input, output and error, and prints nevertheless.
#[test]
fn no_region_gets_the_number_of_standard_output() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let child = fork("child", || {
            // SAFETY: closes this process's descriptors, as a program is free to do.
            unsafe { libc::close_range(0, libc::c_uint::MAX, 0) };
            let free = || (0..3).all(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).is_err());
            let memfd = || Spsc::options().capacity(4).memfd();
            let channels = [Spsc::create(&path, 4), Spsc::open(&path), memfd()].map(Result::unwrap);
            for channel in &channels {
                println!("hello");
                eprintln!("all is well");
                assert!(channel.region().fd().unwrap().as_raw_fd() > 2 && free());
                both_ends(channel);
            }
            let anonymous = Spsc::options().capacity(4).anonymous().unwrap();
            both_ends(&anonymous);
            assert!(free());
            both_ends(&Spsc::open(&path).unwrap());
        });
        child.succeed();
    });
}
