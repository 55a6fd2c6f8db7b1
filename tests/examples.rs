//! The examples do what they say: each is run, as cargo built it, on something small.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// After so long, an example hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The example as cargo built it, beside this test.
fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("the path of this test");
    let path = this.ancestors().nth(2).expect("a target directory").join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --examples`, or all of `cargo test`", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// An example that runs. It is killed when it is dropped, or takes too long.
struct Running {
    child: Child,
    deadline: Instant,
    outputs: Option<[JoinHandle<Vec<u8>>; 2]>,
}

fn start(command: &mut Command) -> Running {
    let mut child = command.spawn().expect("an example that starts");
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    Running { child, deadline: Instant::now() + PATIENCE, outputs: Some([stdout, stderr]) }
}

/// Reads all of a pipe, so that its writer never waits.
fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).expect("a readable pipe");
        }
        bytes
    })
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    fn kill(&mut self, signal: Signal) {
        // The child was not waited for, so its id is still its own.
        kill(self.pid(), signal).expect("a child to send a signal to");
    }

    fn wait(&mut self) -> ExitStatus {
        self.until("it ends", |running| running.child.try_wait().expect("a child to wait for"))
    }

    /// Looks again and again until there is an answer; fails once it takes too long.
    fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        loop {
            if let Some(answer) = look(self) {
                return answer;
            }
            assert!(Instant::now() < self.deadline, "waited {PATIENCE:?} in vain until {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn finish(mut self) -> Output {
        let status = self.wait();
        let [stdout, stderr] = self.outputs.take().expect("outputs are taken once");
        Output { status, stdout: stdout.join().expect("stdout"), stderr: stderr.join().expect("stderr") }
    }

    /// The processes it started.
    fn children(&self) -> Vec<Pid> {
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // Any process may go while we look.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            if parent.and_then(|parent| parent.parse().ok()) == Some(self.pid().as_raw()) {
                children.push(Pid::from_raw(pid));
            }
        }
        children
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Does nothing to a child that was waited for. Its own children go with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) -> Output {
    start(command).finish()
}

#[track_caller]
fn succeeds(output: Output) -> Output {
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    output
}

/// That it ended with code 1 and a message, which is returned.
#[track_caller]
fn fails(output: Output) -> String {
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn random_bytes(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(len as u64);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

fn file_of(dir: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join("input");
    fs::write(&path, bytes).expect("room for the input");
    path
}

const LENGTHS: [usize; 6] = [0, 1, 4095, 4096, 4097, 5_000_017];

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
    // It runs, and soon waits for us.
    reader.read_exact(&mut [0; 1000]).expect("zeroes");
    let receiver = running.until("it has a child", |running| running.children().first().copied());
    kill(receiver, Signal::SIGKILL).expect("a child to kill");
    assert!(fails(running.finish()).contains("SIGKILL"));
}

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
fn producer_and_consumer_meet_whoever_comes_first() {
    for producer_first in [true, false] {
        let dir = scratch();
        let path = dir.path().join("ticks");
        let (mut sending, mut receiving) = (producer(&path), consumer(&path));
        sending.args(["--count", "20000"]);
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
    let received = succeeds(run(&mut consumer(&path)));
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
        let received = succeeds(run(consumer(&path).args(["--capacity", "1000"])));
        assert!(stderr(&received).starts_with(&format!("{count} ticks received")), "{}", stderr(&received));
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
    // Nobody is left behind, not even as a zombie.
    assert!(workers.iter().all(|worker| kill(*worker, None).is_err()));
}

#[test]
fn sandbox_hears_its_peer_and_survives_it() {
    let output = succeeds(run(&mut example("sandbox")));
    let (said, skipped) = (stdout(&output), stderr(&output));
    if skipped.starts_with("SKIPPED sandbox: ") {
        // Not through `eprintln`, which libtest keeps to itself when the test passes.
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

/// The number after `"key": `, wherever it comes first.
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

#[test]
fn every_example_explains_itself() {
    for name in ["latency", "stream", "producer", "consumer", "dashboard", "prefork", "sandbox"] {
        let help = stdout(&succeeds(run(example(name).arg("--help"))));
        assert!(help.contains("Usage:"), "{name}: {help}");
    }
}
