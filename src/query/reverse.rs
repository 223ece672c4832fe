//! What clients are called, for people who look at them: by the owner's own records, and by what others say of their
//! addresses (PTR). It takes the steps of an answer, and is no query of anybody.

use super::{
    ANSWER_WITHIN, Pipeline,
    local::{LocalEnd, address, reverse_name},
    sought::Sought,
};
use crate::{
    dns::{Name, Rcode, Record, RrType},
    resolve::{NameServersWanted, Security},
};
use std::{net::IpAddr, time::Instant};

/// Whom to ask for what an address is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reverse {
    /// Those alone to whom the owner forwards the zone that the address is in.
    Forwarded,
    /// Whoever has that zone on the Internet, too.
    Any,
}

/// That nobody could say now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unanswered;

impl Pipeline {
    /// What the owner calls an address.
    pub fn own_name(&self, address: IpAddr) -> Option<Name> {
        let local = self.terms.load().local.find(&reverse_name(address.to_canonical()), RrType::PTR)?;
        (local.end == LocalEnd::Data).then(|| target(&local.records)).flatten()
    }

    /// Addresses that the owner gives a name.
    pub fn own_addresses(&self, name: &Name) -> Vec<IpAddr> {
        let terms = self.terms.load();
        let found = [RrType::A, RrType::AAAA].into_iter().filter_map(|rr_type| terms.local.find(name, rr_type));
        found.flat_map(|found| found.records).filter_map(|record| address(record.rr_type, &record.data)).collect()
    }

    /// Addresses of the owner's names with this text in them, in small letters; so many at most.
    pub fn addresses_called(&self, part: &str, max: usize) -> Vec<IpAddr> {
        self.terms.load().local.addresses_called(part, max)
    }

    /// What others call an address; whoever has the zone may say what they like. `None`: nothing, or there is nobody to
    /// ask. It may take seconds.
    pub async fn claimed_name(&self, address: IpAddr, reverse: Reverse) -> Result<Option<Name>, Unanswered> {
        let mut name = reverse_name(address.to_canonical());
        {
            let terms = self.terms.load();
            match terms.local.find(&name, RrType::PTR) {
                Some(local) if local.end == LocalEnd::Elsewhere => name = local.name,
                Some(_) => return Ok(None),
                None => {}
            }
            let may_ask = reverse == Reverse::Any || terms.special.is_forwarded(&name);
            if !may_ask || terms.special.find(&name).is_some() {
                return Ok(None);
            }
        }
        let sought =
            Sought { name, rr_type: RrType::PTR, dnssec_ok: false, cd: false, name_servers: NameServersWanted::No };
        let found = self.finder.find(self.finder.look(sought), Instant::now() + ANSWER_WITHIN).await.resolution;
        match found.rcode {
            Rcode::NOERROR if found.security != Security::Bogus => Ok(target(&found.answer)),
            Rcode::NXDOMAIN => Ok(None),
            _ => Err(Unanswered),
        }
    }
}

/// The name in the first PTR record.
fn target(records: &[Record]) -> Option<Name> {
    records.iter().find(|record| record.rr_type == RrType::PTR)?.target()
}
