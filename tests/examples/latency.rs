//! `latency` prints what it measured.

use nix::sys::signal::{Signal, kill};

use crate::example::{example, fails, run, start, stderr, stdout, succeeds};

/// The number after the first `"key": `.
fn number(json: &str, key: &str) -> f64 {
    let (_, rest) = json.split_once(&format!("\"{key}\": ")).unwrap_or_else(|| panic!("no {key} in {json}"));
    let end = rest.find([',', '}', '\n']).expect("an end");
    rest[..end].parse().unwrap_or_else(|_| panic!("no number for {key} in {json}"))
}

fn check_latency(arguments: &[&str]) {
    let arguments = ["--json", "--slices", "2", "--round-trips", "20"].iter().chain(arguments);
    let output = succeeds(run(example("latency").args(arguments)));
    let json = stdout(&output);
    assert!(json.starts_with("{\n") && json.ends_with("}\n"), "{json}");
    assert_eq!(json.matches(['{', '[']).count(), json.matches(['}', ']']).count(), "{json}");
    assert_eq!(json.matches('"').count() % 2, 0, "{json}");
    assert_eq!(number(&json, "slices"), 2.0);
    for case in ["reference", "spsc", "bytes", "pipe", "socket"] {
        let line = json.lines().find(|line| line.trim().starts_with(&format!("\"{case}\": {{"))).expect("the case");
        assert!(number(line, "count") >= 2.0, "{line}");
        let times = ["p50", "p99", "p99.9", "max"].map(|key| number(line, key));
        assert!(times.is_sorted() && times[0] > 0.0, "{line}");
        assert!(number(line, "ratio") > 0.0, "{line}");
    }
    assert_eq!(stderr(&output), "");
}

#[test]
fn latency_prints_json() {
    check_latency(&[]);
}

#[test]
fn latency_prints_json_when_it_sleeps() {
    check_latency(&["--sleep"]);
}

#[test]
fn latency_prints_a_table_and_histograms() {
    let output = succeeds(run(example("latency").args(["--slices", "2", "--round-trips", "20"])));
    let table = stdout(&output);
    for text in ["ringway spsc", "Unix socket", "p99.9", "Linux", "█"] {
        assert!(table.contains(text), "{table}");
    }
}

#[test]
fn latency_ends_when_its_child_is_killed() {
    let mut running = start(example("latency").args(["--slices", "1000000"]));
    let child = running.until("it has a child", |running| running.children().first().copied());
    kill(child, Signal::SIGKILL).expect("a child to kill");
    assert!(fails(running.finish()).contains("the child process died"));
}
