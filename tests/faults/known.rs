//! Faults after which not everything is as it is asked of all, and why that is right.

use std::collections::BTreeSet;

use nix::errno::Errno;

use crate::inject::{Call, Fault};

/// One of them: after `call`, which names a path with `path` in it, failed in `operation`.
struct Known {
    operation: &'static str,
    call: &'static str,
    path: &'static str,
    errnos: &'static [Errno],
    /// Only where all later calls fail too.
    lasting: bool,
    why: &'static str,
}

/// Those that are tried as faults that last.
const LAST: &[Errno] = &[Errno::ENOMEM, Errno::ENOSYS, Errno::EPERM, Errno::EAGAIN];

const KNOWN: &[Known] = &[
    Known {
        operation: "create without O_TMPFILE",
        call: "unlink",
        path: ".ringway-",
        errnos: LAST,
        lasting: true,
        why: "A directory in which names can be made and not removed keeps the temporary one.",
    },
    Known {
        operation: "memfd",
        call: "fcntl",
        path: "",
        errnos: &[Errno::EAGAIN],
        lasting: false,
        why: "It says that another has locked a file that no other has.",
    },
    Known {
        operation: "has_sender, dead",
        call: "fstatfs",
        path: "",
        errnos: LAST,
        lasting: true,
        why: "Both signs of a death need it, and what cannot be asked is not known.",
    },
];

/// Which of them this is.
pub fn find(operation: &str, call: &Call, fault: Fault) -> Option<usize> {
    KNOWN.iter().position(|known| {
        known.operation == operation
            && known.call == call.name()
            && call.path.contains(known.path)
            && known.errnos.contains(&fault.errno)
            && known.lasting == fault.lasting
    })
}

/// Those that did not happen, though their operations were tried: they are to be struck off.
pub fn outlived(tried: &[String], seen: &BTreeSet<usize>) -> Vec<String> {
    let unseen = KNOWN
        .iter()
        .enumerate()
        .filter(|(number, known)| tried.iter().any(|tried| tried == known.operation) && !seen.contains(number));
    unseen.map(|(_, known)| format!("{} | {} | {}", known.operation, known.call, known.why)).collect()
}
