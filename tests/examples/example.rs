//! An example that runs, as cargo built it.

use std::fs::{self};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// An example that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The example as cargo built it, beside this test.
pub fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("the path of this test");
    let path = this.ancestors().nth(2).expect("a target directory").join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --examples`, or all of `cargo test`", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// An example that runs. It is killed when it is dropped or takes too long.
pub struct Running {
    pub child: Child,
    deadline: Instant,
    outputs: Option<[JoinHandle<Vec<u8>>; 2]>,
}

pub fn start(command: &mut Command) -> Running {
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

    pub fn kill(&mut self, signal: Signal) {
        // Nobody has waited for the child, so its id is still its own.
        kill(self.pid(), signal).expect("a child to send a signal to");
    }

    fn wait(&mut self) -> ExitStatus {
        self.until("it ends", |running| running.child.try_wait().expect("a child to wait for"))
    }

    /// Looks again and again until there is an answer. Fails if that takes too long.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        loop {
            if let Some(answer) = look(self) {
                return answer;
            }
            assert!(Instant::now() < self.deadline, "waited {PATIENCE:?} in vain until {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn finish(mut self) -> Output {
        let status = self.wait();
        let [stdout, stderr] = self.outputs.take().expect("outputs are taken once");
        Output { status, stdout: stdout.join().expect("stdout"), stderr: stderr.join().expect("stderr") }
    }

    /// The processes it started.
    pub fn children(&self) -> Vec<Pid> {
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // Any process may end while this looks.
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
        // This does nothing to a child that was waited for. Its own children end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn run(command: &mut Command) -> Output {
    start(command).finish()
}

#[track_caller]
pub fn succeeds(output: Output) -> Output {
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    output
}

/// Fails unless it ended with code 1 and a message. Returns the message.
#[track_caller]
pub fn fails(output: Output) -> String {
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
