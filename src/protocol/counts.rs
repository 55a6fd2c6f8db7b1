//! How many records there are: exact after a death anywhere, and never by a walk of the whole ring.
//!
//! Each side counts for itself. The receiver stores a *tally* before the head: see [`super::tally`]. A process that has
//! loaded the head learns from the tally how many records were consumed.
//!
//! The sender writes its count seldom, when it looks for space. It then makes a *checkpoint*: a position, and how many
//! records lie before it. From there on, records are counted one by one. They are all there: until its next look, the
//! sender writes only below the head it saw, a lap on, and that head is not behind the checkpoint. They are not many: the
//! sender looks again after [`WALK`] words. There are two checkpoints, so one of them is good wherever the sender ends.
//! `turn` says which. If `turn` is unchanged after a walk, the walk saw nothing of a later checkpoint.
//!
//! # Ordering
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | B2 | [`RecordRing::consume`] stores the head | `consumed` loads it: the tally is not behind it | `records_tally` |
//! | B3 | `note` stores `turn` | `published` loads it: the checkpoint is whole | `records_checkpoint` |
//! | B4 | fence behind `turn` in `note` | [`RecordRing::walk`] loads headers, before the second look at `turn`: who saw a word of a later checkpoint, or of what was written after it, sees its turn | `records_checkpoint` |

use super::records::{RecordRing, Walk, tag_of, words_of};
use super::tally::{Count, FIRST_OF_ALL, RECORDS, WALK};
use super::{State, Stop, death_notice};
use crate::error::Fault;
use crate::layout::{FIRST, POSITION_LIMIT};
use crate::sync::Ordering::{Relaxed, Release};
use crate::sync::fence;

/// How often a caller looks again, at most, because a peer went on meanwhile.
const LOOKS: u32 = 4;

/// What was published.
pub(crate) struct Published {
    pub end: Count,
    /// The newest checkpoint, and its turn.
    checkpoint: u64,
    turn: u64,
    /// What stands at the end, if it can be neither a header nor the zero that says that there is none.
    pub stopped_by: Option<u64>,
}

impl<M: Copy> RecordRing<M> {
    /// What was published: looks at [`WALK`] headers and one more, at most, [`LOOKS`] times. They are those from the
    /// newest checkpoint on, or from `known` if that is further. While a sender makes checkpoint after checkpoint, it is
    /// what was true during the call.
    pub fn published(&self, known: Count) -> Result<Published, Stop> {
        let line = &self.ends.lane.sender_line;
        let mut looks = 1;
        loop {
            let turn = line.turn.acquire(); // B3 acquire
            let checkpoint = &line.checkpoints[(turn & 1) as usize]; // one of two checkpoints kept
            let (position, records) = (checkpoint.position.relaxed(), checkpoint.records.relaxed());
            // A new region says 0, and a record has at least one word.
            let can_be = position < POSITION_LIMIT && records <= position;
            let checkpoint = if can_be { Count { position: FIRST + position, records } } else { FIRST_OF_ALL };
            let from = if known.position > checkpoint.position { known.in_full(checkpoint) } else { checkpoint };
            let Walk { end, records: walked, stopped_by } = self.walk(from.position, WALK);
            let is_newest = line.turn.relaxed() == turn;
            if is_newest && !can_be {
                return Err(Stop::corrupt(Fault::Count, records, position));
            }
            if is_newest || looks == LOOKS {
                let end = Count { position: end, records: from.records + walked };
                let stopped_by = stopped_by.filter(|_| is_newest);
                return Ok(Published { end, checkpoint: checkpoint.position, turn, stopped_by });
            }
            looks += 1;
        }
    }

    /// What was consumed up to `head`, by the tally of who consumed it: that may have ended between tally and head.
    fn at_head(&self, tally: u64, head: u64) -> Option<Count> {
        let Count { position, records } = Count::of_tally(tally, head);
        match position - head {
            0 => Some(Count { position, records }),
            words if self.record_at(head).map(words_of) == Some(words) => {
                Some(Count { position: head, records: records.wrapping_sub(1) & RECORDS })
            }
            _ => None,
        }
    }

    /// What was consumed. While the receiver goes on, what was true during the call.
    pub fn consumed(&self) -> Result<Count, Stop> {
        let head = self.ends.head()?; // B2
        let tally = self.ends.lane.receiver_line.tally.relaxed();
        Ok(self.at_head(tally, head).unwrap_or_else(|| Count::of_tally(tally, head)))
    }

    /// What was consumed, and what was published, of a ring that may be in use.
    pub fn extent(&self) -> Result<(Count, Count), Stop> {
        let mut looks = 1;
        loop {
            let head = self.consumed()?;
            let Published { end, stopped_by, .. } = self.published(head)?;
            let wrong = match stopped_by {
                Some(found) => Stop::corrupt(Fault::RecordHeader, found, end.position),
                None if self.can_hold(head.position, end.position) => return Ok((head, end)),
                None => Stop::corrupt(Fault::Head, head.position, end.position),
            };
            // Unless the receiver went on while it was looked at.
            if looks == LOOKS {
                return Err(wrong);
            }
            looks += 1;
        }
    }

    /// Whether what lies between is no more than there is room for: a sender leaves a word free.
    fn can_hold(&self, head: u64, end: u64) -> bool {
        end.checked_sub(head).is_some_and(|words| words < self.capacity)
    }

    /// Records published and not consumed, as the sender sees it.
    pub fn len_for_sender(&self, s: &State) -> u64 {
        self.consumed().map_or(0, |consumed| Count::sent(s).since(consumed).min(self.capacity - 1))
    }

    /// Records consumed so far, counted in full; 0 if the region says what cannot be.
    pub fn records_received(&self, s: &State) -> u64 {
        if s.pos < FIRST {
            return 0;
        }
        let received = Count::received(s);
        self.published(received)
            .map_or(0, |published| published.end.records.saturating_sub(published.end.since(received)))
    }

    /// Records published and not consumed, as the receiver sees it.
    pub fn len_for_receiver(&self, s: &State) -> u64 {
        if s.pos < FIRST {
            return 0;
        }
        let received = Count::received(s);
        self.published(received).map_or(0, |published| published.end.since(received).min(self.capacity - 1))
    }
}

impl RecordRing {
    /// The state of a sender that just took its seat: it goes on where the last committed record ends.
    pub fn sender_state(&self, holder: u64) -> Result<State, Stop> {
        let mut s = self.ends.sender_begins(holder);
        let head = self.ends.head()?;
        let Published { end, checkpoint, turn, stopped_by } = self.published(FIRST_OF_ALL)?;
        if let Some(found) = stopped_by {
            return Err(Stop::corrupt(Fault::RecordHeader, found, end.position));
        }
        if !self.can_hold(head, end.position) {
            return Err(Stop::corrupt(Fault::Head, head, end.position));
        }
        (s.count, s.noted, s.turn) = (end.records, checkpoint, turn);
        let s = s.resume_at(end.position, self.offset_of(end.position));
        Ok(self.ends.bring_news(s, tag_of(end.position)))
    }

    /// The state of a receiver that just took its seat: it goes on at the first unconsumed record.
    pub fn receiver_state(&self, holder: u64) -> Result<State, Stop> {
        let mut s = self.ends.receiver_begins(holder);
        let head = self.ends.head()?;
        let tally = self.ends.lane.receiver_line.tally.load(Relaxed);
        let consumed = self.at_head(tally, head).ok_or_else(|| Stop::corrupt(Fault::Count, tally, head))?;
        s.count = consumed.tally();
        Ok(s.resume_at(head, self.offset_of(head)))
    }

    /// Makes a checkpoint of where the sender is.
    pub(super) fn note(&self, s: &mut State) {
        if s.noted == s.pos {
            return;
        }
        (s.noted, s.turn) = (s.pos, s.turn.wrapping_add(1));
        let line = &self.ends.lane.sender_line;
        let checkpoint = &line.checkpoints[(s.turn & 1) as usize]; // one of two checkpoints kept
        checkpoint.position.store(s.pos - FIRST, Relaxed);
        checkpoint.records.store(s.count, Relaxed);
        line.turn.store(s.turn, Release); // B3 release
        fence(Release); // B4 release
    }

    /// Makes a copy of a ring, taken while it was in use, one that holds what lies between: it lay there all the while.
    pub fn retain(&self, head: Count, end: Count) {
        let end = if head.position > end.position { head.in_full(end) } else { end };
        self.area.word(self.offset_of(end.position) as usize).store(0, Relaxed);
        self.ends.lane.receiver_line.head.store(head.position, Relaxed);
        self.ends.lane.receiver_line.tally.store(head.tally(), Relaxed);
        let checkpoint = &self.ends.lane.sender_line.checkpoints[0];
        checkpoint.position.store(end.position - FIRST, Relaxed);
        checkpoint.records.store(end.records, Relaxed);
        self.ends.lane.sender_line.turn.store(0, Relaxed);
    }

    /// Makes a ring that was read from a file hold what is whole in it: the records up to the first that was not
    /// published. Where something else stands there, others wrote while the file was copied; then the record before it
    /// may be part another one, and is left out too. Where the tally was read at another time than the head, records are
    /// counted anew.
    pub fn salvage(&self) -> Result<(), Stop> {
        let head = self.ends.head()?;
        let counted = self.at_head(self.ends.lane.receiver_line.tally.load(Relaxed), head);
        let counted = counted.filter(|count| count.records <= head - FIRST);
        let head = counted.unwrap_or(Count { position: head, records: 0 });
        let (mut end, mut last) = (head, head);
        loop {
            let header = self.area.word(self.offset_of(end.position) as usize).load(Relaxed);
            match self.decode(death_notice::without(header, tag_of(end.position)), end.position) {
                Ok(None) => break,
                // A sender leaves a word free.
                Ok(Some(len)) if self.can_hold(head.position, end.position + words_of(len)) => {
                    last = end;
                    end = Count { position: end.position + words_of(len), records: end.records + 1 };
                }
                _ => {
                    end = last;
                    break;
                }
            }
        }
        self.retain(head, end);
        Ok(())
    }
}
