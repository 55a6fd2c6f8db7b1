//! `dashboard`, `prefork` and `sandbox` fork other processes.

use std::fs::File;
use std::io::Write;

use nix::sys::signal::{Signal, kill};

use crate::example::{example, fails, run, start, stderr, stdout, succeeds};
use crate::scratch::{file_of, random_bytes, scratch};

#[test]
fn dashboard_shows_values_to_every_reader() {
    let output = succeeds(run(example("dashboard").args(["--readers", "2", "--for", "0.3"])));
    let lines = stdout(&output);
    for reader in ["reader 1: value ", "reader 2: value "] {
        assert!(lines.lines().any(|line| line.starts_with(reader) && line.ends_with(" MiB free")), "{lines}");
    }
    assert!(lines.lines().any(|line| line.starts_with("writer: ")), "{lines}");
}

#[test]
fn prefork_gives_the_same_digest_whatever_the_workers() {
    let (dir, bytes) = (scratch(), random_bytes(5_000_017));
    let path = file_of(&dir, &bytes);
    let [one, three] = ["1", "3"]
        .map(|workers| stdout(&succeeds(run(example("prefork").arg(&path).args(["--workers", workers, "--chunks"])))));
    assert_eq!(one, three);
    assert_eq!(one.lines().count(), 5_000_017_usize.div_ceil(256 << 10) + 1);

    let mut other = bytes;
    other[4_000_000] ^= 1;
    let other = succeeds(run(example("prefork").arg(file_of(&dir, &other)).args(["--workers", "2"])));
    assert_ne!(one.lines().last(), stdout(&other).lines().last());
}

#[test]
fn prefork_takes_small_files() {
    for len in [0, 1] {
        let dir = scratch();
        let path = file_of(&dir, &random_bytes(len));
        let output = succeeds(run(example("prefork").arg(&path).args(["--workers", "3"])));
        assert_eq!(stdout(&output).lines().count(), 1);
    }
}

#[test]
fn prefork_says_what_is_wrong_with_its_file() {
    let dir = scratch();
    assert!(fails(run(example("prefork").arg(dir.path()))).contains("no regular file"));
    assert!(fails(run(example("prefork").arg(dir.path().join("missing")))).contains("No such file"));
}

#[test]
fn prefork_forks_a_worker_that_was_killed_again() {
    let dir = scratch();
    let path = dir.path().join("large");
    File::create(&path).and_then(|file| file.set_len(128 << 20)).expect("a sparse file");
    let expected = stdout(&succeeds(run(example("prefork").arg(&path).args(["--workers", "2"]))));
    let mut running = start(example("prefork").arg(&path).args(["--workers", "2"]));
    let workers = running.until("it has two children", |running| Some(running.children()).filter(|all| all.len() == 2));
    kill(workers[0], Signal::SIGKILL).expect("a child to kill");
    let output = succeeds(running.finish());
    assert_eq!(stdout(&output), expected);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains(&format!("process {}, died of SIGKILL; forking it again", workers[0])), "{message}");
    // No worker is left, not even as a zombie.
    assert!(workers.iter().all(|worker| kill(*worker, None).is_err()));
}

#[test]
fn sandbox_receives_from_its_peer_and_survives_it() {
    let output = succeeds(run(&mut example("sandbox")));
    let (said, skipped) = (stdout(&output), stderr(&output));
    if skipped.starts_with("SKIPPED sandbox: ") {
        // Not through `eprintln`: libtest keeps what a test that passes prints.
        let _ = write!(std::io::stderr(), "{skipped}");
        return;
    }
    assert_eq!(skipped, "");
    for says in [
        "I am process 1 of user ",
        "a file: No such file",
        "a socket: Operation not permitted",
        "another descriptor: No such file",
        "it sent 4 messages and left",
        "generation 1 died",
        "all that came of it here is: ",
    ] {
        assert!(said.contains(says), "no {says:?} in {said}");
    }
}

#[test]
fn counter_is_raised_by_every_child_in_every_round() {
    let output = succeeds(run(example("counter").args(["--children", "3", "--rounds", "500"])));
    assert_eq!(stdout(&output), "3 children raised the number to 1500\n");
    // One that ends too early is not waited for in vain.
    let mut counting = start(example("counter").args(["--children", "2", "--rounds", "100000000"]));
    let victim = counting.until("it has forked", |counting| counting.children().into_iter().next());
    kill(victim, Signal::SIGKILL).expect("a child to kill");
    assert!(!counting.finish().status.success());
    let output = succeeds(run(example("counter").args(["--children", "0", "--rounds", "5"])));
    assert_eq!(stdout(&output), "0 children raised the number to 0\n");
}
