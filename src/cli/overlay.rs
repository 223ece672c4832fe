//! What pages and API changed, for commands that look at what a server would do without one. Nothing is written.

use crate::{
    app,
    config::{Config, ListSource, Location, overlay::Applied},
    embedded,
    lists::Embedded,
    settings::OverlayFile,
};
use std::{borrow::Cow, collections::HashMap, path::PathBuf, sync::Mutex};

/// A configuration with what was changed upon it.
pub struct Laid {
    pub config: Config,
    /// Why the file as it is isn't what counts, and what does.
    pub trouble: Option<String>,
    /// Entries that do nothing, because what they name isn't there.
    pub resting: Vec<String>,
    /// Where it was read; `None`: nothing is changed.
    pub file: Option<PathBuf>,
}

/// Lists that changes make, where a server hasn't written them yet, by their place among the files inside the program.
static UNWRITTEN: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);
/// Before such a place.
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
        let mut unwritten = UNWRITTEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        unwritten.get_or_insert_default().insert(place, text);
    }
    let trouble = file.troubles().0.map(|why| format!("{why}; {}", file.in_its_place()));
    let is_changed = !file.overlay().is_empty();
    Laid {
        config,
        trouble,
        resting: resting.into_iter().map(|resting| resting.why).collect(),
        file: file.path().filter(|_| is_changed).map(PathBuf::from),
    }
}

/// The files inside the program, and lists that aren't written yet.
pub fn embedded_files() -> Embedded {
    Embedded { read, paths }
}

fn read(path: &str) -> Option<Cow<'static, [u8]>> {
    let unwritten = UNWRITTEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let own = unwritten.as_ref().and_then(|unwritten| unwritten.get(path)).cloned();
    own.map(|text| Cow::Owned(text.into_bytes())).or_else(|| embedded::read(path))
}

fn paths() -> Vec<String> {
    let unwritten = UNWRITTEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    embedded::paths().into_iter().chain(unwritten.iter().flatten().map(|(place, _)| place.clone())).collect()
}
