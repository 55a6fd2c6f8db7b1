//! What the tests need of both rings: one set of traits, implemented by each.

use std::time::Duration;

use ringway::{
    ClaimError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, Wait, bytes, spsc,
};

use crate::common::messages::{Numbered, Packet, fill_record};

/// Messages that fill a ring.
pub const FULL: u64 = 4;

/// What the tests need of both rings. Messages are numbered, and checked to be whole when they are received.
pub trait Ring: Sized {
    const NAME: &'static str;
    type Message;
    type Sender: SendingEnd<Self::Message>;
    type Receiver: ReceivingEnd<Self::Message>;

    fn new() -> Self;
    fn make(seq: u64) -> Self::Message;
    /// Fails unless it is whole.
    fn seq(message: &Self::Message) -> u64;
    /// Moves an empty ring to where the next message, or the next but one, crosses its end.
    fn pad(tx: &mut Self::Sender, rx: &mut Self::Receiver);
    fn sender(&self) -> Result<Self::Sender, ClaimError>;
    fn receiver(&self) -> Result<Self::Receiver, ClaimError>;
}

pub trait SendingEnd<M> {
    fn len(&self) -> u64;
    fn generation(&self) -> u64;
    fn has_receiver(&self) -> bool;
    fn sleep_when_blocked(&mut self);
    fn send(&mut self, message: &M) -> Result<(), SendError>;
    fn try_send(&mut self, message: &M) -> Result<(), TrySendError>;
    fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError>;
    fn try_send_slice(&mut self, messages: &[M]) -> Result<usize, TrySendError>;
    fn try_send_in_place(&mut self, message: &M) -> Result<(), TrySendError>;
}

pub trait ReceivingEnd<M> {
    fn len(&self) -> u64;
    fn generation(&self) -> u64;
    fn has_sender(&self) -> bool;
    fn is_redelivery(&self) -> bool;
    fn sleep_when_blocked(&mut self);
    fn recv(&mut self) -> Result<M, RecvError>;
    fn try_recv(&mut self) -> Result<M, TryRecvError>;
    fn recv_timeout(&mut self, timeout: Duration) -> Result<M, RecvTimeoutError>;
    fn try_recv_three(&mut self) -> Result<Vec<M>, TryRecvError>;
    /// Calls `held` while it has the message in its hands.
    fn try_recv_in_place(&mut self, held: impl FnMut(bool)) -> Result<M, TryRecvError>;
}

/// What is the same in both rings but for the types.
macro_rules! forward {
    ($($name:ident(self: $self:ty $(, $argument:ident: $of:ty)*) -> $result:ty;)*) => {
        $(fn $name(self: $self $(, $argument: $of)*) -> $result { self.$name($($argument),*) })*
    };
}

macro_rules! forward_sender {
    ($message:ty) => {
        forward! {
            generation(self: &Self) -> u64;
            has_receiver(self: &Self) -> bool;
            len(self: &Self) -> u64;
            send(self: &mut Self, message: &$message) -> Result<(), SendError>;
            try_send(self: &mut Self, message: &$message) -> Result<(), TrySendError>;
            send_timeout(self: &mut Self, message: &$message, timeout: Duration) -> Result<(), SendTimeoutError>;
        }
        fn sleep_when_blocked(&mut self) {
            self.set_wait(Wait::Sleep);
        }
    };
}

macro_rules! forward_receiver {
    ($message:ty) => {
        forward! {
            generation(self: &Self) -> u64;
            has_sender(self: &Self) -> bool;
            len(self: &Self) -> u64;
            is_redelivery(self: &Self) -> bool;
            recv(self: &mut Self) -> Result<$message, RecvError>;
            try_recv(self: &mut Self) -> Result<$message, TryRecvError>;
            recv_timeout(self: &mut Self, timeout: Duration) -> Result<$message, RecvTimeoutError>;
        }
        fn sleep_when_blocked(&mut self) {
            self.set_wait(Wait::Sleep);
        }
    };
}

macro_rules! forward_seats {
    () => {
        forward! {
            sender(self: &Self) -> Result<Self::Sender, ClaimError>;
            receiver(self: &Self) -> Result<Self::Receiver, ClaimError>;
        }
    };
}

impl Ring for spsc::Channel<Packet> {
    const NAME: &'static str = "spsc";
    type Message = Packet;
    type Sender = spsc::Sender<Packet>;
    type Receiver = spsc::Receiver<Packet>;
    forward_seats!();

    fn new() -> Self {
        Self::options().capacity(FULL).memfd().unwrap()
    }

    fn make(seq: u64) -> Packet {
        Packet::make(seq)
    }

    fn seq(message: &Packet) -> u64 {
        message.check(message.seq);
        message.seq
    }

    fn pad(tx: &mut Self::Sender, rx: &mut Self::Receiver) {
        for seq in 0..2 * FULL - 1 {
            tx.try_send(&Packet::make(seq + 500)).unwrap();
            rx.try_recv().unwrap();
        }
    }
}

impl SendingEnd<Packet> for spsc::Sender<Packet> {
    forward_sender!(Packet);

    fn try_send_slice(&mut self, messages: &[Packet]) -> Result<usize, TrySendError> {
        self.try_send_slice(messages)
    }

    fn try_send_in_place(&mut self, message: &Packet) -> Result<(), TrySendError> {
        let mut slot = self.try_send_ref()?;
        slot.write(message);
        slot.send().map_err(TrySendError::Refused)
    }
}

impl ReceivingEnd<Packet> for spsc::Receiver<Packet> {
    forward_receiver!(Packet);

    fn try_recv_three(&mut self) -> Result<Vec<Packet>, TryRecvError> {
        let mut packets = [Packet::make(0); 3];
        let received = self.try_recv_slice(&mut packets)?;
        Ok(packets[..received].to_vec())
    }

    fn try_recv_in_place(&mut self, mut held: impl FnMut(bool)) -> Result<Packet, TryRecvError> {
        let guard = self.try_recv_ref()?;
        held(true);
        let packet = guard.read();
        held(false);
        drop(guard);
        Ok(packet)
    }
}

impl Ring for bytes::Channel {
    const NAME: &'static str = "bytes";
    type Message = Vec<u8>;
    type Sender = bytes::Sender;
    type Receiver = bytes::Receiver;
    forward_seats!();

    fn new() -> Self {
        Self::options().capacity_bytes(4096).memfd().unwrap()
    }

    /// Any four in a row fill the ring: they take 14, 2, 9 and 485 of its 512 words.
    fn make(seq: u64) -> Vec<u8> {
        let mut record = vec![0; [100, 8, 60, 3872][seq as usize % 4]];
        fill_record(seq, &mut record);
        record[..8].copy_from_slice(&seq.to_ne_bytes());
        record
    }

    fn seq(message: &Vec<u8>) -> u64 {
        let seq = u64::from_ne_bytes(message[..8].try_into().unwrap());
        assert_eq!(*message, Self::make(seq), "a record that is not whole");
        seq
    }

    fn pad(tx: &mut bytes::Sender, rx: &mut bytes::Receiver) {
        tx.try_send(&[0x99; 506 * 8]).unwrap();
        rx.try_recv().unwrap();
    }
}

impl SendingEnd<Vec<u8>> for bytes::Sender {
    forward_sender!(Vec<u8>);

    fn try_send_slice(&mut self, messages: &[Vec<u8>]) -> Result<usize, TrySendError> {
        self.try_send_slice(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn try_send_in_place(&mut self, message: &Vec<u8>) -> Result<(), TrySendError> {
        let mut room = self.try_send_ref(message.len())?;
        room.write_at(0, message);
        room.send().map_err(TrySendError::Refused)
    }
}

impl ReceivingEnd<Vec<u8>> for bytes::Receiver {
    forward_receiver!(Vec<u8>);

    fn try_recv_three(&mut self) -> Result<Vec<Vec<u8>>, TryRecvError> {
        let (mut buffer, mut ends) = ([0; 200], [0; 3]);
        let received = self.try_recv_slice(&mut buffer, &mut ends)?;
        let mut begin = 0;
        Ok(ends[..received].iter().map(|end| buffer[std::mem::replace(&mut begin, *end)..*end].to_vec()).collect())
    }

    fn try_recv_in_place(&mut self, mut held: impl FnMut(bool)) -> Result<Vec<u8>, TryRecvError> {
        let guard = self.try_recv_ref()?;
        held(true);
        let record = guard.to_vec();
        held(false);
        drop(guard);
        Ok(record)
    }
}
