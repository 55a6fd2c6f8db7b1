//! The laboratory: what ringway costs between two processes, beside the least that does the same and beside others.
//!
//! ```text
//! cargo run --release -- run --out DIR
//! cargo run --release -- check DIR/run.json
//! ```
//!
//! Two processes are pinned to two processors. In every slice of the run each case has a turn of a few milliseconds,
//! next to that of its reference, and what counts is the ratio of the two, slice by slice: only ratios mean anything
//! from one machine to the next.

mod cases;
mod channels;
mod clock;
mod compare;
mod costs;
mod count;
mod crowds;
mod line;
mod long;
mod made;
mod names;
mod operations;
#[cfg(feature = "peers")]
mod peers;
mod plan;
mod plots;
mod processes;
mod processors;
mod references;
mod report;
mod results;
mod run;
mod samples;
mod set_up;
mod shared;
mod spread;
mod stage;
mod targets;
mod text;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use line::Result;

/// Measures ringway beside bare references and beside others.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure all cases in one run; write run.json, table.md and plots.
    Run {
        /// How many slices count.
        #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(40..))]
        slices: u64,
        /// In how many sittings, each of new processes; one for every six slices, if nothing is said.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        sittings: Option<u64>,
        /// Where to write.
        #[arg(long, default_value = "laboratory")]
        out: PathBuf,
        /// Only cases whose names contain this, and what they are compared to.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Check a run against the targets; fails if one is missed or was not measured.
    Check { run: PathBuf },
    /// Count what clocks cannot show: instructions, system calls, memory; write count.json and count.md.
    Count {
        /// Where to write.
        #[arg(long, default_value = "laboratory")]
        out: PathBuf,
    },
    /// Send very many messages, and see whether the last are as fast as the first; write long.json and long.md.
    Long {
        /// How many of each size, such as 1e9.
        #[arg(long, default_value = "1e9", value_parser = long::messages)]
        messages: u64,
        /// Where to write.
        #[arg(long, default_value = "laboratory")]
        out: PathBuf,
    },
    /// Measure some of the slices of a run.
    #[command(hide = true)]
    Sit {
        #[arg(long)]
        title: String,
        #[arg(long)]
        slices: u64,
        #[arg(long)]
        only: String,
    },
    /// Do one thing so many times, to be counted.
    #[command(hide = true)]
    Operate { operation: String, count: u64 },
}

fn perform(command: &Command) -> Result<bool> {
    match command {
        Command::Run { slices, sittings, out, only } => run::run(*slices, *sittings, out, only)?,
        Command::Check { run } => return Ok(targets::check(&results::Run::read(run)?)),
        Command::Count { out } => return count::count(out),
        Command::Long { messages, out } => return long::long(*messages, out),
        Command::Sit { title, slices, only } => run::sit(title, *slices, only)?,
        Command::Operate { operation, count } => operations::start(operation)?(*count)?,
    }
    Ok(true)
}

fn main() -> ExitCode {
    match perform(&Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("laboratory: {error}");
            ExitCode::FAILURE
        }
    }
}
