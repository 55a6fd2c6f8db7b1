//! What breaks in the field: one test a situation that was met in the bug trackers of other software, by hostile
//! programs, or as a new user. Each is named after it.
#![cfg(not(loom))]

#[path = "../support/mod.rs"]
mod support;

mod advice;
mod copies;
mod destroyed;
mod dropped_values;
mod large_values;
mod multiplied_work;
mod paths;
