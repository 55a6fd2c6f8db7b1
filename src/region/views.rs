//! Where the parts of a region lie in its mapping: the views that protocols work on.

use std::sync::Arc;

use super::Region;
use crate::layout::seat::{RECEIVER, SENDER};
use crate::layout::{Control, Header, Lane, Row, Seat, WORD};
use crate::memory::{View, WordArea};
use crate::os::mapping::{Access, Mapping, Shape};
use crate::protocol::Ends;
use crate::sync::{ReadOnly, Writable};

/// The parts of a region of one lane.
pub(crate) struct Parts<M = Writable> {
    pub control: View<Control<M>>,
    pub lane: View<Lane<M>>,
    /// The data, and its mirror if it has one.
    pub area: WordArea<M>,
}

impl<M> Parts<M> {
    /// The words that the two ends of a ring share.
    pub fn ends(&self) -> Ends<M> {
        Ends { lane: self.lane.clone(), receiver: self.control.part(|control| &*control.receiver) }
    }
}

/// A structure of atomics, `offset` bytes into a mapping.
///
/// # Safety
///
/// `T` is nothing but atomics. It lies inside the mapping, aligned: `Sections` says so of all its offsets, and the
/// header was checked against those. Its words are read-only, or the mapping is writable.
unsafe fn view<T>(mapping: &Arc<Mapping>, offset: u64) -> View<T> {
    const { assert!(align_of::<T>() <= 4096) };
    assert!(offset + size_of::<T>() as u64 <= mapping.shape().data as u64);
    // SAFETY: W1: the caller vouches for it. W2: the view keeps `mapping`. W3: the caller's.
    unsafe { View::new(mapping.at(offset as usize).cast(), mapping.clone()) }
}

/// The data area and its mirror.
///
/// # Safety
///
/// W3: the words are read-only, or the mapping is writable.
unsafe fn area<M>(mapping: &Arc<Mapping>) -> WordArea<M> {
    let Shape { len, data, mirror, .. } = mapping.shape();
    // SAFETY: W1: whole pages from `data` to the end of the mapping. W2: the area keeps `mapping`. W3: the caller's. W4:
    // nothing hands out references to payload.
    unsafe { WordArea::new(mapping.at(data).cast(), (len - data + mirror) / WORD, mapping.clone()) }
}

/// # Safety
///
/// W3: the words are read-only, or the mapping is writable.
unsafe fn parts<M>(mapping: &Arc<Mapping>, header: &Header) -> Parts<M> {
    // SAFETY: `Control` is nothing but atomics, and stands where the header's page ends.
    let control = unsafe { view(mapping, header.page_size) };
    // SAFETY: `Lane` is nothing but atomics, and the first one stands where the header says.
    let lane = unsafe { view(mapping, header.lanes_offset) };
    // SAFETY: W3: the caller's.
    let area = unsafe { area(mapping) };
    Parts { control, lane, area }
}

/// The parts of a mapping that may be written; `None` if it may not.
pub(super) fn writable(mapping: &Arc<Mapping>, header: &Header) -> Option<Parts> {
    // SAFETY: W3: just asked.
    (mapping.access() == Access::Shared).then(|| unsafe { parts(mapping, header) })
}

/// Everything behind the header, as words.
pub(super) fn all_words(mapping: &Arc<Mapping>) -> WordArea {
    let Shape { page, len, .. } = mapping.shape();
    assert!(mapping.access() == Access::Shared);
    // SAFETY: W1: whole pages from the control page to the end of the mapping. W2: the area keeps `mapping`. W3: just
    // asked. W4: nothing hands out references but to atomics.
    unsafe { WordArea::new(mapping.at(page).cast(), (len - page) / WORD, mapping.clone()) }
}

impl Region {
    /// The parts of the region, to be looked at.
    pub(crate) fn parts(&self) -> Parts<ReadOnly> {
        // SAFETY: W3: the words are read-only.
        unsafe { parts(&self.mapping, &self.header) }
    }

    /// The parts of the region, unless nothing may be stored.
    pub(crate) fn writable(&self) -> Option<Parts> {
        writable(&self.mapping, &self.header)
    }

    /// How many seats there are, by their numbers: rows, lanes' senders, the receiver.
    pub(crate) fn seats(&self) -> impl Iterator<Item = usize> {
        let Header { rows, lanes, .. } = self.header;
        let receiver = self.kind().info().has_receiver.then_some(RECEIVER);
        (0..rows as usize).chain((0..lanes as usize).map(|lane| SENDER + lane)).chain(receiver)
    }

    /// The seat with a number, to be looked at.
    pub(crate) fn seat(&self, number: usize) -> View<Seat<ReadOnly>> {
        // SAFETY: W3: the words are read-only.
        unsafe { self.seat_as(number) }
    }

    /// The seat with a number, unless nothing may be stored.
    pub(crate) fn writable_seat(&self, number: usize) -> Option<View<Seat>> {
        // SAFETY: W3: just asked.
        (!self.read_only()).then(|| unsafe { self.seat_as(number) })
    }

    /// # Safety
    ///
    /// W3: the words are read-only, or the mapping is writable.
    unsafe fn seat_as<M>(&self, number: usize) -> View<Seat<M>> {
        let Header { page_size, lanes_offset, rows_offset, lanes, rows, .. } = self.header;
        let offset = match number {
            RECEIVER => page_size,
            SENDER.. => {
                let lane = (number - SENDER) as u64;
                assert!(lane < lanes);
                lanes_offset + lane * size_of::<Lane>() as u64
            }
            row => {
                assert!((row as u64) < rows);
                rows_offset + row as u64 * size_of::<Row>() as u64
            }
        };
        // SAFETY: `Seat` is nothing but atomics; control words, a lane and a row each begin with one.
        unsafe { view(&self.mapping, offset) }
    }
}
