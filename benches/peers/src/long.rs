//! `long`: whether a ring is as fast after very many messages as before them.
//!
//! A ring and the bare slot ring take turns; what counts is the ratio of the two in the first and in the last tenth of
//! the run. Page faults and allocations, but for the first few slices, are counted in both processes. No message causes
//! any, and neither does a wait.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::cases::{self, RINGWAY};
use crate::clock::clock;
use crate::compare::ratios;
use crate::costs::Costs;
use crate::line::Result;
use crate::names::Name;
use crate::processes::Board;
use crate::processors::{Machine, Placement};
use crate::results::Figure;
use crate::shared::share_one;
use crate::spread::quartiles;
use crate::stage::{Outcome, perform};
use crate::text::{columns, time};
use crate::turns::Pace;

/// How much more a message may cost at the end than at the start, in that of the bare ring.
const LIMIT: f64 = 1.10;

#[derive(Serialize)]
struct Long {
    machine: Machine,
    cases: Vec<Case>,
}

#[derive(Serialize)]
struct Case {
    name: Name,
    reference: Name,
    messages: u64,
    /// Nanoseconds of a message in the first and the last tenth, and the reference's.
    times: [f64; 2],
    reference_times: [f64; 2],
    /// The ratio to the reference in the first and the last tenth.
    ratios: [f64; 2],
    costs: Costs,
}

/// How many messages, by such a number as 1e9.
pub fn messages(text: &str) -> Result<u64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (1.0..=1e15).contains(&number) { Ok(number as u64) } else { Err("not between 1 and 1e15".to_owned()) }
}

/// Sends at least so many messages of each size; whether they stayed as fast, and cost nothing else.
pub fn long(messages: u64, out: &Path) -> Result<bool> {
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let placement = Placement::choose()?;
    let machine = Machine::describe(&placement)?;
    clock();
    let of_turn = Pace::of(cases::ENDLESS_STEPS).total();
    let slices = messages.div_ceil(of_turn).max(40);
    let outcome = perform("sending", &placement, share_one::<Board>()?, cases::endless()?, slices)?;
    let cases = outcome.cases.iter().filter(|case| RINGWAY.contains(&&*case.name.line));
    let cases = cases.map(|case| compare(&outcome, &case.name, slices * of_turn)).collect::<Result<Vec<_>>>()?;

    let long = Long { machine, cases };
    fs::write(out.join("long.json"), serde_json::to_vec_pretty(&long)?)?;
    let text = long.text();
    fs::write(out.join("long.md"), &text)?;
    print!("{text}");
    Ok(long.cases.iter().all(Case::is_steady))
}

fn compare(outcome: &Outcome, name: &Name, messages: u64) -> Result<Case> {
    let place_of = |wanted: &Name| {
        let place = outcome.places.iter().find(|place| outcome.cases[place.case].name == *wanted);
        place.ok_or_else(|| format!("{wanted} was not measured"))
    };
    let mine = place_of(name)?;
    let case = &outcome.cases[mine.case];
    let reference = case.against.first().ok_or("a case without a reference")?;
    let its = place_of(reference)?;
    let tenths = |values: Vec<f64>| -> Result<[f64; 2]> {
        let tenth = values.len().div_ceil(10);
        let (first, last) = (&values[..tenth], &values[values.len() - tenth..]);
        Ok([quartiles(first.iter().copied())?[1], quartiles(last.iter().copied())?[1]])
    };
    let mut costs = Costs::default();
    case.costs.iter().for_each(|&side| costs += side);
    Ok(Case {
        name: name.clone(),
        reference: reference.clone(),
        messages,
        times: tenths(mine.turns.iter().map(|turn| turn.typical).collect())?,
        reference_times: tenths(its.turns.iter().map(|turn| turn.typical).collect())?,
        ratios: tenths(ratios(mine, its, Figure::Typical).collect())?,
        costs,
    })
}

impl Case {
    /// How much more it costs at the end than at the start.
    fn growth(&self) -> f64 {
        self.ratios[1] / self.ratios[0]
    }

    fn is_steady(&self) -> bool {
        self.growth() <= LIMIT && self.costs.page_faults == 0 && self.costs.allocations == 0
    }

    fn row(&self) -> Vec<String> {
        let Self { name, messages, times, reference_times, ratios, costs, .. } = self;
        let beside = |at: usize| format!("{} / {} = {:.2}", time(times[at]), time(reference_times[at]), ratios[at]);
        vec![
            name.to_string(),
            format!("{:.2e}", *messages as f64),
            beside(0),
            beside(1),
            format!("{:.3}", self.growth()),
            costs.page_faults.to_string(),
            costs.allocations.to_string(),
            if self.is_steady() { "met" } else { "MISSED" }.to_owned(),
        ]
    }
}

impl Long {
    fn text(&self) -> String {
        let machine: String = self.machine.lines().lines().map(|line| format!("- {line}\n")).collect();
        let titles =
            ["case", "messages", "first tenth / bare", "last tenth / bare", "growth", "page faults", "allocations", ""];
        let rows = self.cases.iter().map(Case::row).collect();
        let table = columns(&titles, rows);
        format!("# The last messages and the first\n\n{machine}- growth is to be at most {LIMIT:.2}\n\n{table}")
    }
}
