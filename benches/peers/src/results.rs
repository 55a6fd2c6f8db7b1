//! What is known of a run, as it is written and read.

use std::path::Path;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

use crate::cases::{REFERENCES, RINGWAY};
use crate::costs::Costs;
use crate::line::Result;
use crate::made::Made;
use crate::names::Name;
use crate::processors::Machine;
use crate::samples::Figures;

#[derive(Serialize, Deserialize)]
pub struct Run {
    pub machine: Machine,
    pub made: Made,
    pub slices: u64,
    pub sittings: u64,
    pub cases: Vec<Case>,
    pub comparisons: Vec<Comparison>,
}

/// All of a case's turns. Times are nanoseconds of a message, or of a round trip.
#[derive(Serialize, Deserialize)]
pub struct Case {
    pub name: Name,
    /// The quartiles of the turns' medians.
    pub typical: [f64; 3],
    /// The quartiles of what one message in a thousand exceeded in a turn, where messages were timed singly.
    pub tail: Option<[f64; 3]>,
    /// The median of each sitting's turns.
    pub sittings: Vec<f64>,
    /// The parent's, and all others'.
    pub costs: [Costs; 2],
    /// Quantile and time, of all messages of the run, where they were timed singly.
    pub distribution: Vec<(f64, f64)>,
}

/// A case beside its reference.
#[derive(Serialize, Deserialize)]
pub struct Comparison {
    pub case: Name,
    pub reference: Name,
    pub figure: Figure,
    /// The quartiles of the ratios, slice by slice.
    pub ratio: [f64; 3],
    /// The median of each sitting's ratios.
    pub sittings: Vec<f64>,
}

/// What of a turn is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Figure {
    Typical,
    Tail,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Figure::Typical => "median",
            Figure::Tail => "p99.9",
        })
    }
}

impl Figure {
    pub fn of(self, figures: &Figures) -> f64 {
        match self {
            Figure::Typical => figures.typical,
            Figure::Tail => figures.tail,
        }
    }
}

impl Case {
    pub fn is_reference(&self) -> bool {
        REFERENCES.contains(&&*self.name.line)
    }

    fn is_ringways(&self) -> bool {
        RINGWAY.contains(&&*self.name.line)
    }
}

impl Run {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    pub fn case(&self, name: &Name) -> Option<&Case> {
        self.cases.iter().find(|case| case.name == *name)
    }

    /// The ratio of a comparison, if it was made.
    pub fn ratio(&self, case: &Name, reference: &Name, figure: Figure) -> Option<f64> {
        let found = self.comparisons.iter().find(|comparison| {
            comparison.case == *case && comparison.reference == *reference && comparison.figure == figure
        });
        Some(found?.ratio[1])
    }

    /// What ringway's cases cost besides time: there should be nothing.
    pub fn costs(&self) -> Costs {
        let ours = self.cases.iter().filter(|case| case.is_ringways());
        let mut sum = Costs::default();
        ours.flat_map(|case| case.costs).for_each(|costs| sum += costs);
        sum
    }

    /// Page faults in a turn of a case of ringway's, on average.
    pub fn faults_by_turn(&self) -> f64 {
        let ours = self.cases.iter().filter(|case| case.is_ringways()).count().max(1);
        self.costs().page_faults as f64 / (ours as u64 * self.slices.max(1)) as f64
    }
}
