//! A query read from its wire form, or the reason why it gets no ordinary answer.

use super::{Class, Edns, HEADER_BYTES, Name, Opcode, Rcode, RrType, message::read_u16};

/// What is asked: QNAME, QTYPE, QCLASS (RFC 1034 §3.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Question {
    pub name: Name,
    pub rr_type: RrType,
    pub class: Class,
}

/// How a query came in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// The name used in logs and metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A well-formed query with one question, ready to be decided and answered.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub id: u16,
    /// Recursion desired.
    pub rd: bool,
    /// Authentic data understood (RFC 6840 §5.7).
    pub ad: bool,
    /// Checking disabled (RFC 4035 §3.2.2).
    pub cd: bool,
    pub question: Question,
    /// Octets of the question section, which starts right after the header.
    pub question_bytes: usize,
    pub edns: Option<Edns>,
}

impl Query {
    /// A place for `read` to fill: copies of names cost more than reading them.
    pub const BLANK: Self = Self {
        id: 0,
        rd: false,
        ad: false,
        cd: false,
        question: Question { name: Name::ROOT, rr_type: RrType(0), class: Class::IN },
        question_bytes: 0,
        edns: None,
    };

    /// True if the client asked for DNSSEC records.
    pub fn wants_dnssec(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// True if the client understands the AD bit (RFC 6840 §5.7: AD or DO in the query).
    pub fn wants_ad(&self) -> bool {
        self.ad || self.wants_dnssec()
    }

    /// The largest UDP answer the client takes, in octets.
    pub fn udp_size(&self) -> usize {
        self.edns.map_or(512, |edns| usize::from(edns.udp_size).max(512))
    }
}

/// Why a packet is not answered from data.
#[derive(Clone, Copy, Debug)]
pub enum Reject {
    /// Too short for a header, or a response: silence, since answering could be turned against a third party.
    Silent,
    /// Answered with this code alone. `query` is what could be read of it.
    Answer { rcode: Rcode, id: u16, opcode: Opcode, rd: bool, cd: bool, question_bytes: usize, edns: Option<Edns> },
}

/// The first octets of a packet that decide whether it may get any answer at all: true for a query's header.
pub fn is_query(packet: &[u8]) -> bool {
    packet.len() >= HEADER_BYTES && packet[2] & 0x80 == 0
}

/// Reads a query (RFC 1035 §4.1, RFC 6891 §6.1).
pub fn parse_query(packet: &[u8]) -> Result<Query, Reject> {
    let mut query = Query::BLANK;
    query.read(packet)?;
    Ok(query)
}

impl Query {
    /// The same in place. After an error nothing here is of use.
    pub fn read(&mut self, packet: &[u8]) -> Result<(), Reject> {
        if !is_query(packet) {
            return Err(Reject::Silent);
        }
        let opcode = Opcode(packet[2] >> 3 & 0x0f);
        let (id, rd, cd) = (read_u16(packet, 0).unwrap_or(0), packet[2] & 0x01 != 0, packet[3] & 0x10 != 0);
        let reject = |rcode, question_bytes, edns| Reject::Answer { rcode, id, opcode, rd, cd, question_bytes, edns };
        match opcode {
            Opcode::QUERY => {}
            Opcode::NOTIFY | Opcode::UPDATE => return Err(reject(Rcode::REFUSED, 0, None)),
            _ => return Err(reject(Rcode::NOTIMP, 0, None)),
        }
        let count = |at| read_u16(packet, at).unwrap_or(0);
        let (questions, answers, authorities, additionals) = (count(4), count(6), count(8), count(10));
        if questions != 1 || answers != 0 || authorities != 0 {
            return Err(reject(Rcode::FORMERR, 0, None));
        }
        let malformed = reject(Rcode::FORMERR, 0, None);
        let name = &mut self.question.name;
        let at = name.read_into(packet, HEADER_BYTES).map_err(|_| malformed)?;
        // Before the first name there is none to point at, only the header, which is another in the response.
        if at != HEADER_BYTES + name.as_wire().len() {
            return Err(malformed);
        }
        let (Some(rr_type), Some(class)) = (read_u16(packet, at), read_u16(packet, at + 2)) else {
            return Err(malformed);
        };
        let question_end = at + 4;
        let question_bytes = question_end - HEADER_BYTES;
        let edns = read_edns(packet, question_end, additionals).map_err(|()| malformed)?;
        let (rr_type, class) = (RrType(rr_type), Class(class));
        let refuse = |rcode| Err(reject(rcode, question_bytes, edns));
        if edns.is_some_and(|edns| edns.version != 0) {
            return refuse(Rcode::BADVERS);
        }
        if class != Class::IN {
            return refuse(Rcode::REFUSED);
        }
        match rr_type {
            RrType::AXFR | RrType::IXFR => return refuse(Rcode::REFUSED),
            RrType::MAILA | RrType::MAILB | RrType::TKEY | RrType::TSIG => return refuse(Rcode::NOTIMP),
            RrType::OPT | RrType(0) => return refuse(Rcode::FORMERR),
            _ => {}
        }
        (self.question.rr_type, self.question.class) = (rr_type, class);
        (self.id, self.rd, self.ad, self.cd) = (id, rd, packet[3] & 0x20 != 0, cd);
        (self.question_bytes, self.edns) = (question_bytes, edns);
        Ok(())
    }
}

/// Finds the OPT record among `count` additional records; more than one, or one not at the root, is an error
/// (RFC 6891 §6.1.1). Octets after the last record are ignored, as every server does.
fn read_edns(packet: &[u8], mut at: usize, count: u16) -> Result<Option<Edns>, ()> {
    let mut edns = None;
    for _ in 0..count {
        // An OPT record's owner is one octet, and hardly any query has another record.
        let (is_root, fixed) = match packet.get(at) {
            Some(0) => (true, at + 1),
            _ => Name::read(packet, at).map(|(owner, end)| (owner.is_root(), end)).map_err(|_| ())?,
        };
        let fixed_part = packet.get(fixed..fixed + 10).ok_or(())?;
        let data_bytes = usize::from(read_u16(fixed_part, 8).ok_or(())?);
        at = fixed + 10 + data_bytes;
        if at > packet.len() {
            return Err(());
        }
        if read_u16(fixed_part, 0) == Some(RrType::OPT.0) {
            if edns.is_some() || !is_root || !options_are_whole(&packet[fixed + 10..at]) {
                return Err(());
            }
            edns = Some(Edns {
                udp_size: read_u16(fixed_part, 2).unwrap_or(512),
                version: fixed_part[5],
                dnssec_ok: fixed_part[6] & 0x80 != 0,
            });
        }
    }
    Ok(edns)
}

/// True if OPT data is a row of whole options (RFC 6891 §6.1.2).
fn options_are_whole(mut data: &[u8]) -> bool {
    while !data.is_empty() {
        match read_u16(data, 2).and_then(|length| data.get(4 + usize::from(length)..)) {
            Some(rest) => data = rest,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// header (id 7, RD), question www.a. A IN, then `tail`, with the counts given.
    fn packet(flags: [u8; 2], counts: [u8; 4], tail: &[u8]) -> Vec<u8> {
        let mut p = vec![0, 7, flags[0], flags[1]];
        counts.iter().for_each(|&c| p.extend([0, c]));
        p.extend(b"\x03wWw\x01a\x00\x00\x01\x00\x01");
        p.extend(tail);
        p
    }

    fn rcode(p: &[u8]) -> Option<Rcode> {
        match parse_query(p) {
            Ok(_) => Some(Rcode::NOERROR),
            Err(Reject::Answer { rcode, .. }) => Some(rcode),
            Err(Reject::Silent) => None,
        }
    }

    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";

    #[test]
    fn a_plain_query_is_read_whole() {
        let q = parse_query(&packet([1, 0x30], [1, 0, 0, 1], OPT)).unwrap();
        assert_eq!((q.id, q.rd, q.ad, q.cd, q.question_bytes), (7, true, true, true, 11));
        assert_eq!(q.question.name.to_string(), "www.a");
        assert_eq!(q.edns, Some(Edns { udp_size: 1232, version: 0, dnssec_ok: true }));
        assert!(q.wants_dnssec() && q.wants_ad());
    }

    #[test]
    fn what_is_no_ordinary_query_gets_its_code() {
        let two_opts = [OPT, OPT].concat();
        let v1 = b"\0\0\x29\x04\xd0\0\x01\0\0\0\0";
        let typed = |t: u16, c: u16| {
            let mut p = packet([1, 0], [1, 0, 0, 0], b"");
            let at = p.len() - 4;
            p[at..].copy_from_slice(&[(t >> 8) as u8, t as u8, (c >> 8) as u8, c as u8]);
            p
        };
        let cut = |n: usize| packet([1, 0], [1, 0, 0, 0], b"")[..n].to_vec();
        let looped = [&packet([1, 0], [1, 0, 0, 0], b"")[..12], b"\xc0\x0c\0\x01\0\x01"].concat();
        let pointing = |at: u8| [&packet([1, 0], [1, 0, 0, 0], b"")[..12], &[1, b'a', 0xc0, at, 0, 1, 0, 1]].concat();
        for (what, p, expected) in [
            ("empty", vec![], None),
            ("short", vec![0; 11], None),
            ("response", packet([0x81, 0], [1, 0, 0, 0], b""), None),
            ("response that doesn't parse", packet([0x81, 0], [9, 9, 9, 9], b""), None),
            ("plain", packet([1, 0], [1, 0, 0, 0], b""), Some(Rcode::NOERROR)),
            ("trailing octets", packet([1, 0], [1, 0, 0, 0], b"xyz"), Some(Rcode::NOERROR)),
            ("status", packet([2 << 3, 0], [1, 0, 0, 0], b""), Some(Rcode::NOTIMP)),
            ("unassigned opcode", packet([15 << 3, 0], [1, 0, 0, 0], b""), Some(Rcode::NOTIMP)),
            ("notify", packet([4 << 3, 0], [1, 0, 0, 0], b""), Some(Rcode::REFUSED)),
            ("update", packet([5 << 3, 0], [1, 0, 0, 0], b""), Some(Rcode::REFUSED)),
            ("no question", packet([1, 0], [0, 0, 0, 0], b""), Some(Rcode::FORMERR)),
            ("two questions", packet([1, 0], [2, 0, 0, 0], b""), Some(Rcode::FORMERR)),
            ("an answer", packet([1, 0], [1, 1, 0, 0], b""), Some(Rcode::FORMERR)),
            ("header only", cut(12), Some(Rcode::FORMERR)),
            ("no class", cut(21), Some(Rcode::FORMERR)),
            ("loop", looped, Some(Rcode::FORMERR)),
            ("a pointer to the header's zeros", pointing(4), Some(Rcode::FORMERR)),
            ("a pointer to the header's flags", pointing(2), Some(Rcode::FORMERR)),
            ("additional missing", packet([1, 0], [1, 0, 0, 1], b""), Some(Rcode::FORMERR)),
            ("two OPTs", packet([1, 0], [1, 0, 0, 2], &two_opts), Some(Rcode::FORMERR)),
            ("OPT not at the root", packet([1, 0], [1, 0, 0, 1], &[b"\x01a", OPT].concat()), Some(Rcode::FORMERR)),
            (
                "option cut off",
                packet([1, 0], [1, 0, 0, 1], b"\0\0\x29\x04\xd0\0\0\0\0\0\x03\0\x0a\0"),
                Some(Rcode::FORMERR),
            ),
            ("EDNS version 1", packet([1, 0], [1, 0, 0, 1], v1), Some(Rcode::BADVERS)),
            ("AXFR", typed(252, 1), Some(Rcode::REFUSED)),
            ("IXFR", typed(251, 1), Some(Rcode::REFUSED)),
            ("CHAOS", typed(16, 3), Some(Rcode::REFUSED)),
            ("class ANY", typed(1, 255), Some(Rcode::REFUSED)),
            ("type OPT", typed(41, 1), Some(Rcode::FORMERR)),
            ("unknown type", typed(65280, 1), Some(Rcode::NOERROR)),
        ] {
            assert_eq!(rcode(&p), expected, "{what}");
        }
    }
}
