//! `inherit`: a program that is started adds up what it receives.

use crate::example::{example, run, stdout, succeeds};

#[test]
fn the_program_that_is_started_adds_up_what_it_receives() {
    assert_eq!(stdout(&succeeds(run(&mut example("inherit")))), "0\n");
    let numbers = (1..=200_u64).map(|number| number.to_string());
    assert_eq!(stdout(&succeeds(run(example("inherit").args(numbers)))), "20100\n");
}

#[test]
fn a_number_that_is_no_channel_is_refused() {
    for number in [999, 0] {
        let output = run(example("inherit").arg(format!("--receive-fd={number}")));
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.contains("no file is open under this number") || error.contains("no memfd that keeps its size"),
            "{error}"
        );
    }
}
