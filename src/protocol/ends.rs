//! What the two rings have in common: the words that both ends of a lane share besides the data, and what each end
//! does when its fast path finds no space or no message.

use super::seat::{self, End, Status};
use super::side::Peer;
use super::wait_word::{self, OWNER};
use super::{Side, State, Stop, death_notice};
use crate::error::Fault;
use crate::layout::seat::{RECEIVER, SENDER};
use crate::layout::{FIRST, Lane, POSITION_LIMIT, Seat};
use crate::memory::View;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::{Writable, light_barrier};

/// The words that the two ends of a ring share, besides the data.
pub(crate) struct Ends<M = Writable> {
    pub lane: View<Lane<M>>,
    pub receiver: View<Seat<M>>,
}

impl<M> Clone for Ends<M> {
    fn clone(&self) -> Self {
        Self { lane: self.lane.clone(), receiver: self.receiver.clone() }
    }
}

impl<M> Ends<M> {
    /// The position of the first message that was not consumed, if the region says one that can be.
    pub fn head(&self) -> Result<u64, Stop> {
        let head = self.lane.receiver_line.head.acquire(); // A2 acquire; B2 acquire (tally)
        if (FIRST..POSITION_LIMIT).contains(&head) { Ok(head) } else { Err(Stop::corrupt(Fault::Head, head, 0)) }
    }

    /// Whether every message was consumed, as the sender sees it.
    pub fn is_drained(&self, s: &State) -> bool {
        self.lane.receiver_line.head.relaxed() >= s.pos
    }

    /// The generation of the last sender whose end was reported; a number that no generation can have is taken for none.
    fn reported(&self) -> u64 {
        let reported = self.lane.receiver_line.reported.relaxed();
        if seat::may_have_been(&self.lane.sender, reported) { reported } else { 0 }
    }

    /// The generation of the last receiver whose end is no news to a sender that comes now.
    fn receiver_baseline(&self) -> u64 {
        let died = seat::died(&self.receiver);
        match seat::status(&self.receiver) {
            Ok(Status { holder: None, generation, .. }) => generation,
            Ok(Status { holder: Some(_), generation, .. }) => generation.saturating_sub(1).max(died),
            Err(_) => 0,
        }
    }
}

impl Ends {
    /// The sender's end.
    pub fn sender_side(&self) -> Side {
        Side {
            number: SENDER,
            seat: self.lane.part(|lane| &*lane.sender),
            peer: Some(Peer { number: RECEIVER, seat: self.receiver.clone() }),
            own_word: self.lane.part(|lane| &*lane.space_wait),
            peers_word: self.lane.part(|lane| &*lane.data_wait),
            most_woken: OWNER,
            reported: None,
        }
    }

    /// The receiver's end.
    pub fn receiver_side(&self) -> Side {
        Side {
            number: RECEIVER,
            seat: self.receiver.clone(),
            peer: Some(Peer { number: SENDER, seat: self.lane.part(|lane| &*lane.sender) }),
            own_word: self.lane.part(|lane| &*lane.data_wait),
            peers_word: self.lane.part(|lane| &*lane.space_wait),
            most_woken: OWNER,
            reported: Some(self.lane.part(|lane| &lane.receiver_line.reported)),
        }
    }

    /// A sender's private state after it took its seat, but for where it goes on.
    pub(super) fn sender_begins(&self, holder: u64) -> State {
        State::new(holder, 0, 0, self.receiver_baseline())
    }

    /// A receiver's private state after it took its seat, but for where it goes on.
    pub(super) fn receiver_begins(&self, holder: u64) -> State {
        let mut s = State::new(holder, 0, 0, self.reported());
        s.lent = self.lane.receiver_line.lent.load(Relaxed);
        s
    }

    /// Lets the first message bring the news of a death that was reported to no receiver. `word` is what its stamp or
    /// header holds in the place of the notice.
    pub(super) fn bring_news(&self, mut s: State, word: u64) -> State {
        let died = seat::died(&self.lane.sender);
        if died > self.reported() {
            s.notice = death_notice::of(word, died);
        }
        s
    }

    /// Notes that the messages up to the one at `last` are lent in place, and says whether the next one was before.
    #[inline(always)]
    pub fn lend(&self, s: &mut State, last: u64) -> bool {
        let again = s.redelivers();
        s.lent = last;
        self.lane.receiver_line.lent.store(last, Relaxed); // loan noted
        again
    }

    /// Looks who sits at the other end and how much was consumed, and whether the sender's next `needed` positions are
    /// free then. At most `most` positions can be in use. `limit` is told the head, and says the new limit.
    pub(super) fn look_for_space(
        &self,
        s: &mut State,
        most: u64,
        needed: u64,
        limit: impl FnOnce(&mut State, u64) -> u64,
    ) -> Result<(), Stop> {
        s.check()?;
        let end = seat::ended_since(&self.receiver, s.baseline);
        match end {
            Some(end) if seat::left_since(&self.receiver, s.baseline).is_some() => return Err(Stop::Ended(end)),
            _ => {}
        }
        let head = self.lane.receiver_line.head.load(Acquire); // A2 acquire; B2 acquire
        if head < FIRST || head > s.pos || s.pos - head > most {
            return Err(s.poison(Fault::Head, head));
        }
        let limit = limit(s, head);
        s.limit = limit;
        if s.notice != 0 {
            s.notify_only_once();
        }
        match end {
            _ if s.pos + needed <= limit => Ok(()),
            None => Err(Stop::Blocked),
            Some(died) => Err(Stop::Ended(died)),
        }
    }

    /// Looks who sits at the other end and what stands where the next message will, and tells the news of a death before
    /// the message that brings it. `load` loads the message's stamp or header; `classify` says what that means.
    pub(super) fn look_for_message<R>(
        &self,
        s: &mut State,
        load: impl FnOnce() -> u64,
        classify: impl FnOnce(u64) -> Result<Option<R>, Fault>,
    ) -> Result<R, Stop> {
        s.check()?;
        let end = seat::ended_since(&self.lane.sender, s.baseline);
        // Loaded after the seat: what a sender published before its end is seen here.
        let word = load();
        match classify(word) {
            Ok(Some(found)) => match death_notice::death(&self.lane.sender, word, s.baseline) {
                Some(generation) => Err(Stop::Ended(End::Died(generation))),
                None => Ok(found),
            },
            Ok(None) => Err(end.map_or(Stop::Blocked, Stop::Ended)),
            Err(fault) => Err(s.poison(fault, word)),
        }
    }
}

/// After one or more publications: sees to a receiver that is not awake.
#[inline(always)]
pub(crate) fn after_publish(lane: &Lane, s: &mut State, fences: bool) {
    light_barrier(fences); // S light barrier
    if !wait_word::awake(lane.data_wait.load(Relaxed)) {
        receiver_not_awake(lane, s);
    }
}

/// Wakes it if it sleeps. If it left, the next message must look who sits there.
#[cold]
fn receiver_not_awake(lane: &Lane, s: &mut State) {
    wait_word::wake(&lane.data_wait, OWNER);
    s.limit = s.pos;
}

/// After one or more consumptions: sees to a sender that sleeps for space.
#[inline(always)]
pub(crate) fn after_consume(lane: &Lane, fences: bool) {
    light_barrier(fences); // S light barrier
    if !wait_word::awake(lane.space_wait.load(Relaxed)) {
        wait_word::wake(&lane.space_wait, OWNER);
    }
}
