//! The kinds of channels: one table of all that differs between them in the layout.

use super::data::{cell_words, cells, slot_words};

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A ring of fixed-size slots.
    Spsc = 1,
    /// A ring of variable-length records.
    Bytes = 2,
    /// The latest value.
    Seqlock = 3,
}

/// What the layout says of a kind.
pub(crate) struct KindInfo {
    pub kind: Kind,
    pub name: &'static str,
    /// Words from one slot, record or cell to the next, for a type of some size and alignment in bytes; `None`: it
    /// overflows.
    pub stride: fn(usize, usize) -> Option<usize>,
    /// What the user counts as one of the capacity, in units of the header's: bytes, where the header counts words.
    pub unit: u64,
    /// Whether the data is mapped twice in a row, and so has no unused end.
    pub mirrored: bool,
    /// Whether the region has a receiver's seat, besides the seat of each lane's sender.
    pub has_receiver: bool,
    /// Rows of the table of seats, unless the creator chooses otherwise.
    pub rows: u64,
    /// The capacity of a region with so many words a cell, where the user does not choose it.
    pub capacity: Option<fn(usize) -> u64>,
}

const KINDS: [KindInfo; 3] = [
    KindInfo {
        kind: Kind::Spsc,
        name: "spsc",
        stride: slot_words,
        unit: 1,
        mirrored: false,
        has_receiver: true,
        rows: 0,
        capacity: None,
    },
    KindInfo {
        kind: Kind::Bytes,
        name: "bytes",
        stride: |_, _| Some(1),
        unit: super::WORD as u64,
        mirrored: true,
        has_receiver: true,
        rows: 0,
        capacity: None,
    },
    KindInfo {
        kind: Kind::Seqlock,
        name: "seqlock",
        stride: cell_words,
        unit: 1,
        mirrored: false,
        has_receiver: false,
        rows: 0,
        capacity: Some(cells),
    },
];

impl Kind {
    pub const fn info(self) -> &'static KindInfo {
        &KINDS[self as usize - 1]
    }

    pub fn from_u32(raw: u32) -> Option<Kind> {
        KINDS.iter().map(|info| info.kind).find(|kind| *kind as u32 == raw)
    }
}

const _: () = {
    let mut index = 0;
    while index < KINDS.len() {
        assert!(KINDS[index].kind as usize == index + 1, "the table is in the order of the numbers");
        index += 1;
    }
};
