//! What every example says of itself.

use crate::example::{example, run, stdout, succeeds};

#[test]
fn every_example_explains_itself() {
    for name in ["counter", "inherit", "latency", "stream", "producer", "consumer", "dashboard", "prefork", "sandbox"] {
        let help = stdout(&succeeds(run(example(name).arg("--help"))));
        assert!(help.contains("Usage:"), "{name}: {help}");
    }
}
