//! Every error that a user can meet. They are produced and not made up, and all their texts stand side by side:
//! `cargo test --test field texts -- --nocapture`.

mod claims;
mod messages;
mod opening;

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::libc::c_int;
use ringway::OpenError;

use crate::common::alone::alone;
use crate::common::namespaces::born;

/// The sources. Every variant of an error that they have must be met.
const SOURCES: [&str; 4] = [
    include_str!("../../../src/error/claim.rs"),
    include_str!("../../../src/error/reason.rs"),
    include_str!("../../../src/error/ring.rs"),
    include_str!("../../../src/error/value.rs"),
];

/// An error's type and variant, and its text.
struct Row {
    case: String,
    text: String,
}

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Writes down an error as a variant of the type `of`.
    pub fn add<E: Debug + Display>(&mut self, of: &str, error: &E) {
        let debug = format!("{error:?}");
        let variant: String = debug.chars().take_while(|c| c.is_alphanumeric()).collect();
        self.rows.push(Row { case: format!("{of}::{variant}"), text: error.to_string() });
    }

    /// Writes down why something was not made or opened.
    pub fn refused<T>(&mut self, result: Result<T, OpenError>) {
        match result {
            Ok(_) => panic!("it was expected to be refused, after {:?}", self.rows.last().map(|row| &row.case)),
            Err(error) => self.add("Reason", error.reason()),
        }
    }

    /// Writes down the error of a call that must fail.
    #[track_caller]
    pub fn failed<T, E: Debug + Display>(&mut self, of: &str, result: Result<T, E>) {
        match result {
            Ok(_) => panic!("{of}: it was expected to fail"),
            Err(error) => self.add(of, &error),
        }
    }

    /// Has a child process with namespaces of its own write down what it meets.
    pub fn elsewhere(&mut self, flags: c_int, meet: impl FnOnce(&mut Table)) {
        let (mut reader, mut writer) = UnixStream::pair().unwrap();
        let (_, child) = born(flags, || {
            let mut table = Table::default();
            meet(&mut table);
            table.rows.iter().for_each(|row| writeln!(writer, "{}\t{}", row.case, row.text).unwrap());
        });
        drop(writer);
        let mut lines = String::new();
        reader.read_to_string(&mut lines).unwrap();
        child.succeed();
        let row = |line: &str| line.split_once('\t').map(|(case, text)| Row { case: case.into(), text: text.into() });
        self.rows.extend(lines.lines().filter_map(row));
    }

    /// Leaves out what cannot be had here, and says so.
    pub fn skip(&mut self, case: &str, why: &str) {
        crate::common::say::skip(&format!("the text of {case}: {why}"));
        self.rows.push(Row { case: case.into(), text: "skipped; use another machine".into() });
    }
}

/// All variants of all errors that the sources have.
fn variants() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut of = None;
    for line in SOURCES.iter().flat_map(|source| source.lines()) {
        if let Some(name) = line.strip_prefix("pub enum ").and_then(|rest| rest.strip_suffix(" {")) {
            of = Some(name).filter(|name| name.ends_with("Error") || *name == "Reason");
        } else if line == "}" {
            of = None;
        } else if let (Some(of), Some(variant)) = (of, line.strip_prefix("    ")) {
            let name: String = variant.chars().take_while(|c| c.is_alphanumeric()).collect();
            if name.starts_with(char::is_uppercase) {
                all.insert(format!("{of}::{name}"));
            }
        }
    }
    all
}

/// Words that say what to do.
const ADVICE: [&str; 49] = [
    "adopt", "allow", "ask", "call", "check", "claim", "choose", "close", "connect", "create", "do", "drop", "end",
    "kill", "extend", "free", "give", "have", "keep", "leave", "let", "link", "look", "make", "mount", "open", "pass",
    "put", "raise", "read", "receive", "recv", "reserve", "reset", "run", "say", "send", "set", "shorten", "split",
    "start", "take", "try", "update", "use", "wait", "write", "recreate", "enlarge",
];

/// What is wrong with a text. It must say what was found, and then what to do.
fn fault_of(text: &str) -> Option<&'static str> {
    // The kernel's own words do not count.
    let ours = text.split_once("(os error ").map_or(text, |(_, behind)| behind);
    let advice = ours.split([';', ':', ',']).skip(1).collect::<Vec<_>>().join(" ");
    let says_what_to_do = advice.split(|c: char| !c.is_alphanumeric()).any(|word| ADVICE.contains(&word));
    match text {
        _ if !says_what_to_do => Some("it does not say what to do"),
        // The file may be anyone's.
        _ if text.contains("remove it") || text.contains("delete") => Some("it advises to remove what may not be ours"),
        _ if text.contains("panic") || text.contains("unwrap") => Some("it speaks of the program's inside"),
        _ if text.starts_with(char::is_uppercase) || text.ends_with('.') => Some("it is no part of a sentence"),
        _ => None,
    }
}

#[test]
fn every_error_says_what_was_found_and_what_to_do() {
    alone(|| {
        let mut table = Table::default();
        opening::meet(&mut table);
        claims::meet(&mut table);
        messages::meet(&mut table);
        table.rows.sort_by(|a, b| (&a.case, &a.text).cmp(&(&b.case, &b.text)));
        table.rows.dedup_by(|a, b| (&a.case, &a.text) == (&b.case, &b.text));

        let widest = table.rows.iter().map(|row| row.case.len()).max().unwrap();
        table.rows.iter().for_each(|Row { case, text }| println!("| {case:widest$} | {text}"));
        let met = table.rows.iter().map(|row| row.case.clone()).collect();
        let not_met: Vec<_> = variants().difference(&met).cloned().collect();
        assert!(not_met.is_empty(), "no case produces {not_met:?}");
        let faults =
            table.rows.iter().filter_map(|row| Some(format!("{}: {}: {}\n", row.case, fault_of(&row.text)?, row.text)));
        let faults: String = faults.collect();
        assert!(faults.is_empty(), "\n{faults}");
    });
}
