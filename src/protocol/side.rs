//! What an endpoint does to the shared words from its claim to its leaving, but for the messages themselves.
//!
//! A [`Side`] names the words of one end of a channel: its seat and its peer's, with their numbers, the word it sleeps on
//! and the word its peers sleep on. Nothing here asks the kernel: `gone` does, and the models give it their own answers.

use super::State;
use super::seat::{self, End};
use super::wait_word;
use crate::layout::Seat;
use crate::memory::View;
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed, light_barrier};

/// The seat at the other end, and its number, by which the kernel is asked about its holder.
#[derive(Clone)]
pub(crate) struct Peer {
    pub number: usize,
    pub seat: View<Seat>,
}

/// The words of one end of a channel.
#[derive(Clone)]
pub(crate) struct Side {
    /// The number of its own seat.
    pub number: usize,
    pub seat: View<Seat>,
    /// `None` where many may be at the other end, in no seat. Then there is none to ask about.
    pub peer: Option<Peer>,
    /// The word this end sleeps on.
    pub own_word: View<AtomicU32>,
    /// The word its peers sleep on.
    pub peers_word: View<AtomicU32>,
    /// How many of its peers are woken at most.
    pub most_woken: u32,
    /// A receiver's: where it notes whose end was reported.
    pub reported: Option<View<AtomicU64>>,
}

impl Side {
    /// The first act on the word it sleeps on: its predecessor may have left that asleep or gone.
    pub fn arrive(&self) {
        wait_word::arrive(&self.own_word);
    }

    /// Asks whether the peer is gone, and records its death for all to see.
    ///
    /// `gone` gets the number of the peer's seat and the word in it.
    pub fn check_peer(&self, gone: impl FnOnce(usize, u64) -> bool) {
        let Some(Peer { number, seat: peer }) = &self.peer else { return };
        if let Some(generation) = seat::dead_holder(peer, |word| gone(*number, word)) {
            seat::record_death(peer, generation);
        }
    }

    /// Whether a process holds the peer's seat that is not known to have died.
    pub fn peer_sits(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| seat::is_occupied(&peer.seat))
    }

    /// How the peer ended, if that is news to this end.
    pub fn peer_ended(&self, s: &State) -> Option<End> {
        seat::ended_since(&self.peer.as_ref()?.seat, s.baseline)
    }

    /// Notes that the caller is about to learn of an end: the death of a peer is reported once, and a sender's end to one
    /// receiver.
    pub fn report_end(&self, s: &mut State, end: End) {
        let (End::Left(generation) | End::Died(generation)) = end;
        if let Some(reported) = &self.reported {
            reported.fetch_max(generation, Relaxed);
        }
        if let End::Died(generation) = end {
            s.baseline = generation;
        }
    }

    /// Records that the holder of this generation ends its turn because it panics. Its peers learn of that as of a death,
    /// and so does a successor. Comes before [`leave`](Self::leave).
    pub fn panicked(&self, generation: u64) {
        self.seat.ended.fetch_max(generation, Relaxed);
        seat::record_death(&self.seat, generation); // panic is a death
    }

    /// Wakes those who sleep at the other end, so that they look who sits here.
    pub fn wake_peers(&self, fences: bool) {
        light_barrier(fences); // S claim barrier
        wait_word::wake(&self.peers_word, self.most_woken);
    }

    /// Polls as if the end of the peer were old news, for a caller that waits for the next peer whatever ended the last. A
    /// death then is. A leaving lasts until somebody comes, and the caller may ask for it later.
    pub fn pass_over<R>(&self, s: &mut State, end: End, poll: impl FnOnce(&mut State) -> R) -> R {
        self.report_end(s, end);
        let (reported, End::Left(generation) | End::Died(generation)) = (s.baseline, end);
        s.baseline = reported.max(generation);
        let found = poll(s);
        s.baseline = reported;
        found
    }

    /// The last acts of the holder that put `holder` into the seat.
    pub fn leave(&self, holder: u64, fences: bool) {
        if self.reported.is_some() {
            // Before the seat is free, so that it cannot hit a successor: an awake sender then looks.
            wait_word::leave(&self.own_word);
        }
        seat::release(&self.seat, holder);
        self.wake_peers(fences);
    }
}
