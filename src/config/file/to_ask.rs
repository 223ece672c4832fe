//! What a configuration says to whoever only asks the running server. That server refused a file that is wrong and goes on
//! with the one before, so a file that can't be used keeps nobody from asking.

use super::{
    super::{
        Config, Origin, Problem, Problems,
        report::{Document, DocumentKind, Report},
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
    let mut read = read_what_can_be(&documents, origin.clone(), world);
    if read.is_broken && !read.names_folder {
        // Before all others, which go before it.
        let named = documents.iter().filter(|document| document.kind == DocumentKind::File);
        let named = named.map(|document| Document::file(document.name.clone(), naming_state_folder(&document.text)));
        read = read_what_can_be(&named.chain(documents.iter().cloned()).collect::<Vec<_>>(), origin, world);
    }
    problems.extend(read.problems);
    let is_wrong = problems.iter().any(|problem| problem.option.starts_with("listen.do53"));
    let names_addresses = !is_wrong && (read.names_do53 || is_seen_whole && !read.is_broken);
    ToAsk { config: read.config, problems, names_addresses }
}

/// What can be read of documents.
struct Read {
    config: Config,
    problems: Vec<Problem>,
    /// Some of the text isn't TOML.
    is_broken: bool,
    /// It says where to listen, and where to keep state.
    names_do53: bool,
    names_folder: bool,
}

fn read_what_can_be(documents: &[Document], origin: Origin, world: &World<'_>) -> Read {
    let report = Report::new(documents);
    let written = tree(&report, 0..report.sources().len());
    let names = |section: &str, option: &str| {
        let section = written.get(section).and_then(|section| section.get_ref().as_table());
        section.is_some_and(|section: &DeTable<'_>| section.contains_key(option))
    };
    let (names_do53, names_folder) = (names("listen", "do53"), names("state", "dir"));
    let config = examine_report(&report, origin, world);
    let is_broken = report.is_broken();
    let problems = report.finish().err().map_or_else(Vec::new, |Problems(found)| found);
    Read { config, problems, is_broken, names_do53, names_folder }
}

/// The lines of a text that name the state folder, each read by itself, where they stand: a bracket that is never closed
/// makes something else of all that follows, which whoever wrote it doesn't see.
fn naming_state_folder(text: &str) -> String {
    let (mut is_before_sections, mut is_in_section) = (true, false);
    let lines = text.trim_start_matches('\u{feff}').lines().map(|line| {
        if let Some(header) = line.trim_start().strip_prefix('[') {
            let name = header.split([']', '#']).next().unwrap_or_default();
            is_in_section = name.trim().trim_matches(['"', '\'']) == "state";
            is_before_sections = false;
            return if is_in_section { "[state]" } else { "" };
        }
        let key = match (is_in_section, is_before_sections) {
            (true, _) => "dir",
            (false, true) => "state",
            (false, false) => return "",
        };
        let sets_it = DeTable::parse(line).is_ok_and(|table| table.get_ref().contains_key(key));
        if sets_it { line } else { "" }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_found_in_what_is_no_toml() {
        for (text, named) in [
            ("[listen]\ndo53 = [\"a\"\n[state]\ndir = \"s\"\n[log", "\n\n[state]\ndir = \"s\"\n"),
            (
                "<<<<<<<\n[ \"state\" ] # here\n=======\n dir = 's' # there\nsize = 1",
                "\n[state]\n\n dir = 's' # there\n",
            ),
            ("\u{feff}[state\ndir = \"s\"", "[state]\ndir = \"s\""),
            ("state.dir = \"s\"\nlisten = {\n[x]\nstate.dir = \"t\"\ndir = \"u\"", "state.dir = \"s\"\n\n\n\n"),
            ("state = { dir = \"s\" }", "state = { dir = \"s\" }"),
            ("[state]\ndir = \"s", "[state]\n"),
            ("<html>\ndir = \"s\"\n[states]\ndir = \"s\"\n[[state.x]]\ndir = \"s\"", "\n\n\n\n\n"),
        ] {
            assert_eq!(naming_state_folder(text), named, "{text}");
        }
    }
}
