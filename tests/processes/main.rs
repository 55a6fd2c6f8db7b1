//! Real processes, forked and started anew, on every backing and of every kind.
//!
//! | | |
//! |---|---|
//! | [`storms`] | storms whose every message is checked |
//! | [`plan`], [`places`], [`sides`], [`forms`] | what a storm is, where its processes meet, what they do there, in which forms |
//! | [`sleeping`] | sleeping and waking |
//! | [`held_before_sleep`], [`hold`] | processes that are held just before they sleep, at a system call |
//! | [`held_anywhere`], [`step`] | processes that are held at any instruction |
//! | [`leaving`], [`successors`] | leaving, and going on where another stopped |
//! | [`forks`] | forks with live endpoints |
//! | [`attachments`] | one region that is attached more than once |
//! | [`seats`] | the race for a seat |
#![cfg(not(loom))]

mod attachments;
#[path = "../common/mod.rs"]
mod common;
mod forks;
mod forms;
#[cfg(target_arch = "x86_64")]
mod held_anywhere;
mod held_before_sleep;
mod hold;
mod leaving;
mod places;
mod plan;
mod seats;
mod sides;
mod sleeping;
#[cfg(target_arch = "x86_64")]
mod step;
mod storms;
mod successors;

use ringway::{bytes, spsc};

use common::messages::Packet;
use common::role::ROLE;
use places::{open, open_latest};
use plan::{Kind, Plan};
use sides::{run_ring, run_seqlock};

/// Takes the role of a process that [`exec`](common::role::exec) started. Does nothing in an ordinary run.
#[test]
fn child_entry() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if role == "barrier" {
        return sleeping::every_endpoint_answers_membarrier();
    }
    let (side, place, plan) = Plan::parse(&role);
    match plan.kind {
        Kind::Spsc64 => run_ring::<spsc::Channel<Packet>>(&open(&place), &side, &plan),
        Kind::Spsc8 => run_ring::<spsc::Channel<u64>>(&open(&place), &side, &plan),
        Kind::Bytes => run_ring::<bytes::Channel>(&open(&place), &side, &plan),
        Kind::Seqlock => run_seqlock::<8>(&open_latest(&place, &side), &side, &plan),
        Kind::BigSeqlock => run_seqlock::<1024>(&open_latest(&place, &side), &side, &plan),
    }
}
