//! Entries as octets, so that they outlast the process. Whoever keeps the octets sees to it that they stay as they are.

use super::{Entry, NameServersWanted, Seconds};
use crate::{
    dns::{Name, Rcode, RrType},
    resolve::Security,
};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

/// Octets before an entry's own.
const HEAD_BYTES: usize = 22;
const DNSSEC_OK: u8 = 1;
const CD: u8 = 1 << 1;
const IS_CUT: u8 = 1 << 2;
/// The bits above these are how it was validated.
const SECURITY_AT: u8 = 3;

impl Entry {
    /// Appends what `load` makes an entry of. What few entries have is left out: an answer that says more by an Extended
    /// DNS Error, and a failure, are better asked for again; false then.
    pub fn save(&self, now: Seconds, out: &mut Vec<u8>) -> bool {
        let security = match self.security {
            Security::Unchecked => 0,
            Security::Insecure => 1,
            Security::Secure => 2,
            Security::Bogus => return false,
        };
        if self.is_failure() || self.ede().is_some() {
            return false;
        }
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let forms = bit(self.dnssec_ok, DNSSEC_OK) | bit(self.cd, CD) | bit(self.is_cut, IS_CUT);
        out.extend_from_slice(&[forms | security << SECURITY_AT, self.name_bytes]);
        out.extend_from_slice(&self.rr_type.0.to_be_bytes());
        out.extend_from_slice(&self.rcode.0.to_be_bytes());
        self.counts.iter().chain([&self.ttl_count]).for_each(|count| out.extend_from_slice(&count.to_be_bytes()));
        out.extend_from_slice(&now.saturating_sub(self.stored).to_be_bytes());
        out.extend_from_slice(&self.life.to_be_bytes());
        out.extend_from_slice(&self.octets);
        true
    }

    /// The entry that `save` made octets of so many seconds ago, or nobody knows when: then its time is just over. `None`
    /// for octets that `save` never made, or of an entry so old that the clock doesn't reach back to it.
    pub fn load(saved: &[u8], now: Seconds, passed: Option<Seconds>) -> Option<Self> {
        let (head, octets) = saved.split_first_chunk::<HEAD_BYTES>()?;
        let [forms, name_bytes, ..] = *head;
        let short = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
        let security = match forms >> SECURITY_AT {
            0 => Security::Unchecked,
            1 => Security::Insecure,
            2 => Security::Secure,
            _ => return None,
        };
        let (name, rest) = octets.split_at_checked(usize::from(name_bytes))?;
        let ttl_count = short(12);
        if Name::from_wire(name).is_err() || rest.len() < 2 * usize::from(ttl_count) {
            return None;
        }
        let (age, life) = (long(14), long(18));
        let age = passed.map_or(Some(age.max(life)), |passed| age.checked_add(passed))?;
        Some(Self {
            octets: octets.into(),
            name_bytes,
            dnssec_ok: forms & DNSSEC_OK != 0,
            cd: forms & CD != 0,
            security,
            // Zones and their servers change places: they are asked for again by who wants to know.
            name_servers_wanted: NameServersWanted::No,
            name_servers: NameServersWanted::No,
            rr_type: RrType(short(2)),
            rcode: Rcode(short(4)),
            counts: [short(6), short(8), short(10)],
            ttl_count,
            is_cut: forms & IS_CUT != 0,
            stored: now.checked_sub(age)?,
            life,
            retry: AtomicU32::new(0),
            late: AtomicU8::new(0),
            stamp: AtomicU64::new(0),
            rare: None,
        })
    }
}
