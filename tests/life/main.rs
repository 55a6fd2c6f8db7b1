//! Who is alive, who is dead, and what follows: no false alarms, killing, succession, and clean-up.
//!
//! | | |
//! |---|---|
//! | [`judgement`], [`identity`] | who is the holder of a seat, and whether it lives |
//! | [`killing`], [`succession`] | who takes a seat from the living, and from the dead |
//! | [`forks`] | forks beside claims |
//! | [`making`], [`removal`] | files that are made and removed |
//! | [`holders`], [`words`], [`lookout`] | what these share |
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;
mod forks;
mod holders;
mod identity;
mod judgement;
mod killing;
mod lookout;
mod making;
mod removal;
mod succession;
mod words;
