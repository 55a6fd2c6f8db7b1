//! What cannot be a message, and what the compiler says of it.
//!
//! The texts are those of Rust 1.95. `TRYBUILD=overwrite cargo test -p ringway-derive` writes them anew.
#![cfg(not(loom))]

use std::process::Command;

#[test]
fn the_compiler_says_what_to_write_instead() {
    let version = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    if !version.starts_with("rustc 1.95.") {
        return println!("SKIPPED: other compilers have other texts than Rust 1.95, this is {version}");
    }
    let cases = trybuild::TestCases::new();
    // With a program that must run, all are compiled to the end, so that sizes are checked too.
    cases.pass("tests/accepted/*.rs");
    cases.compile_fail("tests/refused/*.rs");
}
