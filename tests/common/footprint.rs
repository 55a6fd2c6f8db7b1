//! What a failed call may not leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::proc::maps;

/// What a failed call may not leave behind.
#[derive(Debug, PartialEq)]
pub struct Footprint {
    files: Vec<String>,
    descriptors: usize,
    /// Bytes and number of mappings, by what is mapped. The heap may grow, so it is left out.
    mapped: BTreeMap<String, (u64, usize)>,
}

impl Footprint {
    /// What this process has, and what lies in the directory.
    pub fn now(dir: Option<&Path>) -> Self {
        let names = |dir: &Path| -> Vec<String> {
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        };
        let mut files = dir.map(names).unwrap_or_default();
        files.sort();
        let mut mapped = BTreeMap::<String, (u64, usize)>::new();
        for map in maps() {
            if !["[heap]", "[stack]"].contains(&map.what.as_str()) {
                let entry = mapped.entry(format!("{} {}", map.perms, map.what)).or_default();
                *entry = (entry.0 + map.len(), entry.1 + 1);
            }
        }
        Self { files, descriptors: names(Path::new("/proc/self/fd")).len(), mapped }
    }
}
