//! How long a message takes: there and back, and one way on a schedule.

use ringway::Wait;

use super::{BYTES, CACHE_LINE, FUTEX, PIPE, RECORD_RING, SHALLOW, SLOT_RING, SLOT_RING_THREADS, SPSC, SPSC_THREADS};
use crate::channels::bytes::Bytes;
use crate::channels::spsc::Spsc;
use crate::line::Result;
use crate::names::{Job, name};
use crate::plan::Plan;
use crate::references::cache_line::CacheLine;
use crate::references::futex::FutexLine;
use crate::references::pipe::Pipe;
use crate::references::record_ring::RecordRing;
use crate::references::slot_ring::slot_ring;
use crate::turns::{on_schedule, round_trip, round_trip_in_process};

/// Round trips of a turn: between two that spin, and between two that sleep.
pub const TRIPS: u64 = 12_000;
pub const TRIPS_ASLEEP: u64 = 48;

/// Messages of a turn on a schedule.
pub const SCHEDULED: u64 = 1000;

pub fn plans() -> Result<Vec<Plan>> {
    let mut plans = round_trips::<8>()?;
    plans.extend(round_trips::<1>()?);
    plans.extend(in_process::<8>()?);
    plans.extend(in_process::<1>()?);
    plans.extend(asleep()?);
    plans.extend(scheduled()?);
    Ok(plans)
}

fn round_trips<const N: usize>() -> Result<Vec<Plan>> {
    let job = Job::RoundTrip(8 * N);
    let slots = || slot_ring::<N, SHALLOW>();
    let spsc = || Spsc::<N>::new(SHALLOW, Wait::Spin);
    let bytes = || Bytes::new(8 * N, SHALLOW, Wait::Spin);
    let (line, ring) = (name(CACHE_LINE, job), name(SLOT_RING, job));
    Ok(vec![
        round_trip(line.clone(), TRIPS, [CacheLine::new()?, CacheLine::new()?]),
        round_trip(name(SPSC, job), TRIPS, [spsc()?, spsc()?]).against(line.clone()).against(ring.clone()),
        round_trip(name(BYTES, job), TRIPS, [bytes()?, bytes()?]).against(line.clone()).against(ring.clone()),
        round_trip(ring, TRIPS, [slots()?, slots()?]).against(line),
    ])
}

fn in_process<const N: usize>() -> Result<Vec<Plan>> {
    let job = Job::RoundTrip(8 * N);
    let slots = || slot_ring::<N, SHALLOW>();
    let spsc = || Spsc::<N>::new(SHALLOW, Wait::Spin);
    Ok(vec![
        round_trip_in_process(name(SLOT_RING_THREADS, job), TRIPS, [slots()?, slots()?])?,
        round_trip_in_process(name(SPSC_THREADS, job), TRIPS, [spsc()?, spsc()?])?
            .against(name(SLOT_RING_THREADS, job)),
    ])
}

fn asleep() -> Result<Vec<Plan>> {
    let job = Job::AsleepRoundTrip;
    let spsc = || Spsc::<8>::new(SHALLOW, Wait::Sleep);
    let bytes = || Bytes::new(64, SHALLOW, Wait::Sleep);
    let futex = name(FUTEX, job);
    Ok(vec![
        round_trip(futex.clone(), TRIPS_ASLEEP, [FutexLine::new()?, FutexLine::new()?]),
        round_trip(name(SPSC, job), TRIPS_ASLEEP, [spsc()?, spsc()?]).against(futex.clone()),
        round_trip(name(BYTES, job), TRIPS_ASLEEP, [bytes()?, bytes()?]).against(futex.clone()),
        round_trip(name(PIPE, job), TRIPS_ASLEEP, [Pipe::new(64)?, Pipe::new(64)?]).against(futex),
    ])
}

fn scheduled() -> Result<Vec<Plan>> {
    let job = Job::Scheduled;
    let (ring, records) = (name(SLOT_RING, job), name(RECORD_RING, job));
    Ok(vec![
        on_schedule(ring.clone(), SCHEDULED, slot_ring::<8, 1024>()?),
        on_schedule(name(SPSC, job), SCHEDULED, Spsc::<8>::new(1024, Wait::Spin)?).against(ring),
        on_schedule(records.clone(), SCHEDULED, RecordRing::new(64, 1024)?),
        on_schedule(name(BYTES, job), SCHEDULED, Bytes::new(64, 1024, Wait::Spin)?).against(records),
    ])
}
