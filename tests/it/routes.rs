//! The routes of the HTTP side, as the source has them: a route that is added is found by itself.

use std::{fs, path::Path};

/// Method and path of every route, variables of paths in braces.
pub fn of_source() -> Vec<(&'static str, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin")];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut routes = Vec::new();
    for part in texts.iter().flat_map(|text| text.split(".route(").skip(1)) {
        let Some(path) = part.trim_start().strip_prefix('"').and_then(|part| part.split('"').next()) else { continue };
        let rest = part.split_once(',').unwrap().1.split(['}', ';']).next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if rest.contains(&format!("{method}(")) {
                routes.push((method.to_uppercase().leak() as &str, path.to_owned()));
            }
        }
    }
    routes.sort();
    routes
}
