//! What is shown of a configuration: every option, and where its value comes from.

use super::*;

/// The entries of a table, flat: `option = value  from`.
fn flat(table: &[(String, Shown)], name: &str, lines: &mut Vec<String>) {
    for (key, shown) in table {
        let dotted = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        match shown {
            Shown::Value { toml, from, .. } => lines.push(format!("{dotted} = {toml}  {from}")),
            Shown::Table(own) => flat(own, &dotted, lines),
            Shown::Tables(all) => {
                all.iter().enumerate().for_each(|(at, own)| flat(own, &format!("{dotted}[{at}]"), lines))
            }
        }
    }
}

fn lines(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Vec<String> {
    let (_folder, mut world) = clone();
    let own = |text: &&str| (*text).to_owned();
    world.overrides = variables.iter().map(|(name, value)| (own(name), own(value))).collect();
    files.iter().for_each(|(name, text)| write(&world.current_folder.join(name), text));
    let mut lines = Vec::new();
    flat(&show(None, &world).unwrap().1, "", &mut lines);
    lines
}

#[test]
fn every_value_tells_where_it_comes_from() {
    let main = "[cache]\nsize = '9 MiB'\n[[program]]\nname = 'clean-store'\nservices = { temu = 'enforce' }\n\
                [[program]]\nname = 'own'\nlists = [{ path = 'own.list' }]\n";
    let part =
        "[cache]\nstale = '2h'\n[[policy.exception]]\nnames = ['a.example']\n[[program]]\nname = 'own'\nede = 16";
    let files = [("config/cleandns.toml", main), ("config/conf.d/a.toml", part)];
    let lines = lines(&files, &[("CLEANDNS_CACHE__PREFETCH", "false"), ("CLEANDNS_ADMIN__LISTEN", "127.0.0.1:80")]);
    for line in [
        "cache.size = \"9 MiB\"  config/cleandns.toml:2",
        "cache.stale = \"2h\"  config/conf.d/a.toml:2",
        "cache.prefetch = false  environment variable CLEANDNS_CACHE__PREFETCH",
        "cache.save = false  default",
        "admin.listen = \"127.0.0.1:80\"  environment variable CLEANDNS_ADMIN__LISTEN",
        "policy.exception[0].names = [\"a.example\"]  config/conf.d/a.toml:4",
        "program[0].name = \"clean-store\"  config/cleandns.toml:4",
        "program[0].services = { temu = \"enforce\" }  config/cleandns.toml:5",
        "program[0].mode = \"enforce\"  default",
        "program[0].lists = [{ format = \"auto\", path = \"blocklists/clean-store\" }]  default",
        "program[1].ede = 16  config/conf.d/a.toml:7",
        "program[1].mode = \"enforce\"  default",
        "listen.do53 = [\"127.0.0.1:5300\"]  default",
    ] {
        assert!(lines.contains(&line.to_owned()), "{line}\n{}", lines.join("\n"));
    }
    let programs = lines.iter().filter(|line| line.starts_with("program[") && line.contains(".name = "));
    assert_eq!(programs.count(), 2, "those that are named, and no other");
    assert_eq!(lines.iter().filter(|line| line.contains("program[1].lists")).count(), 1);
}

/// A pipe gives its text once: who reads it twice waits for good, and of a file might see two states.
#[test]
fn files_are_read_once() {
    let (folder, world) = clone();
    let path = world.current_folder.join("config/cleandns.toml");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (told, shown) = std::sync::mpsc::channel();
    let current_folder = world.current_folder.clone();
    let own = path.clone();
    // Its own threads: a test that fails leaves them behind.
    std::thread::spawn(move || fs::write(own, "[cache]\nsize = '9 MiB'\n"));
    std::thread::spawn(move || {
        let world = World { current_folder, ..super::world(Path::new("/nowhere")) };
        let _ = told.send(show(Some(&path), &world).map(|(config, _)| config.cache.bytes));
    });
    let bytes = shown.recv_timeout(Duration::from_secs(30)).expect("it is read a second time");
    assert_eq!(bytes.unwrap(), 9 << 20);
    drop(folder);
}

#[test]
fn without_a_file_all_is_default() {
    let lines = lines(&[], &[("CLEANDNS_CACHE__SIZE", "9 MiB")]);
    let others: Vec<_> = lines.iter().filter(|line| !line.ends_with("  default")).collect();
    assert_eq!(others, ["cache.size = \"9 MiB\"  environment variable CLEANDNS_CACHE__SIZE"]);
    // What is shown is what is meant: it is a configuration itself.
    assert!(lines.len() > 100, "{}", lines.len());
    assert_eq!(lines[0], "listen.do53 = [\"127.0.0.1:5300\"]  default", "in the order of the shipped configuration");
}
