//! Builds responses. Never decides: it is told what to say, and says it in wire form.

mod policy;

pub use policy::{Blocked, block_reason, blocked, followed};

use crate::{
    cache::{Entry, Life},
    dns::{
        Class, Edns, ExtendedError, HEADER_BYTES, MessageWriter, Name, Opcode, Query, Rcode, Record, RrType, Section,
    },
    resolve::{NameServersWanted, Resolution, Security},
};

/// Largest UDP answer sent, whatever the client takes: what passes everywhere unfragmented (DNS flag day 2020).
pub const UDP_PAYLOAD_BYTES: usize = 1232;
/// Octets of an OPT record without options.
const OPT_BYTES: usize = 11;
/// Octets of an Extended DNS Error's text at most; longer would only crowd out data.
const EDE_TEXT_BYTES_MAX: usize = 120;
/// TTL of answers made here, other than blocks: a day, since they never change.
const OWN_TTL_SECONDS: u32 = 86_400;
/// TTL of the news that a name of the owner's has nothing of some type: short, because the owner may add it.
const LOCAL_DENIAL_TTL_SECONDS: u32 = 300;

/// TTL of an answer that is given past its time (RFC 8767 §4).
const STALE_TTL_SECONDS: u32 = 30;

/// What every response copies from the query it answers.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    pub id: u16,
    pub opcode: Opcode,
    pub rd: bool,
    pub cd: bool,
    /// The question section, octet for octet.
    pub question: &'a [u8],
    pub edns: Option<Edns>,
    /// Octets the response may have.
    pub limit: usize,
}

impl<'a> Reply<'a> {
    /// For a well-formed query; `packet` is what it was read from.
    pub fn to(query: &Query, packet: &'a [u8], limit: usize) -> Self {
        let question = &packet[HEADER_BYTES..HEADER_BYTES + query.question_bytes];
        Self { id: query.id, opcode: Opcode::QUERY, rd: query.rd, cd: query.cd, question, edns: query.edns, limit }
    }

    /// Header flags: QR, opcode, RD and CD copied, RA set, AA never.
    fn flags(&self, rcode: Rcode, authentic: bool) -> [u8; 2] {
        let first = 0x80 | self.opcode.0 << 3 | u8::from(self.rd);
        [first, 0x80 | u8::from(authentic) << 5 | u8::from(self.cd) << 4 | (rcode.0 & 0x0f) as u8]
    }

    /// Writes a response without data.
    pub fn bare(&self, rcode: Rcode, ede: Option<&ExtendedError>, out: &mut Vec<u8>) {
        self.write(rcode, false, &[], ede.map(|ede| (ede.code, ede.text.as_str())), out);
    }

    /// Writes a denial of our own by the SOA record of the name asked, or of the name that many labels above it. No record is
    /// made for it, since nearly all answers to blocked questions are such.
    fn deny(
        &self,
        rcode: Rcode,
        name: &Name,
        above: usize,
        ttl_seconds: u32,
        ede: Option<(u16, &str)>,
        out: &mut Vec<u8>,
    ) {
        let owner_at = HEADER_BYTES + name.start_of(above);
        let mut writer = MessageWriter::new(out, self.limit, self.id, self.flags(rcode, false));
        writer.echo_question_alone(self.question);
        // The longest name leaves room for this and an OPT record in what every client takes.
        let _ = writer.soa(owner_at, &soa_data(ttl_seconds), ttl_seconds);
        self.close(writer, rcode, ede);
    }

    /// Writes the OPT record, if the client understands it, and ends the message.
    fn close(&self, mut writer: MessageWriter<'_>, rcode: Rcode, ede: Option<(u16, &str)>) {
        if let Some(edns) = self.edns {
            let size = UDP_PAYLOAD_BYTES as u16;
            let ede = ede.map(|(code, text)| (code, shortened(text)));
            let without_text = ede.map(|(code, _)| (code, ""));
            let _ = writer
                .edns(size, edns.dnssec_ok, rcode, ede)
                .or_else(|_| writer.edns(size, edns.dnssec_ok, rcode, without_text))
                .or_else(|_| writer.edns(size, edns.dnssec_ok, rcode, None));
        }
        writer.finish();
    }

    /// Writes an empty response that has the client ask again over TCP (RFC 1035 §4.1.1, TC).
    fn truncated(&self, ede: Option<(u16, &str)>, out: &mut Vec<u8>) {
        self.write(Rcode::NOERROR, false, &[], ede, out);
        out[2] |= 0x02;
    }

    /// Writes a response with records. What doesn't fit into `limit` leaves an empty answer with TC set
    /// (RFC 2181 §9); the text of an Extended DNS Error gives way before that.
    fn write(
        &self,
        rcode: Rcode,
        authentic: bool,
        records: &[(Section, &Record)],
        ede: Option<(u16, &str)>,
        out: &mut Vec<u8>,
    ) {
        let mut writer = MessageWriter::new(out, self.limit, self.id, self.flags(rcode, authentic));
        writer.echo_question(self.question);
        let reserved = if self.edns.is_some() { OPT_BYTES } else { 0 };
        writer.reserve(reserved);
        if records.iter().any(|(section, record)| writer.record(*section, record).is_err()) {
            writer = MessageWriter::new(out, self.limit, self.id, self.flags(rcode, false));
            writer.echo_question(self.question);
            writer.truncated();
        } else {
            writer.release(reserved);
        }
        self.close(writer, rcode, ede);
    }
}

/// At most `EDE_TEXT_BYTES_MAX` octets of `text`, cut between characters.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(EDE_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Data of our own SOA records: MNAME and RNAME; serial, refresh, retry, expire, for nobody transfers these zones; and how
/// long the denial is remembered.
fn soa_data(minimum_seconds: u32) -> [u8; 54] {
    const NAMES: [u8; 34] = *b"\x08cleandns\x07invalid\x00\x06nobody\x07invalid\x00";
    const NUMBERS: [u32; 4] = [1, 3600, 600, 86_400];
    let mut data = [0; NAMES.len() + 4 * (NUMBERS.len() + 1)];
    let (names, numbers) = data.split_at_mut(NAMES.len());
    names.copy_from_slice(&NAMES);
    for (place, number) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(NUMBERS.into_iter().chain([minimum_seconds])) {
        *place = number.to_be_bytes();
    }
    data
}

/// A SOA record for a negative response of our own; TTL and MINIMUM are the same (RFC 2308 §3).
fn soa(owner: Name, ttl_seconds: u32) -> Record {
    Record { owner, rr_type: RrType::SOA, class: Class::IN, ttl: ttl_seconds, data: soa_data(ttl_seconds).to_vec() }
}

/// Writes a negative response of our own, about a zone that exists by convention alone.
pub fn conventional_denial(reply: &Reply<'_>, rcode: Rcode, zone: Name, out: &mut Vec<u8>) {
    let soa = soa(zone, OWN_TTL_SECONDS);
    reply.write(rcode, false, &[(Section::Authority, &soa)], None, out);
}

/// A record of our own.
pub fn own_record(owner: Name, rr_type: RrType, data: Vec<u8>) -> Record {
    Record { owner, rr_type, class: Class::IN, ttl: OWN_TTL_SECONDS, data }
}

/// Writes a response from the owner's records: aliases and data, or a denial by the SOA of the name or zone `denied`.
pub fn local(reply: &Reply<'_>, rcode: Rcode, answer: &[Record], denied: Option<Name>, out: &mut Vec<u8>) {
    let soa = denied.map(local_denial);
    let answer = answer.iter().map(|record| (Section::Answer, record));
    let records: Vec<_> = answer.chain(soa.iter().map(|soa| (Section::Authority, soa))).collect();
    reply.write(rcode, false, &records, None, out);
}

/// The SOA record of a zone that exists by convention alone.
pub fn conventional_soa(zone: Name) -> Record {
    soa(zone, OWN_TTL_SECONDS)
}

/// The SOA record with which the owner's records deny a name or type.
pub fn local_denial(zone: Name) -> Record {
    soa(zone, LOCAL_DENIAL_TTL_SECONDS)
}

/// Writes a response with one record of our own.
pub fn conventional_answer(reply: &Reply<'_>, owner: Name, rr_type: RrType, data: &[u8], out: &mut Vec<u8>) {
    let record = own_record(owner, rr_type, data.to_vec());
    reply.write(Rcode::NOERROR, false, &[(Section::Answer, &record)], None, out);
}

/// What becomes of a kept answer's TTLs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// So many seconds of them are over.
    Fresh(u32),
    /// All are over, and the answer is given for want of a better one (RFC 8767).
    Stale,
}

/// Writes the response to a resolved query: what the client asked for and understands of the answer. Returns its code and
/// that of the Extended DNS Error.
pub fn resolved(reply: &Reply<'_>, query: &Query, resolution: &Resolution, out: &mut Vec<u8>) -> (Rcode, Option<u16>) {
    let forms = (query.wants_dnssec(), query.cd);
    let entry = Entry::new(&query.question, forms, NameServersWanted::No, resolution, 0);
    kept(reply, query, &entry, Age::Fresh(0), out)
}

/// A kept answer as one that was resolved just now, for what is put together with other records: its TTLs are what is left
/// of them, and one past its time says so.
pub fn as_kept(entry: &Entry, life: Life) -> Resolution {
    match life {
        Life::Fresh { age, .. } => entry.resolution(|ttl| ttl.saturating_sub(age)),
        Life::Over { .. } => {
            let mut resolution = entry.resolution(|ttl| ttl.min(STALE_TTL_SECONDS));
            if resolution.security == Security::Secure {
                resolution.security = Security::Insecure;
            }
            resolution.ede = Some(ExtendedError::new(stale_code(resolution.rcode), ""));
            resolution
        }
    }
}

fn stale_code(rcode: Rcode) -> u16 {
    if rcode == Rcode::NXDOMAIN { ExtendedError::STALE_DENIAL } else { ExtendedError::STALE_ANSWER }
}

/// Writes the response to a query whose answer is kept. The entry must be for its question.
pub fn kept(reply: &Reply<'_>, query: &Query, entry: &Entry, age: Age, out: &mut Vec<u8>) -> (Rcode, Option<u16>) {
    let rcode = entry.rcode();
    let stale = (age == Age::Stale).then(|| (stale_code(rcode), ""));
    let ede = stale.or(entry.ede().map(|ede| (ede.code, ede.text.as_str())));
    let code = ede.map(|(code, _)| code);
    if entry.is_failure() {
        reply.write(Rcode::SERVFAIL, false, &[], ede, out);
        return (Rcode::SERVFAIL, code);
    }
    // Its signatures may be over too.
    let authentic = entry.security() == Security::Secure && query.wants_ad() && !query.cd && stale.is_none();
    let flags = reply.flags(rcode, authentic);
    let mut writer = MessageWriter::new(out, reply.limit, reply.id, flags);
    writer.echo_question_alone(reply.question);
    writer.reserve(if reply.edns.is_some() { OPT_BYTES } else { 0 });
    let written = writer.sections(|out| match age {
        Age::Fresh(age) => entry.write(out, |ttl| ttl.saturating_sub(age)),
        Age::Stale => entry.write(out, |ttl| ttl.min(STALE_TTL_SECONDS)),
    });
    if written.is_err() || entry.is_cut() {
        // Nothing is left of what was authentic.
        writer = MessageWriter::new(out, reply.limit, reply.id, reply.flags(rcode, false));
        writer.echo_question_alone(reply.question);
        writer.truncated();
    } else if reply.edns.is_some() {
        writer.release(OPT_BYTES);
    }
    reply.close(writer, rcode, ede);
    (rcode, code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{parse_query, read_records};

    fn packet(name: &str, edns: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = MessageWriter::new(&mut out, 512, 7, [1, 0]);
        writer.question(&name.parse().unwrap(), RrType::A, Class::IN);
        if edns {
            writer.edns(4096, true, Rcode::NOERROR, None).unwrap();
        }
        writer.finish();
        out
    }

    fn address(owner: &str, last: u8) -> Record {
        Record {
            owner: owner.parse().unwrap(),
            rr_type: RrType::A,
            class: Class::IN,
            ttl: 60,
            data: vec![192, 0, 2, last],
        }
    }

    #[test]
    fn what_does_not_fit_is_truncated_to_nothing() {
        let packet = packet("many.example", true);
        let query = parse_query(&packet).unwrap();
        let answer: Vec<_> = (0..60).map(|i| address("many.example", i)).collect();
        let resolution = Resolution {
            rcode: Rcode::NOERROR,
            answer,
            authority: vec![],
            security: Security::Secure,
            ede: Some(ExtendedError::new(3, "text")),
            delegations: vec![],
            unheard: false,
            server: None,
        };
        let mut out = Vec::new();
        for (limit, records) in [(512, 0), (1232, 60), (65535, 60)] {
            resolved(&Reply::to(&query, &packet, limit), &query, &resolution, &mut out);
            assert!(out.len() <= limit, "{limit}");
            assert_eq!(read_records(&out).unwrap().len(), records, "{limit}");
            assert_eq!(out[2] & 0x02 != 0, records == 0, "{limit}");
            assert_eq!(out[3] & 0x20 != 0, records > 0, "AD, since the client sent DO, for what is there");
        }
        // Sixty records need 30 + 60 × 16 octets, and 11 for OPT; the error's 10 with text or 6 without give way first.
        for (limit, expected_len) in [(1011, 1011), (1010, 1007), (1006, 1001)] {
            resolved(&Reply::to(&query, &packet, limit), &query, &resolution, &mut out);
            assert_eq!((out.len(), out[2] & 0x02), (expected_len, 0), "{limit}");
        }
    }

    #[test]
    fn the_question_comes_back_as_it_was_spelt() {
        let mut packet = packet("x.example", false);
        packet[13] = b'X';
        let query = parse_query(&packet).unwrap();
        let mut out = Vec::new();
        Reply::to(&query, &packet, 512).bare(Rcode::REFUSED, Some(&ExtendedError::new(18, "")), &mut out);
        assert_eq!(out[12..], packet[12..], "no OPT for a client that sent none");
        assert_eq!(out[..4], [0, 7, 0x81, 0x85]);
    }
}
