//! `run`: measures all cases, and writes what came out.

use std::io::stdout;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::clock::clock;
use crate::line::Result;
use crate::made::Made;
#[cfg(feature = "peers")]
use crate::peers;
use crate::processes::Board;
use crate::processors::{Machine, Placement};
use crate::shared::share_one;
use crate::stage::{Outcome, perform};
use crate::{cases, compare, plots, report};

/// Slices of a sitting, if nothing is said: few, for there are to be many sittings.
const EACH: u64 = 6;

/// Runs everything whose name contains `only`, in so many sittings, each of new processes; prints the table, and writes
/// the run, the table and the plots.
pub fn run(slices: u64, sittings: Option<u64>, out: &Path, only: &str) -> Result {
    let sittings = sittings.unwrap_or(slices.div_ceil(EACH));
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let (machine, made) = (Machine::describe(&Placement::choose()?)?, Made::now());
    let each = slices.div_ceil(sittings).to_string();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for number in 1..=sittings {
        let title = format!("sitting {number} of {sittings}");
        let mut command = Command::new(env::current_exe()?);
        command.args(["sit", "--title", &title, "--slices", &each, "--only", only]).stderr(Stdio::inherit());
        let output = command.output()?;
        // However it ended.
        #[cfg(feature = "peers")]
        peers::sweep();
        if !output.status.success() {
            return Err(format!("{title}: {}", output.status).into());
        }
        outcomes.push(serde_json::from_slice(&output.stdout)?);
    }
    let run = compare::results(machine, made, &outcomes)?;

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
