//! A case before there are two processes: what its sides will do.

use crate::line::Result;
use crate::names::Name;
use crate::samples::{Sample, Samples};

/// A turn on the parent's side, which takes the time.
pub type Measure = Box<dyn FnMut(&mut Samples) -> Result>;

/// A turn on the other side, which is told the turn's number.
pub type Serve = Box<dyn FnMut(u32) -> Result>;

/// The same, on a thread.
pub type ServeThread = Box<dyn FnMut(u32) -> Result + Send>;

/// Makes a side's ends, in the process that uses them.
pub type Start<T> = Box<dyn FnOnce() -> Result<T>>;

/// Who is on the other side. All others sleep meanwhile.
pub enum Opposite {
    Nobody,
    Child(Start<Serve>),
    /// A thread of the parent's, on the child's processor.
    Thread(ServeThread),
    /// So many further processes.
    Members(Vec<Start<Serve>>),
}

pub struct Plan {
    pub name: Name,
    pub sample: Sample,
    /// What it is compared to.
    pub against: Vec<Name>,
    /// What is compared to it.
    pub rival_of: Vec<Name>,
    pub measure: Start<Measure>,
    pub opposite: Opposite,
}

impl Plan {
    pub fn new(name: Name, sample: Sample, measure: Start<Measure>, opposite: Opposite) -> Self {
        Self { name, sample, against: Vec::new(), rival_of: Vec::new(), measure, opposite }
    }

    /// Compares this case to `reference`.
    pub fn against(mut self, reference: Name) -> Self {
        self.against.push(reference);
        self
    }

    /// Compares `case` to this one.
    pub fn rival_of(mut self, case: Name) -> Self {
        self.rival_of.push(case);
        self
    }

    /// The cases that are to have a turn just before this one's.
    pub fn neighbours(&self) -> impl Iterator<Item = &Name> {
        self.against.iter().chain(&self.rival_of)
    }
}
