//! Whom rules that differ would have hit: they are tried on queries that were recorded.

use crate::{
    dns::{Name, RrType},
    lists::{Before, Trial},
    query_log::{Lead, Seen},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
};

/// Rules that are tried, and what they hit so far.
pub struct Tried {
    trial: Trial,
    leads: HashMap<String, Led>,
    /// By service, and whether its rules are new.
    found: BTreeMap<(String, bool), Hit>,
    /// Queries that were looked at.
    pub queries: u64,
    /// Of them, those of which only sums are left: they don't tell the type asked for.
    pub without_type: u64,
}

/// Whom some rules would have hit.
#[derive(Default)]
pub struct Hit {
    pub queries: u64,
    pub names: HashSet<String>,
    pub clients: HashSet<String>,
}

/// Where a name led.
#[derive(Default)]
struct Led {
    aliases: Vec<Name>,
    addresses: Vec<IpAddr>,
}

impl Tried {
    pub fn new(trial: Trial) -> Self {
        Self { trial, leads: HashMap::new(), found: BTreeMap::new(), queries: 0, without_type: 0 }
    }

    /// Notes where a name led. Sums don't say where each of their queries did; that is kept beside them. All of it comes
    /// before the queries.
    pub fn add_lead(&mut self, name: &str, lead: Lead<'_>) {
        let led = self.leads.entry(name.to_owned()).or_default();
        match lead {
            Lead::Address(address) => led.addresses.push(address),
            Lead::Alias(alias) => led.aliases.extend(alias.parse::<Name>().ok()),
        }
    }

    /// Tries them on a query, or on alike ones.
    pub fn add(&mut self, seen: &Seen<'_>) {
        let Self { trial, leads, found, .. } = self;
        self.queries += seen.count;
        let row = seen.row;
        let Ok(name) = row.name.parse::<Name>() else { return };
        let is_without_type = row.rr_type == RrType(0);
        self.without_type += if is_without_type { seen.count } else { 0 };
        let led = leads.get(&row.name).filter(|_| is_without_type || seen.count > 1);
        let own: Vec<Name> = match led {
            Some(_) => Vec::new(),
            None => row.aliases.iter().filter_map(|alias| alias.parse().ok()).collect(),
        };
        let (aliases, addresses) = led.map_or((&own, &row.addresses), |led| (&led.aliases, &led.addresses));
        let client = row.client.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (rr_type, time) = (row.rr_type, row.time / 1_000_000);
        let before = Before { name: &name, rr_type, client, time, aliases, addresses };
        trial.judge(&before, |service, is_added| {
            let hit = found.entry((service.to_owned(), is_added)).or_default();
            hit.queries += seen.count;
            hit.names.insert(row.name.clone());
            hit.clients.extend(Some(row.client.clone()).filter(|client| !client.is_empty()));
        });
    }

    /// What the new or the old rules of a service hit; `None`: nothing.
    pub fn hit(&self, service: &str, is_added: bool) -> Option<&Hit> {
        self.found.get(&(service.to_owned(), is_added))
    }
}
