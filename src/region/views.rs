//! Views of the parts of a region in its mapping. The protocols work on them.

use core::ptr::NonNull;
use std::sync::Arc;

use super::Region;
use crate::layout::seat::{RECEIVER, SENDER};
use crate::layout::{Control, Header, Lane, Row, Seat, WORD};
use crate::memory::{View, WordArea};
use crate::os::mapping::{Access, Mapping, Shape};
use crate::protocol::Ends;
use crate::sync::{ReadOnly, Writable};

/// The parts of a region with one lane.
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
/// `T` consists of atomics only. It lies inside the mapping, aligned: `Sections` guarantees that for all its offsets,
/// and the header was checked against those. Its words are read-only, or the mapping is writable.
unsafe fn view<T>(mapping: &Arc<Mapping>, offset: u64) -> View<T> {
    const { assert!(align_of::<T>() <= 4096) };
    assert!(offset + size_of::<T>() as u64 <= mapping.shape().data as u64);
    // SAFETY: W1 and W3: the caller guarantees them. W2: the view keeps `mapping`.
    unsafe { View::new(mapping.at(offset as usize).cast(), mapping.clone()) }
}

/// The data area and its mirror.
///
/// # Safety
///
/// W3: the words are read-only, or the mapping is writable.
unsafe fn area<M>(mapping: &Arc<Mapping>) -> WordArea<M> {
    let Shape { len, data, mirror, .. } = mapping.shape();
    // SAFETY: W1: whole pages from `data` to the end of the mapping. W2: the area keeps `mapping`. W3: the caller
    // guarantees it. W4: nothing hands out references to payload.
    unsafe { WordArea::new(mapping.at(data).cast(), (len - data + mirror) / WORD, mapping.clone()) }
}

/// # Safety
///
/// W3: the words are read-only, or the mapping is writable.
unsafe fn parts<M>(mapping: &Arc<Mapping>, header: &Header) -> Parts<M> {
    // SAFETY: `Control` consists of atomics only, and begins where the header's page ends.
    let control = unsafe { view(mapping, header.page_size) };
    // SAFETY: `Lane` consists of atomics only, and the first one begins where the header says.
    let lane = unsafe { view(mapping, header.lanes_offset) };
    // SAFETY: W3: the caller guarantees it.
    let area = unsafe { area(mapping) };
    Parts { control, lane, area }
}

/// Writable views of a mapping's parts; `None` if it is read-only.
pub(super) fn writable(mapping: &Arc<Mapping>, header: &Header) -> Option<Parts> {
    // SAFETY: W3: just checked.
    (mapping.access() == Access::Shared).then(|| unsafe { parts(mapping, header) })
}

/// Everything behind the header, as words.
pub(super) fn all_words(mapping: &Arc<Mapping>) -> WordArea {
    let Shape { page, len, .. } = mapping.shape();
    assert!(mapping.access() == Access::Shared);
    // SAFETY: W1: whole pages from the control words to the end of the mapping. W2: the area keeps `mapping`. W3: just
    // checked. W4: nothing hands out references except to atomics.
    unsafe { WordArea::new(mapping.at(page).cast(), (len - page) / WORD, mapping.clone()) }
}

impl Region {
    /// Read-only views of the region's parts.
    pub(crate) fn parts(&self) -> Parts<ReadOnly> {
        // SAFETY: W3: the words are read-only.
        unsafe { parts(&self.mapping, &self.first_page) }
    }

    /// Writable views of the region's parts; `None` if it is read-only.
    pub(crate) fn writable(&self) -> Option<Parts> {
        writable(&self.mapping, &self.first_page)
    }

    /// The numbers of the region's seats: rows, then the lanes' senders, then the receiver.
    pub(crate) fn seats(&self) -> impl Iterator<Item = usize> {
        let Header { rows, lanes, .. } = *self.header();
        let receiver = self.kind().info().has_receiver.then_some(RECEIVER);
        (0..rows as usize).chain((0..lanes as usize).map(|lane| SENDER + lane)).chain(receiver)
    }

    /// A view of the table of seats; `None` if the region is read-only.
    pub(crate) fn writable_rows(&self) -> Option<View<[Row]>> {
        let Header { rows, rows_offset, data_offset, .. } = *self.header();
        let (rows, offset) = (rows as usize, rows_offset as usize);
        assert!(offset + rows * size_of::<Row>() <= data_offset as usize);
        let first = NonNull::slice_from_raw_parts(self.mapping.at(offset).cast(), rows);
        // SAFETY: W1: the rows end where the data begins, at the latest, and `Sections` aligned the first. W2: the view
        // keeps the mapping. W3: just checked.
        (!self.read_only()).then(|| unsafe { View::new(first, self.mapping.clone()) })
    }

    /// A read-only view of a seat, by its number.
    pub(crate) fn seat(&self, number: usize) -> View<Seat<ReadOnly>> {
        // SAFETY: W3: the words are read-only.
        unsafe { self.seat_as(number) }
    }

    /// A writable view of a seat, by its number; `None` if the region is read-only.
    pub(crate) fn writable_seat(&self, number: usize) -> Option<View<Seat>> {
        // SAFETY: W3: just checked.
        (!self.read_only()).then(|| unsafe { self.seat_as(number) })
    }

    /// # Safety
    ///
    /// W3: the words are read-only, or the mapping is writable.
    unsafe fn seat_as<M>(&self, number: usize) -> View<Seat<M>> {
        let Header { page_size, lanes_offset, rows_offset, lanes, rows, .. } = *self.header();
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
        // SAFETY: `Seat` consists of atomics only; the control words, a lane and a row each begin with one.
        unsafe { view(&self.mapping, offset) }
    }
}
