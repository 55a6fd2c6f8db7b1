//! A seqlock with more versions written than it has cells.

use std::time::Duration;

use ringway::{ClaimError, Region, seqlock};

use crate::common::raw::Raw;
use crate::said::{Said, Says, done, peer};
use crate::scenes::Acts::{Copies, LooksAtSender, SeatsSender, Sends, Waits};
use crate::scenes::{Operation, Scene};

/// A value has 32 bytes. The words from one cell to the next, and how many cells there are.
const STRIDE: usize = 8;
const CELLS: u64 = 128;
const VERSION: u64 = 133;
const MOMENT: Duration = Duration::from_micros(1);

type Channel = seqlock::Channel<[u64; 4]>;

pub struct Values(Channel);

pub struct Ends {
    writer: Option<seqlock::Writer<[u64; 4]>>,
    reader: seqlock::Reader<[u64; 4]>,
}

impl Scene for Values {
    type Ends = Ends;

    fn new() -> Self {
        let channel = Channel::options().memfd().unwrap();
        let mut writer = channel.writer().unwrap();
        (0..VERSION).for_each(|version| writer.write(&[version; 4]).unwrap());
        drop(writer);
        Self(channel)
    }

    fn region(&self) -> &Region {
        self.0.region()
    }

    fn ends(&self) -> Result<Ends, ClaimError> {
        Ok(Ends { writer: Some(self.0.writer()?), reader: self.0.reader() })
    }

    fn operations() -> Vec<Operation<Self>> {
        let (operation, blocking) = (Operation::<Self>::new, Operation::<Self>::blocking);
        vec![
            operation("write", Sends, |_, ends| ends.writer.as_mut().unwrap().write(&[7; 4]).says()),
            operation("version", LooksAtSender, |_, ends| done(ends.writer.as_ref().unwrap().version())),
            operation("read", LooksAtSender, |_, ends| ends.reader.read().says()),
            operation("read twice", LooksAtSender, |_, ends| {
                let _ = ends.reader.read();
                ends.reader.read().says()
            }),
            operation("has_changed", LooksAtSender, |_, ends| done(ends.reader.has_changed())),
            operation("has_writer", LooksAtSender, |_, ends| peer(ends.reader.has_writer())),
            operation("changed_timeout", Waits, |_, ends| ends.reader.changed_timeout(MOMENT).says()),
            operation("changed_timeout of what was read", Waits, |_, ends| {
                let _ = ends.reader.read();
                ends.reader.changed_timeout(MOMENT).says()
            }),
            blocking("changed", Waits, |_, ends| ends.reader.changed().says()),
            operation("writer again", SeatsSender, |scene, _| scene.0.writer().says()),
            operation("writer leaves", SeatsSender, |_, ends| done(ends.writer.take())),
            operation("another writer", SeatsSender, |scene, ends| {
                ends.writer = None;
                scene.0.writer().says()
            }),
            operation("snapshot", Copies, |scene, _| {
                let Ok(copy) = scene.0.snapshot() else { return Said::Corrupt };
                copy.reader().read().says()
            }),
        ]
    }

    fn data_words(&self) -> Vec<usize> {
        let cell = |version: u64| (version % CELLS) as usize * STRIDE;
        let cells = [VERSION - 1, VERSION, VERSION + 1].map(cell);
        (0..2 * STRIDE).chain(cells.iter().flat_map(|cell| [*cell, cell + 3, cell + 4, cell + 7])).collect()
    }

    fn hot_data_words(&self) -> Vec<usize> {
        [VERSION, VERSION + 1].map(|version| (version % CELLS) as usize * STRIDE + 4).to_vec()
    }

    fn positions(&self, _: &Raw) -> Vec<u64> {
        [VERSION, VERSION - 1, VERSION + 1, VERSION + 2].iter().flat_map(|v| [*v, v + CELLS, v - CELLS]).collect()
    }
}
