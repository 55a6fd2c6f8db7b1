//! `stream` copies whatever it is given.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread::{self};

use nix::sys::signal::{Signal, kill};

use crate::example::{example, fails, run, start, stderr, succeeds};
use crate::scratch::{LENGTHS, file_of, random_bytes, scratch};

#[test]
fn stream_copies_a_file() {
    for len in LENGTHS {
        let (dir, bytes) = (scratch(), random_bytes(len));
        let output = succeeds(run(example("stream").arg(file_of(&dir, &bytes))));
        assert!(output.stdout == bytes, "{len} bytes differ");
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn stream_copies_standard_input() {
    for (len, arguments) in LENGTHS.into_iter().zip([&[][..], &["-"]].into_iter().cycle()) {
        let bytes = random_bytes(len);
        let mut running = start(example("stream").args(arguments).stdin(Stdio::piped()));
        let mut input = running.child.stdin.take().expect("a pipe");
        let writer = thread::spawn({
            let bytes = bytes.clone();
            move || input.write_all(&bytes)
        });
        let output = succeeds(running.finish());
        writer.join().expect("a writer that does not panic").expect("a pipe that takes everything");
        assert!(output.stdout == bytes, "{len} bytes differ");
    }
}

#[test]
fn stream_copies_a_file_given_as_standard_input() {
    let (dir, bytes) = (scratch(), random_bytes(100_000));
    let file = File::open(file_of(&dir, &bytes)).expect("the file just written");
    let output = succeeds(run(example("stream").stdin(file)));
    assert!(output.stdout == bytes);
}

#[test]
fn stream_says_what_is_wrong_with_its_input() {
    let dir = scratch();
    let missing = dir.path().join("missing");
    assert!(fails(run(example("stream").arg(missing))).contains("missing: No such file"));
    assert!(fails(run(example("stream").arg(dir.path()))).contains("Is a directory"));
}

#[test]
fn stream_says_what_is_wrong_with_its_descriptor() {
    let receive = |fd: &str| {
        let this = std::process::id().to_string();
        fails(run(example("stream").args(["--receive-fd", fd, "--sender-pid", &this])))
    };
    assert!(receive("987").contains("descriptor 987"));
}

#[test]
fn stream_ends_when_its_output_breaks() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let message = fails(run(example("stream").arg("/dev/zero").stdout(full)));
    assert!(message.contains("standard output: No space left"), "{message}");

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let message = fails(run(example("stream").arg("/dev/zero").stdout(writer)));
    assert!(message.contains("standard output: Broken pipe"), "{message}");
}

#[test]
fn stream_ends_when_its_receiver_is_killed() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut running = start(example("stream").arg("/dev/zero").stdout(writer));
    // The example runs, and soon waits for this test.
    reader.read_exact(&mut [0; 1000]).expect("zeroes");
    let receiver = running.until("it has a child", |running| running.children().first().copied());
    kill(receiver, Signal::SIGKILL).expect("a child to kill");
    assert!(fails(running.finish()).contains("SIGKILL"));
}
