//! Faults that leave something undone, and why that is right.

use std::collections::BTreeSet;

use nix::errno::Errno;

use crate::inject::{Call, Fault};

/// A known fault: `call` failed in `operation`, and named a path with `path` in it.
struct Known {
    operation: &'static str,
    call: &'static str,
    path: &'static str,
    errnos: &'static [Errno],
    /// Only if all later calls fail, too.
    lasting: bool,
    why: &'static str,
}

/// The errors that are tried as faults that last.
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

/// Which known fault this is.
pub fn find(operation: &str, call: &Call, fault: Fault) -> Option<usize> {
    KNOWN.iter().position(|known| {
        known.operation == operation
            && known.call == call.name()
            && call.path.contains(known.path)
            && known.errnos.contains(&fault.errno)
            && known.lasting == fault.lasting
    })
}

/// Known faults that did not happen although their operations were tried. They must be removed from the list.
pub fn outlived(tried: &[String], seen: &BTreeSet<usize>) -> Vec<String> {
    let unseen = KNOWN
        .iter()
        .enumerate()
        .filter(|(number, known)| tried.iter().any(|tried| tried == known.operation) && !seen.contains(number));
    unseen.map(|(_, known)| format!("{} | {} | {}", known.operation, known.call, known.why)).collect()
}
