//! A scene, and what is tried on it.

use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;

use crate::common::raw::Raw;
use crate::numbers::interesting;
use crate::scenes::{Operation, Scene};

pub const PAGE: usize = 4096;
/// How many bytes of the control page are tried. Fewer are used.
const CONTROL: usize = 2048;

pub struct Trial<S: Scene> {
    pub scene: S,
    pub raw: Raw,
    pub numbers: Vec<u64>,
    pub operations: Vec<Operation<S>>,
    /// All of the region before its ends were taken.
    good: Vec<u64>,
}

impl<S: Scene> Trial<S> {
    pub fn new() -> Self {
        let scene = S::new();
        let raw = Raw::new(scene.region().fd().unwrap());
        let good = raw.image();
        let holders = {
            let _ends = scene.ends().unwrap();
            [raw.holder(0), raw.holder(1)].map(|holder| holder.load(Relaxed))
        };
        let numbers = interesting(&scene.positions(&raw), &holders, dead_process());
        Self { scene, raw, numbers, operations: S::operations(), good }
    }

    /// The ends of a region that is as it was.
    pub fn ends(&self) -> S::Ends {
        self.raw.put_back(&self.good);
        self.scene.ends().expect("a region that is as it was")
    }

    fn data_bytes(&self) -> impl Iterator<Item = usize> {
        self.scene.data_words().into_iter().map(|word| 2 * PAGE + 8 * word)
    }

    /// Where the words lie that decide most: those of the seats, those on the lines of both ends, and the next ones of
    /// the data. Whole lines count, so a word that is added to them is among these.
    pub fn hot_bytes(&self) -> Vec<usize> {
        let raw = &self.raw;
        let own = [raw.line_of(raw.head()), raw.line_of(raw.latest())];
        let seats = [raw.line_of(raw.holder(0)), raw.line_of(raw.holder(1))];
        let waits = [raw.byte_of(raw.data_wait()), raw.byte_of(raw.space_wait())];
        let lines = own.into_iter().chain(seats).flat_map(|line| line.step_by(8).take(6));
        let data = self.scene.hot_data_words().into_iter().map(|word| 2 * PAGE + 8 * word);
        lines.chain(waits).chain(data).collect()
    }

    /// Where all words lie that are tried.
    pub fn bytes(&self) -> Vec<usize> {
        (PAGE..PAGE + CONTROL).step_by(8).chain(self.data_bytes()).collect()
    }
}

/// The id of a process that is dead.
fn dead_process() -> u64 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    u64::from(child.id())
}
