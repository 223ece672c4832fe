//! The owner's own names, from the configuration and hosts files.

use crate::{
    config::Config,
    query::{HostsFile, LocalData, read_hosts},
};
use std::{fs::File, io::Read, path::Path};

/// Octets of a hosts file: names of machines, a hundred thousand of them, and not a list of names to block.
const HOSTS_BYTES_MAX: u64 = 4 << 20;

/// The owner's own names, and what in hosts files can't be used; an error if one can't be read.
pub fn local_data(config: &Config) -> Result<(LocalData, Vec<String>), String> {
    let (mut records, mut warnings) = (config.local.records.clone(), Vec::new());
    for path in &config.local.hosts {
        let HostsFile { records: found, problems, problem_count } = read_hosts(&octets_of(path)?);
        records.extend(found);
        let unsaid = problem_count - problems.len();
        warnings.extend(problems.iter().map(|(line, reason)| format!("{}:{line}: {reason}", path.display())));
        if unsaid > 0 {
            warnings.push(format!("{}: and {unsaid} lines more", path.display()));
        }
    }
    Ok((LocalData::new(&records), warnings))
}

/// A hosts file's octets.
fn octets_of(path: &Path) -> Result<Vec<u8>, String> {
    let at_fault = |why: String| format!("local.hosts: {} {why}", path.display());
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HOSTS_BYTES_MAX + 1).read_to_end(&mut octets))
        .map_err(|error| at_fault(format!("can't be read: {error}")))?;
    if octets.len() as u64 > HOSTS_BYTES_MAX {
        return Err(at_fault(format!("is larger than {HOSTS_BYTES_MAX} octets; names to block belong into lists")));
    }
    Ok(octets)
}
