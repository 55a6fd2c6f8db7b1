//! A death before every atomic operation of every operation of every channel, one after the other: the
//! survivor and a successor go on, and nothing committed is lost, torn or seen twice.
//!
//! The victim's stores stop and its destructors do not run. Then the kernel's word is given ([`Kernel`]), and time
//! passes for those asleep. Each model prints how many operations it ended a victim before.

mod cells;
mod rings;
mod seats;
mod sleepers;

use super::*;
use crate::layout::FIRST;
use crate::protocol::Ends;
use crate::protocol::seat::End;
use crate::protocol::tally::Count;
use crate::protocol::wait_word::awake;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;

const VICTIM: u32 = 1;
const SURVIVOR: u32 = 2;
const SUCCESSOR: u32 = 3;

/// What the models say of the ring kinds alike. Messages are numbers, and whole if they come back.
trait Ring: Clone + Sendable + 'static {
    const NAME: &'static str;
    /// Of two messages.
    fn small() -> Self;
    fn ends(&self) -> &Ends;
    fn sender(&self, claim: Claim) -> State;
    fn receiver(&self, claim: Claim) -> State;
    fn send(&self, s: &mut State, n: u64) -> Result<(), Stop>;
    /// Sends 1 and 2 as a batch into an empty ring, as `send_slice` does.
    fn send_batch(&self, s: &mut State);
    /// The same, filled in where they lie, as `reserve_many` does.
    fn send_in_place(&self, s: &mut State);
    fn recv(&self, s: &mut State) -> Result<u64, Stop>;
    /// How many messages lie before the next of an end: of a sender, and of a receiver.
    fn sent(&self, s: &State) -> u64;
    fn received(&self, s: &State) -> u64;
    /// How many are in the ring, as its sender and as its receiver see it.
    fn lens(&self, s: &State, r: &State) -> (u64, u64);
    /// [`Ring::recv`], but lends the message first; whether it was lent before.
    fn recv_lent(&self, s: &mut State) -> Result<(u64, bool), Stop>;
    /// Looks at 1 and 2, which are there, and consumes both, as `peek_many` and `consume_up_to` do.
    fn recv_both(&self, s: &mut State);
}

impl Ring for Slots {
    const NAME: &'static str = "spsc";

    fn sent(&self, s: &State) -> u64 {
        s.pos - FIRST
    }

    fn received(&self, s: &State) -> u64 {
        s.pos - FIRST
    }

    fn lens(&self, s: &State, r: &State) -> (u64, u64) {
        (self.len_for_sender(s), self.len_for_receiver(r))
    }

    fn small() -> Self {
        slot_ring(2)
    }

    fn ends(&self) -> &Ends {
        &self.ends
    }

    fn sender(&self, claim: Claim) -> State {
        self.sender_state(claim.word).unwrap()
    }

    fn receiver(&self, claim: Claim) -> State {
        self.receiver_state(claim.word).unwrap()
    }

    fn send(&self, s: &mut State, n: u64) -> Result<(), Stop> {
        self.model_send(s, [n, !n])
    }

    fn send_batch(&self, s: &mut State) {
        self.look_for_space(s).unwrap();
        assert_eq!(self.put_some(s, &[[1, !1], [2, !2u64]]), 2);
        after_publish(&self.ends.lane, s, false);
    }

    fn send_in_place(&self, s: &mut State) {
        self.look_for_space(s).unwrap();
        assert_eq!(self.space_for(s, 3), 2);
        (0..2).for_each(|index| self.slot_ahead(s, index).write(&[index as u64 + 1, !(index as u64 + 1)]));
        self.publish_some(s, 2);
        after_publish(&self.ends.lane, s, false);
    }

    fn recv_both(&self, s: &mut State) {
        assert_eq!(self.messages(s, 3), 2);
        self.ends.lend(s, s.pos + 1);
        for index in 0..2 {
            let [n, check]: [u64; 2] = self.slot_ahead(s, index).read();
            assert_eq!((n, check), (index as u64 + 1, !n), "a torn message");
        }
        self.consume_some(s, 2);
        after_consume(&self.ends.lane, false);
    }

    fn recv(&self, s: &mut State) -> Result<u64, Stop> {
        let [n, check] = self.model_recv(s)?;
        assert_eq!(check, !n, "a torn message");
        Ok(n)
    }

    fn recv_lent(&self, s: &mut State) -> Result<(u64, bool), Stop> {
        self.find(s)?;
        let again = self.ends.lend(s, s.pos);
        Ok((self.recv(s)?, again))
    }
}

impl Ring for RecordRing {
    const NAME: &'static str = "bytes";

    fn sent(&self, s: &State) -> u64 {
        Count::sent(s).records
    }

    fn received(&self, s: &State) -> u64 {
        Count::received(s).records
    }

    fn lens(&self, s: &State, r: &State) -> (u64, u64) {
        (self.len_for_sender(s), self.len_for_receiver(r))
    }

    fn small() -> Self {
        // Two records of two words, and the word that stays free.
        record_ring(5)
    }

    fn ends(&self) -> &Ends {
        &self.ends
    }

    fn sender(&self, claim: Claim) -> State {
        self.sender_state(claim.word).unwrap()
    }

    fn receiver(&self, claim: Claim) -> State {
        self.receiver_state(claim.word).unwrap()
    }

    fn send(&self, s: &mut State, n: u64) -> Result<(), Stop> {
        self.model_send(s, &n.to_ne_bytes())
    }

    fn send_batch(&self, s: &mut State) {
        (1..=2u64).for_each(|n| self.model_commit(s, &n.to_ne_bytes()).unwrap());
        after_publish(&self.ends.lane, s, false);
    }

    fn send_in_place(&self, s: &mut State) {
        self.send_batch(s);
    }

    fn recv_both(&self, s: &mut State) {
        let (mut pos, mut offset) = (s.pos, s.offset);
        for n in 1..=2u64 {
            let len = self.message_at(pos, offset).expect("a record that is there");
            self.ends.lend(s, pos);
            assert_eq!(self.area.read_vec(self.payload_at(offset), len), n.to_ne_bytes());
            (pos, offset) = self.after(pos, offset, len);
        }
        for _ in 0..2 {
            let len = self.message(s).expect("a record that is there");
            self.consume(s, len);
        }
        after_consume(&self.ends.lane, false);
    }

    fn recv(&self, s: &mut State) -> Result<u64, Stop> {
        Ok(u64::from_ne_bytes(self.model_recv(s)?.try_into().expect("a record of another length")))
    }

    fn recv_lent(&self, s: &mut State) -> Result<(u64, bool), Stop> {
        self.find(s)?;
        let again = self.ends.lend(s, s.pos);
        Ok((self.recv(s)?, again))
    }
}

/// What the kernel says of the victim, and what the caller of the operations that it did got from them.
#[derive(Clone)]
struct Kernel(Arc<Told>);

struct Told {
    victim_is_gone: AtomicBool,
    returned: Mutex<Vec<u64>>,
}

impl Kernel {
    fn new() -> Self {
        Self(Arc::new(Told { victim_is_gone: AtomicBool::new(false), returned: Mutex::new(Vec::new()) }))
    }

    fn gone(&self, word: u64) -> bool {
        seat::holder_of(word).is_some_and(|process| process.pid == VICTIM) && self.0.victim_is_gone.load(Acquire)
    }

    /// Takes a seat, which nobody else does.
    fn claim(&self, side: &Side, pid: u32) -> Claim {
        seat::claim(&side.seat, process(pid), |word| self.gone(word), |_| Ok::<_, ()>(())).unwrap()
    }

    /// What a peer that waits does every 20 ms.
    fn inquire(&self, side: &Side) {
        side.inquire(|word| self.gone(word));
    }

    /// The victim gets a result, unless it is dead.
    fn returns(&self, n: u64) {
        if alive() {
            self.0.returned.lock().unwrap().push(n);
        }
    }

    fn returned(&self) -> Vec<u64> {
        self.0.returned.lock().unwrap().clone()
    }
}

/// Runs the victim of a model, which lives for a number of operations.
#[derive(Clone)]
struct Executioner {
    steps: u64,
    struck: Arc<std::sync::atomic::AtomicBool>,
}

impl Executioner {
    fn run(&self, kernel: &Kernel, work: impl FnOnce() + Sendable + 'static) -> Victim {
        let (kernel, Self { steps, struck }) = (kernel.clone(), self.clone());
        Victim(thread::spawn(move || {
            let died = mortal(|| {
                live_for(steps);
                work();
            });
            struck.fetch_or(died, SeqCst);
            kernel.0.victim_is_gone.store(true, Release);
        }))
    }
}

/// Tries `model` with a victim that lives for 0 operations, for 1, and so on, until it outlives all it has to do.
fn at_every_step(name: &str, model: impl Fn(&Kernel, &Executioner) + Send + Sync + 'static) {
    let model = Arc::new(model);
    for steps in 0.. {
        let executioner = Executioner { steps, struck: Arc::default() };
        let (model, run) = (model.clone(), executioner.clone());
        explore(move || model(&Kernel::new(), &run));
        if !executioner.struck.load(SeqCst) {
            if cfg!(loom) {
                assert!(steps > 3, "a victim that did nothing");
                // Not by `println`, which is kept from who runs the tests when they pass.
                let _ = writeln!(std::io::stderr(), "{name}: a death before each of {steps} operations");
            }
            return;
        }
    }
}

/// Ends by its own will, after all it had to do, or before one of its operations.
struct Victim(thread::JoinHandle<()>);

impl Victim {
    /// Waits until the kernel says that it is gone.
    fn wait(self) {
        self.0.join().unwrap();
    }
}
