//! `[[group]]`: clients with modes of their own.

use super::{
    super::{DEFAULT_GROUP, Group, Program},
    policy::{program_names, read_mode, unknown},
    programs::read_schedule,
    reader::{Table, Value},
    text::{self, shown},
};
use crate::policy::{CLIENTS_MAX, ClientKey, GROUPS_MAX, Mode, Zone};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};

const CLIENT_EXAMPLE: &str = "\"192.168.7.0/24\"";

/// The groups; programs they name are among `programs`.
pub fn read_groups(root: &Table<'_>, programs: &[Program], zone: &Zone) -> Vec<Group> {
    let known = program_names(programs);
    let mut taken = Taken::default();
    root.sections("group", |table| read_group(table, &known, zone, &mut taken)).unwrap_or_default()
}

/// What the groups read so far have.
#[derive(Default)]
struct Taken {
    names: Vec<String>,
    /// By client: whose it is, and where in the file that stands.
    clients: HashMap<ClientKey, (String, usize)>,
}

fn read_group(table: &Table<'_>, programs: &[&str], zone: &Zone, taken: &mut Taken) -> Group {
    if taken.names.len() == GROUPS_MAX {
        table.problem(format!("there are more than {GROUPS_MAX} groups; put clients with the same modes into one"));
    }
    let name = read_group_name(table, &mut taken.names);
    let tags = table.value("tags").map(|value| value.parse_list("\"device_pc\"", text::word)).unwrap_or_default();
    let modes = table.value("programs").and_then(|value| {
        value.read_table("programs = { clean-store = \"off\" }", |table| read_programs(table, programs))
    });
    let services = table.value("services").and_then(|value| {
        value.read_table("services = { \"clean-store/tiktok\" = \"off\" }", |table| read_services(table, programs))
    });
    Group {
        clients: read_clients(table, &name, &mut taken.clients),
        tags: tags.into_iter().map(|(_, tag)| tag).collect(),
        programs: modes.unwrap_or_default(),
        services: services.unwrap_or_default(),
        schedule: read_schedule(table, zone),
        place: table.place(),
        name,
    }
}

/// A group's name. Each has one of its own.
fn read_group_name(table: &Table<'_>, names: &mut Vec<String>) -> String {
    let Some(value) = table.value("name") else {
        table.missing("name", "a group needs a name; write name = \"guests\"");
        names.push(String::new());
        return String::new();
    };
    let name = value.parse("guests", text::word).unwrap_or_default();
    if name == DEFAULT_GROUP {
        value.problem(format!("{} are all clients that no group names; write another name", shown(DEFAULT_GROUP)));
    } else if names.contains(&name) && !name.is_empty() {
        value.problem(format!("there is a group {} already; put the clients of both into one", shown(&name)));
    }
    names.push(name.clone());
    name
}

/// The clients of the group `name`. None of them may be in another.
fn read_clients(table: &Table<'_>, name: &str, taken: &mut HashMap<ClientKey, (String, usize)>) -> Vec<ClientKey> {
    let value = table.value("clients");
    if value.as_ref().is_none_or(Value::is_empty_list) {
        table.missing("clients", format!("a group needs a client; write clients = [{CLIENT_EXAMPLE}]"));
    }
    let clients =
        value.map(|value| value.parse_list(CLIENT_EXAMPLE, |text| Ok((text::client(text)?, text.to_owned()))));
    let mut keys = Vec::new();
    for (element, (key, text)) in clients.unwrap_or_default() {
        if let Ok(written) = text.parse::<IpNet>()
            && written != written.trunc()
        {
            let alone = written.addr();
            element.warn(format!(
                "{} has bits set after its prefix and means {key}; write \"{key}\", or \"{alone}\" for that client \
                 alone",
                shown(&text)
            ));
        }
        if let Some((group, at)) = taken.get(&key) {
            let place = element.place_of(*at);
            element.problem(format!("{key} is in the group {} already ({place}); remove one of the two", shown(group)));
            continue;
        }
        if taken.len() == CLIENTS_MAX {
            element.problem(format!("there are more than {CLIENTS_MAX} clients in all groups; join some to networks"));
            break;
        }
        taken.insert(key.clone(), (name.to_owned(), element.at().start));
        keys.push(key);
    }
    keys
}

/// Modes by program.
fn read_programs(table: &Table<'_>, programs: &[&str]) -> BTreeMap<String, Mode> {
    let mut modes = BTreeMap::new();
    for (program, key, value) in table.entries() {
        let mode = value.parse("off", read_mode);
        if !programs.contains(&program) {
            table.missing_at(key, program, unknown("program", program, programs));
        } else if let Some(mode) = mode {
            modes.insert(program.to_owned(), mode);
        }
    }
    modes
}

/// Modes by program and service; which services there are is known when the lists are read.
fn read_services(table: &Table<'_>, programs: &[&str]) -> BTreeMap<(String, String), Mode> {
    let mut modes = BTreeMap::new();
    for (both, key, value) in table.entries() {
        let mode = value.parse("off", read_mode);
        let Some((program, service)) = both.split_once('/') else {
            let example = format!("{}/{both}", programs.first().unwrap_or(&"clean-store"));
            table.problem_at(
                key,
                both,
                format!("a program stands before the service; write such as {}", shown(&example)),
            );
            continue;
        };
        match text::word(service) {
            _ if !programs.contains(&program) => {
                table.missing_at(key, both, unknown("program", program, programs));
            }
            Err(message) => table.problem_at(key, both, message),
            Ok(service) => drop(mode.map(|mode| modes.insert((program.to_owned(), service), mode))),
        }
    }
    modes
}
