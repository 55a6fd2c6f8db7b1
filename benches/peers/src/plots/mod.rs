//! A run in pictures: latency distributions, throughput against message size, cost against the number of processes and
//! of slots.

mod chart;
mod scale;

use std::fs;
use std::path::Path;

use crate::cases::{BYTES, CACHE_LINE, PIPE, READERS, RECEIVERS, RECORD_RING, SIZES, SLOT_RING, SPSC};
use crate::line::Result;
use crate::names::{Job, bytes};
use crate::results::{Case, Run};
use crate::text::round_time;
use chart::{Chart, Curve};
use scale::Scale;

/// The lines of a plot; all, if there are none.
type Lines = &'static [&'static str];

const ALL: Lines = &[];

/// In shared memory between processes.
const NEAR: Lines =
    &[SPSC, BYTES, CACHE_LINE, SLOT_RING, RECORD_RING, "ringfire", "shaq", "iceoryx2", "cloudtoid-interprocess"];

/// All else there is, but for what would lie on a line that is there.
const FAR: Lines = &[
    SPSC,
    BYTES,
    CACHE_LINE,
    SLOT_RING,
    RECORD_RING,
    PIPE,
    "Unix socket, stream",
    "ipc-channel",
    "rtrb, two threads",
    "crossbeam queue, two threads",
];

fn is_among(case: &Case, lines: Lines) -> bool {
    lines.is_empty() || lines.contains(&&*case.name.line)
}

/// Writes the plots of what was measured.
pub fn draw(run: &Run, out: &Path) -> Result {
    let plots = [
        (
            "latency",
            vec![
                distributions(run, Job::RoundTrip(64), "Round trip of 64 bytes, both sides spinning", NEAR),
                distributions(run, Job::RoundTrip(64), "The same, through the kernel and within a process", FAR),
            ],
        ),
        ("sleep", vec![distributions(run, Job::AsleepRoundTrip, "Round trip of 64 bytes, both sides asleep", ALL)]),
        (
            "schedule",
            vec![distributions(run, Job::Scheduled, "64 bytes one way, sent every 4 µs, from when they were due", ALL)],
        ),
        (
            "throughput",
            vec![
                throughput(run, "One way, as much as goes", NEAR),
                throughput(run, "The same, through the kernel and within a process", FAR),
            ],
        ),
        ("processes", vec![readers(run), receivers(run)]),
        ("slots", vec![slots(run)]),
    ];
    for (name, mut charts) in plots {
        charts.retain(|chart| !chart.curves.is_empty());
        if !charts.is_empty() {
            fs::write(out.join(format!("{name}.svg")), chart::draw(&charts)?)?;
        }
    }
    Ok(())
}

fn values(curves: &[Curve]) -> impl Iterator<Item = f64> {
    curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1))
}

/// Time against the share of messages that took no longer, each nine of which has as much room.
fn distributions(run: &Run, job: Job, title: &str, lines: Lines) -> Chart {
    let nines = |(share, time): (f64, f64)| (-(1.0 - share).max(1e-9).log10(), time);
    let curve = |case: &Case| Curve {
        label: case.name.line.to_string(),
        reference: case.is_reference(),
        points: case.distribution.iter().copied().map(nines).collect(),
    };
    let wanted = run.cases.iter().filter(|case| case.name.job == job && is_among(case, lines));
    let curves: Vec<_> = wanted.map(curve).collect();
    let most = curves.iter().flat_map(|curve| &curve.points).map(|point| point.0).fold(1.0, f64::max);
    let shares = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999];
    let ticks = shares.map(|share| (nines((share, 0.0)).0, format!("{:.6}", share * 100.0)));
    let tick = |(at, label): (f64, String)| (at, format!("{} %", label.trim_end_matches('0').trim_end_matches('.')));
    let mut ticks: Vec<_> = ticks.into_iter().filter(|tick| tick.0 <= most).map(tick).collect();
    ticks[0].1 = "0 %".to_owned();
    let x = Scale::linear(ticks, 0.0);
    let y = Scale::logarithmic(values(&curves), round_time);
    Chart {
        title: title.to_owned(),
        x: ("share of messages that took no longer", x),
        y: ("time", y),
        marks: false,
        curves,
    }
}

/// Curves by line, over jobs that differ in a number, evenly spaced.
fn series(
    run: &Run,
    lines: Lines,
    numbers: &[usize],
    job: fn(usize) -> Job,
    value: fn(&Case, usize) -> f64,
) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for (x, &number) in numbers.iter().enumerate() {
        for case in run.cases.iter().filter(|case| case.name.job == job(number) && is_among(case, lines)) {
            let point = (x as f64, value(case, number));
            match curves.iter_mut().find(|curve| *curve.label == *case.name.line) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve {
                    label: case.name.line.to_string(),
                    reference: case.is_reference(),
                    points: vec![point],
                }),
            }
        }
    }
    curves.retain(|curve| curve.points.len() > 1);
    curves
}

fn evenly(numbers: &[usize], label: fn(usize) -> String) -> Scale {
    Scale::linear(numbers.iter().enumerate().map(|(x, &number)| (x as f64, label(number))).collect(), 0.2)
}

fn cost(case: &Case, _: usize) -> f64 {
    case.typical[1]
}

fn number(number: usize) -> String {
    number.to_string()
}

fn throughput(run: &Run, title: &str, lines: Lines) -> Chart {
    // Bytes in a nanosecond are gigabytes in a second.
    let speed = |case: &Case, size: usize| size as f64 / case.typical[1];
    let label = |speed: f64| if speed < 1.0 { format!("{:.0} MB/s", speed * 1e3) } else { format!("{speed:.0} GB/s") };
    let curves = series(run, lines, &SIZES, Job::OneWay, speed);
    Chart {
        title: title.to_owned(),
        x: ("message size", evenly(&SIZES, bytes)),
        y: ("throughput", Scale::logarithmic(values(&curves), label)),
        marks: true,
        curves,
    }
}

fn readers(run: &Run) -> Chart {
    let curves = series(run, ALL, &READERS, Job::Readers, cost);
    Chart {
        title: "Seqlock of 64 bytes: a write, while others read without pause".to_owned(),
        x: ("processes that read", evenly(&READERS, number)),
        y: ("time of a write", Scale::from_nothing(values(&curves), round_time)),
        marks: true,
        curves,
    }
}

fn receivers(run: &Run) -> Chart {
    let curves = series(run, ALL, &RECEIVERS, Job::Receivers, cost);
    Chart {
        title: "From one process to each of many in turn, 64 bytes".to_owned(),
        x: ("processes that receive, on the processors that are left", evenly(&RECEIVERS, number)),
        y: ("time of a message", Scale::logarithmic(values(&curves), round_time)),
        marks: true,
        curves,
    }
}

fn slots(run: &Run) -> Chart {
    const SLOTS: [usize; 7] = [1 << 4, 1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16];
    let curves = series(run, ALL, &SLOTS, Job::Slots, cost);
    Chart {
        title: "One way, 8 bytes, rings of different size".to_owned(),
        x: ("slots", evenly(&SLOTS, number)),
        y: ("time of a message", Scale::from_nothing(values(&curves), round_time)),
        marks: true,
        curves,
    }
}
