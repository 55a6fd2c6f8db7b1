//! A run as a table, in Markdown.

use std::fmt::Write;

use crate::cases::{CACHE_LINE, REFERENCES, RINGWAY};
use crate::costs::Costs;
use crate::made::Made;
use crate::names::{Job, Name, name};
use crate::results::{Case, Comparison, Figure, Run};
use crate::spread::{extremes, slowest_to_fastest};
use crate::targets::{target, verdict};
use crate::text::{columns, time};

/// The whole report. No time stands without its reference's.
pub fn table(run: &Run) -> String {
    let mut text = String::from("# What ringway costs, beside what does the same\n\n");
    for line in run.machine.lines().lines().map(str::to_owned).chain(made(run)) {
        let _ = writeln!(text, "- {line}");
    }
    let _ = writeln!(
        text,
        "- {} slices in {} sittings, each of new processes; in a slice every case has its turn; ratios are medians over \
         the slices, with quartiles, of the ratio to the neighbour in the same slice; beside them the medians of the \
         lowest and of the highest sitting, and what the upper quartile of the sittings is of the lowest",
        run.slices, run.sittings
    );
    let Costs { page_faults, allocations } = run.costs();
    let _ = writeln!(text, "- in ringway's cases: {page_faults} page faults, {allocations} allocations\n");
    let titles =
        ["case", "", "time", "reference", "its time", "ratio", "quartiles", "sittings", "spread", "at most", ""];
    let table = |beside_others: bool| {
        let wanted = run.comparisons.iter().filter(|comparison| is_other(&comparison.reference) == beside_others);
        columns(&titles, wanted.filter_map(|comparison| row(run, comparison)).collect())
    };
    format!(
        "{text}## Beside bare references and itself\n\n{}\n## Beside others\n\n{}\n{}",
        table(false),
        table(true),
        spreads(run)
    )
}

/// How far apart the sittings of each case are.
fn spreads(run: &Run) -> String {
    let row = |case: &Case| {
        let [lowest, highest] = extremes(&case.sittings);
        let spread = format!("{:.2}", slowest_to_fastest(&case.sittings));
        vec![case.name.to_string(), time(lowest), time(highest), spread]
    };
    let titles = ["case", "fastest sitting", "slowest sitting", "slowest quartile / fastest"];
    let table = columns(&titles, run.cases.iter().map(row).collect());
    format!("## From one process to the next\n\nThe medians of the sittings.\n\n{table}")
}

fn is_other(name: &Name) -> bool {
    !REFERENCES.contains(&&*name.line) && !RINGWAY.contains(&&*name.line)
}

/// When, in which state of the machine, and of what.
fn made(run: &Run) -> Vec<String> {
    let Made { date, build, peers } = &run.made;
    let mut lines = vec![date.clone(), format!("built for {build}")];
    if !peers.is_empty() {
        lines.push(format!("others: {}", peers.join(", ")));
    }
    if let Some(Case { typical: [low, median, high], .. }) = run.case(&name(CACHE_LINE, Job::RoundTrip(64))) {
        let [low, median, high] = [low, median, high].map(|&at| time(at));
        lines.push(format!("a cache line there and back: {median} (quartiles {low} - {high})"));
    }
    lines
}

/// A ratio: as many digits as it needs.
fn digits(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

fn row(run: &Run, comparison: &Comparison) -> Option<Vec<String>> {
    let Comparison { case, reference, figure, ratio: [low, ratio, high], sittings } = comparison;
    let of = |case: &Case| match figure {
        Figure::Typical => case.typical[1],
        Figure::Tail => case.tail.map_or(f64::NAN, |tail| tail[1]),
    };
    let (mine, its) = (of(run.case(case)?), of(run.case(reference)?));
    let [lowest, highest] = extremes(sittings);
    let limit = target(case, reference, *figure).map(|target| target.limit);
    let verdict = limit.map_or("", |limit| verdict(*ratio, limit));
    Some(vec![
        case.to_string(),
        figure.to_string(),
        time(mine),
        reference.to_string(),
        time(its),
        digits(*ratio),
        format!("{} - {}", digits(*low), digits(*high)),
        format!("{} - {}", digits(lowest), digits(highest)),
        format!("{:.2}", slowest_to_fastest(sittings)),
        limit.map_or(String::new(), |limit| format!("{limit:.2}")),
        verdict.to_owned(),
    ])
}
