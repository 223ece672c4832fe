//! One step of a resolution: what is known of one name and type, before aliases are followed.

use super::heard;
use crate::dns::{ExtendedError, MessageWriter, Name, Rcode, Record, RrType, Section, read_records};
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name as HickoryName, Record as HickoryRecord, RecordType},
    serialize::binary::BinDecodable,
};
use std::{io, net::SocketAddr, sync::Arc};

/// What one question to one source brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// NOERROR or NXDOMAIN; anything else is a failure.
    pub rcode: Rcode,
    /// May begin with aliases, may be empty.
    pub answer: Vec<Record>,
    pub authority: Vec<Record>,
    /// Who gave it, if that is known.
    pub server: Option<SocketAddr>,
}

/// The Extended DNS Error for a failure of the system's: 23 if the network gave it, 22 if a server was silent or unable.
pub fn failure_code(error: &io::Error) -> u16 {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::Other => ExtendedError::NO_REACHABLE_AUTHORITY,
        _ => ExtendedError::NETWORK_ERROR,
    }
}

/// A link, or why there is none.
pub type LinkResult = Result<Link, ExtendedError>;

/// A name in hickory's form.
pub fn to_hickory(name: &Name) -> HickoryName {
    HickoryName::from_bytes(name.as_wire()).expect("a Name is valid wire form")
}

/// A name from hickory's form; `None` if it is none that a message could hold.
pub fn from_hickory_name(name: &HickoryName) -> Option<Name> {
    let mut wire = Vec::with_capacity(name.len() + 1);
    for label in name.iter() {
        wire.push(u8::try_from(label.len()).ok()?);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    Name::from_wire(&wire).ok()
}

/// A type in hickory's form.
pub fn to_hickory_type(rr_type: RrType) -> RecordType {
    RecordType::from(rr_type.0)
}

/// A code in hickory's form; an error unless it is one that an answer may have.
pub fn from_hickory_rcode(rcode: ResponseCode) -> Result<Rcode, ExtendedError> {
    match rcode {
        ResponseCode::NoError => Ok(Rcode::NOERROR),
        ResponseCode::NXDomain => Ok(Rcode::NXDOMAIN),
        other => Err(ExtendedError::new(ExtendedError::NO_REACHABLE_AUTHORITY, format!("a server answered {other}"))),
    }
}

/// A hickory message as plain records, proofs included, with who gave it.
pub fn from_hickory_message(mut message: Message) -> LinkResult {
    let server = heard::take(&mut message.additionals);
    let rcode = from_hickory_rcode(message.response_code)?;
    let link = from_hickory(rcode, message.answers, message.authorities)?;
    Ok(Link { server: link.server.or(server), ..link })
}

/// Sections of a hickory message as plain records, proofs included.
///
/// Everything goes through the wire form once, which is the one form both sides agree upon.
fn from_hickory(rcode: Rcode, answers: Vec<HickoryRecord>, mut authorities: Vec<HickoryRecord>) -> LinkResult {
    let server = heard::take(&mut authorities);
    let mut message = Message::query();
    message.answers = answers;
    message.authorities = authorities;
    let unreadable = |what: String| ExtendedError::new(ExtendedError::NETWORK_ERROR, what);
    let wire = message.to_vec().map_err(|error| unreadable(format!("unreadable answer: {error}")))?;
    let records = read_records(&wire).map_err(|error| unreadable(format!("unreadable answer: {error}")))?;
    let (mut answer, mut authority) = (Vec::new(), Vec::new());
    for (section, record) in records {
        match section {
            Section::Answer => answer.push(record),
            Section::Authority => authority.push(record),
            Section::Additional => {}
        }
    }
    Ok(Link { rcode, answer, authority, server })
}

/// A negative answer from the parts in which hickory hands it over: the SOA apart from the proofs.
pub fn negative_from_hickory(
    rcode: Rcode,
    soa: Option<HickoryRecord>,
    authorities: Option<Arc<[HickoryRecord]>>,
) -> LinkResult {
    let mut all = authorities.map_or_else(Vec::new, |authorities| authorities.to_vec());
    if let Some(soa) = soa
        && !all.contains(&soa)
    {
        all.push(soa);
    }
    from_hickory(rcode, Vec::new(), all)
}

/// True for the records of an authority section that matter to a client or a validator. Referrals' NS records, which
/// nobody signed for this answer, do not.
pub fn proves_something(record: &Record) -> bool {
    let of_interest = |rr_type| matches!(rr_type, RrType::SOA | RrType::NSEC | RrType::NSEC3);
    of_interest(record.rr_type) || record.covered_type().is_some_and(of_interest)
}

/// A whole message in wire form, as the validator wants it.
pub fn to_wire(name: &Name, rr_type: RrType, rcode: Rcode, answer: &[Record], authority: &[Record]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(2048);
    let flags = [0x81, 0x80 | (rcode.0 as u8 & 0x0f)];
    let mut writer = MessageWriter::new(&mut wire, usize::from(u16::MAX), 0, flags);
    writer.question(name, rr_type, crate::dns::Class::IN);
    for (section, records) in [(Section::Answer, answer), (Section::Authority, authority)] {
        for record in records {
            // What doesn't fit into the largest message there is can't be validated, and comes out as bogus.
            let _ = writer.record(section, record);
        }
    }
    writer.finish();
    wire
}
