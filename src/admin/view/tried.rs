//! Whom rules that differ would have hit: they are tried on queries that were recorded.

use crate::{
    dns::{Name, Rcode, RrType},
    lists::{Before, Trial},
    query::CacheUse,
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
    /// Of them, those of which only sums are left: they don't tell the type asked for, nor where each of
    /// them led: what rules on aliases and addresses match of them is an upper bound.
    pub without_type: u64,
    /// Of them, those that were answered from the cache, and nothing tells where they led.
    pub without_answer: u64,
}

/// Names of which it is kept where they led: some hundred megabytes at most.
const LEADS_MAX: usize = 1 << 20;

/// Whom some rules would have hit.
#[derive(Default)]
pub struct Hit {
    pub queries: u64,
    pub names: HashSet<String>,
    pub clients: HashSet<String>,
    /// Some are sums, of which rules on answers match what the name ever led to: there may be fewer.
    pub is_upper_bound: bool,
}

/// Where a name led.
#[derive(Default)]
struct Led {
    aliases: Vec<Name>,
    addresses: Vec<IpAddr>,
}

impl Tried {
    pub fn new(trial: Trial) -> Self {
        Self { trial, leads: HashMap::new(), found: BTreeMap::new(), queries: 0, without_type: 0, without_answer: 0 }
    }

    /// Notes where a name led. Sums don't say where each of their queries did, nor do queries answered from the cache. All
    /// of it comes before the queries.
    pub fn add_lead(&mut self, name: &str, lead: Lead<'_>) {
        if !self.leads.contains_key(name) {
            if self.leads.len() == LEADS_MAX {
                return;
            }
            self.leads.insert(name.to_owned(), Led::default());
        }
        let Some(led) = self.leads.get_mut(name) else { return };
        match lead {
            Lead::Address(address) if !led.addresses.contains(&address) => led.addresses.push(address),
            Lead::Alias(alias) => {
                led.aliases.extend(alias.parse::<Name>().ok().filter(|alias| !led.aliases.contains(alias)));
            }
            Lead::Address(_) => {}
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
        let is_sum = is_without_type || seen.count > 1;
        let is_from_cache = matches!(row.cache, Some(CacheUse::Hit | CacheUse::Stale)) && row.rcode == Rcode::NOERROR;
        let led = leads.get(&row.name).filter(|_| is_sum || is_from_cache);
        let mut aliases: Vec<Name> = Vec::new();
        let mut addresses = Vec::new();
        if !is_sum || led.is_none() {
            aliases.extend(row.aliases.iter().filter_map(|alias| alias.parse::<Name>().ok()));
            addresses.extend_from_slice(&row.addresses);
        }
        let is_told = led.is_some() || !aliases.is_empty() || !addresses.is_empty();
        self.without_answer += if is_from_cache && !is_told { seen.count } else { 0 };
        // A rule may have looked at its aliases alone.
        if let Some(led) = led {
            if aliases.is_empty() {
                aliases.extend_from_slice(&led.aliases);
            }
            if addresses.is_empty() {
                addresses.extend(led.addresses.iter().filter(|address| is_sum || can_be(row.rr_type, address)));
            }
        }
        let client = row.client.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (rr_type, time) = (row.rr_type, row.time / 1_000_000);
        let before = Before { name: &name, rr_type, client, time, aliases: &aliases, addresses: &addresses };
        trial.judge(&before, |service, is_added, by_answer| {
            let hit = found.entry((service.to_owned(), is_added)).or_default();
            hit.queries += seen.count;
            hit.is_upper_bound |= is_sum && by_answer;
            hit.names.insert(row.name.clone());
            hit.clients.extend(Some(row.client.clone()).filter(|client| !client.is_empty()));
        });
    }

    /// What the new or the old rules of a service hit; `None`: nothing.
    pub fn hit(&self, service: &str, is_added: bool) -> Option<&Hit> {
        self.found.get(&(service.to_owned(), is_added))
    }
}

/// Whether an answer of that type may have such an address.
fn can_be(rr_type: RrType, address: &IpAddr) -> bool {
    match rr_type {
        RrType::A => address.is_ipv4(),
        RrType::AAAA => address.is_ipv6(),
        RrType::HTTPS | RrType::SVCB => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lists::ServiceDiff, query_log::Row};

    /// Where a name ever led is not where each of its queries did.
    #[test]
    fn what_rules_on_answers_match_of_sums_is_an_upper_bound() {
        let diff = |service: &str, rule: &str| ServiceDiff {
            service: service.to_owned(),
            added: vec![rule.to_owned()],
            removed: vec![],
        };
        let trial = || Trial::new(&[diff("names", "a.example"), diff("addresses", "192.0.2.0/24")]).unwrap();
        let row = |rr_type| Row { name: "a.example".to_owned(), rr_type, ..Row::default() };
        let addresses = vec!["192.0.2.7".parse().unwrap()];
        let (sum, one) = (row(RrType(0)), Row { addresses, ..row(RrType::A) });
        for (row, is_upper_bound) in [(&sum, true), (&one, false)] {
            let mut tried = Tried::new(trial());
            tried.add_lead("a.example", Lead::Address("192.0.2.7".parse().unwrap()));
            tried.add(&Seen::one(row));
            let told = |service| tried.hit(service, true).map(|hit| (hit.queries, hit.is_upper_bound));
            assert_eq!(told("addresses"), Some((1, is_upper_bound)));
            assert_eq!(told("names"), Some((1, false)), "a rule on names looks at none");
        }
    }
}
