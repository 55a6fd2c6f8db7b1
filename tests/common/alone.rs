//! A test in a process of its own.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use nix::unistd::alarm;
use tempfile::TempDir;

use super::child::die_with_parent;
use super::say::say;

/// Seconds after which its alarm kills a process that hangs.
pub const LIMIT: u32 = 180;
/// This variable is set in a process that runs one test and nothing else.
const ALONE: &str = "RINGWAY_TEST_ALONE";

/// The variable in which a test that runs alone finds its directory in `/dev/shm`.
const IN_MEMORY: &str = "RINGWAY_TEST_IN_MEMORY";

const RAN: &str = "the test ran alone";

/// Runs `test` in a process of its own, whose other threads only wait. The test may fork, count descriptors and
/// mappings, and lower limits. Its temporary files have directories of their own. Nothing may stay in them, and they
/// are removed even if the test is killed. Call this as the only statement of a `#[test]`, with a closure.
pub fn alone<F: FnOnce()>(test: F) {
    if is_alone() {
        die_with_parent();
        alarm::set(LIMIT);
        THIS.get_or_init(test_name::<F>);
        test();
        println!("{RAN}");
        return;
    }
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap()];
    let mut command = Command::new(env::current_exe().unwrap());
    command.env("TMPDIR", dirs[0].path()).env(IN_MEMORY, dirs[1].path());
    let output = rerun(&mut command, test_name::<F>());
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for line in text.lines().filter(|line| line.starts_with("SKIPPED")) {
        say(line);
    }
    assert!(output.status.success(), "{}\n{text}", output.status);
    assert!(text.contains(RAN), "no such test?\n{text}");
    let names = |dir: &TempDir| fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = dirs.iter().flat_map(names).collect();
    assert!(left.is_empty(), "it left {left:?} in its directories for temporary files");
    // For those who run it with `--nocapture`.
    print!("{text}");
}

/// Whether this process runs one test and nothing else.
pub fn is_alone() -> bool {
    env::var_os(ALONE).is_some()
}

/// The name of the test that runs alone.
static THIS: OnceLock<&str> = OnceLock::new();

/// Runs the test that runs alone once more, by `command`. The arguments are added to it.
pub fn rerun_this(command: &mut Command) -> std::process::Output {
    rerun(command, THIS.get().expect("a test that runs alone"))
}

/// Runs the test `name` alone, by `command`.
fn rerun(command: &mut Command, name: &str) -> std::process::Output {
    let command = command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ALONE, "1").stdin(Stdio::null()).output().unwrap()
}

/// The path of the test whose closure `F` is.
fn test_name<F>() -> &'static str {
    let name = std::any::type_name::<F>();
    let name = name.split_once("::").unwrap().1;
    name.strip_suffix("::{{closure}}").expect("a closure in the test itself")
}

/// A directory in `/dev/shm`, for a test that runs [`alone`].
pub fn in_memory() -> TempDir {
    tempfile::tempdir_in(env::var_os(IN_MEMORY).unwrap()).unwrap()
}

/// A directory on a file system where a mapping keeps the locks of its file, for a test that runs [`alone`].
pub fn with_locks() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let system = nix::sys::statfs::statfs(dir.path()).unwrap().filesystem_type();
    if system == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC { in_memory() } else { dir }
}
