//! Compares two states of lists, rule by rule, by service.

use super::catalog::is_list_name;
use crate::policy::{
    RuleSet,
    parse::{Extent, Format, Options, parse},
};
use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

/// How the rules of one service differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServiceDiff {
    pub service: String,
    /// Rules as they are shown, in the order of their lines.
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

/// Why two states can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error("{0} can't be read: {1}")]
    Read(PathBuf, io::Error),
    #[error("{0}: {1}")]
    Unusable(PathBuf, crate::policy::parse::Unusable),
}

/// Compares two files, or two folders of lists. Services without a difference are left out. Two files are versions of one
/// list, whatever they are called.
pub fn diff(old: &Path, new: &Path, format: Format, extent: Extent) -> Result<Vec<ServiceDiff>, DiffError> {
    let are_files = old.is_file() && new.is_file();
    let (mut old, new) = (load(old, format, extent)?, load(new, format, extent)?);
    if let (true, Some((_, rules)), Some(service)) = (are_files, old.first_key_value(), new.keys().next()) {
        old = BTreeMap::from([(service.clone(), rules.clone())]);
    }
    let services: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let none = Vec::new();
    let compare = |service: &String| {
        let (old, new) = (old.get(service).unwrap_or(&none), new.get(service).unwrap_or(&none));
        let diff = ServiceDiff { service: service.clone(), added: missing(new, old), removed: missing(old, new) };
        (!diff.added.is_empty() || !diff.removed.is_empty()).then_some(diff)
    };
    Ok(services.into_iter().filter_map(compare).collect())
}

/// How two texts of one list differ.
pub struct TextDiff {
    pub added: Side,
    pub removed: Side,
}

/// Rules that one text has and the other hasn't.
pub struct Side {
    pub count: usize,
    /// The first of them as they are shown, in the order of their lines.
    pub first: Vec<String>,
}

/// Compares two texts of a list, and tells at most so many rules of each side.
pub fn differ(old: &RuleSet, new: &RuleSet, told_max: usize) -> TextDiff {
    let side = |some: &RuleSet, others: &RuleSet| {
        let (count, first) = missing_first(std::slice::from_ref(some), std::slice::from_ref(others), told_max);
        Side { count, first }
    };
    TextDiff { added: side(new, old), removed: side(old, new) }
}

/// The rules of some sets that no other has.
fn missing(some: &[RuleSet], others: &[RuleSet]) -> Vec<String> {
    missing_first(some, others, usize::MAX).1
}

/// The same: how many, and the first of them. What a set takes back (`$badfilter`) isn't there.
fn missing_first(some: &[RuleSet], others: &[RuleSet], told_max: usize) -> (usize, Vec<String>) {
    let disabled = |sets: &[RuleSet]| -> HashSet<u64> { sets.iter().flat_map(RuleSet::disabled).copied().collect() };
    let (gone, others_gone) = (disabled(some), disabled(others));
    let known = others.iter().flat_map(RuleSet::iter).map(|(_, rule)| rule.identity());
    let known: HashSet<u64> = known.filter(|identity| !others_gone.contains(identity)).collect();
    let (mut found, mut told) = (HashSet::new(), Vec::new());
    let own = some.iter().flat_map(RuleSet::iter).map(|(_, rule)| (rule.identity(), rule));
    let news =
        own.filter(|(identity, _)| !known.contains(identity) && !gone.contains(identity) && found.insert(*identity));
    let mut count = 0;
    for (_, rule) in news {
        count += 1;
        if told.len() < told_max {
            told.push(rule.unpack().to_string());
        }
    }
    (count, told)
}

/// The rules of a file, or of each list of a folder, by service.
fn load(path: &Path, format: Format, extent: Extent) -> Result<BTreeMap<String, Vec<RuleSet>>, DiffError> {
    let at_fault = |path: &Path| {
        let path = path.to_owned();
        move |error| DiffError::Read(path, error)
    };
    let mut files = Vec::new();
    if path.metadata().map_err(at_fault(path))?.is_dir() {
        for item in fs::read_dir(path).map_err(at_fault(path))? {
            let item = item.map_err(at_fault(path))?;
            if item.file_name().to_str().is_some_and(is_list_name) {
                files.push(item.path());
            }
        }
    } else {
        files.push(path.to_owned());
    }
    files.sort();
    let mut by_service: BTreeMap<String, Vec<RuleSet>> = BTreeMap::new();
    for file in files {
        let text = fs::read(&file).map_err(at_fault(&file))?;
        let parsed = parse(&text, &Options { format, extent, ..Options::default() })
            .map_err(|error| DiffError::Unusable(file.clone(), error))?;
        let stem = || file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        by_service.entry(parsed.header.service.clone().unwrap_or_else(stem)).or_default().push(parsed.rules);
    }
    Ok(by_service)
}
