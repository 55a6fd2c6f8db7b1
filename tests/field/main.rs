//! What breaks in the field. Each test is a situation from the bug trackers of other software, from hostile programs,
//! or from the first hours of a new user, and has its name.
//!
//! | | |
//! |---|---|
//! | [`copies`], [`torn_copies`], [`adoption`] | copies of a region's file |
//! | [`paths`], [`descriptors`], [`locks`] | paths, descriptors and locks that change or are taken away |
//! | [`memory`], [`destroyed`] | memory that is missing, and regions that are made anew |
//! | [`unmirrored`] | memory that cannot be mapped twice without a file |
//! | [`answers`], [`bare_proc`], [`filter`] | a kernel that refuses to answer, and the filter that makes it do so |
//! | [`interrupted`] | system calls that a signal interrupts |
//! | [`sandboxes`] | processes that are confined |
//! | [`multiplied_work`] | work that a hostile peer would multiply |
//! | [`large_values`], [`dropped_values`] | values that are larger than a stack, or have drop code |
//! | [`advice`], [`texts`] | the texts of errors, and whether their advice can be followed |
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
mod unmirrored;
