//! The kinds of cases between the parent and several processes, which share the processors that it does not use. They
//! exist throughout the run, and sleep but for these turns.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::line::{Line, Receiver, Result, Sender};
use crate::names::Name;
use crate::plan::{Opposite, Plan, Serve, Start};
use crate::samples::{Sample, Samples};
use crate::shared::{Padded, share, spin_until};
use crate::turns::{Pace, check, keep};

/// The parent writes version after version, while `readers` processes read until the turn is over.
pub fn read_by<W: FnMut(u64) -> Result + 'static, R: FnMut() + 'static>(
    name: Name,
    pace: Pace,
    readers: usize,
    over: &'static AtomicU32,
    writer: impl FnOnce() -> Result<W> + 'static,
    reader: impl Fn() -> R + 'static,
) -> Result<Plan> {
    let reads = share::<Padded>(readers.max(1))?;
    let reader = Rc::new(reader);
    let member = |reads: &'static AtomicU64| -> Start<Serve> {
        let reader = reader.clone();
        Box::new(move || {
            let (mut read, mut number) = (reader(), 0);
            Ok(Box::new(move |turn| {
                loop {
                    read();
                    number += 1;
                    reads.store(number, Relaxed);
                    if over.load(Relaxed) >= turn {
                        return Ok(());
                    }
                }
            }))
        })
    };
    let members = reads[..readers].iter().map(|reads| member(&reads.0)).collect();
    let all_reads = move || reads.iter().map(|reads| reads.0.load(Relaxed)).sum::<u64>();
    let measure = move || {
        let (mut write, mut version) = (writer()?, 0);
        Ok(Box::new(move |samples: &mut Samples| {
            for stretch in 0..=pace.stretches {
                // A stretch without a reader would count for nothing.
                let before = all_reads();
                spin_until(|| readers == 0 || all_reads() != before);
                samples.start();
                for _ in 0..pace.steps {
                    version += 1;
                    write(version)?;
                }
                if stretch > 0 {
                    samples.lap();
                }
            }
            Ok(())
        }) as _)
    };
    Ok(Plan::new(name, Sample::Stretch(pace.steps), Box::new(measure), Opposite::Members(members)))
}

/// The parent sends to one process after the other, over a line to each.
pub fn fan_out<L: Line>(name: Name, pace: Pace, lines: Vec<L>) -> Plan {
    let count = lines.len() as u64;
    let lines: Vec<_> = lines.into_iter().map(Rc::new).collect();
    let member = |line: &Rc<L>| -> Start<Serve> {
        let line = line.clone();
        Box::new(move || {
            let (mut receiver, mut number) = (line.receiver()?, 0);
            Ok(Box::new(move |_| {
                for _ in 0..pace.total() {
                    number += 1;
                    check(receiver.get()?, number)?;
                }
                Ok(())
            }))
        })
    };
    let members = lines.iter().map(member).collect();
    let measure = move || {
        let mut senders = lines.iter().map(|line| line.sender()).collect::<Result<Vec<_>>>()?;
        let mut number = 0;
        let measure = move |samples: &mut Samples| {
            pace.run(samples, || {
                number += 1;
                senders.iter_mut().try_for_each(|sender| sender.put(number))
            })
        };
        Ok(keep(lines, measure))
    };
    Plan::new(name, Sample::Stretch(pace.steps * count), Box::new(measure), Opposite::Members(members))
}
