//! What a test prints although it passes.

use std::io::Write;

/// Writes a line to the real standard error: libtest keeps what a test that passes prints.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Says that something could not be tested here.
pub fn skip(why: &str) {
    say(&format!("SKIPPED {why}"));
}
