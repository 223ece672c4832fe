//! `[local]`: names of the owner's own.

use super::{
    super::Local,
    reader::{Table, Value},
    world::Base,
};
use crate::dns::{Name, Record, RrType, presentation};
use std::collections::HashMap;

const RECORD_EXAMPLE: &str = "\"nas.lan. A 192.168.1.10\"";

pub fn read_local(table: &Table<'_>, base: &Base<'_>) -> Local {
    let records = table.value("records").map(|value| value.parse_list(RECORD_EXAMPLE, read_record));
    let records = records.unwrap_or_default();
    note_conflicts(&records);
    let hosts = table.value("hosts").map(|value| value.parse_list("\"/etc/hosts\"", |path| base.find_file(path)));
    Local {
        records: records.into_iter().map(|(_, record)| record).collect(),
        hosts: hosts.unwrap_or_default().into_iter().map(|(_, path)| path).collect(),
    }
}

/// Reads a record that local data can hold.
fn read_record(text: &str) -> Result<Record, String> {
    let record = presentation::record(text).map_err(|error| error.to_string())?;
    if record.owner.is_root() {
        return Err("the root can't have records of your own; write a name before the type".to_owned());
    }
    match record.rr_type {
        RrType::DNAME => {
            Err(format!("DNAME is not read here; write *.{} CNAME, or a record for each name", record.owner))
        }
        _ => Ok(record),
    }
}

/// Notes records beside an alias of the same name, which nobody would ever get (RFC 1034 §3.6.2).
fn note_conflicts(records: &[(Value<'_>, Record)]) {
    // The first alias and the first other record of each name.
    let mut known: HashMap<&Name, [Option<&Record>; 2]> = HashMap::new();
    for (element, record) in records {
        let is_alias = record.rr_type == RrType::CNAME;
        let [alias, other] = known.entry(&record.owner).or_default();
        let clashes = match alias {
            Some(alias) => !is_alias || alias.data != record.data,
            None => is_alias && other.is_some(),
        };
        if clashes {
            let owner = &record.owner;
            element
                .problem(format!("{owner} has an alias (CNAME), and that goes with no other record; keep one of them"));
        }
        (if is_alias { alias } else { other }).get_or_insert(record);
    }
}
