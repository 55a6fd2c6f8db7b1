//! `run`: measures all cases, and writes what came out.

use std::io::stdout;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fmt, fs};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::cases::{self, REFERENCES, RINGWAY};
use crate::clock::{clock, nanoseconds};
use crate::costs::Costs;
use crate::line::Result;
use crate::made::Made;
use crate::names::Name;
#[cfg(feature = "peers")]
use crate::peers;
use crate::processes::Board;
use crate::processors::{Machine, Placement};
use crate::samples::{Figures, quantile};
use crate::shared::share_one;
use crate::stage::{Measured, Outcome, Place, perform};
use crate::{plots, report};

/// What is known of a run.
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
    /// The parent's, and all others'.
    pub costs: [Costs; 2],
    /// Quantile and time, of all messages of the run, where they were timed singly.
    pub distribution: Vec<(f64, f64)>,
}

/// A case beside its reference: the quartiles of the ratios, slice by slice.
#[derive(Serialize, Deserialize)]
pub struct Comparison {
    pub case: Name,
    pub reference: Name,
    pub figure: Figure,
    pub ratio: [f64; 3],
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
    fn of(self, figures: &Figures) -> f64 {
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

    fn new(measured: &Measured, turns: &[&Figures], unit: f64) -> Result<Self> {
        let of = |figure: Figure| quartiles(turns.iter().map(|turn| figure.of(turn)));
        let distribution = measured.times.iter().flat_map(|times| {
            let at = move |share| (share, quantile(times, share) * unit);
            // From the median's to the last of the messages' nines, evenly on the scale they are drawn on.
            let nines = (times.len().max(10) as f64).log10();
            (0..=240).map(move |step| at(1.0 - 10f64.powf(-nines * f64::from(step) / 240.0)))
        });
        Ok(Self {
            name: measured.name.clone(),
            typical: of(Figure::Typical)?,
            tail: measured.times.is_some().then(|| of(Figure::Tail)).transpose()?,
            costs: measured.costs,
            distribution: distribution.collect(),
        })
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

    fn new(machine: Machine, made: Made, outcome: &Outcome) -> Result<Self> {
        let Outcome { cases: measured, places } = outcome;
        let unit = nanoseconds(&clock());
        let mut cases = Vec::new();
        let mut comparisons = Vec::new();
        for (index, case) in measured.iter().enumerate() {
            let its_places = places.iter().filter(|place| place.case == index);
            let turns: Vec<_> = its_places.flat_map(|place| &place.turns).collect();
            cases.push(Case::new(case, &turns, unit)?);
            for reference in &case.against {
                comparisons.extend(compare(outcome, &case.name, reference)?);
            }
            for rival_of in &case.rival_of {
                comparisons.extend(compare(outcome, rival_of, &case.name)?);
            }
        }
        let slices = places.iter().map(|place| place.turns.len() as u64).min().unwrap_or(0);
        Ok(Self { machine, made, slices, sittings: SITTINGS, cases, comparisons })
    }
}

/// Compares two cases, where their turns were nearest.
fn compare(outcome: &Outcome, case: &Name, reference: &Name) -> Result<Vec<Comparison>> {
    let at = |name: &Name| outcome.cases.iter().position(|case| case.name == *name);
    let (Some(mine), Some(its)) = (at(case), at(reference)) else { return Ok(Vec::new()) };
    let places_of = |case| outcome.places.iter().enumerate().filter(move |(_, place)| place.case == case);
    let pairs = places_of(mine).flat_map(|mine| places_of(its).map(move |its| (mine, its)));
    let nearest = pairs.min_by_key(|((mine, _), (its, _))| mine.abs_diff(*its));
    let Some(((_, mine_at), (_, its_at))) = nearest else { return Ok(Vec::new()) };

    let timed = |index: usize| outcome.cases[index].times.is_some();
    let figures = if timed(mine) && timed(its) { &[Figure::Typical, Figure::Tail][..] } else { &[Figure::Typical] };
    let comparison = |&figure: &Figure| {
        let ratio = quartiles(ratios(mine_at, its_at, figure))?;
        Ok(Comparison { case: case.clone(), reference: reference.clone(), figure, ratio })
    };
    figures.iter().map(comparison).collect()
}

/// The ratios of two places' turns, slice by slice.
pub fn ratios(mine: &Place, its: &Place, figure: Figure) -> impl Iterator<Item = f64> {
    mine.turns.iter().zip(&its.turns).map(move |(mine, its)| figure.of(mine) / figure.of(its).max(f64::MIN_POSITIVE))
}

/// The quartiles.
pub fn quartiles(values: impl IntoIterator<Item = f64>) -> Result<[f64; 3]> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1).ok_or("nothing was measured")?;
    Ok([1, 2, 3].map(|quarter| values[last * quarter / 4]))
}

/// In how many sittings a run is made, each in a process of its own: where memory happens to lie stays the same for as
/// long as a process does, and may make a case faster or slower than it is elsewhere.
const SITTINGS: u64 = 4;

/// Runs everything whose name contains `only`, prints the table, and writes the run, the table and the plots.
pub fn run(slices: u64, out: &Path, only: &str) -> Result {
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let (machine, made) = (Machine::describe(&Placement::choose()?)?, Made::now());
    let each = slices.div_ceil(SITTINGS).to_string();
    let mut outcome: Option<Outcome> = None;
    for number in 1..=SITTINGS {
        let title = format!("sitting {number} of {SITTINGS}");
        let mut command = Command::new(env::current_exe()?);
        command.args(["sit", "--title", &title, "--slices", &each, "--only", only]).stderr(Stdio::inherit());
        let output = command.output()?;
        // However it ended.
        #[cfg(feature = "peers")]
        peers::sweep();
        if !output.status.success() {
            return Err(format!("{title}: {}", output.status).into());
        }
        let sitting = serde_json::from_slice(&output.stdout)?;
        match &mut outcome {
            Some(outcome) => outcome.add(sitting)?,
            None => outcome = Some(sitting),
        }
    }
    let run = Run::new(machine, made, &outcome.ok_or("nothing was measured")?)?;

    fs::write(out.join("run.json"), serde_json::to_vec_pretty(&run)?)?;
    let table = report::table(&run);
    fs::write(out.join("table.md"), &table)?;
    plots::draw(&run, out)?;
    print!("{table}");
    Ok(())
}

/// One sitting, whose outcome goes to the standard output. It ends with the process that asked for it.
pub fn sit(title: &str, slices: u64, only: &str) -> Result {
    set_pdeathsig(Signal::SIGKILL)?;
    // Scales before the fork, for all processes alike.
    clock();
    let board = share_one::<Board>()?;
    let outcome = perform(title, &Placement::choose()?, board, cases::all(board, only)?, slices)?;
    Ok(serde_json::to_writer(stdout().lock(), &outcome)?)
}
