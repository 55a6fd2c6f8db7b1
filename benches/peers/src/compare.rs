//! From the turns of all sittings to cases, and to the ratios between them.

use hdrhistogram::Histogram;

use crate::clock::{clock, nanoseconds};
use crate::line::Result;
use crate::made::Made;
use crate::names::Name;
use crate::processors::Machine;
use crate::results::{Case, Comparison, Figure, Run};
use crate::samples::{Figures, quantile};
use crate::spread::quartiles;
use crate::stage::{Outcome, Place};

/// What sittings with the same cases come to.
pub fn results(machine: Machine, made: Made, sittings: &[Outcome]) -> Result<Run> {
    let first = sittings.first().ok_or("nothing was measured")?;
    let shape = |sitting: &Outcome| (sitting.cases.len(), sitting.places.len());
    if sittings.iter().any(|sitting| shape(sitting) != shape(first)) {
        return Err("two sittings with different cases".into());
    }
    let unit = nanoseconds(&clock());
    let (mut cases, mut comparisons) = (Vec::new(), Vec::new());
    for (index, measured) in first.cases.iter().enumerate() {
        cases.push(case(sittings, index, unit)?);
        for reference in &measured.against {
            comparisons.extend(compare(sittings, &measured.name, reference)?);
        }
        for rival_of in &measured.rival_of {
            comparisons.extend(compare(sittings, rival_of, &measured.name)?);
        }
    }
    let slices = |sitting: &Outcome| sitting.places.iter().map(|place| place.turns.len() as u64).min().unwrap_or(0);
    let (slices, sittings) = (sittings.iter().map(slices).sum(), sittings.len() as u64);
    Ok(Run { machine, made, slices, sittings, cases, comparisons })
}

/// All turns of the case at `index`, wherever in a slice.
fn case(sittings: &[Outcome], index: usize, unit: f64) -> Result<Case> {
    let turns_of = |sitting: &Outcome| -> Vec<Figures> {
        let places = sitting.places.iter().filter(|place| place.case == index);
        places.flat_map(|place| &place.turns).copied().collect()
    };
    let by_sitting: Vec<_> = sittings.iter().map(turns_of).collect();
    let (mut costs, mut times) = (<[_; 2]>::default(), None::<Histogram<u64>>);
    for measured in sittings.iter().map(|sitting| &sitting.cases[index]) {
        costs.iter_mut().zip(measured.costs).for_each(|(sum, costs)| *sum += costs);
        match (&mut times, &measured.times) {
            (Some(sum), Some(times)) => sum.add(times)?,
            (sum, times) => *sum = times.clone(),
        }
    }
    let of = |figure: Figure| quartiles(by_sitting.iter().flatten().map(|turn| figure.of(turn)));
    let median = |turns: &Vec<Figures>| Ok(quartiles(turns.iter().map(|turn| turn.typical))?[1]);
    let distribution = times.iter().flat_map(|times| {
        let at = move |share| (share, quantile(times, share) * unit);
        // From the median's to the last of the messages' nines, evenly on the scale they are drawn on.
        let nines = (times.len().max(10) as f64).log10();
        (0..=240).map(move |step| at(1.0 - 10f64.powf(-nines * f64::from(step) / 240.0)))
    });
    Ok(Case {
        name: sittings[0].cases[index].name.clone(),
        typical: of(Figure::Typical)?,
        sittings: by_sitting.iter().map(median).collect::<Result<_>>()?,
        tail: times.is_some().then(|| of(Figure::Tail)).transpose()?,
        costs,
        distribution: distribution.collect(),
    })
}

/// Compares two cases, where their turns were nearest.
fn compare(sittings: &[Outcome], case: &Name, reference: &Name) -> Result<Vec<Comparison>> {
    let first = &sittings[0];
    let at = |name: &Name| first.cases.iter().position(|case| case.name == *name);
    let (Some(mine), Some(its)) = (at(case), at(reference)) else { return Ok(Vec::new()) };
    let places_of = |case| (0..first.places.len()).filter(move |&place| first.places[place].case == case);
    let pairs = places_of(mine).flat_map(|mine| places_of(its).map(move |its| (mine, its)));
    let Some((mine_at, its_at)) = pairs.min_by_key(|(mine, its)| mine.abs_diff(*its)) else { return Ok(Vec::new()) };

    let timed = |index: usize| first.cases[index].times.is_some();
    let figures = if timed(mine) && timed(its) { &[Figure::Typical, Figure::Tail][..] } else { &[Figure::Typical] };
    let comparison = |&figure: &Figure| {
        let ratios = |sitting: &Outcome| -> Vec<_> {
            ratios(&sitting.places[mine_at], &sitting.places[its_at], figure).collect()
        };
        let ratios: Vec<_> = sittings.iter().map(ratios).collect();
        let median = |ratios: &Vec<f64>| Ok(quartiles(ratios.iter().copied())?[1]);
        Ok(Comparison {
            case: case.clone(),
            reference: reference.clone(),
            figure,
            ratio: quartiles(ratios.iter().flatten().copied())?,
            sittings: ratios.iter().map(median).collect::<Result<_>>()?,
        })
    };
    figures.iter().map(comparison).collect()
}

/// The ratios of two places' turns, slice by slice.
pub fn ratios(mine: &Place, its: &Place, figure: Figure) -> impl Iterator<Item = f64> {
    mine.turns.iter().zip(&its.turns).map(move |(mine, its)| figure.of(mine) / figure.of(its).max(f64::MIN_POSITIVE))
}
