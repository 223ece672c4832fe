//! The arrows between modules, checked: who may not name whom, and why.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Module, words it must not mention, why.
const ARROWS: &[(&str, &[&str], &str)] = &[
    (
        "policy",
        &[
            "std::fs",
            "std::net::Udp",
            "std::net::Tcp",
            "tokio",
            "Instant",
            "SystemTime",
            "Mutex",
            "async fn",
            ".await",
            "crate::lists",
            "crate::config",
            "crate::query",
            "crate::resolve",
            "crate::response",
            "crate::telemetry",
        ],
        "deciding is pure and knows DNS alone",
    ),
    (
        "dns",
        &["crate::policy", "crate::query", "crate::config", "crate::resolve", "tokio", "std::fs"],
        "the vocabulary needs nobody",
    ),
    (
        "cache",
        &[
            "crate::policy",
            "crate::query",
            "crate::response",
            "crate::lists",
            "tokio",
            "Instant",
            "SystemTime",
            "std::fs",
        ],
        "it keeps facts of DNS, by a clock that others read",
    ),
    ("prefetch", &["crate::", "std::fs"], "a hint to the processor"),
    ("background", &["crate::", "std::fs"], "a word to the system about its own thread"),
    (
        "response",
        &["crate::query", "crate::lists", "crate::config", "tokio", "on_question", "on_answer"],
        "it writes and never decides",
    ),
    (
        "resolve",
        &["crate::policy", "crate::query", "crate::response", "crate::lists", "crate::telemetry"],
        "it finds answers and never filters",
    ),
    (
        "query",
        &["crate::lists", "crate::config", "crate::listener", "crate::admin", "crate::telemetry", "std::fs"],
        "the flow knows no sockets and no files",
    ),
    (
        "lists",
        &["crate::query", "crate::resolve", "crate::response", "crate::telemetry", "crate::admin", "crate::listener"],
        "the I/O around policy, nothing else",
    ),
    (
        "telemetry",
        &["crate::lists", "crate::listener", "crate::admin", "crate::config", "std::fs"],
        "it counts what it is told",
    ),
    (
        "report",
        &[
            "crate::lists",
            "crate::config",
            "crate::telemetry",
            "crate::resolve",
            "crate::admin",
            "tokio",
            "std::fs",
            "Instant",
            "SystemTime",
        ],
        "it counts what it is given, with no I/O and no clock",
    ),
    (
        "query_log",
        &["crate::lists", "crate::listener", "crate::admin", "crate::app", "crate::telemetry", "tokio", "on_question"],
        "it keeps what it is told, on threads of its own",
    ),
    (
        "replay",
        &["crate::config::Config", "crate::lists", "crate::app", "crate::listener", "crate::admin", "tokio"],
        "recorded queries in, differences out",
    ),
    (
        "listener",
        &["crate::policy", "crate::resolve", "crate::lists", "crate::config", "crate::admin"],
        "bytes in, bytes out",
    ),
    ("admin", &["crate::listener", "crate::app", "crate::cli"], "it reads what others publish"),
    ("admin/guard", &["crate::", "super::super"], "it asks nobody"),
    ("admin/problem", &["crate::", "super::"], "errors as data"),
    (
        "admin/auth",
        &[
            "askama",
            "super::api",
            "super::pages",
            "super::view",
            "super::change",
            "super::audit",
            "SystemTime",
            "Instant",
            "AdminState",
        ],
        "who it is, by what they show and a time that it is given",
    ),
    (
        "admin/audit",
        &["axum", "askama", "super::pages", "super::view", "super::change", "SystemTime", "Instant", "AdminState"],
        "lines in a file",
    ),
    ("admin/change", &["askama", "super::pages", "super::view", "super::api"], "what is done, by whom"),
    ("admin/live", &["axum", "askama", "super::super", "crate::admin"], "it counts what it is told"),
    (
        "admin/view",
        &[
            "axum",
            "askama",
            "guard",
            "problem",
            "admin::api",
            "admin::pages",
            "super::api",
            "super::pages",
            "super::change::",
        ],
        "what stands now, as plain data",
    ),
    ("admin/api", &["askama", "pages"], "JSON out of views"),
    ("admin/view", &["SchemaGenerator"], "its types say what they are, and api makes the document"),
    ("admin/change", &["SchemaGenerator"], "likewise"),
    (
        "admin/pages",
        &["admin::api", "super::api", "crate::telemetry", "crate::query::", "crate::lists::List"],
        "pages out of views",
    ),
    ("config", &["crate::query", "crate::resolve", "crate::lists", "crate::app", "tokio"], "plain values"),
    ("health", &["crate::listener", "crate::admin", "crate::app", "crate::query"], "it reads what others publish"),
    (
        "settings",
        &["crate::listener", "crate::admin", "crate::app", "crate::cli", "crate::policy", "crate::telemetry"],
        "it puts what the owner wrote in force",
    ),
    ("watch", &["crate::", "tokio"], "files of others"),
    ("whole", &["crate::", "tokio"], "files of its own"),
    ("accounts", &["crate::", "tokio"], "what the system says of users"),
    ("embedded", &["crate::"], "files inside the binary"),
    ("neighbours", &["crate::", "tokio", "std::fs"], "it asks the kernel and needs nobody"),
    (
        "confine",
        &["crate::app", "crate::lists", "crate::listener", "crate::admin", "crate::query", "tokio"],
        "it knows of a server what its configuration says",
    ),
    ("systemd", &["crate::", "tokio", "std::fs"], "it passes on and tells, and knows nothing of what is served"),
    ("app", &["crate::cli", "crate::policy"], "it composes and decides nothing"),
];

/// Words that only one module may mention.
const OWNERS: &[(&str, &[&str])] = &[
    ("argon2", &["admin"]),
    ("tokio_rustls", &["admin"]),
    // It is made into a document by admin/api alone; the others say what they write.
    ("schemars", &["admin", "health", "pause", "query_log", "report"]),
    ("hickory_resolver::", &["resolve"]),
    ("hickory_server::", &[]),
    ("domain::", &["resolve"]),
    ("axum", &["admin"]),
    ("askama", &["admin"]),
    ("hyper::", &["admin"]),
    ("crate::listener", &["app"]),
    ("crate::admin", &["app", "cli"]),
    ("rust_embed", &["embedded"]),
    ("Netlink", &["neighbours"]),
    ("sd_notify", &["systemd"]),
    ("listenfd", &["systemd"]),
    ("rustix::", &["listener"]),
    ("seccompiler", &["confine"]),
    ("landlock::", &["confine"]),
    ("caps::", &["confine"]),
];

#[test]
fn the_arrows_go_one_way() {
    let mut wrong = Vec::new();
    for (module, words, why) in ARROWS {
        for (path, text) in sources(module) {
            for (number, line) in code_lines(&text) {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{number} mentions `{word}`: {why}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In these folders of the map no two files that lie side by side name each other.
#[test]
fn of_two_files_at_most_one_names_the_other() {
    let mut wrong = Vec::new();
    for module in ["admin", "listener", "query", "query_log"] {
        let sources = sources(module);
        let named: Vec<(&Path, BTreeSet<String>)> =
            sources.iter().map(|(path, text)| (path.as_path(), siblings(text))).collect();
        let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        for (at, (one, by_one)) in named.iter().enumerate() {
            let beside = named[..at].iter().filter(|(other, _)| other.parent() == one.parent());
            for (other, by_other) in beside {
                if by_one.contains(&name(other)) && by_other.contains(&name(one)) {
                    wrong.push(format!("{} and {}", one.display(), other.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "they name each other: {}", wrong.join(", "));
}

/// What a file names by `super::`, one step up.
fn siblings(text: &str) -> BTreeSet<String> {
    let code: Vec<&str> = code_lines(text).map(|(_, line)| line).collect();
    let code = code.join(" ");
    let mut named = BTreeSet::new();
    let is_of_word = |sign: char| sign.is_alphanumeric() || sign == '_';
    for (at, _) in code.match_indices("super::").filter(|(at, _)| !code[..*at].ends_with("::")) {
        let mut depth = 0;
        let mut word = String::new();
        // Of words behind one another, the first.
        let mut is_first = true;
        for sign in code[at + "super::".len()..].chars() {
            if is_of_word(sign) {
                word.push(sign);
                continue;
            }
            let done = std::mem::take(&mut word);
            if !done.is_empty() {
                if is_first && depth <= 1 {
                    named.insert(done);
                }
                is_first = false;
            }
            match sign {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => is_first = true,
                _ => {}
            }
            let goes_on = depth > 0 || sign == ':';
            if !goes_on {
                break;
            }
        }
    }
    named
}

#[test]
fn each_framework_has_one_owner() {
    let mut wrong = Vec::new();
    let modules = modules();
    for (word, owners) in OWNERS {
        for module in modules.iter().filter(|module| !owners.contains(&module.as_str())) {
            for (path, text) in sources(module) {
                for (number, line) in code_lines(&text) {
                    if line.contains(word) {
                        wrong.push(format!("{}:{number} mentions `{word}`, which is {owners:?}'s", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_names_every_module() {
    let map = fs::read_to_string(source_folder().join("lib.rs")).unwrap();
    for module in modules() {
        let is_named = map.contains(&format!("pub mod {module};")) && map.contains(&format!("[`{module}`]"));
        assert!(is_named, "lib.rs has no line for {module}");
    }
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All modules of the library.
fn modules() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(source_folder())
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !["lib", "main", "build"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// The files of a module with their texts.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![source_folder().join(module)];
    let file = source_folder().join(format!("{module}.rs"));
    if file.exists() {
        files.push(file);
    }
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).into_iter().flatten() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !is_of_tests(&path) {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no source of {module}");
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// True for files that hold nothing but tests.
fn is_of_tests(path: &Path) -> bool {
    let is_tests = |part: &str| part == "tests" || part.ends_with("_tests") || part == "round_trip";
    path.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_tests)
        || path.parent().and_then(Path::file_name).and_then(|folder| folder.to_str()).is_some_and(is_tests)
}

/// Lines of code with their numbers: no comments, and nothing after the tests begin.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim().starts_with("//"))
}
