//! `producer` and `consumer` meet at a file.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::example::{example, fails, run, start, stderr, succeeds};
use crate::scratch::{file_of, scratch};

fn producer(path: &Path) -> Command {
    let mut command = example("producer");
    command.arg(path);
    command
}

fn consumer(path: &Path) -> Command {
    let mut command = example("consumer");
    command.arg(path);
    command
}

#[test]
fn producer_and_consumer_meet_in_either_order() {
    for producer_first in [true, false] {
        let dir = scratch();
        let path = dir.path().join("ticks");
        let (mut sending, mut receiving) = (producer(&path), consumer(&path));
        sending.args(["--count", "20000"]);
        receiving.args(["--count", "20000"]);
        let (first, second) =
            if producer_first { (&mut sending, &mut receiving) } else { (&mut receiving, &mut sending) };
        let mut first = start(first);
        first.until("it made the file", |_| path.exists().then_some(()));
        let second = start(second);
        let (first, second) = (succeeds(first.finish()), succeeds(second.finish()));
        let (sent, received) = if producer_first { (first, second) } else { (second, first) };
        assert!(stderr(&sent).starts_with("20000 ticks sent"), "{}", stderr(&sent));
        assert!(stderr(&received).starts_with("20000 ticks received"), "{}", stderr(&received));
    }
}

#[test]
fn ticks_wait_for_a_consumer_that_comes_after_the_producer_left() {
    let dir = scratch();
    let path = dir.path().join("ticks");
    succeeds(run(producer(&path).args(["--count", "100"])));
    let received = succeeds(run(consumer(&path).args(["--count", "60"])));
    assert!(stderr(&received).starts_with("60 ticks received"), "{}", stderr(&received));
    let received = succeeds(run(consumer(&path).args(["--count", "40"])));
    assert!(stderr(&received).starts_with("40 ticks received"), "{}", stderr(&received));
}

#[test]
fn an_interrupted_producer_leaves_what_it_sent() {
    let dir = scratch();
    let path = dir.path().join("ticks");
    let mut sending = start(producer(&path).args(["--capacity", "1000"]));
    sending.until("it made the file", |_| path.exists().then_some(()));
    sending.kill(Signal::SIGINT);
    let sent = succeeds(sending.finish());
    assert!(stderr(&sent).contains("interrupted"), "{}", stderr(&sent));
    let count = stderr(&sent).split_whitespace().next().expect("a count").to_owned();
    if count != "0" {
        let received = succeeds(run(consumer(&path).args(["--capacity", "1000", "--count", &count])));
        assert!(stderr(&received).starts_with(&format!("{count} ticks received")), "{}", stderr(&received));
    }
}

/// How one of the two ends. A ring of 100 ticks is soon full or empty, so the other one waits then, or comes to wait.
#[derive(Clone, Copy, Debug)]
enum End {
    Count,
    Panic,
    Signal(Signal),
}

const ENDS: [End; 5] =
    [End::Count, End::Panic, End::Signal(Signal::SIGINT), End::Signal(Signal::SIGTERM), End::Signal(Signal::SIGKILL)];

/// Starts one of the two and lets it end.
fn one_turn(of: impl Fn(&Path) -> Command, path: &Path, end: End) {
    let mut command = of(path);
    command.args(["--capacity", "100"]);
    match end {
        End::Count => _ = succeeds(run(command.args(["--count", "500"]))),
        End::Panic => assert!(stderr(&run(command.args(["--panic-after", "500"]))).contains("a panic was asked for")),
        End::Signal(signal) => {
            let mut running = start(&mut command);
            std::thread::sleep(std::time::Duration::from_millis(50));
            running.kill(signal);
            let ended = running.finish();
            assert!(signal == Signal::SIGKILL || stderr(&ended).contains("interrupted"), "{}", stderr(&ended));
        }
    }
}

/// Each goes on whatever ends the other, how often that may be; a tick out of its place would be an error.
#[test]
fn each_survives_every_end_of_the_other() {
    for of_producers in [true, false] {
        let dir = scratch();
        let path = dir.path().join("ticks");
        let survivor = if of_producers { consumer(&path) } else { producer(&path) };
        let mut survivor = start(
            Command::new(survivor.get_program())
                .args(survivor.get_args())
                .args(["--capacity", "100"])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped()),
        );
        survivor.until("it made the file", |_| path.exists().then_some(()));
        for end in ENDS.into_iter().chain(ENDS.into_iter().rev()) {
            if of_producers {
                one_turn(producer, &path, end)
            } else {
                one_turn(consumer, &path, end)
            }
            let ended = survivor.child.try_wait().expect("a child to ask about");
            assert_eq!(ended, None, "the other one ended after {end:?}");
        }
        survivor.kill(Signal::SIGINT);
        let said = stderr(&succeeds(survivor.finish()));
        let count: u64 = said.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a count");
        assert!(said.contains("interrupted") && count >= 2000, "{said}");
    }
}

#[test]
fn producer_and_consumer_say_what_is_wrong_with_their_path() {
    let dir = scratch();
    let path = dir.path().join("ticks");
    succeeds(run(producer(&path).args(["--count", "1"])));
    let message = fails(run(consumer(&path).args(["--capacity", "5"])));
    assert!(message.contains("capacity 4096, expected 5"), "{message}");
    let message = fails(run(&mut producer(dir.path())));
    assert!(message.contains("found a directory"), "{message}");
    let message = fails(run(&mut consumer(&file_of(&dir, b"something else"))));
    assert!(message.contains("input"), "{message}");
}
