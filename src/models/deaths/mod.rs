//! A victim dies before each atomic operation of each operation of each channel in turn. The survivor and a successor
//! go on, and no committed message is lost, torn or seen twice.
//!
//! A dead victim stores nothing more, and its destructors do not run. Then the simulated [`Kernel`] reports it gone,
//! and time passes for sleepers. Each model prints before how many operations a victim died.

mod cells;
mod rings;
mod rows;
mod seats;
mod sleepers;

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::layout::FIRST;
use crate::protocol::Ends;
use crate::protocol::seat::End;
use crate::protocol::tally::Count;
use crate::protocol::wait_word::awake;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

const VICTIM: u32 = 1;
const SURVIVOR: u32 = 2;
const SUCCESSOR: u32 = 3;

/// The operations of both kinds of ring. Messages are numbers; a torn message fails an assertion.
trait Ring: Clone + Sendable + 'static {
    const NAME: &'static str;
    /// A ring for two messages.
    fn small() -> Self;
    fn ends(&self) -> &Ends;
    fn sender(&self, claim: Claim) -> State;
    fn receiver(&self, claim: Claim) -> State;
    fn send(&self, s: &mut State, n: u64) -> Result<(), Stop>;
    /// Sends 1 and 2 as a batch into an empty ring, as `send_slice` does.
    fn send_batch(&self, s: &mut State);
    /// The same, written in place, as `reserve_many` does.
    fn send_in_place(&self, s: &mut State);
    fn recv(&self, s: &mut State) -> Result<u64, Stop>;
    /// How many messages were sent, as the sender counts them.
    fn sent(&self, s: &State) -> u64;
    /// How many messages were received, as the receiver counts them.
    fn received(&self, s: &State) -> u64;
    /// How many messages are in the ring, as its sender and as its receiver count them.
    fn lens(&self, s: &State, r: &State) -> (u64, u64);
    /// [`Ring::recv`], but lends the message first. Also returns whether it had been lent before.
    fn recv_lent(&self, s: &mut State) -> Result<(u64, bool), Stop>;
    /// Reads 1 and 2, which are there, and consumes both, as `peek_many` and `consume_up_to` do.
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
        (0..2).for_each(|index| {
            self.slots.at(self.slots.ahead(s.offset, index)).write(&[index as u64 + 1, !(index as u64 + 1)])
        });
        self.publish_some(s, 2);
        after_publish(&self.ends.lane, s, false);
    }

    fn recv_both(&self, s: &mut State) {
        assert_eq!(self.messages(s, 3), 2);
        self.ends.lend(s, s.pos + 1);
        for index in 0..2 {
            let [n, check]: [u64; 2] = self.slots.at(self.slots.ahead(s.offset, index)).read();
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
        // Room for two records of two words, and one word that always stays free.
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

/// The simulated kernel. It knows whether the victim is gone, and which results its operations returned.
#[derive(Clone)]
struct Kernel(Arc<KernelState>);

struct KernelState {
    victim_is_gone: AtomicBool,
    returned: Mutex<Vec<u64>>,
}

impl Kernel {
    fn new() -> Self {
        Self(Arc::new(KernelState { victim_is_gone: AtomicBool::new(false), returned: Mutex::new(Vec::new()) }))
    }

    fn gone(&self, word: u64) -> bool {
        seat::holder_of(word).is_some_and(|process| process.pid == VICTIM) && self.0.victim_is_gone.load(Acquire)
    }

    /// Takes a seat that nobody else is claiming.
    fn claim(&self, side: &Side, pid: u32) -> Claim {
        seat::claim(&side.seat, process(pid), |word| self.gone(word), |_| Ok::<_, ()>(()), |_| ()).unwrap()
    }

    /// Checks on the peer, as a blocked call does every 20 ms.
    fn check_peer(&self, side: &Side) {
        side.check_peer(|_, word| self.gone(word));
    }

    /// Records a result of the victim's, unless it is dead.
    fn returns(&self, n: u64) {
        if alive() {
            self.0.returned.lock().unwrap().push(n);
        }
    }

    fn returned(&self) -> Vec<u64> {
        self.0.returned.lock().unwrap().clone()
    }
}

/// The point at which a victim dies: after a number of operations.
#[derive(Clone)]
struct CrashPoint {
    steps: u64,
    reached: Arc<std::sync::atomic::AtomicBool>,
}

impl CrashPoint {
    fn run(&self, kernel: &Kernel, work: impl FnOnce() + Sendable + 'static) -> Victim {
        let (kernel, Self { steps, reached }) = (kernel.clone(), self.clone());
        Victim(thread::spawn(move || {
            let died = catch_death(|| {
                live_for(steps);
                work();
            });
            reached.fetch_or(died, SeqCst);
            kernel.0.victim_is_gone.store(true, Release);
        }))
    }
}

/// Runs `model` with a victim that lives for 0 operations, for 1, and so on, until it survives its whole work.
fn at_every_step(name: &str, model: impl Fn(&Kernel, &CrashPoint) + Send + Sync + 'static) {
    let model = Arc::new(model);
    for steps in 0.. {
        let crash = CrashPoint { steps, reached: Arc::default() };
        let (model, point) = (model.clone(), crash.clone());
        explore(move || model(&Kernel::new(), &point));
        if !crash.reached.load(SeqCst) {
            if cfg!(loom) {
                assert!(steps > 3, "a victim that did nothing");
                // Not with `println`, whose output the test runner hides if the test passes.
                let _ = writeln!(std::io::stderr(), "{name}: a death before each of {steps} operations");
            }
            return;
        }
    }
}

/// The thread of a victim. It ends before one of its operations, or after all of its work.
struct Victim(thread::JoinHandle<()>);

impl Victim {
    /// Waits until the simulated kernel reports it gone.
    fn wait(self) {
        self.0.join().unwrap();
    }
}
