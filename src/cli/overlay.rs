//! What pages and API changed, for commands that look at what a server would do without one. Nothing is written.

use super::warn;
use crate::{
    app,
    config::{
        Config, ListSource, Location,
        overlay::{self as laid, Applied, Entry, Overlay},
    },
    embedded,
    settings::OverlayFile,
};
use std::{path::PathBuf, sync::Arc};

/// A configuration with what was changed upon it.
pub struct Laid {
    pub config: Config,
    /// Why the file as it is isn't what counts, and what does.
    pub trouble: Option<String>,
    /// Entries that do nothing, because what they name isn't there.
    pub resting: Vec<String>,
    /// Which lists a server would hold at a version; they are read as they are now.
    pub pinned: Vec<String>,
    /// Where it was read; `None`: nothing is changed.
    pub file: Option<PathBuf>,
    /// What was changed, as far as it counts.
    pub overlay: Arc<Overlay>,
}

/// Before the place of a list that a server hasn't written yet, among the files inside the program.
const UNWRITTEN_FOLDER: &str = "overlay.toml/";

/// Lays what was changed upon what the files say, as a start would.
pub fn lay(files: Config) -> Laid {
    let file = OverlayFile::open(files.state_dir.as_deref(), app::Outside::real().clock);
    let Applied { mut config, resting, lists, .. } = file.laid_if_possible(&files);
    for (path, text) in lists {
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        let place = format!("{UNWRITTEN_FOLDER}{}", path.file_name().unwrap_or_default().display());
        let sources = config.programs.iter_mut().flat_map(|program| &mut program.lists);
        let own = |source: &&mut ListSource| source.location == Location::File(path.clone());
        sources.filter(own).for_each(|source| source.location = Location::Embedded(place.clone()));
        embedded::add(place, text);
    }
    let trouble = file.troubles().0.map(|why| format!("{why}; {}", file.in_its_place()));
    let is_changed = !file.overlay().is_empty();
    Laid {
        config,
        trouble,
        resting: resting.into_iter().map(|resting| resting.why).collect(),
        pinned: pinned(&file.overlay()),
        file: file.path().filter(|_| is_changed).map(PathBuf::from),
        overlay: file.overlay(),
    }
}

/// A configuration with what was changed upon it; what isn't as in a server is said.
pub fn laid(config: Config) -> Config {
    let Laid { config, trouble, pinned, .. } = lay(config);
    trouble.iter().chain(&pinned).for_each(|why| warn(why));
    config
}

/// Lists that the running server holds at a version: what is checked is what they are now.
fn pinned(overlay: &Overlay) -> Vec<String> {
    let told = overlay.entries().filter_map(|(key, entry)| match entry {
        Entry::Pin(own) => Some(format!(
            "{} is pinned at version {} ({}); what counts here is the list as it is now",
            key.id(),
            own.version,
            laid::FILE_NAME
        )),
        _ => None,
    });
    told.collect()
}
