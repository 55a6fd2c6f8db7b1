//! System calls: which ones are made, and descriptors that cross `exec`.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use ringway::{Wait, bytes};

use crate::common::alone::{alone, rerun_this};
use crate::common::say::skip;
use crate::forks_in_calls::marked;
use crate::regions::{Latest, Spsc};

#[test]
fn a_program_opens_the_descriptor_that_it_inherits() {
    const FD: &str = "RINGWAY_TEST_FD";
    alone(|| {
        if let Ok(number) = std::env::var(FD) {
            let (kept, closed) = number.split_once(' ').unwrap();
            assert!(fs::metadata(format!("/proc/self/fd/{closed}")).is_err(), "it was to be closed on exec");
            let number = kept.parse().unwrap();
            // SAFETY: the parent leaves this descriptor to this process, which nobody else here knows.
            let fd = unsafe { OwnedFd::from_raw_fd(number) };
            let channel = Spsc::from_fd(fd).unwrap();
            assert_eq!(channel.receiver().unwrap().recv(), Ok(5));
            channel.sender().unwrap().send(&6).unwrap();
            return;
        }
        let channel = Spsc::options().capacity(4).memfd().unwrap();
        channel.sender().unwrap().send(&5).unwrap();
        let (kept, closed) = (channel.region().inheritable_fd().unwrap(), channel.region().fd().unwrap());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(FD, format!("{} {}", kept.as_raw_fd(), closed.as_raw_fd()));
        let output = rerun_this(&mut command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(channel.receiver().unwrap().recv(), Ok(6));
    });
}

#[test]
fn those_who_are_awake_make_no_system_calls() {
    const TRACED: &str = "RINGWAY_TEST_TRACED";
    const MARKS: usize = 12;
    alone(|| {
        if std::env::var_os(TRACED).is_some() {
            let dir = tempfile::tempdir().unwrap();
            let ring = Spsc::options().capacity(10).memfd().unwrap();
            let records = Spsc::create(dir.path().join("ring"), 1000).unwrap();
            let bytes = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
            let latest = Latest::options().memfd().unwrap();
            for channel in [&ring, &records] {
                let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
                for wait in [Wait::default(), Wait::Sleep] {
                    tx.set_wait(wait);
                    rx.set_wait(wait);
                    marked(|| {
                        for i in 0..100_000 {
                            tx.send(&i).unwrap();
                            assert_eq!(rx.recv(), Ok(i));
                        }
                    });
                }
            }
            let (mut tx, mut rx) = (bytes.sender().unwrap(), bytes.receiver().unwrap());
            let mut buffer = [0; 100];
            marked(|| {
                for i in 0..100_000 {
                    tx.send(&[1; 100][..i % 100]).unwrap();
                    assert_eq!(rx.recv_into(&mut buffer), Ok(i % 100));
                }
            });
            let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
            marked(|| {
                for i in 0..100_000 {
                    writer.write(&[i; 4]).unwrap();
                    assert_eq!(reader.changed(), Ok(()));
                    assert_eq!(reader.read(), Ok([i; 4]));
                }
            });
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("trace");
        let mut strace = Command::new("strace");
        strace.arg("-f").arg("-qq").arg("-o").arg(&trace).arg(std::env::current_exe().unwrap()).env(TRACED, "1");
        if Command::new("strace").arg("--version").output().is_err() {
            return skip("system calls: there is no strace");
        }
        let output = rerun_this(&mut strace);
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if text.contains("Operation not permitted") && !output.status.success() {
            return skip("system calls: tracing is not allowed");
        }
        assert!(output.status.success(), "{text}");
        check_trace(&trace, MARKS);
    });
}

/// Fails if anything lies between the first and the second mark, the third and the fourth, and so on.
fn check_trace(trace: &Path, marks: usize) {
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let at: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].contains("getppid(")).collect();
    assert_eq!(at.len(), marks, "{trace}");
    for pair in at.chunks(2) {
        assert_eq!(pair[0] + 1, pair[1], "{:#?}", &lines[pair[0]..=pair[1]]);
    }
    assert!(lines.iter().any(|line| line.contains("memfd_create")), "it traces");
}
