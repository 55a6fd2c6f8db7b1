//! One way, as many messages as go: small and large, singly and in batches, by copy and in place.

use ringway::Wait;

use super::{
    BYTES, DEEP, IN_PLACE, RECORD_RING, RECORD_RING_IN_PLACE, SLOT_RING, SLOT_RING_IN_PLACE, SLOT_RING_THREADS, SPSC,
    SPSC_THREADS,
};
use crate::channels::batches_in_place::BatchesInPlace;
use crate::channels::bytes::Bytes;
use crate::channels::in_place::InPlace;
use crate::channels::spsc::{BATCH, Batches, Spsc};
use crate::line::Result;
use crate::names::{Job, name};
use crate::plan::Plan;
use crate::references::record_ring::{self, Produced, RecordRing};
use crate::references::slot_ring::{self, Singly, slot_ring};
use crate::turns::{Pace, one_way, one_way_in_process};

/// The sizes that are compared, in bytes.
pub const SIZES: [usize; 5] = [8, 64, 512, 4 << 10, 64 << 10];

/// Messages in a stretch, by size: so that a turn takes a few milliseconds.
pub fn pace(size: usize) -> Pace {
    Pace::of(match size {
        0..=64 => 4096,
        65..=512 => 1024,
        513..=4096 => 256,
        _ => 16,
    })
}

/// Messages that a ring holds, by size.
pub fn capacity(size: usize) -> usize {
    match size {
        0..=512 => DEEP,
        513..=4096 => 64,
        _ => 16,
    }
}

pub fn plans() -> Result<Vec<Plan>> {
    let mut plans = values::<1, DEEP>()?;
    plans.extend(batches::<1>()?);
    plans.extend(values::<8, DEEP>()?);
    plans.extend(batches::<8>()?);
    plans.extend(batches_in_place::<1>()?);
    plans.extend(batches_in_place::<8>()?);
    plans.extend(in_process::<1>()?);
    plans.extend(in_process::<8>()?);
    plans.extend(values::<64, DEEP>()?);
    plans.extend(values::<512, 64>()?);
    plans.extend(values::<8192, 16>()?);
    for size in SIZES {
        plans.extend(records(size)?);
    }
    plans.extend(produced(64 << 10)?);
    Ok(plans)
}

fn spsc<const N: usize>(capacity: usize) -> Result<Spsc<N>> {
    Spsc::new(capacity, Wait::Spin)
}

fn values<const N: usize, const CAPACITY: usize>() -> Result<Vec<Plan>> {
    let (job, pace) = (Job::OneWay(8 * N), pace(8 * N));
    let ring = name(SLOT_RING, job);
    Ok(vec![
        one_way(ring.clone(), pace, 1, slot_ring::<N, CAPACITY>()?),
        one_way(name(SPSC, job), pace, 1, spsc::<N>(CAPACITY)?).against(ring),
    ])
}

/// In batches; the reference sends singly.
fn batches<const N: usize>() -> Result<Vec<Plan>> {
    let pace = Pace::of(64);
    let batches = one_way(name(SPSC, Job::Batches(8 * N)), pace, BATCH as u64, Batches(spsc::<N>(DEEP)?));
    Ok(vec![batches.against(name(SLOT_RING, Job::OneWay(8 * N)))])
}

/// In batches that are made and used in place; the slot ring sends the same singly.
fn batches_in_place<const N: usize>() -> Result<Vec<Plan>> {
    let (job, pace, messages) = (Job::BatchesInPlace(8 * N), Pace::of(64), BATCH as u64);
    let (singly, in_place) = (name(SLOT_RING, job), name(SLOT_RING_IN_PLACE, job));
    let ring = || slot_ring::<N, DEEP>();
    Ok(vec![
        one_way(singly.clone(), pace, messages, Singly(ring()?)),
        one_way(name(SPSC, job), pace, messages, BatchesInPlace(spsc::<N>(DEEP)?))
            .against(singly.clone())
            .against(in_place.clone()),
        one_way(in_place, pace, messages, slot_ring::InPlace(ring()?)).against(singly),
    ])
}

fn in_process<const N: usize>() -> Result<Vec<Plan>> {
    let (job, pace) = (Job::OneWay(8 * N), pace(8 * N));
    let ring = name(SLOT_RING_THREADS, job);
    Ok(vec![
        one_way_in_process(ring.clone(), pace, 1, &slot_ring::<N, DEEP>()?)?,
        one_way_in_process(name(SPSC_THREADS, job), pace, 1, &spsc::<N>(DEEP)?)?.against(ring),
    ])
}

fn records(size: usize) -> Result<Vec<Plan>> {
    let (job, pace, capacity) = (Job::OneWay(size), pace(size), capacity(size));
    let ring = name(RECORD_RING, job);
    Ok(vec![
        one_way(ring.clone(), pace, 1, RecordRing::new(size, capacity)?),
        one_way(name(BYTES, job), pace, 1, Bytes::new(size, capacity, Wait::Spin)?).against(ring),
    ])
}

/// Where the making and the using of every byte is part of the job.
fn produced(size: usize) -> Result<Vec<Plan>> {
    let (job, pace, capacity) = (Job::Produced(size), pace(size), capacity(size));
    let ring = name(RECORD_RING, job);
    Ok(vec![
        one_way(ring.clone(), pace, 1, Produced(RecordRing::new(size, capacity)?)),
        one_way(name(IN_PLACE, job), pace, 1, InPlace::new(size, capacity)?)
            .against(ring.clone())
            .against(name(RECORD_RING_IN_PLACE, job)),
        one_way(name(RECORD_RING_IN_PLACE, job), pace, 1, record_ring::InPlace(RecordRing::new(size, capacity)?))
            .against(ring),
    ])
}

/// Steps of a stretch of [`endless`].
pub const ENDLESS_STEPS: u64 = 4096;

/// What is run for so long that it shows whether it stays as fast.
pub fn endless() -> Result<Vec<Plan>> {
    let mut plans = values::<1, DEEP>()?;
    plans.extend(values::<8, DEEP>()?);
    Ok(plans)
}
