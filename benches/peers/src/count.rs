//! `count`: what clocks cannot show, because it is too little or would drown in what else the machine does.
//!
//! Instructions are those that callgrind sees between two points of this program, which it runs for so many operations
//! and for twice as many: the difference, less that of doing nothing, is exact and repeatable. System calls are counted
//! in the same way by strace, page faults by the kernel.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::{env, process};

use serde::Serialize;

use crate::costs::costs_of;
use crate::line::Result;
use crate::operations::{NOTHING, OPERATIONS, messages, start};
use crate::processors::{Machine, Placement};
use crate::set_up::{self, SetUp};
use crate::text::columns;

/// Operations in the shorter run.
const FEW: u64 = 10_000;

#[derive(Serialize)]
struct Counts {
    machine: Machine,
    operations: Vec<Operation>,
    /// Why instructions or system calls were not counted.
    skipped: Vec<String>,
    set_up: SetUp,
}

/// What an operation takes, by message.
#[derive(Serialize)]
struct Operation {
    name: &'static str,
    instructions: Option<f64>,
    system_calls: Option<f64>,
    page_faults: f64,
}

/// Counts everything, prints it, and writes it to `out`; whether no operation made a system call or caused a fault.
pub fn count(out: &Path) -> Result<bool> {
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let machine = Machine::describe(&Placement::choose()?)?;
    let set_up = set_up::measure()?;
    let (mut operations, mut skipped) = (Vec::new(), Vec::new());
    let mut counted = |counter: &dyn Fn(&str, u64) -> Result<u64>, tool| {
        let difference = |name: &&str| Ok((counter(name, 2 * FEW)? as f64 - counter(name, FEW)? as f64) / FEW as f64);
        match OPERATIONS.iter().map(difference).collect::<Result<Vec<f64>>>() {
            Ok(counts) => counts.into_iter().map(Some).collect(),
            Err(error) => {
                skipped.push(format!("SKIPPED {tool}: {error}"));
                vec![None; OPERATIONS.len()]
            }
        }
    };
    let instructions = counted(&instructions, "instructions");
    let system_calls = counted(&system_calls, "system calls");
    let nothing = instructions[0].unwrap_or(0.0);
    for ((name, instructions), system_calls) in OPERATIONS.into_iter().zip(instructions).zip(system_calls) {
        let by_message = |count: f64| count / messages(name) as f64;
        let mut operate = start(name)?;
        operate(FEW)?;
        let ((), costs) = costs_of(|| operate(FEW))?;
        operations.push(Operation {
            name,
            instructions: instructions.map(|count| by_message(count - nothing)),
            system_calls: system_calls.map(by_message),
            page_faults: by_message(costs.page_faults as f64 / FEW as f64),
        });
    }
    operations.retain(|operation| operation.name != NOTHING);

    let counts = Counts { machine, operations, skipped, set_up };
    fs::write(out.join("count.json"), serde_json::to_vec_pretty(&counts)?)?;
    let text = counts.text();
    fs::write(out.join("count.md"), &text)?;
    print!("{text}");
    let none = |count: Option<f64>| count.is_none_or(|count| count == 0.0);
    Ok(counts.operations.iter().all(|operation| none(operation.system_calls) && operation.page_faults == 0.0))
}

/// This program again, to operate under a tool.
fn run(tool: &mut Command, operation: &str, count: u64) -> Result<Output> {
    let program = tool.get_program().to_string_lossy().into_owned();
    tool.arg(env::current_exe()?).args(["operate", operation, &count.to_string()]);
    let output = tool.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}: {}", output.status, complaint.lines().last().unwrap_or_default()).into())
}

fn instructions(operation: &str, count: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_operations*"]);
    let output = run(&mut valgrind, operation, count)?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected {
        None | Some(0) => Err("valgrind collected nothing".into()),
        Some(count) => Ok(count),
    }
}

fn system_calls(operation: &str, count: u64) -> Result<u64> {
    let trace = env::temp_dir().join(format!("laboratory-trace-{}", process::id()));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&trace);
    let ran = run(&mut strace, operation, count);
    let text = fs::read_to_string(&trace);
    let _ = fs::remove_file(&trace);
    ran?;
    Ok(text?.lines().count() as u64)
}

impl Counts {
    fn text(&self) -> String {
        let mut text = String::from("# What can be counted\n\n");
        for line in self.machine.lines().lines() {
            let _ = writeln!(text, "- {line}");
        }
        text.push('\n');
        self.skipped.iter().for_each(|reason| text += &format!("{reason}\n\n"));
        let number = |count: Option<f64>| count.map_or("-".to_owned(), |count| format!("{count:.2}"));
        let rows = self.operations.iter().map(|operation| {
            let Operation { name, instructions, system_calls, page_faults } = operation;
            let counts = [*instructions, *system_calls, Some(*page_faults)].map(number);
            [vec![(*name).to_owned()], counts.to_vec()].concat()
        });
        text += &columns(&["by message", "instructions", "system calls", "page faults"], rows.collect());
        text + &self.set_up.text()
    }
}
