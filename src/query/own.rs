//! What this resolver answers by itself: the owner's own names, and names that never leave it by convention.

use super::{
    Terms,
    check::address_data,
    local::{LocalAnswer, LocalEnd},
    special::Special,
};
use crate::{
    dns::{Name, Query, Question, Rcode, Record, RrType},
    response::{self, Reply},
};
use std::net::IpAddr;

/// What this resolver says by itself, and what it must look for.
pub(super) enum Own {
    /// Code and records; the name or zone that is denied, if one is.
    Answer(Rcode, Vec<Record>, Option<Name>),
    /// Aliases, and the name that they lead to.
    Leads(Vec<Record>, Name),
}

impl Terms {
    /// How local data goes on where it leads elsewhere: to a special-use name, or to one to be looked for.
    pub(super) fn own(&self, local: LocalAnswer, rr_type: RrType) -> Own {
        let LocalAnswer { mut records, name, end } = local;
        match (end, self.special.find(&name)) {
            (LocalEnd::Data, _) => Own::Answer(Rcode::NOERROR, records, None),
            (LocalEnd::NoData, _) => Own::Answer(Rcode::NOERROR, records, Some(name)),
            (LocalEnd::Elsewhere, Some(special)) => {
                let (rcode, data) = special.answer(&name, rr_type);
                let denied = data.is_none().then(|| special.zone());
                records.extend(data.map(|data| response::own_record(name, rr_type, data)));
                Own::Answer(rcode, records, denied)
            }
            (LocalEnd::Elsewhere, None) => Own::Leads(records, name),
        }
    }

    /// Answers what by convention never leaves this resolver (RFC 6761, RFC 6303). `arrive`: that a name by which a device
    /// finds out whether it asks here has come, and what its address is.
    pub(super) fn answer_special(
        &self,
        reply: &Reply<'_>,
        query: &Query,
        arrive: impl FnOnce(&Name) -> Option<IpAddr>,
        out: &mut Vec<u8>,
    ) -> Option<Rcode> {
        let Question { ref name, rr_type, .. } = query.question;
        let special = self.special.find(name)?;
        // RFC 6303 §3: each of these zones has a SOA record.
        if rr_type == RrType::SOA && *name == special.zone() {
            response::local(reply, Rcode::NOERROR, &[response::conventional_soa(*name)], None, out);
            return Some(Rcode::NOERROR);
        }
        if let Special::Check { .. } = special {
            let data = arrive(name).and_then(|address| address_data(address, rr_type));
            // Nobody keeps it: the next question is to arrive as well.
            let record = data.map(|data| Record { ttl: 0, ..response::own_record(*name, rr_type, data) });
            match record {
                Some(record) => response::local(reply, Rcode::NOERROR, &[record], None, out),
                None => response::conventional_denial(reply, Rcode::NOERROR, special.zone(), out),
            }
            return Some(Rcode::NOERROR);
        }
        let (rcode, data) = special.answer(name, rr_type);
        match data {
            Some(data) => response::conventional_answer(reply, *name, rr_type, &data, out),
            None => response::conventional_denial(reply, rcode, special.zone(), out),
        }
        Some(rcode)
    }
}
