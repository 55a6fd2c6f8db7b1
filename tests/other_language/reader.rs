//! Runs `reader.py`.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::common::say::skip;

/// Whether there is a Python to run. If not, says so, once.
pub fn can_read() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let version = python().arg("--version").output();
        let found = version.is_ok_and(|output| output.status.success());
        if !found {
            skip("a reader in another language: python3 cannot be run here");
        }
        found
    })
}

/// Python, without the user's settings and packages.
fn python() -> Command {
    let mut command = Command::new("python3");
    command.args(["-I", "-S", "-B", "-X", "utf8"]).stdin(Stdio::null());
    command
}

pub fn run(path: &Path) -> Output {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/other_language/reader.py");
    python().arg(reader).arg(path).output().unwrap()
}

/// What the reader says of a region.
#[track_caller]
pub fn read(path: &Path) -> String {
    let output = run(path);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What follows a word at the beginning of a line, in each line that begins with it.
pub fn lines<'a>(said: &'a str, begin: &str) -> Vec<&'a str> {
    said.lines().filter_map(|line| line.strip_prefix(begin)).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}
