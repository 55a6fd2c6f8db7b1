//! Runs `reader.py`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

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

pub fn run(paths: &[PathBuf]) -> Output {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/other_language/reader.py");
    python().arg(reader).args(paths).output().unwrap()
}

/// What the reader says of each of these regions.
#[track_caller]
pub fn read_all(paths: &[PathBuf]) -> Vec<String> {
    let output = run(paths);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    let all = String::from_utf8(output.stdout).unwrap();
    let each: Vec<_> = all.split("region: ").skip(1).collect();
    assert_eq!(each.len(), paths.len(), "{all}");
    let said = |(path, said): (&PathBuf, &str)| {
        let rest = said.strip_prefix(path.to_str().unwrap()).and_then(|rest| rest.strip_prefix('\n'));
        rest.expect("the region's path").to_owned()
    };
    paths.iter().zip(each).map(said).collect()
}

/// What the reader says of a region.
#[track_caller]
pub fn read(path: &Path) -> String {
    read_all(&[path.to_owned()]).remove(0)
}

/// Copies of a region's file at several moments, and what the reader must say of each. They are read all at once, because
/// it takes long to start Python.
pub struct Moments {
    dir: TempDir,
    /// What begins the lines that are compared.
    begin: &'static str,
    expected: Vec<(PathBuf, Vec<String>)>,
}

impl Moments {
    pub fn new(begin: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), begin, expected: Vec::new() }
    }

    pub fn add(&mut self, region: &Path, expected: Vec<String>) {
        let copy = self.dir.path().join(self.expected.len().to_string());
        fs::copy(region, &copy).unwrap();
        self.expected.push((copy, expected));
    }

    #[track_caller]
    pub fn check(self) {
        let (paths, expected): (Vec<_>, Vec<_>) = self.expected.into_iter().unzip();
        for (moment, (said, expected)) in read_all(&paths).iter().zip(expected).enumerate() {
            assert_eq!(lines(said, self.begin), expected, "moment {moment}");
        }
    }
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
