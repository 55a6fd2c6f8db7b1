//! The latest value: what a look at it costs, and what those who look cost its writer.

use std::hint::black_box;

use ringway::seqlock;

use super::{CELL, COPY, SEQLOCK};
use crate::crowds::read_by;
use crate::line::Result;
use crate::names::{Job, name};
use crate::plan::Plan;
use crate::processes::Board;
use crate::references::cell::Cell;
use crate::shared::share_one;
use crate::turns::{Pace, alone};

type Latest = seqlock::Channel<[u64; 8]>;

/// How many processes read.
pub const READERS: [usize; 5] = [0, 1, 2, 4, 8];

pub fn plans(board: &'static Board) -> Result<Vec<Plan>> {
    let mut plans = reads()?;
    for readers in READERS {
        plans.extend(writes(board, readers)?);
    }
    Ok(plans)
}

fn latest() -> Result<Latest> {
    Ok(Latest::options().prefault(true).anonymous()?)
}

fn reads() -> Result<Vec<Plan>> {
    let pace = Pace::of(16_384);
    let (cell, channel) = (share_one::<Cell>()?, latest()?);
    let plain = move || {
        Ok(move || {
            // SAFETY: nobody writes there.
            black_box(unsafe { black_box(cell).copy() });
            Ok(())
        })
    };
    let seqlock = move || {
        channel.writer()?.write(&[1; 8])?;
        let mut reader = channel.reader();
        Ok(move || {
            black_box(reader.read()?);
            Ok(())
        })
    };
    let copy = name(COPY, Job::Read);
    Ok(vec![alone(copy.clone(), pace, plain), alone(name(SEQLOCK, Job::Read), pace, seqlock).against(copy)])
}

fn writes(board: &'static Board, readers: usize) -> Result<Vec<Plan>> {
    let (pace, over) = (Pace::of(1024), &board.over.0);
    let (cell, channel) = (share_one::<Cell>()?, latest()?);
    let reading = channel.clone();

    let write_cell = move || {
        Ok(move |version| {
            cell.write(version, &[version; 8]);
            Ok(())
        })
    };
    let read_cell = move || {
        move || {
            black_box(cell.try_read());
        }
    };
    let write = move || {
        let mut writer = channel.writer()?;
        Ok(move |version| Ok(writer.write(&[version; 8])?))
    };
    let read = move || {
        let mut reader = reading.reader();
        move || {
            // Overtaken or not, it was a look.
            let _ = black_box(reader.read());
        }
    };

    let job = Job::Readers(readers);
    let bare = name(CELL, job);
    Ok(vec![
        read_by(bare.clone(), pace, readers, over, write_cell, read_cell)?,
        read_by(name(SEQLOCK, job), pace, readers, over, write, read)?.against(bare),
    ])
}
