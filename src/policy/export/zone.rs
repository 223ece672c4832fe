//! A response policy zone (draft-vixie-dnsop-dns-rpz): names and networks of answers.

use super::{
    ExportError,
    chosen::Chosen,
    names::{ADDRESSES, Able, each_place, sort},
    networks::{self, Found},
    told::Telling,
};
use crate::{
    dns::{NAME_BYTES_MAX, Name},
    policy::{Action, AliasTarget, BlockAnswer, LocalData},
};
use ipnet::IpNet;
use std::{fmt::Write, net::IpAddr};

/// Octets of a name that are left for that of the zone.
const ZONE_BYTES_MAX: usize = 64;

/// Writes the zone, its names relative to whatever it will be called.
pub fn zone(chosen: &Chosen<'_>, telling: &mut Telling, put: &mut dyn FnMut(&str)) -> Result<usize, ExportError> {
    let block = &chosen.policy.programs()[chosen.wanted.program].block;
    if *block == BlockAnswer::Refused {
        return Err(ExportError::Refused);
    }
    let able = Able { exceptions: true, action: |action| records_of(action).is_some(), name: is_sayable };
    let sorted = sort(chosen, &able, telling)?;
    let ttl = chosen.policy.block_ttl_seconds();
    put(&chosen.head("response policy zone", ";"));
    put(&format!(
        "$TTL {ttl}\n@ SOA localhost. hostmaster.localhost. {} 3600 600 86400 {ttl}\n",
        chosen.wanted.now as u32
    ));
    put("@ NS localhost.\n");
    let given = given(block);
    let mut line = |owner: &dyn std::fmt::Display, records: &[String]| {
        let lines: String = records.iter().map(|record| format!("{owner} {record}\n")).collect();
        put(&lines);
    };
    let said = each_place(chosen, &able, &sorted, telling, |place, special| {
        let records = match special {
            Some(special) if special.rank.is_exception() => Some(vec!["CNAME rpz-passthru.".to_owned()]),
            Some(special) => records_of(&special.action),
            None => Some(Vec::new()),
        };
        let records = records.filter(|records| !records.is_empty()).unwrap_or_else(|| given.clone());
        match (place.is_below, place.name.is_root()) {
            (true, true) => line(&"*", &records),
            (true, false) => line(&format!("*.{}", place.name), &records),
            (false, _) => line(&place.name, &records),
        }
    });
    let Found { networks, .. } = networks::find(chosen, telling, |action| records_of(action).is_some());
    for found in &networks {
        let own = records_of(&found.action).filter(|records| !records.is_empty());
        line(&owner_of(&found.net), &own.unwrap_or_else(|| given.clone()));
    }
    networks::leave_others(chosen, ADDRESSES, telling);
    Ok(said + networks.len())
}

/// True for a name that can stand in a zone: neither the root, nor one that would mean something else there, nor one that
/// leaves no room for the zone's own.
fn is_sayable(name: &Name) -> bool {
    let means_more = |label: &[u8]| label.starts_with(b"rpz-") || label == b"*";
    let last = name.labels().last();
    // Everything below the root is `*`; the root itself is the zone.
    !name.labels().any(|label| label == b"*")
        && !last.is_some_and(means_more)
        && name.as_wire().len() <= NAME_BYTES_MAX - ZONE_BYTES_MAX
}

/// What the program answers, as records.
fn given(block: &BlockAnswer) -> Vec<String> {
    let address = |address: &IpAddr| match address {
        IpAddr::V4(address) => format!("A {address}"),
        IpAddr::V6(address) => format!("AAAA {address}"),
    };
    match block {
        BlockAnswer::NxDomain | BlockAnswer::Refused => vec!["CNAME .".to_owned()],
        BlockAnswer::NoData => vec!["CNAME *.".to_owned()],
        BlockAnswer::Drop => vec!["CNAME rpz-drop.".to_owned()],
        BlockAnswer::Null => vec!["A 0.0.0.0".to_owned(), "AAAA ::".to_owned()],
        BlockAnswer::Addresses(addresses) => addresses.iter().map(address).collect(),
    }
}

/// An action as records: none for the program's own. `None`: it can't be said.
fn records_of(action: &Action) -> Option<Vec<String>> {
    let one = |text: &str| Some(vec![text.to_owned()]);
    match action {
        Action::Given => Some(Vec::new()),
        Action::NoData => one("CNAME *."),
        Action::Code(code) if *code == crate::dns::Rcode::NXDOMAIN => one("CNAME ."),
        Action::Code(_) => None,
        Action::Drop => one("CNAME rpz-drop."),
        Action::TcpOnly => one("CNAME rpz-tcp-only."),
        Action::Rewrite(data) => match &**data {
            LocalData { records, alias: Some(AliasTarget::Name(name)), alias_ttl } if records.is_empty() => {
                Some(vec![format!("{}CNAME {name}.", shown_ttl(*alias_ttl))])
            }
            LocalData { records, alias: Some(AliasTarget::Below(name)), alias_ttl } if records.is_empty() => {
                Some(vec![format!("{}CNAME *.{name}.", shown_ttl(*alias_ttl))])
            }
            LocalData { records, alias: None, .. } if !records.is_empty() => {
                let shown = |record: &crate::policy::LocalRecord| {
                    format!("{}{} {}", shown_ttl(record.ttl), record.rr_type, record.shown_data())
                };
                Some(records.iter().map(shown).collect())
            }
            _ => None,
        },
    }
}

fn shown_ttl(seconds: Option<u32>) -> String {
    seconds.map(|seconds| format!("{seconds} ")).unwrap_or_default()
}

/// `24.0.2.0.192.rpz-ip`; of IPv6 each group without leading zeros, and no `zz`.
fn owner_of(net: &IpNet) -> String {
    let mut owner = net.prefix_len().to_string();
    match net.network() {
        IpAddr::V4(address) => address.octets().iter().rev().for_each(|octet| {
            let _ = write!(owner, ".{octet}");
        }),
        IpAddr::V6(address) => address.segments().iter().rev().for_each(|group| {
            let _ = write!(owner, ".{group:x}");
        }),
    }
    owner + ".rpz-ip"
}
