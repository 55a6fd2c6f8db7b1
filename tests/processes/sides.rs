//! The two sides of a storm: one sends or writes, the other receives or reads, and checks every message.

use ringway::{ChangedError, ReadError, RecvError, TryRecvError, TrySendError, seqlock};

use crate::common::lane::{InPlace, Receives, Sends};
use crate::common::messages::{Latest, mix};
use crate::forms::{EveryForm, MOST};
use crate::plan::{LONG, Plan, Slow, WAITS, pause};

/// One side of a storm on a ring.
pub fn run_ring<L: EveryForm>(channel: &L, side: &str, plan: &Plan) {
    channel.assert_sized(plan.capacity);
    match side {
        "send" => {
            let mut tx = channel.sender().unwrap();
            tx.set_wait(plan.wait);
            send_all::<L>(&mut tx, 0, plan);
        }
        "recv" => {
            let mut rx = channel.receiver().unwrap();
            rx.set_wait(plan.wait);
            recv_all::<L>(&mut rx, plan);
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
            assert!(rx.is_closed() && rx.is_empty());
        }
        other => panic!("no side {other}"),
    }
}

/// How many messages were sent: none if the ring was full.
fn unless_full(sent: Result<usize, TrySendError>) -> usize {
    match sent {
        Ok(sent) => sent,
        Err(TrySendError::Full) => 0,
        Err(error) => panic!("{error}"),
    }
}

/// What was received: nothing if the ring was empty.
fn unless_empty<M>(received: Result<Vec<M>, TryRecvError>) -> Vec<M> {
    match received {
        Ok(received) => received,
        Err(TryRecvError::Empty) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Sends messages `from..from + plan.count`, in every form there is.
pub fn send_all<L: EveryForm>(tx: &mut L::Sender, from: u64, plan: &Plan) {
    let (mut seq, mut million) = (from, 0);
    let end = from + plan.count;
    while seq < end {
        pause(plan.slow == Slow::Sender, seq);
        plan.progress("sender", seq - from, &mut million);
        let random = mix(seq ^ 0xA11CE);
        let (form, random) = (random % 12, random >> 8);
        let message = L::message(seq);
        let batch = || -> Vec<_> { (seq..end.min(seq + 1 + random % L::BATCH)).map(L::message).collect() };
        let sent = match form {
            0..=3 => tx.send(&message).map(|()| 1).unwrap(),
            4 => unless_full(tx.try_send(&message).map(|()| 1)),
            5 => tx.send_timeout(&message, LONG).map(|()| 1).unwrap(),
            6 => {
                // What is not sent must leave nothing behind, and above all nothing that looks like a header.
                L::abandon(tx, &vec![0x01; random as usize % 200]);
                0
            }
            7 => tx.send_in_place(&message, InPlace::default()).map(|()| 1).unwrap(),
            8 => tx.send_in_place(&message, L::in_parts(seq, random as usize)).map(|()| 1).unwrap(),
            9 => unless_full(tx.try_send_some(&batch())),
            _ => {
                let sent = tx.send_some(&batch()).unwrap();
                assert!(sent > 0);
                sent
            }
        };
        // Without this, a form that sent nothing would be chosen for ever.
        if sent == 0 {
            tx.send(&message).unwrap();
        }
        seq += sent.max(1) as u64;
    }
    assert_eq!(seq, end);
}

/// Receives messages `0..plan.count`, in every form there is.
fn recv_all<L: EveryForm>(rx: &mut L::Receiver, plan: &Plan) {
    let (mut seq, mut million) = (0, 0);
    while seq < plan.count {
        pause(plan.slow == Slow::Receiver, seq);
        plan.progress("receiver", seq, &mut million);
        let random = mix(seq ^ 0xB0B);
        let (form, random) = (random % 12, random >> 8);
        let most = |most: u64| (1 + random % most).min(plan.count - seq) as usize;
        let received = match form {
            0..=1 => vec![rx.recv().unwrap()],
            2..=3 => vec![L::recv_into(rx).unwrap()],
            4 if random % 2 == 0 => unless_empty(rx.try_recv().map(|message| vec![message])),
            4 => unless_empty(L::try_recv_into(rx).map(|message| vec![message])),
            5 => vec![rx.recv_timeout(LONG).unwrap()],
            6 => {
                L::assert_is(&L::peek(rx), seq);
                Vec::new()
            }
            7 => vec![L::recv_by_reference(rx)],
            8 => vec![L::recv_in_parts(rx, random as usize)],
            9 => unless_empty(rx.try_recv_slice(most(L::BATCH), MOST)),
            10 => {
                let received = rx.recv_slice(most(L::BATCH), MOST).unwrap();
                assert!(!received.is_empty());
                received
            }
            _ => L::iterate(rx, most(5)),
        };
        (seq..).zip(&received).for_each(|(seq, message)| L::assert_is(message, seq));
        if received.is_empty() {
            L::assert_is(&rx.recv().unwrap(), seq);
        }
        seq += received.len().max(1) as u64;
    }
    assert_eq!(seq, plan.count);
}

/// One side of a storm on a seqlock.
pub fn run_seqlock<const WORDS: usize>(channel: &seqlock::Channel<Latest<WORDS>>, side: &str, plan: &Plan) {
    if side == "write" {
        let mut writer = channel.writer().unwrap();
        let mut million = 0;
        for version in 1..=plan.count {
            // The writer pauses seldom. If a reader spins on the same processor, a writer that yields to it waits for
            // milliseconds.
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
        match if reads % 3 == 0 { reader.changed_timeout(LONG) } else { reader.changed() } {
            Ok(()) => {}
            Err(ChangedError::Closed) => break,
            Err(error) => panic!("{error}"),
        }
        // It reads several times for each change, so one reader copies all the time and another sleeps in between.
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
