//! The examples do what they say: each is run, as cargo built it, on something small.
//!
//! | | |
//! |---|---|
//! | [`stream`], [`inherit`], [`ticks`], [`workers`], [`latency`] | what each example does |
//! | [`help`] | what every example says of itself |
//! | [`example`], [`scratch`] | an example that runs, and files to give it |

mod example;
mod help;
mod inherit;
mod latency;
mod scratch;
mod stream;
mod ticks;
mod workers;
