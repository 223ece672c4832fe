//! What a configuration says to whoever only asks the running server. That server refused a file that is wrong and goes on
//! with the one before, so a file that can't be used keeps nobody from asking.

use super::{
    super::{
        Config, Origin, Problem, Problems,
        report::{Document, Report},
    },
    examine_report, find_config, gather,
    merge::tree,
    world::World,
};
use std::path::Path;
use toml::de::DeTable;

/// As much of a configuration as can be made out.
#[derive(Clone, Debug, PartialEq)]
pub struct ToAsk {
    /// What is wrong is left out of it, or as it is by default.
    pub config: Config,
    /// Why a server would not start with it; empty: it would.
    pub problems: Vec<Problem>,
    /// Whether the addresses in it are those that are written, rather than what stands for what couldn't be read.
    pub names_addresses: bool,
}

/// Reads what [`super::load`] would, as far as it can be read.
pub fn to_ask(requested: Option<&Path>, world: &World<'_>) -> ToAsk {
    let (origin, documents, mut problems) = match find_config(requested, world) {
        Ok(origin) => {
            let (documents, problems) = gather(&origin, world);
            (origin, documents, problems)
        }
        Err(Problems(problems)) => {
            let path = world.current_folder.join(requested.unwrap_or(Path::new("")));
            (Origin::File(path), Vec::new(), problems)
        }
    };
    if documents.is_empty() {
        let config = Config { origin, ..Config::default_for(world) };
        return ToAsk { config, problems, names_addresses: false };
    }
    let is_seen_whole = problems.is_empty();
    let (config, is_broken, names_do53) = read_what_can_be(&documents, origin, world, &mut problems);
    let is_wrong = problems.iter().any(|problem| problem.option.starts_with("listen.do53"));
    let names_addresses = !is_wrong && (names_do53 || is_seen_whole && !is_broken);
    ToAsk { config, problems, names_addresses }
}

/// The configuration, whether some of its text isn't TOML, and whether it says where to listen.
fn read_what_can_be(
    documents: &[Document],
    origin: Origin,
    world: &World<'_>,
    problems: &mut Vec<Problem>,
) -> (Config, bool, bool) {
    let report = Report::new(documents);
    let written = tree(&report, 0..report.sources().len());
    let listen = written.get("listen").and_then(|listen| listen.get_ref().as_table());
    let names_do53 = listen.is_some_and(|listen: &DeTable<'_>| listen.contains_key("do53"));
    let config = examine_report(&report, origin, world);
    let is_broken = report.is_broken();
    if let Err(Problems(found)) = report.finish() {
        problems.extend(found);
    }
    (config, is_broken, names_do53)
}
