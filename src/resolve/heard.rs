//! From which server a response came, written into it: hickory hands responses on, and keeps them, without that.
//!
//! It is a record of a type of our own for the name asked, which replaces all that a server may have sent of that type. It
//! stands where it changes nothing: beside an answer in the additional section, which is in no answer of ours, and in a
//! negative response, of which only the authority section is handed on, there.

use hickory_resolver::proto::{
    op::Message,
    rr::{RData, Record, RecordType, rdata::NULL},
};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Of the types that are for private use (RFC 6895 §3.1).
const HEARD: RecordType = RecordType::Unknown(65_399);
/// Longer than any answer is kept.
const TTL_SECONDS: u32 = 7 * 86_400;

/// Notes in a response from whom it is.
pub fn note(response: &mut Message, server: SocketAddr) {
    let is_other = |record: &Record| record.record_type() != HEARD;
    response.authorities.retain(is_other);
    response.additionals.retain(is_other);
    // Whoever asks for records of this type gets those that there are, and isn't told.
    let Some(question) = response.queries.first().filter(|question| question.query_type() != HEARD) else { return };
    let address = match server.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let data = [&address.octets()[..], &server.port().to_be_bytes()].concat();
    let data = RData::Unknown { code: HEARD, rdata: NULL::with(data) };
    let record = Record::from_rdata(question.name().clone(), TTL_SECONDS, data);
    if !response.answers.is_empty() {
        response.additionals.push(record);
    } else if response.authorities.iter().any(|own| own.record_type() == RecordType::SOA) {
        response.authorities.push(record);
    }
}

/// From whom the records of a response are, as far as they tell; what tells it is taken out.
pub fn take(records: &mut Vec<Record>) -> Option<SocketAddr> {
    let server = records.iter().rev().find_map(server_of);
    records.retain(|record| record.record_type() != HEARD);
    server
}

fn server_of(record: &Record) -> Option<SocketAddr> {
    let RData::Unknown { code: HEARD, rdata } = &record.data else { return None };
    let (address, port) = rdata.anything.split_first_chunk::<16>()?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(*address)).to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::{
        op::{MessageType, OpCode, Query},
        rr::{
            Name,
            rdata::{A, SOA},
        },
    };

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn response(rr_type: RecordType) -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(name("www.example."), rr_type));
        message
    }

    #[test]
    fn whoever_answered_is_told_and_nobody_else() {
        let servers: [SocketAddr; 2] = ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:5300".parse().unwrap()];
        let answer = Record::from_rdata(name("www.example."), 60, RData::A(A([192, 0, 2, 7].into())));
        let soa = SOA::new(name("ns.example."), name("mail.example."), 1, 2, 3, 4, 5);
        let soa = Record::from_rdata(name("example."), 60, RData::SOA(soa));
        for server in servers {
            // With one that the server itself sent, and that is a lie.
            let mut positive = response(RecordType::A);
            positive.answers.push(answer.clone());
            note(&mut positive, "203.0.113.9:53".parse().unwrap());
            note(&mut positive, server);
            assert_eq!((positive.answers.len(), positive.authorities.len(), positive.additionals.len()), (1, 0, 1));
            assert_eq!(take(&mut positive.additionals), Some(server));
            assert!(positive.additionals.is_empty());
            let mut negative = response(RecordType::A);
            negative.authorities.push(soa.clone());
            note(&mut negative, server);
            assert_eq!(take(&mut negative.authorities), Some(server));
            assert_eq!(negative.authorities, std::slice::from_ref(&soa));
        }
        // Of a referral nothing is told, nor to who asks for that very type.
        let mut referral = response(RecordType::A);
        note(&mut referral, servers[0]);
        assert!(referral.authorities.is_empty() && referral.additionals.is_empty());
        let mut own = response(HEARD);
        own.answers.push(answer);
        note(&mut own, servers[0]);
        assert!(own.additionals.is_empty());
    }
}
