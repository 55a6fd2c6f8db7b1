//! What breaks in the field: one test a situation that was met in the bug trackers of other software, by hostile
//! programs, or as a new user. Each is named after it.
#![cfg(all(not(loom), target_arch = "x86_64"))]

#[path = "../common/mod.rs"]
mod common;

mod adoption;
mod advice;
mod answers;
mod bare_proc;
mod copies;
mod descriptors;
mod destroyed;
mod dropped_values;
mod filter;
mod interrupted;
mod large_values;
mod locks;
mod memory;
mod multiplied_work;
mod paths;
mod sandboxes;
mod texts;
mod torn_copies;
