//! Whatever keeps a message, or a value, from being sent or received.

use std::fmt::{Debug, Display};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::unistd::pause;
use ringway::{Canceller, ReadError, TryRecvError, TrySendError, WriteError, bytes, seqlock, spsc};

use super::Table;
use crate::common::child::Child;
use crate::common::namespaces::born;
use crate::common::raw::Raw;

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(1);

pub fn meet(table: &mut Table) {
    not_now(table);
    after_leaving(table);
    after_deaths(table);
    in_a_child(table);
    lengths(table);
    without_a_file(table);
    garbage(table);
    raw_values(table);
}

/// Bytes that are no value, and a raw channel of nobody knows what.
fn raw_values(table: &mut Table) {
    let channel = spsc::raw::Channel::options().capacity(1).type_layout(4, 4).memfd().unwrap();
    try_send(table, channel.sender().unwrap().try_send(b"five!"));
    try_recv(table, channel.receiver().unwrap().try_recv_into(&mut [0; 3]));
    let latest = seqlock::raw::Channel::options().type_layout(4, 4).memfd().unwrap();
    table.add("WriteError", &latest.writer().unwrap().write(b"five!").unwrap_err());
    table.add("ReadError", &latest.reader().read_into(&mut [0; 3]).unwrap_err());
    table.refused(spsc::raw::Channel::options().capacity(1).memfd());
}

fn spsc() -> Spsc {
    Spsc::options().capacity(1).memfd().unwrap()
}

/// Writes down an error, and the one inside it.
fn nested<E: Debug + Display, I: Debug + Display>(
    table: &mut Table,
    of: [&str; 2],
    error: E,
    inner: impl Fn(E) -> Option<I>,
) {
    table.add(of[0], &error);
    if let Some(inner) = inner(error) {
        table.add(of[1], &inner);
    }
}

fn try_send<T: Debug>(table: &mut Table, result: Result<T, TrySendError>) {
    let refused = |error| if let TrySendError::Refused(inner) = error { Some(inner) } else { None };
    nested(table, ["TrySendError", "SendError"], result.expect_err("it fails"), refused);
}

fn try_recv<T: Debug>(table: &mut Table, result: Result<T, TryRecvError>) {
    let refused = |error| if let TryRecvError::Refused(inner) = error { Some(inner) } else { None };
    nested(table, ["TryRecvError", "RecvError"], result.expect_err("it fails"), refused);
}

fn not_now(table: &mut Table) {
    let channel = spsc();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    try_recv(table, rx.try_recv());
    table.failed("RecvTimeoutError", rx.recv_timeout(SHORT));
    tx.send(&1).unwrap();
    try_send(table, tx.try_send(&2));
    table.failed("SendTimeoutError", tx.send_timeout(&2, SHORT));
    let latest = Latest::options().memfd().unwrap();
    let _writer = latest.writer().unwrap();
    let mut reader = latest.reader();
    table.failed("ChangedError", reader.changed_timeout(SHORT));
    // Somebody cancels what would wait.
    [rx.canceller(), tx.canceller(), reader.canceller()].iter().for_each(Canceller::cancel);
    table.failed("SendError", tx.send(&2));
    assert_eq!(rx.recv(), Ok(1));
    table.failed("RecvError", rx.recv());
    table.failed("ChangedError", reader.changed());
}

fn after_leaving(table: &mut Table) {
    let channel = spsc();
    let mut rx = channel.receiver().unwrap();
    drop(channel.sender().unwrap());
    table.failed("RecvError", rx.recv());
    try_recv(table, rx.try_recv());
    table.failed("RecvTimeoutError", rx.recv_timeout(LONG));
    let channel = spsc();
    let mut tx = channel.sender().unwrap();
    drop(channel.receiver().unwrap());
    // A sender looks closer when it finds no room.
    let error = std::iter::from_fn(|| Some(tx.try_send(&1))).find_map(Result::err).unwrap();
    try_send::<()>(table, Err(error));
    table.failed("SendError", tx.send(&1));
    table.failed("SendTimeoutError", tx.send_timeout(&1, LONG));
    let latest = Latest::options().memfd().unwrap();
    let mut reader = latest.reader();
    drop(latest.writer().unwrap());
    table.failed("ChangedError", reader.changed());
}

/// A process takes a seat and is killed in it.
fn died_in<T>(sit: impl FnOnce() -> T) {
    let (reader, writer) = UnixStream::pair().unwrap();
    let (_, child): (u32, Child) = born(0, || {
        let _seat = sit();
        drop((reader.try_clone().unwrap(), writer.try_clone().unwrap()));
        std::io::Write::write_all(&mut &writer, b"x").unwrap();
        loop {
            pause();
        }
    });
    std::io::Read::read_exact(&mut &reader, &mut [0]).unwrap();
    child.kill();
}

fn after_deaths(table: &mut Table) {
    let channel = spsc();
    let mut rx = channel.receiver().unwrap();
    died_in(|| channel.sender().unwrap());
    table.failed("RecvError", rx.recv());
    let channel = spsc();
    let mut tx = channel.sender().unwrap();
    tx.send(&1).unwrap();
    died_in(|| channel.receiver().unwrap());
    table.failed("SendError", tx.send(&1));
    let latest = Latest::options().memfd().unwrap();
    let mut reader = latest.reader();
    died_in(|| latest.writer().unwrap());
    table.failed("ChangedError", reader.changed());
}

fn in_a_child(table: &mut Table) {
    let channel = spsc();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let latest = Latest::options().memfd().unwrap();
    let mut writer = latest.writer().unwrap();
    table.elsewhere(0, |table| {
        table.failed("SendError", tx.send(&1));
        table.failed("RecvError", rx.recv());
        table.failed("WriteError", writer.write(&[1; 4]));
    });
}

fn lengths(table: &mut Table) {
    let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    table.failed("SendError", tx.send(&[0; 5000]));
    tx.send(&[0; 100]).unwrap();
    table.failed("RecvError", rx.recv_into(&mut [0; 10]));
}

/// Somebody removed the file, and the peers would wait for those who can no longer come.
fn without_a_file(table: &mut Table) {
    let dir = tempfile::tempdir().unwrap();
    let (ring, value) = (dir.path().join("ring"), dir.path().join("value"));
    let channel = Spsc::options().capacity(1).watch_file(true).create(&ring).unwrap();
    let latest = Latest::options().watch_file(true).create(&value).unwrap();
    let (mut tx, mut rx, mut reader) = (channel.sender().unwrap(), channel.receiver().unwrap(), latest.reader());
    let _writer = latest.writer().unwrap();
    std::fs::remove_file(ring).unwrap();
    std::fs::remove_file(value).unwrap();
    table.failed("RecvError", rx.recv());
    tx.send(&1).unwrap();
    table.failed("SendError", tx.send(&2));
    table.failed("ChangedError", reader.changed());
}

fn garbage(table: &mut Table) {
    let channel = spsc();
    let raw = Raw::new(channel.region().fd().unwrap());
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    raw.data(1).store(1 << 60, Relaxed);
    table.failed("RecvError", rx.recv());
    tx.send(&1).unwrap();
    raw.head().store(1 << 63, Relaxed);
    table.failed("SendError", tx.send(&2));

    let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
    let raw = Raw::new(channel.region().fd().unwrap());
    let mut rx = channel.receiver().unwrap();
    raw.data(0).store(u64::MAX, Relaxed);
    table.failed("RecvError", rx.recv());

    let latest = Latest::options().memfd().unwrap();
    let raw = Raw::new(latest.region().fd().unwrap());
    let mut reader = latest.reader();
    raw.latest().store(u64::MAX, Relaxed);
    table.failed("ChangedError", reader.changed());
    let ReadError::Corrupt(corrupt) = reader.read().unwrap_err() else { panic!("{:?}", reader.read()) };
    table.add("ReadError", &ReadError::Corrupt(corrupt));
    // A writer reads nothing that could be wrong. If it ever does, it says this.
    table.add("WriteError", &WriteError::Corrupt(corrupt));
}
