//! Which autonomous system and which country an address belongs to, by databases that the owner supplies.
//!
//! MaxMind's file format, whoever made the file: MaxMind, DB-IP, IPinfo. A database is a piece of memory; looking
//! something up in it is as pure as looking into a list.

use maxminddb::Reader;
use serde::Deserialize;
use std::{net::IpAddr, sync::Arc};

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
