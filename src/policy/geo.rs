//! Which autonomous system and which country an address belongs to, by databases that the owner supplies.
//!
//! MaxMind's file format, whoever made the file: MaxMind, DB-IP, IPinfo. A database is a piece of memory; looking
//! something up in it is as pure as looking into a list.

use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;
use std::{net::IpAddr, sync::Arc};

/// Networks looked at to see what a database tells of: a database of anything else has none that fits.
const NETWORKS_TRIED: usize = 10_000;

/// The databases there are.
#[derive(Clone, Default)]
pub struct Geo {
    pub asn: Option<Arc<Database>>,
    pub country: Option<Arc<Database>>,
}

/// One database in memory.
pub struct Database(Reader<Vec<u8>>);

/// Why octets are no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a database in MaxMind's format (.mmdb): {0}")]
pub struct DatabaseError(String);

/// What the makers of databases call what is looked for.
#[derive(Deserialize)]
struct Entry {
    autonomous_system_number: Option<u32>,
    /// `AS15169`
    asn: Option<String>,
    country: Option<Country>,
    country_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Country {
    Nested { iso_code: Option<String> },
    Code(String),
}

impl Database {
    pub fn new(octets: Vec<u8>) -> Result<Self, DatabaseError> {
        Reader::from_source(octets).map(Self).map_err(|error| DatabaseError(error.to_string()))
    }

    /// Whether some network among the first has an AS number, and whether one has a country.
    pub fn knows(&self) -> (bool, bool) {
        let (mut asns, mut countries) = (false, false);
        for network in self.0.networks(WithinOptions::default()).into_iter().flatten().flatten().take(NETWORKS_TRIED) {
            if let Ok(Some(entry)) = network.decode::<Entry>() {
                asns |= entry.autonomous_system_number.is_some() || entry.asn.is_some();
                countries |= entry.country.is_some() || entry.country_code.is_some();
            }
        }
        (asns, countries)
    }

    /// What its maker calls it.
    pub fn kind(&self) -> &str {
        &self.0.metadata().database_type
    }

    fn entry(&self, address: IpAddr) -> Option<Entry> {
        self.0.lookup(address).ok()?.decode().ok()?
    }
}

impl Geo {
    /// The autonomous system that announces an address.
    pub fn asn(&self, address: IpAddr) -> Option<u32> {
        let entry = self.asn.as_ref()?.entry(address)?;
        entry.autonomous_system_number.or_else(|| entry.asn?.strip_prefix("AS")?.parse().ok())
    }

    /// The country of an address: ISO 3166-1 alpha-2, upper case.
    pub fn country(&self, address: IpAddr) -> Option<[u8; 2]> {
        let entry = self.country.as_ref()?.entry(address)?;
        let nested = match entry.country {
            Some(Country::Nested { iso_code }) => iso_code,
            Some(Country::Code(code)) => Some(code),
            None => None,
        };
        let code = nested.or(entry.country_code)?;
        code.to_ascii_uppercase().as_bytes().try_into().ok()
    }
}
