//! Real processes, forked and executed, on every backing and kind: storms whose every message is checked,
//! leaving and coming back, sleeping and waking, forks with live endpoints, and the race for a seat.
#![cfg(not(loom))]

mod common;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::common::board::Board;
use crate::common::child::{Child, deadline, fork, in_child};
use crate::common::descriptor::{receive_fd, send_fd};
use crate::common::messages::{Latest, Numbered, Packet, check_record, fill_record, mix, record, record_len};
use crate::common::proc::{attachments_of, cpu_time_and_sleeps};
use crate::common::role::exec;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use ringway::{
    ChangedError, Channel, ClaimError, Options, ReadError, Reason, RecvError, RecvTimeoutError, Seat, SendError,
    TryRecvError, TrySendError, Wait, WriteError, bytes, seqlock, spsc,
};

/// Longer than any wait that must succeed, shorter than the watchdog's.
const LONG: Duration = Duration::from_secs(100);

// ---------------------------------------------------------------------------------------------------
// What a storm is, and how a process started by exec learns of it.

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Spsc64,
    Spsc8,
    Bytes,
    Seqlock,
    BigSeqlock,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Backing {
    /// A file on tmpfs; processes by exec.
    Shm,
    /// A file on the ordinary disk; processes by exec.
    Disk,
    /// No name; processes by fork.
    Anonymous,
    /// A memfd inherited across exec.
    Inherited,
    /// A memfd sent over a Unix socket to an executed process.
    Sent,
}

/// Who takes its time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Slow {
    Neither,
    Sender,
    Receiver,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: Kind,
    /// Slots, or bytes.
    capacity: u64,
    wait: Wait,
    slow: Slow,
    count: u64,
}

const KINDS: [Kind; 5] = [Kind::Spsc64, Kind::Spsc8, Kind::Bytes, Kind::Seqlock, Kind::BigSeqlock];
const WAITS: [Wait; 3] = [Wait::Spin, Wait::Sleep, Wait::SpinThenSleep(Duration::from_micros(50))];
const SLOWS: [Slow; 3] = [Slow::Neither, Slow::Sender, Slow::Receiver];

impl Plan {
    fn role(&self, side: &str, place: &str) -> String {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap();
        let wait = WAITS.iter().position(|wait| *wait == self.wait).unwrap();
        let slow = SLOWS.iter().position(|slow| *slow == self.slow).unwrap();
        format!("{side}|{place}|{kind}|{}|{wait}|{slow}|{}", self.capacity, self.count)
    }

    fn parse(role: &str) -> (String, String, Plan) {
        let fields: Vec<&str> = role.split('|').collect();
        let number = |i: usize| fields[i].parse::<usize>().unwrap();
        let plan = Plan {
            kind: KINDS[number(2)],
            capacity: number(3) as u64,
            wait: WAITS[number(4)],
            slow: SLOWS[number(5)],
            count: number(6) as u64,
        };
        (fields[0].to_owned(), fields[1].to_owned(), plan)
    }

    fn loud(&self) -> bool {
        self.count >= 5_000_000
    }

    fn progress(&self, who: &str, seq: u64, last: &mut u64) {
        if self.loud() && seq / 1_000_000 > *last {
            *last = seq / 1_000_000;
            eprintln!("{who} of {:?}, capacity {}, {:?}: {last} million", self.kind, self.capacity, self.wait);
        }
    }

    fn limit(&self) -> Duration {
        if self.loud() { Duration::from_secs(3600) } else { deadline() }
    }
}

/// Loses some time at about every 64th message.
fn pause(slow: bool, seq: u64) {
    if slow && mix(seq ^ 0xBEEF).is_multiple_of(64) {
        if mix(seq).is_multiple_of(2) {
            std::thread::yield_now();
        } else {
            let until = Instant::now() + Duration::from_micros(20);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
    }
}

/// The role of a process that [`exec`] started; nothing in an ordinary run.
#[test]
fn child_entry() {
    let Ok(role) = std::env::var(crate::common::role::ROLE) else { return };
    if role == "barrier" {
        return every_endpoint_answers_membarrier();
    }
    let (side, place, plan) = Plan::parse(&role);
    match plan.kind {
        Kind::Spsc64 => run_spsc::<Packet>(&open(&place), &side, &plan),
        Kind::Spsc8 => run_spsc::<u64>(&open(&place), &side, &plan),
        Kind::Bytes => run_bytes(&open(&place), &side, &plan),
        Kind::Seqlock => run_seqlock::<8>(&open_latest(&place, &side), &side, &plan),
        Kind::BigSeqlock => run_seqlock::<1024>(&open_latest(&place, &side), &side, &plan),
    }
}

fn fd_at(place: &str) -> OwnedFd {
    if let Some(number) = place.strip_prefix("fd:") {
        let number: RawFd = number.parse().unwrap();
        // SAFETY: the parent left this descriptor open for this process, which has no other use of it.
        return unsafe { OwnedFd::from_raw_fd(number) };
    }
    receive_fd(&UnixStream::connect(place.strip_prefix("socket:").unwrap()).unwrap())
}

fn open<C: Channel>(place: &str) -> C {
    let options = C::options();
    match place.strip_prefix("path:") {
        Some(path) => options.open(path),
        None => options.from_fd(fd_at(place)),
    }
    .unwrap()
}

/// Every reader but the first is attached read-only.
fn open_latest<const WORDS: usize>(place: &str, side: &str) -> seqlock::Channel<Latest<WORDS>> {
    if side == "write" || side == "read0" {
        return open(place);
    }
    let options = seqlock::Channel::options();
    match place.strip_prefix("path:") {
        Some(path) => options.open_read_only(path).unwrap(),
        None => options.from_fd_read_only(fd_at(place)).unwrap(),
    }
}

fn disk_dir() -> tempfile::TempDir {
    // Cargo's folder for integration tests: on the same disk as the build.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn shm_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn file_in(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("region")
}

// ---------------------------------------------------------------------------------------------------
// The two sides of a storm.

fn run_spsc<T: Numbered>(channel: &spsc::Channel<T>, side: &str, plan: &Plan) {
    assert_eq!(channel.capacity(), plan.capacity);
    match side {
        "send" => {
            let mut tx = channel.sender().unwrap();
            tx.set_wait(plan.wait);
            send_spsc(&mut tx, 0, plan);
        }
        "recv" => {
            let mut rx = channel.receiver().unwrap();
            rx.set_wait(plan.wait);
            recv_spsc(&mut rx, 0, plan);
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
            assert!(rx.is_closed() && rx.is_empty());
        }
        other => panic!("no side {other}"),
    }
}

/// Sends messages `from..from + plan.count`, in every form there is.
fn send_spsc<T: Numbered>(tx: &mut spsc::Sender<T>, from: u64, plan: &Plan) {
    let (mut seq, mut million) = (from, 0);
    let end = from + plan.count;
    let mut batch = Vec::new();
    while seq < end {
        pause(plan.slow == Slow::Sender, seq);
        plan.progress("sender", seq - from, &mut million);
        let random = mix(seq ^ 0xA11CE);
        let value = T::make(seq);
        let sent = match random % 12 {
            0..=3 => tx.send(&value).map(|()| 1).unwrap(),
            4 => match tx.try_send(&value) {
                Ok(()) => 1,
                Err(TrySendError::Full) => tx.send(&value).map(|()| 1).unwrap(),
                Err(error) => panic!("{error}"),
            },
            5 => tx.send_timeout(&value, LONG).map(|()| 1).unwrap(),
            6 => {
                // What is not sent must leave nothing behind.
                if let Ok(mut slot) = tx.try_send_ref() {
                    slot.write(&T::make(!0 >> 24));
                }
                0
            }
            7 => {
                let mut slot = tx.send_ref().unwrap();
                slot.write(&value);
                slot.send().map(|()| 1).unwrap()
            }
            8 => {
                let mut slot = tx.send_ref().unwrap();
                let (front, back) = value.as_bytes().split_at(random as usize >> 8 & 7);
                slot.write_at(front.len(), back);
                slot.write_at(0, front);
                slot.send().map(|()| 1).unwrap()
            }
            form => {
                let len = 1 + (random >> 8) % 40;
                batch.clear();
                batch.extend((seq..end.min(seq + len)).map(T::make));
                if form == 9 {
                    match tx.try_send_slice(&batch) {
                        Ok(sent) => sent,
                        Err(TrySendError::Full) => 0,
                        Err(error) => panic!("{error}"),
                    }
                } else {
                    let sent = tx.send_slice(&batch).unwrap();
                    assert!(sent > 0);
                    sent
                }
            }
        };
        // So that a form that sent nothing is not chosen for ever.
        if sent == 0 {
            tx.send(&value).unwrap();
        }
        seq += sent.max(1) as u64;
    }
    assert_eq!(seq, end);
}

/// Receives messages `from..from + plan.count`, in every form there is.
fn recv_spsc<T: Numbered>(rx: &mut spsc::Receiver<T>, from: u64, plan: &Plan) {
    let (mut seq, mut million) = (from, 0);
    let end = from + plan.count;
    let mut batch = [T::make(0); 40];
    while seq < end {
        pause(plan.slow == Slow::Receiver, seq);
        plan.progress("receiver", seq - from, &mut million);
        let random = mix(seq ^ 0xB0B);
        let left = end - seq;
        let received = match random % 12 {
            0..=3 => {
                rx.recv().unwrap().check(seq);
                1
            }
            4 => match rx.try_recv() {
                Ok(value) => {
                    value.check(seq);
                    1
                }
                Err(TryRecvError::Empty) => 0,
                Err(error) => panic!("{error}"),
            },
            5 => {
                rx.recv_timeout(LONG).unwrap().check(seq);
                1
            }
            6 => {
                let value = rx.recv_ref().unwrap();
                value.read().check(seq);
                // Not dropped, so not consumed: it comes again.
                std::mem::forget(value);
                0
            }
            7 => {
                let value = rx.recv_ref().unwrap();
                // SAFETY: the only sender uses this crate alone, and nobody forks here.
                unsafe { value.as_ref() }.check(seq);
                1
            }
            8 => {
                let slot = rx.recv_ref().unwrap();
                let mut value = T::make(0);
                let (front, back) = value.as_mut_bytes().split_at_mut(random as usize >> 8 & 7);
                slot.read_at(front.len(), back);
                slot.read_at(0, front);
                value.check(seq);
                1
            }
            9 => {
                let len = (1 + (random >> 8) % 40).min(left) as usize;
                match rx.try_recv_slice(&mut batch[..len]) {
                    Ok(received) => {
                        (0u64..).zip(&batch[..received]).for_each(|(i, value)| value.check(seq + i));
                        received
                    }
                    Err(TryRecvError::Empty) => 0,
                    Err(error) => panic!("{error}"),
                }
            }
            10 => {
                let len = (1 + (random >> 8) % 40).min(left) as usize;
                let received = rx.recv_slice(&mut batch[..len]).unwrap();
                assert!(received > 0);
                (0u64..).zip(&batch[..received]).for_each(|(i, value)| value.check(seq + i));
                received
            }
            _ => {
                let len = (1 + (random >> 8) % 5).min(left) as usize;
                (0u64..).zip(rx.iter().take(len)).map(|(i, value)| value.check(seq + i)).count()
            }
        };
        if received == 0 {
            rx.recv().unwrap().check(seq);
        }
        seq += received.max(1) as u64;
    }
    assert_eq!(seq, end);
}

fn run_bytes(channel: &bytes::Channel, side: &str, plan: &Plan) {
    assert_eq!(channel.capacity(), plan.capacity);
    assert_eq!(channel.max_len() as u64, plan.capacity - 16);
    match side {
        "send" => {
            let mut tx = channel.sender().unwrap();
            tx.set_wait(plan.wait);
            send_bytes(&mut tx, 0, plan);
        }
        "recv" => {
            let mut rx = channel.receiver().unwrap();
            rx.set_wait(plan.wait);
            recv_bytes(&mut rx, 0, plan);
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
            assert!(rx.is_closed() && rx.is_empty());
        }
        other => panic!("no side {other}"),
    }
}

fn send_bytes(tx: &mut bytes::Sender, from: u64, plan: &Plan) {
    let (mut seq, mut million) = (from, 0);
    let end = from + plan.count;
    // Large records only where the ring is small, or filling them in takes all the time.
    let most = tx.max_len().min(4080);
    while seq < end {
        pause(plan.slow == Slow::Sender, seq);
        plan.progress("sender", seq - from, &mut million);
        let random = mix(seq ^ 0xA11CE);
        let sent = match random % 12 {
            0..=3 => tx.send(&record(seq, most)).map(|()| 1).unwrap(),
            4 => match tx.try_send(&record(seq, most)) {
                Ok(()) => 1,
                Err(TrySendError::Full) => 0,
                Err(error) => panic!("{error}"),
            },
            5 => tx.send_timeout(&record(seq, most), LONG).map(|()| 1).unwrap(),
            6 => {
                // What is not sent must leave nothing behind, least of all something like a header.
                if let Ok(mut room) = tx.try_send_ref((random >> 8) as usize % 200) {
                    let forged = vec![0x01; room.len()];
                    room.write_at(0, &forged);
                }
                0
            }
            7 | 8 => {
                let len = record_len(seq, most);
                // More room than needed, now and then.
                let extra = (random >> 8) as usize % 64;
                let mut room = tx.send_ref((len + extra).min(most)).unwrap();
                let mut bytes = record(seq, most);
                let (front, back) = bytes.split_at_mut(len / 2);
                room.write_at(front.len(), back);
                room.write_at(0, front);
                room.truncate(len);
                assert_eq!(room.len(), len);
                room.send().map(|()| 1).unwrap()
            }
            form => {
                let len = 1 + (random >> 8) % 12;
                let records: Vec<Vec<u8>> = (seq..end.min(seq + len)).map(|seq| record(seq, most)).collect();
                let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
                if form == 9 {
                    match tx.try_send_slice(&slices) {
                        Ok(sent) => sent,
                        Err(TrySendError::Full) => 0,
                        Err(error) => panic!("{error}"),
                    }
                } else {
                    let sent = tx.send_slice(&slices).unwrap();
                    assert!(sent > 0);
                    sent
                }
            }
        };
        if sent == 0 {
            tx.send(&record(seq, most)).unwrap();
        }
        seq += sent.max(1) as u64;
    }
    assert_eq!(seq, end);
}

fn recv_bytes(rx: &mut bytes::Receiver, from: u64, plan: &Plan) {
    let (mut seq, mut million) = (from, 0);
    let end = from + plan.count;
    let most = rx.capacity() as usize - 16;
    let most = most.min(4080);
    let mut buffer = vec![0; most];
    while seq < end {
        pause(plan.slow == Slow::Receiver, seq);
        plan.progress("receiver", seq - from, &mut million);
        let random = mix(seq ^ 0xB0B);
        let left = end - seq;
        let received = match random % 12 {
            0..=1 => {
                check_record(&rx.recv().unwrap(), seq, most);
                1
            }
            2..=3 => {
                let len = rx.recv_into(&mut buffer).unwrap();
                check_record(&buffer[..len], seq, most);
                1
            }
            4 => match rx.try_recv_into(&mut buffer) {
                Ok(len) => {
                    check_record(&buffer[..len], seq, most);
                    1
                }
                Err(TryRecvError::Empty) => 0,
                Err(error) => panic!("{error}"),
            },
            5 => {
                check_record(&rx.recv_timeout(LONG).unwrap(), seq, most);
                1
            }
            6 => {
                let found = rx.recv_ref().unwrap();
                check_record(&found.to_vec(), seq, most);
                // Not dropped, so not consumed: it comes again.
                std::mem::forget(found);
                0
            }
            7 => {
                let found = rx.recv_ref().unwrap();
                // SAFETY: the only sender uses this crate alone, and nobody forks here.
                check_record(unsafe { found.as_slice() }, seq, most);
                1
            }
            8 => {
                let found = rx.recv_ref().unwrap();
                let mut bytes = vec![0; found.len()];
                let (front, back) = bytes.split_at_mut(found.len() / 3);
                found.read_at(front.len(), back);
                found.read_at(0, front);
                check_record(&bytes, seq, most);
                1
            }
            form @ 9..=10 => {
                let mut ends = vec![0; (1 + (random >> 8) % 12).min(left) as usize];
                let received = if form == 9 {
                    match rx.try_recv_slice(&mut buffer, &mut ends) {
                        Err(TryRecvError::Empty) => 0,
                        other => other.unwrap(),
                    }
                } else {
                    rx.recv_slice(&mut buffer, &mut ends).unwrap()
                };
                let mut start = 0;
                for (i, end) in (0u64..).zip(&ends[..received]) {
                    check_record(&buffer[start..*end], seq + i, most);
                    start = *end;
                }
                received
            }
            _ => {
                let len = (1 + (random >> 8) % 5).min(left) as usize;
                (0u64..).zip(rx.iter().take(len)).map(|(i, found)| check_record(&found, seq + i, most)).count()
            }
        };
        if received == 0 {
            check_record(&rx.recv().unwrap(), seq, most);
        }
        seq += received.max(1) as u64;
    }
    assert_eq!(seq, end);
}

fn run_seqlock<const WORDS: usize>(channel: &seqlock::Channel<Latest<WORDS>>, side: &str, plan: &Plan) {
    if side == "write" {
        let mut writer = channel.writer().unwrap();
        let mut million = 0;
        for version in 1..=plan.count {
            // Seldom: where a reader spins on the same processor, who yields to it waits for milliseconds.
            pause(plan.slow == Slow::Sender && version % 16 == 0, version);
            plan.progress("writer", version, &mut million);
            writer.write(&Latest::make(version)).unwrap();
            assert_eq!(writer.version(), version);
        }
        return;
    }
    let mut reader = channel.reader();
    // The three readers wait in three ways.
    let turn = side.strip_prefix("read").unwrap().parse::<usize>().unwrap();
    reader.set_wait(WAITS[turn % 3]);
    let (mut before, mut reads) = (0, 0u64);
    loop {
        match if reads.is_multiple_of(3) { reader.changed_timeout(LONG) } else { reader.changed() } {
            Ok(()) => {}
            Err(ChangedError::Closed) => break,
            Err(error) => panic!("{error}"),
        }
        // Several reads a change: a reader that copies all the time, and one that sleeps in between.
        for _ in 0..1 + mix(reads) % 8 {
            let value = match reader.read() {
                Ok(value) => value,
                Err(ReadError::Overtaken { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            value.check();
            assert_eq!(value.version(), reader.version());
            assert!(value.version() >= before, "from {before} back to {}", value.version());
            before = value.version();
            pause(plan.slow == Slow::Receiver, reads);
        }
        reads += 1;
    }
    assert_eq!(before, plan.count, "the last value must be seen");
    assert!(!reader.has_writer() && !reader.has_changed());
    reader.read().unwrap().check();
}

// ---------------------------------------------------------------------------------------------------
// Storms: every backing, kind, capacity, way to wait and pace.

/// Runs the sides of a plan in processes of their own.
fn storm(plan: Plan, backing: Backing) {
    match plan.kind {
        Kind::Spsc64 => {
            let options = spsc::Channel::<Packet>::options().capacity(plan.capacity);
            storm_with(plan, backing, options, |channel, side| run_spsc(channel, side, &plan));
        }
        Kind::Spsc8 => {
            let options = spsc::Channel::<u64>::options().capacity(plan.capacity);
            storm_with(plan, backing, options, |channel, side| run_spsc(channel, side, &plan));
        }
        Kind::Bytes => {
            let options = bytes::Channel::options().capacity_bytes(plan.capacity);
            storm_with(plan, backing, options, |channel, side| run_bytes(channel, side, &plan));
        }
        Kind::Seqlock => {
            let options = seqlock::Channel::options();
            storm_with(plan, backing, options, |channel, side| run_seqlock::<8>(channel, side, &plan));
        }
        Kind::BigSeqlock => {
            let options = seqlock::Channel::options();
            storm_with(plan, backing, options, |channel, side| run_seqlock::<1024>(channel, side, &plan));
        }
    }
}

fn storm_with<C: Channel>(plan: Plan, backing: Backing, options: Options<C>, run: impl Fn(&C, &str)) {
    let latest = matches!(plan.kind, Kind::Seqlock | Kind::BigSeqlock);
    let mut sides = if latest { vec!["read0", "read1", "read2", "write"] } else { vec!["send", "recv"] };
    // Whoever comes first.
    if !latest && mix(plan.capacity ^ plan.count ^ backing as u64).is_multiple_of(2) {
        sides.reverse();
    }
    let started = Instant::now();
    let mut children: Vec<Child> = Vec::new();
    match backing {
        Backing::Shm | Backing::Disk => {
            let dir = if backing == Backing::Shm { shm_dir() } else { disk_dir() };
            let path = file_in(&dir);
            drop(options.create(&path).unwrap());
            let place = format!("path:{}", path.display());
            children.extend(sides.iter().map(|side| exec(side, &plan.role(side, &place), plan.loud())));
            children.iter().for_each(|child| child.succeed_within(plan.limit()));
        }
        Backing::Anonymous => {
            let channel = options.anonymous().unwrap();
            children.extend(sides.iter().map(|side| fork(side, || run(&channel, side))));
            children.iter().for_each(|child| child.succeed_within(plan.limit()));
        }
        Backing::Inherited => {
            let channel = options.memfd().unwrap();
            let fd = channel.region().inheritable_fd().unwrap();
            let place = format!("fd:{}", fd.as_raw_fd());
            children.extend(sides.iter().map(|side| exec(side, &plan.role(side, &place), plan.loud())));
            drop((fd, channel));
            children.iter().for_each(|child| child.succeed_within(plan.limit()));
        }
        Backing::Sent => {
            let dir = shm_dir();
            let path = dir.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            listener.set_nonblocking(true).unwrap();
            let channel = options.memfd().unwrap();
            let place = format!("socket:{}", path.display());
            children.extend(sides.iter().map(|side| exec(side, &plan.role(side, &place), plan.loud())));
            let mut served = 0;
            while served < sides.len() {
                match listener.accept() {
                    Ok((socket, _)) => {
                        send_fd(&socket, channel.region().fd().unwrap());
                        served += 1;
                    }
                    Err(_) => {
                        assert!(started.elapsed() < deadline(), "a child never came for its descriptor");
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
            // The children have all there is.
            drop(channel);
            children.iter().for_each(|child| child.succeed_within(plan.limit()));
        }
    }
    println!("{plan:?} over {backing:?}: {:?}", started.elapsed());
}

macro_rules! storms {
    ($($name:ident: $kind:ident $backing:ident $capacity:literal $wait:tt $slow:ident $count:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let wait = WAITS[storms!(@wait $wait)];
                let plan = Plan { kind: Kind::$kind, capacity: $capacity, wait, slow: Slow::$slow, count: $count };
                storm(plan, Backing::$backing);
            }
        )*
        /// The same with ten million messages each.
        mod ten_million {
            use super::*;
            $(
                #[test]
                #[ignore = "takes minutes; run with --ignored --nocapture"]
                fn $name() {
                    let wait = WAITS[storms!(@wait $wait)];
                    let count = 10_000_000;
                    let plan = Plan { kind: Kind::$kind, capacity: $capacity, wait, slow: Slow::$slow, count };
                    storm(plan, Backing::$backing);
                }
            )*
        }
    };
    (@wait spin) => { 0 };
    (@wait sleep) => { 1 };
    (@wait default) => { 2 };
}

// On one processor a spinning pair may need a millisecond a message, so small rings that spin get few.
storms! {
    storm_spsc64_shm_1_sleep: Spsc64 Shm 1 sleep Neither 120_000;
    storm_spsc64_disk_1_default: Spsc64 Disk 1 default Receiver 40_000;
    storm_spsc64_anonymous_1_spin: Spsc64 Anonymous 1 spin Sender 16_000;
    storm_spsc64_inherited_2_sleep: Spsc64 Inherited 2 sleep Sender 120_000;
    storm_spsc64_sent_2_default: Spsc64 Sent 2 default Neither 60_000;
    storm_spsc64_shm_2_spin: Spsc64 Shm 2 spin Receiver 16_000;
    storm_spsc64_anonymous_3_sleep: Spsc64 Anonymous 3 sleep Receiver 120_000;
    storm_spsc64_disk_3_default: Spsc64 Disk 3 default Sender 60_000;
    storm_spsc64_sent_3_spin: Spsc64 Sent 3 spin Neither 16_000;
    storm_spsc64_shm_1024_default: Spsc64 Shm 1024 default Neither 1_200_000;
    storm_spsc64_disk_1024_sleep: Spsc64 Disk 1024 sleep Receiver 1_200_000;
    storm_spsc64_anonymous_1024_spin: Spsc64 Anonymous 1024 spin Sender 1_200_000;
    storm_spsc64_inherited_65536_default: Spsc64 Inherited 65536 default Receiver 1_500_000;
    storm_spsc64_sent_65536_sleep: Spsc64 Sent 65536 sleep Sender 1_500_000;
    storm_spsc64_shm_65536_spin: Spsc64 Shm 65536 spin Neither 1_500_000;

    storm_spsc8_anonymous_1_sleep: Spsc8 Anonymous 1 sleep Neither 120_000;
    storm_spsc8_inherited_2_default: Spsc8 Inherited 2 default Receiver 60_000;
    storm_spsc8_disk_3_spin: Spsc8 Disk 3 spin Sender 16_000;
    storm_spsc8_sent_1024_sleep: Spsc8 Sent 1024 sleep Neither 1_500_000;
    storm_spsc8_shm_65536_default: Spsc8 Shm 65536 default Sender 2_100_000;

    storm_bytes_shm_page_sleep: Bytes Shm 4096 sleep Neither 120_000;
    storm_bytes_disk_page_default: Bytes Disk 4096 default Sender 80_000;
    storm_bytes_anonymous_page_spin: Bytes Anonymous 4096 spin Receiver 30_000;
    storm_bytes_inherited_page_default: Bytes Inherited 4096 default Receiver 80_000;
    storm_bytes_sent_page_sleep: Bytes Sent 4096 sleep Sender 120_000;
    storm_bytes_shm_64k_default: Bytes Shm 65536 default Receiver 360_000;
    storm_bytes_anonymous_64k_sleep: Bytes Anonymous 65536 sleep Sender 360_000;
    storm_bytes_sent_64k_spin: Bytes Sent 65536 spin Neither 360_000;
    storm_bytes_inherited_1m_default: Bytes Inherited 1048576 default Sender 360_000;
    storm_bytes_disk_1m_sleep: Bytes Disk 1048576 sleep Receiver 360_000;

    storm_seqlock_shm: Seqlock Shm 0 default Sender 120_000;
    storm_seqlock_disk: Seqlock Disk 0 default Neither 120_000;
    storm_seqlock_anonymous: Seqlock Anonymous 0 default Receiver 120_000;
    storm_seqlock_inherited: Seqlock Inherited 0 default Neither 120_000;
    storm_seqlock_sent: Seqlock Sent 0 default Sender 120_000;
    storm_big_seqlock_shm: BigSeqlock Shm 0 default Neither 30_000;
    storm_big_seqlock_anonymous: BigSeqlock Anonymous 0 default Sender 30_000;
}

// ---------------------------------------------------------------------------------------------------
// Sleeping and waking.

/// What `membarrier(2)` says this process registered for; `None` before Linux 6.3.
fn registrations() -> Option<libc::c_long> {
    const GET_REGISTRATIONS: libc::c_int = 1 << 9;
    // SAFETY: takes no memory.
    let mask = unsafe { libc::syscall(libc::SYS_membarrier, GET_REGISTRATIONS, 0, 0) };
    (mask >= 0).then_some(mask)
}

/// A sleeper counts on it: whoever wakes others must have registered, or pay a fence at every message.
fn every_endpoint_answers_membarrier() {
    let expected = libc::c_long::from(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
    let Some(before) = registrations() else { return };
    assert_eq!(before & expected, 0, "a new program has not registered");
    let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let _reader = channel.reader();
    let _writer = channel.writer().unwrap();
    assert_eq!(registrations().unwrap() & expected, expected);
}

#[test]
fn a_waker_registers_for_the_sleepers_barrier() {
    exec("registration", "barrier", false).succeed();
}

/// Messages that come just as the receiver goes to sleep, again and again: each side must see the other's
/// store, or the receiver sleeps and nobody knows.
#[test]
fn no_wake_up_is_lost_where_a_message_meets_a_sleeper_on_its_way() {
    const ROUNDS: u64 = 60_000;
    let slots = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let board = Board::new();
    let receiver = fork("receiver", || {
        let mut rx = slots.receiver().unwrap();
        rx.set_wait(Wait::Sleep);
        for seq in 0..ROUNDS {
            rx.recv().unwrap().check(seq);
            board[0].store(seq + 1, SeqCst);
        }
    });
    let sender = fork("sender", || {
        let mut tx = slots.sender().unwrap();
        for seq in 0..ROUNDS {
            board.wait_for(0, seq);
            // It is on its way to sleep now, and takes about that long.
            (0..mix(seq) % 256).for_each(|_| std::hint::spin_loop());
            tx.send(&u64::make(seq)).unwrap();
        }
    });
    sender.succeed();
    receiver.succeed();
}

/// Two rings of one slot, both sides asleep at every message: one lost wake-up and it stands still.
fn ping_pong<T: Numbered>(rounds: u64, wait: Wait) {
    let there = spsc::Channel::<T>::options().capacity(1).anonymous().unwrap();
    let back = spsc::Channel::<T>::options().capacity(1).anonymous().unwrap();
    let echo = fork("echo", || {
        let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
        rx.set_wait(wait);
        tx.set_wait(wait);
        for seq in 0..rounds {
            let value = rx.recv().unwrap();
            value.check(seq);
            tx.send(&value).unwrap();
        }
    });
    let caller = fork("caller", || {
        let (mut tx, mut rx) = (there.sender().unwrap(), back.receiver().unwrap());
        rx.set_wait(wait);
        tx.set_wait(wait);
        for seq in 0..rounds {
            tx.send(&T::make(seq)).unwrap();
            rx.recv().unwrap().check(seq);
        }
    });
    caller.succeed();
    echo.succeed();
}

#[test]
fn no_wake_up_is_lost_in_spsc_ping_pong() {
    ping_pong::<u64>(100_000, Wait::Sleep);
}

#[test]
fn no_wake_up_is_lost_where_spinning_ends_as_the_message_comes() {
    ping_pong::<Packet>(25_000, Wait::SpinThenSleep(Duration::from_micros(5)));
}

#[test]
#[ignore = "takes a minute or more"]
fn no_wake_up_is_lost_in_two_million_round_trips() {
    let child = fork("all of it", || ping_pong::<u64>(2_000_000, Wait::Sleep));
    child.succeed_within(Duration::from_secs(3600));
}

#[test]
fn no_wake_up_is_lost_in_bytes_ping_pong() {
    let there = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let back = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    const ROUNDS: u64 = 60_000;
    let echo = fork("echo", || {
        let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
        rx.set_wait(Wait::Sleep);
        tx.set_wait(Wait::Sleep);
        for _ in 0..ROUNDS {
            let found = rx.recv_ref().unwrap();
            tx.send(&found.to_vec()).unwrap();
        }
    });
    let caller = fork("caller", || {
        let (mut tx, mut rx) = (there.sender().unwrap(), back.receiver().unwrap());
        rx.set_wait(Wait::Sleep);
        tx.set_wait(Wait::Sleep);
        for seq in 0..ROUNDS {
            tx.send(&record(seq, 300)).unwrap();
            check_record(&rx.recv().unwrap(), seq, 300);
        }
    });
    caller.succeed();
    echo.succeed();
}

/// Both directions of waiting at once: the sender sleeps for room, the receiver for records, and records
/// fill the ring so that one at a time fits.
#[test]
fn no_wake_up_is_lost_where_every_record_fills_the_ring() {
    let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    const ROUNDS: u64 = 30_000;
    let sender = fork("sender", || {
        let mut tx = channel.sender().unwrap();
        tx.set_wait(Wait::Sleep);
        let mut bytes = vec![0; tx.max_len()];
        for seq in 0..ROUNDS {
            fill_record(seq, &mut bytes[..64]);
            tx.send(&bytes).unwrap();
        }
    });
    let receiver = fork("receiver", || {
        let mut rx = channel.receiver().unwrap();
        rx.set_wait(Wait::Sleep);
        let (mut bytes, mut front) = (vec![0; 4080], [0; 64]);
        for seq in 0..ROUNDS {
            assert_eq!(rx.recv_into(&mut bytes), Ok(4080));
            fill_record(seq, &mut front);
            assert_eq!(bytes[..64], front);
        }
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    sender.succeed();
    receiver.succeed();
}

/// Three sleeping readers; the writer goes on only when all have seen its value.
#[test]
fn every_sleeping_reader_is_woken_by_every_change() {
    const ROUNDS: u64 = 10_000;
    let channel = seqlock::Channel::<Latest<8>>::options().anonymous().unwrap();
    let board = Board::new();
    let readers: Vec<Child> = (0..3)
        .map(|me| {
            let (channel, board) = (&channel, &board);
            fork(&format!("reader {me}"), move || {
                let mut reader = channel.reader();
                reader.set_wait(Wait::Sleep);
                for version in 1..=ROUNDS {
                    reader.changed().unwrap();
                    let value = reader.read().unwrap();
                    value.check();
                    assert_eq!(value.version(), version);
                    board[me].store(version, SeqCst);
                }
                assert_eq!(reader.changed(), Err(ChangedError::Closed));
            })
        })
        .collect();
    let writer = fork("writer", || {
        let mut writer = channel.writer().unwrap();
        for version in 1..=ROUNDS {
            writer.write(&Latest::make(version)).unwrap();
            (0..3).for_each(|reader| board.wait_for(reader, version));
        }
    });
    writer.succeed();
    readers.iter().for_each(Child::succeed);
}

fn ptrace(request: libc::c_uint, pid: Pid, data: usize) {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: none of the requests made here has the kernel write to this process's memory.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), nothing, data) };
    assert_eq!(result, 0, "ptrace request {request}: {}", std::io::Error::last_os_error());
}

/// The system call that a stopped child is about to make, and its first two arguments.
fn system_call_of(pid: Pid) -> Option<(u64, [u64; 2])> {
    // `struct ptrace_syscall_info`: op in byte 0 (1: entry); number and arguments in words 3 and on.
    let mut info = [0u64; 16];
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` bytes to `info`, which is that large.
    let result = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid.as_raw(), size, info.as_mut_ptr()) };
    assert!(result > 0, "PTRACE_GET_SYSCALL_INFO: {}", std::io::Error::last_os_error());
    (info[0] & 0xFF == 1).then_some((info[3], [info[4], info[5]]))
}

/// Lets a held child go on up to a system call of that number, and holds it before it is done.
fn hold_at(child: &Child, wanted: impl Fn(u64) -> bool) {
    hold_at_call(child, |number, _| wanted(number));
}

fn hold_at_call(child: &Child, wanted: impl Fn(u64, [u64; 2]) -> bool) {
    if !child.is_traced() {
        assert!(matches!(waitpid(child.pid, None), Ok(WaitStatus::Stopped(..))), "{} ended early", child.pid);
        ptrace(libc::PTRACE_SETOPTIONS, child.pid, (libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL) as usize);
        child.set_traced();
    }
    loop {
        ptrace(libc::PTRACE_SYSCALL, child.pid, 0);
        match waitpid(child.pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {}
            other => panic!("the child was to go on: {other:?}"),
        }
        if system_call_of(child.pid).is_some_and(|(number, arguments)| wanted(number, arguments)) {
            return;
        }
    }
}

/// Holds a forked child just before it first sleeps in `futex(2)`, where a scheduler may hold it too: it
/// has announced its sleep and looked once more, and found nothing.
///
/// Its last look is worth something only after a barrier in every waker, and two cores hardly ever show that
/// it is missing; so that is looked at here too.
fn hold_before_sleep(child: &Child) {
    let barrier = std::cell::Cell::new(false);
    hold_at_call(child, |number, [first, operation]| {
        if number == libc::SYS_membarrier as u64 && first == libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED as u64 {
            barrier.set(true);
        }
        number == libc::SYS_futex as u64 && operation == libc::FUTEX_WAIT as u64
    });
    assert!(barrier.get(), "it goes to sleep without a barrier");
}

/// Asks the parent to trace this forked child, and stops for it.
fn be_held() {
    ptrace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0);
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP).unwrap();
}

/// A reader that is held between its last look and its sleep must not sleep through a change because
/// another reader announced a sleep of its own meanwhile.
#[test]
fn a_reader_held_before_its_sleep_sees_a_change_that_another_reader_saw() {
    let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let mut writer = channel.writer().unwrap();
    let held = fork("held reader", || {
        let mut reader = channel.reader();
        reader.set_wait(Wait::Sleep);
        be_held();
        assert_eq!(reader.changed(), Ok(()));
        assert_eq!(reader.read(), Ok(1));
    });
    hold_before_sleep(&held);
    writer.write(&1).unwrap();
    let other = fork("other reader", || {
        let mut reader = channel.reader();
        reader.set_wait(Wait::Sleep);
        assert_eq!(reader.changed(), Ok(()));
        assert_eq!(reader.read(), Ok(1));
        assert_eq!(reader.changed(), Err(ChangedError::Closed));
    });
    other.wait_until_asleep();
    ptrace(libc::PTRACE_DETACH, held.pid, 0);
    // The writer still sits there and writes no more: nothing else would ever wake it.
    held.succeed_within(deadline().min(Duration::from_secs(60)));
    drop(writer);
    other.succeed();
}

/// The same place for an owner of its word, where a message, or the peer's end, comes just then.
#[test]
fn a_receiver_held_before_its_sleep_sees_the_message_and_the_end() {
    for sends in [true, false] {
        let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
        let mut tx = channel.sender().unwrap();
        let held = fork("held receiver", || {
            let mut rx = channel.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            be_held();
            assert_eq!(rx.recv(), if sends { Ok(9) } else { Err(RecvError::Closed) });
        });
        hold_before_sleep(&held);
        let keep = if sends {
            tx.send(&9).unwrap();
            Some(tx)
        } else {
            drop(tx);
            None
        };
        ptrace(libc::PTRACE_DETACH, held.pid, 0);
        held.succeed_within(deadline().min(Duration::from_secs(60)));
        drop(keep);
    }
}

#[test]
fn a_sender_held_before_its_sleep_sees_the_room_and_the_end() {
    for receives in [true, false] {
        let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
        let mut rx = channel.receiver().unwrap();
        let held = fork("held sender", || {
            let mut tx = channel.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            tx.send(&[1; 4080]).unwrap();
            be_held();
            assert_eq!(tx.send(&[2; 4080]), if receives { Ok(()) } else { Err(SendError::Closed) });
        });
        hold_before_sleep(&held);
        let keep = if receives {
            assert_eq!(rx.try_recv().unwrap(), [1; 4080]);
            Some(rx)
        } else {
            drop(rx);
            None
        };
        ptrace(libc::PTRACE_DETACH, held.pid, 0);
        held.succeed_within(deadline().min(Duration::from_secs(60)));
        drop(keep);
    }
}

/// Instructions between two places at which a child is held: a release build has fewer of them.
#[cfg(target_arch = "x86_64")]
const STRIDE: usize = if cfg!(debug_assertions) { 23 } else { 3 };

/// Calls `hold_there` with more and more instructions, until what was to be interrupted was over before
/// them a few times in a row.
#[cfg(target_arch = "x86_64")]
fn at_every_place(mut hold_there: impl FnMut(usize) -> bool) {
    let (mut before, mut after) = (0, 0);
    for steps in (0..).step_by(STRIDE) {
        after = if hold_there(steps) { after + 1 } else { 0 };
        before += usize::from(after == 0);
        if after == 3 {
            break;
        }
        assert!(steps < 30_000, "it is never over");
    }
    assert!(before > 5, "held {before} times before it was over: too late to see anything");
}

/// A forked child that is held after so many instructions of `work`, not counting those of `prepare`.
#[cfg(target_arch = "x86_64")]
fn hold_after<T>(steps: usize, prepare: impl FnOnce() -> T, work: impl FnOnce(T)) -> Child {
    let child = fork("held child", || {
        let prepared = prepare();
        be_held();
        // Where the counting begins.
        nix::unistd::getppid();
        work(prepared);
    });
    hold_at(&child, |number| number == libc::SYS_getppid as u64);
    step(&child, steps);
    child
}

#[cfg(target_arch = "x86_64")]
fn step(child: &Child, steps: usize) {
    for _ in 0..steps + 1 {
        ptrace(libc::PTRACE_SINGLESTEP, child.pid, 0);
        assert!(matches!(waitpid(child.pid, None), Ok(WaitStatus::Stopped(..))), "step {steps}");
    }
}

#[cfg(target_arch = "x86_64")]
fn go_on(child: Child) {
    ptrace(libc::PTRACE_DETACH, child.pid, 0);
    child.succeed();
}

/// A message and the sender's end come while the receiver is between any two instructions: it must never
/// see the end before the message.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_receiver_held_at_any_instruction_sees_the_message_before_the_end() {
    at_every_place(|steps| {
        let board = Board::new();
        let slots = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
        let mut tx = slots.sender().unwrap();
        let prepare = || slots.receiver().unwrap();
        let held = hold_after(steps, prepare, |mut rx| {
            let mut first = rx.try_recv();
            board[0].store(1, SeqCst);
            while first == Err(TryRecvError::Empty) {
                first = rx.try_recv();
            }
            assert_eq!(first, Ok(9));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        let over = board[0].load(SeqCst) == 1;
        tx.send(&9).unwrap();
        drop(tx);
        go_on(held);
        over
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_record_receiver_held_at_any_instruction_sees_the_record_before_the_end() {
    at_every_place(|steps| {
        let board = Board::new();
        let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
        let mut tx = records.sender().unwrap();
        let prepare = || records.receiver().unwrap();
        let held = hold_after(steps, prepare, |mut rx| {
            let mut first = rx.try_recv();
            board[0].store(1, SeqCst);
            while first == Err(TryRecvError::Empty) {
                first = rx.try_recv();
            }
            assert_eq!(first.unwrap(), b"nine");
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        let over = board[0].load(SeqCst) == 1;
        tx.send(b"nine").unwrap();
        drop(tx);
        go_on(held);
        over
    });
}

/// The same for a value and its writer's end.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_reader_held_at_any_instruction_sees_the_last_value_before_the_end() {
    // Some looks long: it looks until there is something.
    for steps in (0..120 * STRIDE).step_by(STRIDE) {
        let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
        let mut writer = channel.writer().unwrap();
        let mut reader = channel.reader();
        // In a system call that blocks, it could not be held.
        reader.set_wait(Wait::Spin);
        let prepare = || ();
        let held = hold_after(steps, prepare, |()| {
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.read(), Ok(9));
            assert_eq!(reader.changed(), Err(ChangedError::Closed));
        });
        writer.write(&9).unwrap();
        drop(writer);
        go_on(held);
    }
}

/// The writer comes all the way round, and more, while a reader is between any two instructions of a copy.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_reader_held_at_any_instruction_and_overtaken_gets_a_whole_value() {
    const LAST: u64 = 150;
    at_every_place(|steps| {
        let board = Board::new();
        let channel = seqlock::Channel::<Latest<8>>::options().anonymous().unwrap();
        let mut writer = channel.writer().unwrap();
        writer.write(&Latest::make(1)).unwrap();
        let mut reader = channel.reader();
        let prepare = || ();
        let held = hold_after(steps, prepare, |()| {
            let value = reader.read().unwrap();
            board[0].store(1, SeqCst);
            value.check();
            assert_eq!(value.version(), reader.version());
            board.wait_for(1, 1);
            assert_eq!(reader.read(), Ok(Latest::make(LAST)));
        });
        let over = board[0].load(SeqCst) == 1;
        (2..=LAST).for_each(|version| writer.write(&Latest::make(version)).unwrap());
        board[1].store(1, SeqCst);
        go_on(held);
        over
    });
}

/// The other side of it: a reader never waits for a writer that is held, or dead, between any two
/// instructions of a write, and never sees what it has not finished.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_writer_held_at_any_instruction_hinders_no_reader() {
    at_every_place(|steps| {
        let board = Board::new();
        let channel = seqlock::Channel::<Latest<8>>::options().anonymous().unwrap();
        let mut reader = channel.reader();
        let prepare = || {
            let mut writer = channel.writer().unwrap();
            (1..=70).for_each(|version| writer.write(&Latest::make(version)).unwrap());
            (writer, Latest::make(71))
        };
        let held = hold_after(steps, prepare, |(mut writer, next)| {
            writer.write(&next).unwrap();
            board[0].store(1, SeqCst);
            (72..=140).for_each(|version| writer.write(&Latest::make(version)).unwrap());
        });
        let over = board[0].load(SeqCst) == 1;
        for _ in 0..3 {
            let value = reader.read().unwrap();
            value.check();
            assert!((70..140).contains(&value.version()));
            assert_eq!(value.version(), reader.version());
        }
        go_on(held);
        assert_eq!(reader.read(), Ok(Latest::make(140)));
        over
    });
}

/// A sender held between any two instructions of a send: what the receiver finds is whole or not there.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_sender_held_at_any_instruction_has_sent_a_whole_message_or_none() {
    at_every_place(|steps| {
        let slots = spsc::Channel::<Packet>::options().capacity(2).anonymous().unwrap();
        let mut rx = slots.receiver().unwrap();
        // Laps of other content, which must not come back.
        {
            let mut tx = slots.sender().unwrap();
            for seq in 0..4 {
                tx.send(&Packet::make(seq)).unwrap();
                rx.recv().unwrap().check(seq);
            }
        }
        let prepare = || (slots.sender().unwrap(), Packet::make(4));
        let held = hold_after(steps, prepare, |(mut tx, packet)| tx.send(&packet).unwrap());
        let early = rx.try_recv();
        let over = early.is_ok();
        assert!(over || early == Err(TryRecvError::Empty), "{early:?}");
        go_on(held);
        early.or_else(|_| rx.try_recv()).unwrap().check(4);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
        over
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_record_sender_held_at_any_instruction_has_sent_a_whole_record_or_none() {
    let before: Vec<u8> = (0..4000).map(|i| 0x80 | i as u8).collect();
    at_every_place(|steps| {
        let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
        let mut rx = records.receiver().unwrap();
        {
            let mut tx = records.sender().unwrap();
            for _ in 0..3 {
                tx.send(&before).unwrap();
                assert_eq!(rx.recv().unwrap(), before);
            }
        }
        let prepare = || records.sender().unwrap();
        let held = hold_after(steps, prepare, |mut tx| tx.send(&[0x77; 100]).unwrap());
        let early = rx.try_recv();
        let over = early.is_ok();
        assert!(over || early == Err(TryRecvError::Empty), "{early:?}");
        go_on(held);
        assert_eq!(early.or_else(|_| rx.try_recv()).unwrap(), [0x77; 100]);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
        over
    });
}

/// Runs `wait` for a second or more and demands that it slept: next to no processor time, and awake only to ask
/// the kernel after its peer, every 20 ms.
fn sleeps(wait: impl FnOnce()) {
    let started = Instant::now();
    let (before, slept) = cpu_time_and_sleeps();
    wait();
    let (after, woken) = cpu_time_and_sleeps();
    let (used, seconds) = (after - before, started.elapsed().as_secs_f64());
    assert!(used.as_secs_f64() < 0.05 * seconds, "{used:?} of processor time in {seconds} s");
    let woken = (woken - slept) as f64;
    assert!(woken < 100.0 * seconds, "woken {woken} times in {seconds} s");
}

#[test]
fn a_blocked_call_uses_no_processor_time() {
    let full = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let empty = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let latest = seqlock::Channel::<u64>::options().memfd().unwrap();
    let read_only = {
        let fd = latest.region().fd().unwrap().try_clone_to_owned().unwrap();
        seqlock::Channel::<u64>::options().from_fd_read_only(fd).unwrap()
    };
    let children = [
        fork("receiver", || {
            let mut rx = empty.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            sleeps(|| assert_eq!(rx.recv(), Ok(1)));
        }),
        fork("sender", || {
            let mut tx = full.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            tx.send(&1).unwrap();
            sleeps(|| tx.send(&2).unwrap());
        }),
        fork("receiver by default", || {
            let mut rx = records.receiver().unwrap();
            sleeps(|| assert_eq!(rx.recv().unwrap(), [7; 7]));
        }),
        fork("reader", || {
            let mut reader = latest.reader();
            reader.set_wait(Wait::Sleep);
            sleeps(|| reader.changed().unwrap());
        }),
    ];
    let napper = fork("read-only reader", || {
        let mut reader = read_only.reader();
        reader.set_wait(Wait::Sleep);
        let (before, _) = cpu_time_and_sleeps();
        reader.changed().unwrap();
        // It looks a thousand times a second.
        assert!(cpu_time_and_sleeps().0 - before < Duration::from_millis(200));
    });
    children.iter().for_each(Child::wait_until_asleep);
    std::thread::sleep(Duration::from_secs(1));
    assert!(children.iter().all(Child::running) && napper.running());
    empty.sender().unwrap().send(&1).unwrap();
    let mut rx = full.receiver().unwrap();
    assert_eq!(rx.recv(), Ok(1));
    records.sender().unwrap().send(&[7; 7]).unwrap();
    latest.writer().unwrap().write(&1).unwrap();
    children.iter().for_each(Child::succeed);
    napper.succeed();
}

// ---------------------------------------------------------------------------------------------------
// Leaving and coming back.

#[test]
fn a_receiver_that_comes_after_the_sender_drains_and_is_told_once() {
    let dir = shm_dir();
    let path = file_in(&dir);
    drop(spsc::Channel::<u64>::create(&path, 8).unwrap());
    for sent in [5, 0] {
        in_child("sender", || {
            let mut tx = spsc::Channel::<u64>::open(&path).unwrap().sender().unwrap();
            (0..sent).for_each(|seq| tx.send(&u64::make(seq)).unwrap());
        });
        in_child("receiver", || {
            let mut rx = spsc::Channel::<u64>::open(&path).unwrap().receiver().unwrap();
            assert!(rx.is_closed());
            assert_eq!(rx.len(), sent);
            (0..sent).for_each(|seq| rx.recv().unwrap().check(seq));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            // Again and again, until a new sender comes.
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Refused(RecvError::Closed)));
        });
        // That end was reported: whoever comes now waits for a new sender.
        let board = Board::new();
        let late = fork("late receiver", || {
            let mut rx = spsc::Channel::<u64>::open(&path).unwrap().receiver().unwrap();
            assert!(!rx.is_closed());
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(rx.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
            rx.set_wait(Wait::Sleep);
            board[0].store(1, SeqCst);
            assert_eq!(rx.recv(), Ok(77));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        board.wait_for(0, 1);
        late.wait_until_asleep();
        spsc::Channel::<u64>::open(&path).unwrap().sender().unwrap().send(&77).unwrap();
        late.succeed();
    }
}

#[test]
fn a_record_receiver_that_comes_after_the_sender_drains_and_is_told_once() {
    let dir = disk_dir();
    let path = file_in(&dir);
    drop(bytes::Channel::create(&path, 4096).unwrap());
    for sent in [5, 0] {
        in_child("sender", || {
            let mut tx = bytes::Channel::open(&path).unwrap().sender().unwrap();
            (0..sent).for_each(|seq| tx.send(&record(seq, 700)).unwrap());
        });
        in_child("receiver", || {
            let mut rx = bytes::Channel::open(&path).unwrap().receiver().unwrap();
            assert!(rx.is_closed());
            assert_eq!(rx.len(), sent);
            (0..sent).for_each(|seq| check_record(&rx.recv().unwrap(), seq, 700));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        let late = fork("late receiver", || {
            let mut rx = bytes::Channel::open(&path).unwrap().receiver().unwrap();
            assert!(!rx.is_closed());
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            rx.set_wait(Wait::Sleep);
            assert_eq!(rx.recv().unwrap(), b"new");
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        late.wait_until_asleep();
        bytes::Channel::open(&path).unwrap().sender().unwrap().send(b"new").unwrap();
        late.succeed();
    }
}

/// A receiver that leaves before it is told the end leaves the telling to the next.
#[test]
fn an_end_that_nobody_was_told_of_is_told_to_the_next_receiver() {
    let channel = spsc::Channel::<u64>::options().capacity(4).memfd().unwrap();
    in_child("sender", || (0..3).for_each(|seq| channel.sender().unwrap().send(&seq).unwrap()));
    in_child("first", || assert_eq!(channel.receiver().unwrap().recv(), Ok(0)));
    in_child("second", || {
        let mut rx = channel.receiver().unwrap();
        assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_sleeping_receiver_is_woken_by_the_senders_exit() {
    let slots = spsc::Channel::<u64>::options().capacity(4).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let latest = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let board = Board::new();
    let sender = fork("sender", || {
        let mut tx = slots.sender().unwrap();
        let mut record_tx = records.sender().unwrap();
        let mut writer = latest.writer().unwrap();
        tx.send(&5).unwrap();
        record_tx.send(b"five").unwrap();
        writer.write(&5).unwrap();
        board[0].store(1, SeqCst);
        board.wait_for(1, 1);
    });
    board.wait_for(0, 1);
    let sleepers = [
        fork("receiver", || {
            let mut rx = slots.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            assert_eq!(rx.recv(), Ok(5));
            assert!(!rx.is_closed());
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        }),
        fork("record receiver", || {
            let mut rx = records.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            assert_eq!(rx.recv().unwrap(), b"five");
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        }),
        fork("reader", || {
            let mut reader = latest.reader();
            reader.set_wait(Wait::Sleep);
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.read(), Ok(5));
            assert_eq!(reader.changed(), Err(ChangedError::Closed));
        }),
        fork("other reader", || {
            let mut reader = latest.reader();
            reader.set_wait(Wait::Sleep);
            assert_eq!(reader.read(), Ok(5));
            assert_eq!(reader.changed_timeout(LONG), Err(ChangedError::Closed));
        }),
    ];
    sleepers.iter().for_each(Child::wait_until_asleep);
    board[1].store(1, SeqCst);
    sender.succeed();
    sleepers.iter().for_each(Child::succeed);
}

#[test]
fn a_sleeping_sender_is_woken_by_the_receivers_exit() {
    let slots = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let board = Board::new();
    let receiver = fork("receiver", || {
        let (_rx, _record_rx) = (slots.receiver().unwrap(), records.receiver().unwrap());
        board[0].store(1, SeqCst);
        board.wait_for(1, 1);
    });
    board.wait_for(0, 1);
    let sleepers = [
        fork("sender", || {
            let mut tx = slots.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            assert_eq!(tx.send_slice(&[1, 2, 3]), Ok(2));
            assert!(!tx.is_closed());
            assert_eq!(tx.send(&3), Err(SendError::Closed));
            assert!(tx.is_closed());
            assert_eq!(tx.try_send(&3), Err(TrySendError::Refused(SendError::Closed)));
            assert_eq!(tx.len(), 2);
        }),
        fork("record sender", || {
            let mut tx = records.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            tx.send(&[1; 4080]).unwrap();
            assert_eq!(tx.send(&[2]), Err(SendError::Closed));
            assert_eq!(tx.send_slice(&[&[2]]), Err(SendError::Closed));
            assert_eq!(tx.len(), 1);
        }),
    ];
    sleepers.iter().for_each(Child::wait_until_asleep);
    board[1].store(1, SeqCst);
    receiver.succeed();
    sleepers.iter().for_each(Child::succeed);
}

/// A sender that never has to wait learns it too, soon.
#[test]
fn an_awake_sender_sees_the_receivers_exit_within_two_sends() {
    let slots = spsc::Channel::<u64>::options().capacity(1 << 12).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(1 << 16).anonymous().unwrap();
    let (mut tx, mut record_tx) = (slots.sender().unwrap(), records.sender().unwrap());
    for generation in 0..3 {
        in_child("receiver", || {
            let (_rx, _record_rx) = (slots.receiver().unwrap(), records.receiver().unwrap());
        });
        // All of the ring is free, as far as the sender knows.
        let sent = (0..100).take_while(|_| tx.send(&1) == Ok(())).count();
        assert!(sent <= 1, "{sent} messages to a receiver that had left, generation {generation}");
        assert_eq!(tx.send(&1), Err(SendError::Closed));
        let sent = (0..100).take_while(|_| record_tx.send(b"x") == Ok(())).count();
        assert!(sent <= 1, "{sent} records to a receiver that had left, generation {generation}");
        assert_eq!(record_tx.try_send(b"x"), Err(TrySendError::Refused(SendError::Closed)));
        // To a sender that comes now, that is no news.
        drop((tx, record_tx));
        (tx, record_tx) = (slots.sender().unwrap(), records.sender().unwrap());
        assert!(!tx.is_closed() && !record_tx.is_closed());
        tx.send(&2).unwrap();
        record_tx.send(b"y").unwrap();
    }
}

/// A sender that is told `Closed` goes on when a new receiver has come.
#[test]
fn a_sender_goes_on_with_the_next_receiver() {
    let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let mut tx = channel.sender().unwrap();
    assert_eq!(tx.send_slice(&[0, 1]), Ok(2));
    in_child("first receiver", || assert_eq!(channel.receiver().unwrap().recv(), Ok(0)));
    assert_eq!(tx.send(&2), Err(SendError::Closed));
    let board = Board::new();
    let second = fork("second receiver", || {
        let mut rx = channel.receiver().unwrap();
        board[0].store(1, SeqCst);
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(rx.recv(), Ok(2));
        assert_eq!(rx.recv(), Ok(3));
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    board.wait_for(0, 1);
    tx.send(&2).unwrap();
    tx.send(&3).unwrap();
    drop(tx);
    second.succeed();
}

/// Generation of a seat, told by who cannot have it.
fn generation_of(error: ClaimError, seat: Seat, pid: Pid) -> u64 {
    match error {
        ClaimError::Taken { seat: found, pid: holder, generation } => {
            assert_eq!(found, seat);
            assert_eq!(holder as i32, pid.as_raw());
            generation
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_region_outlives_everyone_and_a_new_pair_goes_on_where_they_stopped() {
    for dir in [shm_dir(), disk_dir()] {
        let (slots, records, latest) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        drop(spsc::Channel::<Packet>::create(&slots, 7).unwrap());
        drop(bytes::Channel::create(&records, 4096).unwrap());
        drop(seqlock::Channel::<u64>::create(&latest).unwrap());
        let (mut sent, mut received) = (0, 0);
        // Not one process has it open between two turns.
        for turn in 1..=40u64 {
            let send = (mix(turn) % 8).min(7 - (sent - received));
            in_child("sender", || {
                let channel = spsc::Channel::<Packet>::open(&slots).unwrap();
                let mut tx = channel.sender().unwrap();
                let again = channel.sender().err().unwrap();
                assert_eq!(generation_of(again, Seat::Sender, nix::unistd::getpid()), turn);
                assert_eq!(tx.len(), sent - received);
                let mut record_tx = bytes::Channel::open(&records).unwrap().sender().unwrap();
                assert_eq!(record_tx.len(), sent - received);
                for seq in sent..sent + send {
                    tx.try_send(&Packet::make(seq)).unwrap();
                    record_tx.try_send(&record(seq, 500)).unwrap();
                }
                let mut writer = seqlock::Channel::<u64>::open(&latest).unwrap().writer().unwrap();
                assert_eq!(writer.version(), turn - 1);
                writer.write(&turn).unwrap();
            });
            sent += send;
            let receive = mix(turn ^ 0xF00) % (sent - received + 1);
            in_child("receiver", || {
                let channel = spsc::Channel::<Packet>::open(&slots).unwrap();
                let mut rx = channel.receiver().unwrap();
                let again = channel.receiver().err().unwrap();
                assert_eq!(generation_of(again, Seat::Receiver, nix::unistd::getpid()), turn);
                assert_eq!(rx.len(), sent - received);
                let mut record_rx = bytes::Channel::open(&records).unwrap().receiver().unwrap();
                assert_eq!(record_rx.len(), sent - received);
                for seq in received..received + receive {
                    rx.try_recv().unwrap().check(seq);
                    check_record(&record_rx.try_recv().unwrap(), seq, 500);
                }
                let mut reader = seqlock::Channel::<u64>::open_read_only(&latest).unwrap().reader();
                assert_eq!(reader.read(), Ok(turn));
                assert_eq!(reader.version(), turn);
            });
            received += receive;
        }
        assert!(sent > 40, "the rings went round several times");
    }
}

/// Both sides are replaced again and again while the other goes on: the sequence has no gap.
#[test]
fn the_sequence_goes_on_over_successors_on_a_busy_ring() {
    const EACH: u64 = 400;
    const TURNS: u64 = 25;
    let dir = shm_dir();
    let path = file_in(&dir);
    drop(bytes::Channel::create(&path, 4096).unwrap());
    let plan = |count| Plan { kind: Kind::Bytes, capacity: 4096, wait: Wait::Sleep, slow: Slow::Neither, count };
    let senders = fork("senders", || {
        for turn in 0..TURNS {
            let mut tx = bytes::Channel::open(&path).unwrap().sender().unwrap();
            tx.set_wait(Wait::Sleep);
            send_bytes(&mut tx, turn * EACH, &plan(EACH));
        }
    });
    // A receiver that stays sees the end of each sender or goes on with the next.
    let receiver = fork("receiver", || {
        let mut rx = bytes::Channel::open(&path).unwrap().receiver().unwrap();
        let mut seq = 0;
        while seq < EACH * TURNS {
            match rx.recv() {
                Ok(found) => {
                    check_record(&found, seq, 4080);
                    seq += 1;
                }
                Err(RecvError::Closed) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    });
    senders.succeed();
    receiver.succeed();
}

// ---------------------------------------------------------------------------------------------------
// Forks.

/// Everything a forked child may try with endpoints of its parent's.
fn all_is_forked(
    tx: &mut spsc::Sender<u64>,
    rx: &mut spsc::Receiver<u64>,
    record_tx: &mut bytes::Sender,
    record_rx: &mut bytes::Receiver,
    writer: &mut seqlock::Writer<u64>,
) {
    let send = SendError::Forked;
    assert_eq!(tx.send(&1), Err(send));
    assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(send)));
    assert_eq!(tx.send_timeout(&1, LONG), Err(ringway::SendTimeoutError::Refused(send)));
    assert_eq!(tx.send_slice(&[1]), Err(send));
    assert_eq!(tx.try_send_slice(&[1]), Err(TrySendError::Refused(send)));
    assert_eq!(tx.send_ref().err(), Some(send));
    assert_eq!(tx.try_send_ref().err(), Some(TrySendError::Refused(send)));
    let recv = RecvError::Forked;
    assert_eq!(rx.recv(), Err(recv));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(recv)));
    assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Refused(recv)));
    assert_eq!(rx.recv_slice(&mut [0]), Err(recv));
    assert_eq!(rx.try_recv_slice(&mut [0]), Err(TryRecvError::Refused(recv)));
    assert_eq!(rx.recv_ref().err(), Some(recv));
    assert_eq!(rx.try_recv_ref().err(), Some(TryRecvError::Refused(recv)));
    assert_eq!(rx.iter().next(), None);
    let _ = (tx.len(), rx.len(), tx.is_closed(), rx.is_closed());
    assert_eq!(record_tx.send(b"x"), Err(send));
    assert_eq!(record_tx.try_send(b"x"), Err(TrySendError::Refused(send)));
    assert_eq!(record_tx.send(&[0; 5000]), Err(send));
    assert_eq!(record_tx.send_slice(&[b"x"]), Err(send));
    assert_eq!(record_tx.try_send_slice(&[b"x"]), Err(TrySendError::Refused(send)));
    assert_eq!(record_tx.send_ref(1).err(), Some(send));
    assert_eq!(record_tx.try_send_ref(1).err(), Some(TrySendError::Refused(send)));
    assert_eq!(record_rx.recv(), Err(recv));
    assert_eq!(record_rx.try_recv(), Err(TryRecvError::Refused(recv)));
    assert_eq!(record_rx.recv_into(&mut [0; 10]), Err(recv));
    assert_eq!(record_rx.recv_slice(&mut [0; 10], &mut [0]), Err(recv));
    assert_eq!(record_rx.recv_ref().err(), Some(recv));
    let _ = (record_tx.len(), record_rx.len());
    assert_eq!(writer.write(&1), Err(WriteError::Forked));
}

#[test]
fn a_childs_use_of_its_parents_endpoints_says_so_and_changes_nothing() {
    let slots = spsc::Channel::<u64>::options().capacity(3).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
    let latest = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
    let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
    let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
    let parent = nix::unistd::getpid();
    // Empty, in between and full; at every offset.
    for turn in 0..12u64 {
        let fill = turn % 4;
        for seq in 0..fill {
            tx.send(&(turn * 10 + seq)).unwrap();
            record_tx.send(&record(turn * 10 + seq, 1000)).unwrap();
        }
        writer.write(&turn).unwrap();
        {
            let child = fork("child", || {
                all_is_forked(&mut tx, &mut rx, &mut record_tx, &mut record_rx, &mut writer);
                // A reader holds nothing, and works.
                assert_eq!(reader.read(), Ok(turn));
                // Seen from here, the seats are the parent's.
                for error in [slots.sender().err(), records.sender().err(), latest.writer().err()] {
                    assert_eq!(generation_of(error.unwrap(), Seat::Sender, parent), 1);
                }
                // Dropping them here must not free them.
                // SAFETY: this process ends by `_exit`: its copies are never used or dropped again.
                unsafe { std::ptr::drop_in_place(&mut tx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut rx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut record_tx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut record_rx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut writer) };
            });
            child.succeed();
        }
        assert!(!tx.is_closed() && !rx.is_closed() && !record_tx.is_closed() && !record_rx.is_closed());
        assert!(reader.has_writer());
        assert_eq!(generation_of(slots.sender().err().unwrap(), Seat::Sender, parent), 1);
        assert_eq!(generation_of(slots.receiver().err().unwrap(), Seat::Receiver, parent), 1);
        assert_eq!(generation_of(records.receiver().err().unwrap(), Seat::Receiver, parent), 1);
        assert_eq!(generation_of(latest.writer().err().unwrap(), Seat::Sender, parent), 1);
        assert_eq!((tx.len(), rx.len(), record_rx.len()), (fill, fill, fill));
        for seq in 0..fill {
            assert_eq!(rx.try_recv(), Ok(turn * 10 + seq));
            check_record(&record_rx.try_recv().unwrap(), turn * 10 + seq, 1000);
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(record_rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn guards_that_cross_a_fork_do_nothing_in_the_child() {
    let slots = spsc::Channel::<u64>::options().capacity(3).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
    let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
    tx.send(&1).unwrap();
    record_tx.send(b"one").unwrap();
    let mut room = tx.send_ref().unwrap();
    room.write(&2);
    let mut record_room = record_tx.send_ref(3).unwrap();
    record_room.write_at(0, b"two");
    let message = rx.recv_ref().unwrap();
    let found = record_rx.recv_ref().unwrap();
    // The child moves out of what it has a copy of.
    let (room, record_room, message, found) = {
        let mut moved = Some((room, record_room, message, found));
        let child = fork("child", || {
            let (mut room, mut record_room, message, found) = moved.take().unwrap();
            room.write(&666);
            record_room.write_at(0, b"bad");
            assert_eq!(room.send(), Err(SendError::Forked));
            assert_eq!(record_room.send(), Err(SendError::Forked));
            assert_eq!(message.read(), 1);
            assert_eq!(found.to_vec(), b"one");
            drop((message, found));
        });
        child.succeed();
        moved.take().unwrap()
    };
    room.send().unwrap();
    record_room.send().unwrap();
    assert_eq!(message.read(), 1);
    assert_eq!(found.to_vec(), b"one");
    drop((message, found));
    assert_eq!((rx.len(), record_rx.len()), (1, 1));
    assert_eq!(rx.recv(), Ok(2));
    assert_eq!(record_rx.recv().unwrap(), b"two");
}

/// After some laps, so that a position a wiped guard might store would be one of long ago.
#[test]
fn guards_that_are_dropped_in_a_child_consume_nothing() {
    let slots = spsc::Channel::<u64>::options().capacity(3).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
    let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
    for seq in 0..40 {
        tx.send(&seq).unwrap();
        record_tx.send(&record(seq, 4000)).unwrap();
        {
            let mut guards = Some((rx.recv_ref().unwrap(), record_rx.recv_ref().unwrap()));
            in_child("child", || drop(guards.take()));
            // Looked at before the parent's own guards say where it is.
            assert_eq!((tx.len(), record_tx.len()), (1, 1));
            assert_eq!(tx.try_send_slice(&[1000, 1001, 1002]), Ok(2));
            assert_eq!(tx.try_send(&1002), Err(TrySendError::Full));
            assert_eq!(record_tx.try_send(b"last"), Ok(()));
            let (message, found) = guards.take().unwrap();
            assert_eq!(message.read(), seq);
            check_record(&found.to_vec(), seq, 4000);
            drop((message, found));
        }
        assert_eq!((tx.len(), record_tx.len()), (2, 1));
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1000), Ok(1001)));
        assert_eq!(record_rx.try_recv().unwrap(), b"last");
    }
}

/// Both sides of a busy ring fork now and then; the children meddle and die, the storm goes on.
#[test]
fn forks_under_traffic_change_nothing() {
    const COUNT: u64 = 60_000;
    let channel = spsc::Channel::<Packet>::options().capacity(16).anonymous().unwrap();
    let sender = fork("sender", || {
        let mut tx = channel.sender().unwrap();
        for seq in 0..COUNT {
            if seq % 3000 == 100 {
                in_child("sender's child", || {
                    assert_eq!(tx.send(&Packet::make(1 << 40)), Err(SendError::Forked));
                    assert_eq!(tx.try_send(&Packet::make(1 << 40)), Err(TrySendError::Refused(SendError::Forked)));
                    // SAFETY: this process ends by `_exit`: its copy is never used or dropped again.
                    unsafe { std::ptr::drop_in_place(&mut tx) };
                });
            }
            tx.send(&Packet::make(seq)).unwrap();
        }
    });
    let receiver = fork("receiver", || {
        let mut rx = channel.receiver().unwrap();
        for seq in 0..COUNT {
            if seq % 3000 == 200 {
                in_child("receiver's child", || {
                    (0..1000).for_each(|_| assert_eq!(rx.recv(), Err(RecvError::Forked)));
                    assert_eq!(rx.try_recv_slice(&mut [Packet::make(0); 4]), Err(RecvError::Forked.into_try()));
                    // SAFETY: this process ends by `_exit`: its copy is never used or dropped again.
                    unsafe { std::ptr::drop_in_place(&mut rx) };
                });
            }
            rx.recv().unwrap().check(seq);
        }
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    sender.succeed();
    receiver.succeed();
}

trait IntoTry {
    fn into_try(self) -> TryRecvError;
}

impl IntoTry for RecvError {
    fn into_try(self) -> TryRecvError {
        TryRecvError::Refused(self)
    }
}

/// A channel made before the fork is good on both sides of it, in both directions and over generations.
#[test]
fn a_channel_crosses_forks_of_forks() {
    let channel = spsc::Channel::<u64>::options().capacity(4).anonymous().unwrap();
    in_child("child", || {
        channel.sender().unwrap().send(&1).unwrap();
        in_child("grandchild", || channel.sender().unwrap().send(&2).unwrap());
    });
    in_child("another", || assert_eq!(channel.receiver().unwrap().recv(), Ok(1)));
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.recv(), Ok(2));
    assert_eq!(rx.recv(), Err(RecvError::Closed));
}

// ---------------------------------------------------------------------------------------------------
// Attachments.

/// The same region at two addresses of one process: nothing in it may depend on where it lies.
#[test]
fn two_attachments_lie_at_different_addresses() {
    /// The attachment that an address belongs to.
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

/// A file's descriptor is not sealed, and is refused; a memfd's may be passed on by who received it.
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
    send_fd(&ours, first.region().fd().unwrap());
    let child = fork("child", || {
        let fd = receive_fd(&theirs);
        let second = spsc::Channel::<u64>::from_fd(fd).unwrap();
        // On to a grandchild by inheritance, as far as a test binary can: opened again from a copy.
        let third = spsc::Channel::<u64>::from_fd(second.region().inheritable_fd().unwrap()).unwrap();
        assert_eq!(third.receiver().unwrap().recv(), Ok(11));
    });
    tx.send(&11).unwrap();
    child.succeed();
}

// ---------------------------------------------------------------------------------------------------
// One sender, one receiver.

/// Eight processes race for both seats, round after round: one wins each, and the others learn who.
#[test]
fn eight_processes_race_for_each_seat_and_one_wins() {
    const PARTIES: u64 = 8;
    const ROUNDS: u64 = 200;
    let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let board = Board::new();
    // Words of the board: 0 the meeting; then for each seat and process what it got.
    let place = |seat: usize, me: usize| 10 + seat * 20 + me * 2;
    let racers: Vec<Child> = (0..PARTIES as usize)
        .map(|me| {
            let (channel, board) = (&channel, &board);
            fork(&format!("racer {me}"), move || {
                let pid = std::process::id();
                for round in 1..=ROUNDS {
                    board.meet(0, PARTIES);
                    let tx = channel.sender();
                    let rx = channel.receiver();
                    let result = |seat, claimed: Option<&ClaimError>| match claimed {
                        None => (u64::from(pid), 0),
                        Some(ClaimError::Taken { seat: found, pid, generation }) => {
                            assert_eq!(*found, seat);
                            (u64::from(*pid), *generation)
                        }
                        Some(other) => panic!("{other}"),
                    };
                    for (i, (holder, generation)) in
                        [result(Seat::Sender, tx.as_ref().err()), result(Seat::Receiver, rx.as_ref().err())]
                            .into_iter()
                            .enumerate()
                    {
                        board[place(i, me)].store(holder, SeqCst);
                        board[place(i, me) + 1].store(generation, SeqCst);
                    }
                    board.meet(0, PARTIES);
                    for seat in 0..2 {
                        let holder = board[place(seat, me)].load(SeqCst);
                        let mut winners = 0;
                        for other in 0..PARTIES as usize {
                            assert_eq!(board[place(seat, other)].load(SeqCst), holder, "one holder, known to all");
                            match board[place(seat, other) + 1].load(SeqCst) {
                                0 => winners += 1,
                                generation => assert_eq!(generation, round),
                            }
                        }
                        assert_eq!(winners, 1, "seat {seat}, round {round}");
                    }
                    board.meet(0, PARTIES);
                    drop((tx, rx));
                }
            })
        })
        .collect();
    racers.iter().for_each(Child::succeed);
}

/// The same without any order: whoever sits there is alone, and every turn is counted.
#[test]
fn a_seat_that_changes_hands_all_the_time_has_one_holder() {
    const TURNS: u64 = 1000;
    let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let board = Board::new();
    let racers: Vec<Child> = (0..8)
        .map(|me| {
            let (channel, board) = (&channel, &board);
            fork(&format!("racer {me}"), move || {
                let mut turns = 0;
                while turns < TURNS {
                    match channel.sender() {
                        Ok(tx) => {
                            assert_eq!(board[0].fetch_add(1, SeqCst), 0, "two holders");
                            if turns % 16 == 0 {
                                std::thread::yield_now();
                            }
                            assert_eq!(board[0].fetch_sub(1, SeqCst), 1, "two holders");
                            drop(tx);
                            turns += 1;
                        }
                        Err(ClaimError::Taken { seat: Seat::Sender, generation, .. }) => {
                            let before = board[1 + me].swap(generation, SeqCst);
                            assert!(generation >= before, "generation {generation} after {before}");
                            std::thread::yield_now();
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    racers.iter().for_each(Child::succeed);
    let _tx = channel.sender().unwrap();
    let again = channel.sender().err().unwrap();
    assert_eq!(generation_of(again, Seat::Sender, nix::unistd::getpid()), 8 * TURNS + 1);
}
