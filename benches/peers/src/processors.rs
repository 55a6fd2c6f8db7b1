//! Where the processes run, and on what.

use std::{env, fs};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::utsname::uname;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::line::Result;

/// The processors in use: the parent's, the child's, and those that further processes take in turn.
#[derive(Clone)]
pub struct Placement {
    pub parent: usize,
    pub child: usize,
    others: Vec<usize>,
}

impl Placement {
    /// The first processor this process may use, and another, on another core if there is one. Further processes
    /// use all processors but the first.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut processors = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
        let parent = processors.next().ok_or("there is no processor to run on")?;
        let mut others: Vec<_> = processors.collect();
        let elsewhere = others.iter().position(|&cpu| core_of(cpu) != core_of(parent));
        if others.is_empty() {
            return Err("takes two processors, and this process may use one".into());
        }
        others.rotate_left(elsewhere.unwrap_or(0));
        Ok(Self { parent, child: others[0], others })
    }

    /// The processor of a further process.
    pub fn member(&self, index: usize) -> usize {
        self.others[index % self.others.len()]
    }

    fn describe(&self) -> String {
        let Self { parent, child, others } = self;
        let shared = if core_of(*parent) == core_of(*child) { ", which share a core" } else { "" };
        format!("parent on processor {parent}, child on {child}{shared}; further processes on {others:?}")
    }
}

/// Keeps the calling thread on one processor.
pub fn pin(processor: usize) -> Result {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// What the kernel calls the processors of this one's core.
fn core_of(processor: usize) -> Option<String> {
    fs::read_to_string(format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")).ok()
}

/// What a run was made on.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub virtual_machine: bool,
    pub kernel: String,
    pub placement: String,
}

impl Machine {
    pub fn describe(placement: &Placement) -> Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let kernel = uname()?;
        Ok(Self {
            processor: model.map_or(env::consts::ARCH, |(_, model)| model).to_owned(),
            virtual_machine: flags.split(' ').any(|flag| flag == "hypervisor"),
            kernel: format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy()),
            placement: placement.describe(),
        })
    }

    /// In lines of text.
    pub fn lines(&self) -> String {
        let machine = if self.virtual_machine { " (virtual machine)" } else { "" };
        format!("{}{machine}\n{}\n{}\n", self.processor, self.kernel, self.placement)
    }
}
