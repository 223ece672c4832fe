//! Reading records from a message, and writing messages: header, question, records, OPT.

use super::{Class, Name, NameError, Rcode, RrType};
use smallvec::SmallVec;
use std::net::IpAddr;

/// Octets of a message header (RFC 1035 §4.1.1).
pub const HEADER_BYTES: usize = 12;
/// Offsets above this can't be the target of a compression pointer (14 bits).
const POINTER_TARGET_MAX: usize = 0x3fff;

/// What an OPT record says (RFC 6891 §6.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edns {
    pub udp_size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
}

/// An Extended DNS Error: INFO-CODE and EXTRA-TEXT (RFC 8914 §2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtendedError {
    pub code: u16,
    pub text: String,
}

impl ExtendedError {
    pub const STALE_ANSWER: u16 = 3;
    pub const STALE_DENIAL: u16 = 19;
    pub const DNSSEC_BOGUS: u16 = 6;
    pub const SIGNATURE_EXPIRED: u16 = 7;
    pub const SIGNATURE_NOT_YET_VALID: u16 = 8;
    pub const DNSKEY_MISSING: u16 = 9;
    pub const RRSIGS_MISSING: u16 = 10;
    pub const NSEC_MISSING: u16 = 12;
    pub const NOT_READY: u16 = 14;
    pub const BLOCKED: u16 = 15;
    pub const PROHIBITED: u16 = 18;
    pub const NOT_AUTHORITATIVE: u16 = 20;
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    pub const NETWORK_ERROR: u16 = 23;

    /// An error with code and text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// A resource record whose owner is lower case and whose data holds no compression pointers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub owner: Name,
    pub rr_type: RrType,
    pub class: Class,
    /// Time to live in seconds.
    pub ttl: u32,
    pub data: Vec<u8>,
}

impl Record {
    /// The address that an A or AAAA record's data is.
    pub fn address(&self) -> Option<IpAddr> {
        match self.rr_type {
            RrType::A => Some(<[u8; 4]>::try_from(self.data.as_slice()).ok()?.into()),
            RrType::AAAA => Some(<[u8; 16]>::try_from(self.data.as_slice()).ok()?.into()),
            _ => None,
        }
    }

    /// The name that a CNAME, DNAME, NS or PTR record's data is.
    pub fn target(&self) -> Option<Name> {
        match self.rr_type {
            RrType::CNAME | RrType::DNAME | RrType::NS | RrType::PTR => Name::from_wire(&self.data).ok(),
            _ => None,
        }
    }

    /// The TargetName of an HTTPS or SVCB record (RFC 9460 §2.2), unless it is "." (the owner itself).
    pub fn service_target(&self) -> Option<Name> {
        if !matches!(self.rr_type, RrType::HTTPS | RrType::SVCB) {
            return None;
        }
        let (target, _) = Name::read(self.data.get(2..)?, 0).ok()?;
        (!target.is_root()).then_some(target)
    }

    /// The type a signature covers (RFC 4034 §3.1.1); `None` for other records.
    pub fn covered_type(&self) -> Option<RrType> {
        (self.rr_type == RrType::RRSIG).then(|| read_u16(&self.data, 0).map(RrType)).flatten()
    }
}

/// The three record sections of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// Why a message's records can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the message ends too early")]
    Truncated,
    #[error("a bad name: {0}")]
    Name(#[from] NameError),
}

/// Big-endian 16-bit integer at `at`.
pub(super) fn read_u16(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

/// Reads all records of a message but OPT, data decompressed for the types that RFC 1035 let be compressed.
pub fn read_records(message: &[u8]) -> Result<Vec<(Section, Record)>, ReadError> {
    let count = |at| read_u16(message, at).ok_or(ReadError::Truncated);
    let mut at = HEADER_BYTES;
    for _ in 0..count(4)? {
        at = Name::read(message, at)?.1 + 4;
    }
    let mut records = Vec::new();
    for (section, counted_at) in [(Section::Answer, 6), (Section::Authority, 8), (Section::Additional, 10)] {
        for _ in 0..count(counted_at)? {
            let (owner, fixed_at) = Name::read(message, at)?;
            let fixed = message.get(fixed_at..fixed_at + 10).ok_or(ReadError::Truncated)?;
            let field = |at| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
            let (rr_type, class) = (RrType(field(0)), Class(field(2)));
            let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
            let (start, end) = (fixed_at + 10, fixed_at + 10 + usize::from(field(8)));
            let data = read_data(message, rr_type, start, end)?;
            at = end;
            if rr_type != RrType::OPT {
                records.push((section, Record { owner, rr_type, class, ttl, data }));
            }
        }
    }
    Ok(records)
}

/// The Extended DNS Error of a message's OPT record, if it has one.
pub fn extended_error(message: &[u8]) -> Option<ExtendedError> {
    let mut at = HEADER_BYTES;
    for _ in 0..read_u16(message, 4)? {
        at = Name::read(message, at).ok()?.1 + 4;
    }
    let records = [6, 8, 10].into_iter().filter_map(|at| read_u16(message, at)).map(usize::from).sum();
    for _ in 0..records {
        let (_, fixed_at) = Name::read(message, at).ok()?;
        let data_at = fixed_at + 10;
        at = data_at + usize::from(read_u16(message, fixed_at + 8)?);
        if read_u16(message, fixed_at)? != RrType::OPT.0 {
            continue;
        }
        let mut options = message.get(data_at..at)?;
        while let (Some(code), Some(length)) = (read_u16(options, 0), read_u16(options, 2)) {
            let data = options.get(4..4 + usize::from(length))?;
            if code == 15 {
                let text = String::from_utf8_lossy(data.get(2..)?).into_owned();
                return Some(ExtendedError { code: read_u16(data, 0)?, text });
            }
            options = &options[4 + usize::from(length)..];
        }
    }
    None
}

/// Record data between two offsets, with names expanded.
fn read_data(message: &[u8], rr_type: RrType, start: usize, end: usize) -> Result<Vec<u8>, ReadError> {
    let octets = message.get(start..end).ok_or(ReadError::Truncated)?;
    // How many octets stand before the names, and how many names there are (RFC 1035 §3.3, RFC 3597 §4).
    let (skip, names) = match rr_type {
        RrType::NS | RrType::CNAME | RrType::PTR | RrType::DNAME => (0, 1),
        RrType::MX => (2, 1),
        RrType::SOA => (0, 2),
        RrType::SRV => (6, 1),
        _ => return Ok(octets.to_vec()),
    };
    let mut data = octets.get(..skip).ok_or(ReadError::Truncated)?.to_vec();
    let mut at = start + skip;
    for _ in 0..names {
        let (name, after) = Name::read(message, at)?;
        data.extend_from_slice(name.as_wire());
        at = after;
    }
    data.extend_from_slice(message.get(at..end).ok_or(ReadError::Truncated)?);
    Ok(data)
}

/// Writes one message into a buffer, never beyond a limit: a record that doesn't fit is not begun.
pub struct MessageWriter<'a> {
    out: &'a mut Vec<u8>,
    limit: usize,
    counts: [u16; 4],
    /// Offsets of names already written, as targets for compression.
    names: SmallVec<[u16; 32]>,
}

/// A record didn't fit into the limit; the message is whole without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl<'a> MessageWriter<'a> {
    /// Starts a message of at most `limit` octets; `flags` are the header's third and fourth octet.
    pub fn new(out: &'a mut Vec<u8>, limit: usize, id: u16, flags: [u8; 2]) -> Self {
        let ([a, b], [c, d]) = (id.to_be_bytes(), flags);
        out.clear();
        out.extend_from_slice(&[a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]);
        Self { out, limit, counts: [0; 4], names: SmallVec::new() }
    }

    /// Copies a question section of one question, octet for octet, so that the client sees its own spelling.
    pub fn echo_question(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        self.remember_name(HEADER_BYTES, octets);
        self.out.extend_from_slice(octets);
        self.counts[0] = 1;
    }

    /// The same for a message whose records name nothing by `name`.
    pub fn echo_question_alone(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
        self.counts[0] = u16::from(!octets.is_empty());
    }

    /// Appends a SOA record to the authority section, its owner the name that stands at `owner_at`, its data as it is
    /// (RFC 1035 §3.3.13).
    pub fn soa(&mut self, owner_at: usize, data: &[u8], ttl: u32) -> Result<(), Full> {
        if self.out.len() + 12 + data.len() > self.limit {
            return Err(Full);
        }
        match self.out.get(owner_at) {
            Some(0) => self.out.push(0),
            _ => self.out.extend_from_slice(&(0xc000 | owner_at as u16).to_be_bytes()),
        }
        let ([a, b, c, d], [high, low]) = (ttl.to_be_bytes(), (data.len() as u16).to_be_bytes());
        self.out.extend_from_slice(&[0, RrType::SOA.0 as u8, 0, Class::IN.0 as u8, a, b, c, d, high, low]);
        self.out.extend_from_slice(data);
        self.counts[1 + Section::Authority as usize] += 1;
        Ok(())
    }

    /// Appends sections that `write` has ready, with the number of records in each of the three, unless they don't fit.
    pub fn sections(&mut self, write: impl FnOnce(&mut Vec<u8>) -> [u16; 3]) -> Result<(), Full> {
        let start = self.out.len();
        let counts = write(self.out);
        if self.out.len() > self.limit {
            self.out.truncate(start);
            return Err(Full);
        }
        self.counts[1..].copy_from_slice(&counts);
        Ok(())
    }

    /// Writes a question from its parts.
    pub fn question(&mut self, name: &Name, rr_type: RrType, class: Class) {
        let octets = [name.as_wire(), &rr_type.0.to_be_bytes(), &class.0.to_be_bytes()].concat();
        self.echo_question(&octets);
    }

    /// Keeps `octets` free at the end, for an OPT record still to come.
    pub fn reserve(&mut self, octets: usize) {
        self.limit = self.limit.saturating_sub(octets);
    }

    /// Gives octets kept by `reserve` back.
    pub fn release(&mut self, octets: usize) {
        self.limit += octets;
    }

    /// Appends a record.
    pub fn record(&mut self, section: Section, record: &Record) -> Result<(), Full> {
        let start = self.out.len();
        let known = self.names.len();
        self.name(&record.owner);
        self.out.extend_from_slice(&record.rr_type.0.to_be_bytes());
        self.out.extend_from_slice(&record.class.0.to_be_bytes());
        self.out.extend_from_slice(&record.ttl.to_be_bytes());
        let length_at = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        self.data(record);
        let length = self.out.len() - length_at - 2;
        self.out[length_at..length_at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        if self.out.len() > self.limit {
            self.out.truncate(start);
            self.names.truncate(known);
            return Err(Full);
        }
        let index = 1 + section as usize;
        self.counts[index] += 1;
        Ok(())
    }

    /// Appends an OPT record with the extended part of `rcode` and at most one Extended DNS Error.
    pub fn edns(&mut self, udp_size: u16, dnssec_ok: bool, rcode: Rcode, ede: Option<(u16, &str)>) -> Result<(), Full> {
        let option_bytes = ede.map_or(0, |(_, text)| 6 + text.len());
        if self.out.len() + 11 + option_bytes > self.limit {
            return Err(Full);
        }
        let ([a, b], [high, low]) = (udp_size.to_be_bytes(), (option_bytes as u16).to_be_bytes());
        let (extended, dnssec_ok) = ((rcode.0 >> 4) as u8, u8::from(dnssec_ok) << 7);
        self.out.extend_from_slice(&[0, 0, RrType::OPT.0 as u8, a, b, extended, 0, dnssec_ok, 0, high, low]);
        if let Some((code, text)) = ede {
            let ([high, low], [a, b]) = ((2 + text.len() as u16).to_be_bytes(), code.to_be_bytes());
            self.out.extend_from_slice(&[0, 15, high, low, a, b]);
            self.out.extend_from_slice(text.as_bytes());
        }
        self.counts[3] += 1;
        Ok(())
    }

    /// Sets the TC bit (RFC 1035 §4.1.1).
    pub fn truncated(&mut self) {
        self.out[2] |= 0x02;
    }

    /// Writes the section counts; the message is whole then.
    pub fn finish(self) {
        if let Some(header) = self.out.first_chunk_mut::<HEADER_BYTES>() {
            for (place, count) in header[4..].as_chunks_mut::<2>().0.iter_mut().zip(self.counts) {
                *place = count.to_be_bytes();
            }
        }
    }

    /// Record data; names inside are compressed for the types of RFC 1035 alone (RFC 3597 §4).
    fn data(&mut self, record: &Record) {
        let data = &record.data;
        let (skip, names) = match record.rr_type {
            RrType::NS | RrType::CNAME | RrType::PTR => (0, 1),
            RrType::MX => (2, 1),
            RrType::SOA => (0, 2),
            _ => return self.out.extend_from_slice(data),
        };
        self.out.extend_from_slice(&data[..skip.min(data.len())]);
        let mut at = skip;
        for _ in 0..names {
            match data.get(at..).map(|rest| Name::read(rest, 0)) {
                Some(Ok((name, length))) => {
                    self.name(&name);
                    at += length;
                }
                _ => break,
            }
        }
        self.out.extend_from_slice(data.get(at..).unwrap_or_default());
    }

    /// Writes a name, its longest suffix already in the message as a pointer.
    fn name(&mut self, name: &Name) {
        let wire = name.as_wire();
        let mut at = 0;
        while wire[at] != 0 {
            if let Some(offset) = self.find(&wire[at..]) {
                let pointer = 0xc000 | offset;
                self.out.extend_from_slice(&pointer.to_be_bytes());
                return;
            }
            if self.out.len() <= POINTER_TARGET_MAX {
                self.names.push(self.out.len() as u16);
            }
            let end = at + 1 + usize::from(wire[at]);
            self.out.extend_from_slice(&wire[at..end]);
            at = end;
        }
        self.out.push(0);
    }

    /// Where a name equal to `suffix` (case ignored) already stands.
    fn find(&self, suffix: &[u8]) -> Option<u16> {
        self.names.iter().copied().find(|&offset| self.stands_at(usize::from(offset), suffix))
    }

    fn stands_at(&self, mut at: usize, mut suffix: &[u8]) -> bool {
        loop {
            // The name that is being written ends where nothing stands yet: `a.a.example` after its first label.
            let Some(length) = self.out.get(at).copied().map(usize::from) else {
                return false;
            };
            if length >= 0xc0 {
                let Some(&low) = self.out.get(at + 1) else {
                    return false;
                };
                at = (length & 0x3f) << 8 | usize::from(low);
                continue;
            }
            let label = self.out.get(at..at + 1 + length);
            let own = suffix.get(..1 + length);
            if !label.zip(own).is_some_and(|(label, own)| own.eq_ignore_ascii_case(label)) {
                return false;
            }
            if length == 0 {
                return true;
            }
            at += 1 + length;
            suffix = &suffix[1 + length..];
        }
    }

    /// Registers each suffix of the uncompressed name at the start of `octets`, which will stand at `offset`.
    fn remember_name(&mut self, offset: usize, octets: &[u8]) {
        let mut at = 0;
        while octets.get(at).is_some_and(|&length| length != 0 && length < 0xc0) {
            self.names.push((offset + at) as u16);
            at += 1 + usize::from(octets[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: &str, rr_type: RrType, data: &[u8]) -> Record {
        Record { owner: owner.parse().unwrap(), rr_type, class: Class::IN, ttl: 60, data: data.to_vec() }
    }

    fn wire(name: &str) -> Vec<u8> {
        name.parse::<Name>().unwrap().as_wire().to_vec()
    }

    #[test]
    fn labels_may_repeat_in_a_name() {
        let names = ["a.a.example", "a.a.a.example", "x.a.a.a.example", "b.b", "b.b.b.b", "a.a", "a"];
        let records: Vec<_> = (names.iter().zip(names.iter().rev()))
            .map(|(owner, target)| (Section::Answer, record(owner, RrType::CNAME, &wire(target))))
            .collect();
        let mut out = Vec::new();
        let mut writer = MessageWriter::new(&mut out, 4096, 9, [0x81, 0x80]);
        writer.question(&"q.q.example".parse().unwrap(), RrType::A, Class::IN);
        for (section, record) in &records {
            writer.record(*section, record).unwrap();
        }
        writer.finish();
        assert_eq!(read_records(&out).unwrap(), records);
    }

    #[test]
    fn written_records_read_back_and_share_suffixes() {
        let mx = [b"\0\x0a".as_slice(), &wire("mail.example.com")].concat();
        let soa = [wire("ns.example.com"), wire("host.example.org"), vec![1; 20]].concat();
        let records = [
            (Section::Answer, record("www.example.com", RrType::CNAME, &wire("cdn.example.com"))),
            (Section::Answer, record("cdn.example.com", RrType::A, &[192, 0, 2, 1])),
            (Section::Answer, record("cdn.example.com", RrType::MX, &mx)),
            (Section::Authority, record("example.com", RrType::SOA, &soa)),
            (Section::Additional, record(".", RrType::TXT, b"\x03abc")),
        ];
        let mut out = Vec::new();
        let mut writer = MessageWriter::new(&mut out, 4096, 9, [0x81, 0x80]);
        writer.question(&"WWW.example.com".parse().unwrap(), RrType::A, Class::IN);
        for (section, record) in &records {
            writer.record(*section, record).unwrap();
        }
        writer.edns(1232, true, Rcode::NOERROR, Some((15, "x"))).unwrap();
        writer.finish();
        assert_eq!(read_records(&out).unwrap(), records);
        assert_eq!(extended_error(&out), Some(ExtendedError::new(15, "x")));
        let plain: usize = records.iter().map(|(_, r)| r.owner.as_wire().len() + 10 + r.data.len()).sum();
        assert!(out.len() < 12 + 21 + plain - 60, "compression saved too little: {} octets", out.len());
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_the_message_whole() {
        let mut out = Vec::new();
        let mut writer = MessageWriter::new(&mut out, 60, 9, [0x81, 0x80]);
        writer.question(&"example.com".parse().unwrap(), RrType::A, Class::IN);
        assert!(writer.record(Section::Answer, &record("example.com", RrType::A, &[1, 2, 3, 4])).is_ok());
        assert_eq!(writer.record(Section::Answer, &record("example.com", RrType::TXT, &[7; 40])), Err(Full));
        writer.truncated();
        writer.finish();
        assert_eq!(read_records(&out).unwrap().len(), 1);
        assert_eq!(out[2] & 2, 2);
    }

    #[test]
    fn damaged_messages_are_errors() {
        let mut out = Vec::new();
        let mut writer = MessageWriter::new(&mut out, 512, 9, [0x81, 0x80]);
        writer.question(&"example.com".parse().unwrap(), RrType::NS, Class::IN);
        writer.record(Section::Answer, &record("example.com", RrType::NS, &wire("ns.example.com"))).unwrap();
        writer.finish();
        for cut in 12..out.len() {
            assert!(read_records(&out[..cut]).is_err(), "{cut}");
        }
    }
}
