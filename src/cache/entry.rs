//! One answer in wire form, with what must be known to give it again.

mod saved;

use super::Seconds;
use crate::{
    dns::{
        Class, ExtendedError, Full, HEADER_BYTES, MessageWriter, Name, Question, Rcode, Record, RrType, Section,
        read_records,
    },
    prefetch::prefetch,
    resolve::{Delegation, NameServersWanted, Resolution, Security},
};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// The longest that an answer is kept: a week, as long as RFC 8767 §4 lets any TTL last.
const LIFE_MAX: u32 = 604_800;
/// The longest that a denial is kept (RFC 2308 §5 says one to three hours).
const DENIAL_LIFE_MAX: u32 = 3 * 3600;
/// How long it is kept that no answer could be had (RFC 9520 §3.2: one second to five minutes).
const FAILURE_LIFE: u32 = 5;

/// What an answer is kept under: what differs here may differ in the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key<'a> {
    /// Wire form of the name asked, lower case.
    pub name: &'a [u8],
    pub rr_type: RrType,
    /// With signatures and proofs (DO).
    pub dnssec_ok: bool,
    /// Unvalidated (CD).
    pub cd: bool,
}

impl Key<'_> {
    /// What it is kept under that the name itself is denied.
    pub(super) fn of_all_types(&self) -> Self {
        Self { rr_type: ALL_TYPES, ..*self }
    }
}

/// What stands for the type where the name itself is denied: that holds for all types (RFC 2308 §5). No question has it.
const ALL_TYPES: RrType = RrType(0);

/// A kept answer.
pub struct Entry {
    /// The name asked; what follows the question in a message that holds the answer, whose names may point into the
    /// question; then where in that message its TTLs stand, two octets each.
    octets: Box<[u8]>,
    name_bytes: u8,
    dnssec_ok: bool,
    cd: bool,
    security: Security,
    /// How much was wanted to be known of the name servers behind it, and how much is.
    name_servers_wanted: NameServersWanted,
    name_servers: NameServersWanted,
    rr_type: RrType,
    rcode: Rcode,
    /// Records in each section.
    counts: [u16; 3],
    ttl_count: u16,
    /// It has more records than a message holds.
    is_cut: bool,
    stored: Seconds,
    /// Seconds from then on.
    life: u32,
    /// Seconds before which nobody is asked again, because that was in vain.
    retry: AtomicU32,
    /// Times it was given shortly before its end.
    late: AtomicU8,
    /// For whoever judges answers: what was found of this one, and when.
    pub stamp: AtomicU64,
    rare: Option<Box<Rare>>,
}

/// What few answers have.
#[derive(Clone)]
struct Rare {
    ede: Option<ExtendedError>,
    delegations: Vec<Delegation>,
}

/// How old an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Of so many seconds, so many are over.
    Fresh { age: u32, life: u32 },
    /// It ended so many seconds ago.
    Over { since: u32 },
}

impl Entry {
    /// An entry for the answer to a question, settled. `stored` is now by the cache's clock.
    pub fn new(
        question: &Question,
        (dnssec_ok, cd): (bool, bool),
        name_servers_wanted: NameServersWanted,
        resolution: &Resolution,
        stored: Seconds,
    ) -> Self {
        let is_failure = is_failure(resolution, cd);
        let is_shown =
            |record: &&Record| dnssec_ok || !record.rr_type.is_dnssec_proof() || record.rr_type == question.rr_type;
        let negative_ttl = negative_ttl(&resolution.authority);
        let mut message = Vec::new();
        let mut writer = MessageWriter::new(&mut message, usize::from(u16::MAX), 0, [0; 2]);
        writer.question(&question.name, question.rr_type, Class::IN);
        let (mut life, mut counts, mut is_cut) = (LIFE_MAX, [0u16; 3], false);
        let sections = [(Section::Answer, &resolution.answer), (Section::Authority, &resolution.authority)];
        for ((section, records), count) in sections.into_iter().zip(&mut counts) {
            for record in records.iter().filter(is_shown) {
                life = life.min(record.ttl);
                match writer.record(section, record) {
                    Ok(()) => *count += 1,
                    Err(Full) => is_cut = true,
                }
            }
        }
        writer.finish();
        life = match is_failure {
            true => FAILURE_LIFE,
            // RFC 2308 §5: a denial without a SOA record must not be kept.
            false if is_denial(question, resolution) && negative_ttl.is_none() => 0,
            false => life,
        };
        let body_at = HEADER_BYTES + question.name.as_wire().len() + 4;
        let ttls = ttl_offsets(&message, body_at, counts.iter().map(|&count| usize::from(count)).sum());
        let mut octets = Vec::with_capacity(message.len() - HEADER_BYTES + 2 * ttls.len());
        octets.extend_from_slice(question.name.as_wire());
        octets.extend_from_slice(&message[body_at..]);
        ttls.iter().for_each(|offset| octets.extend_from_slice(&offset.to_be_bytes()));
        let rare = Rare { ede: resolution.ede.clone(), delegations: resolution.delegations.clone() };
        let is_rare = rare.ede.is_some() || !rare.delegations.is_empty();
        Self {
            octets: octets.into(),
            name_bytes: question.name.as_wire().len() as u8,
            dnssec_ok,
            cd,
            security: resolution.security,
            name_servers_wanted,
            name_servers: if resolution.unheard { NameServersWanted::No } else { name_servers_wanted },
            rr_type: question.rr_type,
            rcode: if is_failure { Rcode::SERVFAIL } else { resolution.rcode },
            counts,
            ttl_count: ttls.len() as u16,
            is_cut,
            stored,
            life,
            retry: AtomicU32::new(0),
            late: AtomicU8::new(0),
            stamp: AtomicU64::new(0),
            rare: is_rare.then(|| Box::new(rare)),
        }
    }

    pub fn key(&self) -> Key<'_> {
        let name = &self.octets[..usize::from(self.name_bytes)];
        let rr_type = if self.denies_name() { ALL_TYPES } else { self.rr_type };
        Key { name, rr_type, dnssec_ok: self.dnssec_ok, cd: self.cd }
    }

    /// The type that it was the answer to a question for.
    pub fn rr_type(&self) -> RrType {
        self.rr_type
    }

    /// It says that the name asked doesn't exist, whatever the type; behind an alias it would be another name.
    pub fn denies_name(&self) -> bool {
        self.rcode == Rcode::NXDOMAIN && self.counts[0] == 0
    }

    /// The octets that all else is written from.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Asks for the end of what lies here; whoever holds this has asked for the beginning.
    pub(super) fn foresee_end(&self) {
        prefetch(&self.rare);
    }

    #[inline]
    pub fn is_for(&self, key: &Key<'_>) -> bool {
        let own = self.key();
        own == *key || self.denies_name() && own == key.of_all_types()
    }

    /// Octets that it takes, as far as they are its own.
    pub fn bytes(&self) -> usize {
        let of_server = |server: &crate::resolve::NameServer| size_of_val(server) + size_of_val(&server.addresses[..]);
        let of_zone = |zone: &Delegation| size_of_val(zone) + zone.servers.iter().map(of_server).sum::<usize>();
        let rare = self.rare.as_ref().map_or(0, |rare| {
            let text = rare.ede.as_ref().map_or(0, |ede| ede.text.len());
            size_of::<Rare>() + text + rare.delegations.iter().map(of_zone).sum::<usize>()
        });
        size_of::<Self>() + self.octets.len() + rare
    }

    pub fn rcode(&self) -> Rcode {
        self.rcode
    }

    pub fn security(&self) -> Security {
        self.security
    }

    pub fn ede(&self) -> Option<&ExtendedError> {
        self.rare.as_ref()?.ede.as_ref()
    }

    /// No answer could be had, or none that may be given.
    pub fn is_failure(&self) -> bool {
        self.rcode == Rcode::SERVFAIL
    }

    /// How much was wanted to be known of the name servers behind it, by who had it looked for.
    pub fn name_servers_wanted(&self) -> NameServersWanted {
        self.name_servers_wanted
    }

    /// Whether as much is known of the name servers behind it as is wanted.
    pub fn tells(&self, wanted: NameServersWanted) -> bool {
        self.name_servers >= wanted
    }

    #[inline]
    pub fn life(&self, now: Seconds) -> Life {
        let age = now.saturating_sub(self.stored);
        match age.checked_sub(self.life) {
            None => Life::Fresh { age, life: self.life },
            Some(since) => Life::Over { since },
        }
    }

    /// True if no message holds all of it.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether it may be kept at all.
    pub fn lives(&self) -> bool {
        self.life > 0
    }

    /// Notes that nobody need be asked before that time, because nobody answered.
    pub fn failed(&self, retry: Seconds) {
        self.retry.store(retry, Relaxed);
    }

    /// True once nobody answered, be it long ago.
    pub fn has_failed(&self) -> bool {
        self.retry.load(Relaxed) > 0
    }

    /// True while nobody need be asked.
    pub fn is_hopeless(&self, now: Seconds) -> bool {
        now < self.retry.load(Relaxed)
    }

    /// Notes that it was given shortly before its end; true the second time, and no other.
    pub fn given_late(&self) -> bool {
        self.late.load(Relaxed) < 2 && self.late.fetch_add(1, Relaxed) == 1
    }

    /// Appends what follows the question in a response, every TTL as `ttl` says of what it was when it was stored.
    /// Returns the number of records in each section.
    pub fn write(&self, out: &mut Vec<u8>, ttl: impl Fn(u32) -> u32) -> [u16; 3] {
        let start = out.len();
        let ttls_at = self.octets.len() - 2 * usize::from(self.ttl_count);
        out.extend_from_slice(&self.octets[usize::from(self.name_bytes)..ttls_at]);
        for offset in self.octets[ttls_at..].as_chunks::<2>().0 {
            let at = start + usize::from(u16::from_be_bytes(*offset));
            if let Some(field) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
                *field = ttl(u32::from_be_bytes(*field)).to_be_bytes();
            }
        }
        self.counts
    }

    /// The answer as it was before it was written, every TTL as `ttl` says of what it was then: what isn't shown to the
    /// clients of this entry is missing.
    pub fn resolution(&self, ttl: impl Fn(u32) -> u32) -> Resolution {
        let mut message = Vec::with_capacity(HEADER_BYTES + self.octets.len() + 4);
        message.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
        self.counts.iter().for_each(|count| message.extend_from_slice(&count.to_be_bytes()));
        message.extend_from_slice(self.key().name);
        message.extend_from_slice(&self.rr_type.0.to_be_bytes());
        message.extend_from_slice(&Class::IN.0.to_be_bytes());
        self.write(&mut message, ttl);
        let records = read_records(&message).unwrap_or_default();
        let of = |wanted: Section| {
            let own = records.iter().filter(move |(section, _)| *section == wanted);
            own.map(|(_, record)| record.clone()).collect()
        };
        let rare = self.rare.as_deref();
        Resolution {
            rcode: self.rcode,
            answer: of(Section::Answer),
            authority: of(Section::Authority),
            security: self.security,
            ede: rare.and_then(|rare| rare.ede.clone()),
            delegations: rare.map_or_else(Vec::new, |rare| rare.delegations.clone()),
            unheard: self.name_servers < self.name_servers_wanted,
            server: None,
        }
    }

    /// Whether it is about a name that `is_meant` says: the one asked, or one that its aliases lead to.
    pub fn is_about(&self, is_meant: impl Fn(&Name) -> bool) -> bool {
        is_meant(&self.name()) || self.has_aliases() && self.chain().iter().any(is_meant)
    }

    /// Whether its answer may begin with an alias: signatures may stand before it.
    fn has_aliases(&self) -> bool {
        let message = &self.octets[usize::from(self.name_bytes)..];
        let first = skip_name(message, 0).and_then(|at| message.get(at..at + 2));
        let begins_with = |rr_type: RrType| first == Some(&rr_type.0.to_be_bytes()[..]);
        self.counts[0] > 0 && [RrType::CNAME, RrType::DNAME, RrType::RRSIG].into_iter().any(begins_with)
    }

    /// The owners of its answer's records, and what its aliases lead to.
    fn chain(&self) -> Vec<Name> {
        let answer = self.resolution(|ttl| ttl).answer;
        let target = |record: &Record| if record.rr_type == RrType::CNAME { record.target() } else { None };
        answer.iter().flat_map(|record| [Some(record.owner), target(record)]).flatten().collect()
    }

    /// The name asked.
    pub fn name(&self) -> Name {
        Name::from_wire(self.key().name).unwrap_or(Name::ROOT)
    }
}

/// Has every record of an answer live no longer than it may, by the time in seconds since 1970 (UTC): none outlives the
/// answer's signatures, whether or not the client sees those, nor a denial what its SOA record says.
pub fn settle(resolution: &mut Resolution, now: i64) {
    let negative_ttl = negative_ttl(&resolution.authority).map(|ttl| ttl.min(DENIAL_LIFE_MAX));
    let all = resolution.answer.iter().chain(&resolution.authority);
    let cap = all.map(|record| signature_life(record, now)).min().unwrap_or(LIFE_MAX).min(LIFE_MAX);
    resolution.answer.iter_mut().for_each(|record| record.ttl = record.ttl.min(cap));
    // RFC 2308 §5: a denial lives as long as the lesser of its SOA's TTL and MINIMUM, and its proofs with it.
    let cap = cap.min(negative_ttl.unwrap_or(LIFE_MAX));
    resolution.authority.iter_mut().for_each(|record| record.ttl = record.ttl.min(cap));
}

/// True for a resolution that isn't to be given to a client.
fn is_failure(resolution: &Resolution, cd: bool) -> bool {
    resolution.rcode == Rcode::SERVFAIL || resolution.security == Security::Bogus && !cd
}

/// True if the name asked, or the last that its aliases lead to, doesn't exist or has nothing of the type asked.
fn is_denial(question: &Question, resolution: &Resolution) -> bool {
    let is_asked = |record: &Record| record.rr_type == question.rr_type;
    resolution.rcode == Rcode::NXDOMAIN || !resolution.answer.iter().any(is_asked)
}

/// The lesser of TTL and MINIMUM of the SOA record, if there is one.
fn negative_ttl(authority: &[Record]) -> Option<u32> {
    let soa = authority.iter().find(|record| record.rr_type == RrType::SOA)?;
    let minimum = soa.data.last_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))?;
    Some(soa.ttl.min(minimum))
}

/// How long a signature holds yet (RFC 4035 §5.3.3); for ever, for other records and for signatures that don't hold now,
/// which somebody else judges.
fn signature_life(record: &Record, now: i64) -> u32 {
    if record.rr_type != RrType::RRSIG {
        return u32::MAX;
    }
    let Some(expiration) = record.data.get(8..12).and_then(|octets| <[u8; 4]>::try_from(octets).ok()) else {
        return u32::MAX;
    };
    // Serial numbers (RFC 1982), which will have gone round by 2106.
    match u32::from_be_bytes(expiration).wrapping_sub(now as u32) {
        left if left < 1 << 31 => left,
        _ => u32::MAX,
    }
}

/// Where the TTLs of so many records stand, counted from `start`.
fn ttl_offsets(message: &[u8], start: usize, records: usize) -> Vec<u16> {
    let (mut offsets, mut at) = (Vec::with_capacity(records), start);
    for _ in 0..records {
        let Some(fixed_at) = skip_name(message, at) else { break };
        let Some(length) = message.get(fixed_at + 8..fixed_at + 10) else { break };
        offsets.push((fixed_at + 4 - start) as u16);
        at = fixed_at + 10 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
    offsets
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: &str, rr_type: RrType, ttl: u32, data: &[u8]) -> Record {
        Record { owner: owner.parse().unwrap(), rr_type, class: Class::IN, ttl, data: data.to_vec() }
    }

    fn wire(name: &str) -> Vec<u8> {
        name.parse::<Name>().unwrap().as_wire().to_vec()
    }

    fn soa(ttl: u32, minimum: u32) -> Record {
        let numbers = [1, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
        record("example.com", RrType::SOA, ttl, &[wire("ns.example.com"), wire("x.example.com"), numbers].concat())
    }

    fn resolution(rcode: Rcode, answer: Vec<Record>, authority: Vec<Record>) -> Resolution {
        let security = Security::Secure;
        Resolution { rcode, answer, authority, security, ede: None, delegations: vec![], unheard: false, server: None }
    }

    fn entry(dnssec_ok: bool, resolution: &Resolution, now: i64) -> Entry {
        let name = "www.example.com".parse().unwrap();
        let question = Question { name, rr_type: RrType::A, class: Class::IN };
        let mut resolution = resolution.clone();
        settle(&mut resolution, now);
        Entry::new(&question, (dnssec_ok, false), NameServersWanted::No, &resolution, 100)
    }

    /// A signature that ends at a time.
    fn signature(expiration: u32) -> Record {
        let fixed = [&[0, 1, 13, 3][..], &[0, 0, 1, 44], &expiration.to_be_bytes(), &[0; 6], &wire("example.com")];
        record("www.example.com", RrType::RRSIG, 300, &fixed.concat())
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let chain = vec![
            record("www.example.com", RrType::CNAME, 300, &wire("a.cdn.example.com")),
            record("a.cdn.example.com", RrType::A, 60, &[192, 0, 2, 1]),
            record("a.cdn.example.com", RrType::A, 60, &[192, 0, 2, 2]),
        ];
        for resolution in [
            resolution(Rcode::NOERROR, chain, vec![]),
            resolution(Rcode::NXDOMAIN, vec![], vec![soa(50, 50)]),
            resolution(Rcode::NOERROR, vec![], vec![]),
            Resolution { ede: Some(ExtendedError::new(7, "x")), ..resolution(Rcode::NOERROR, vec![], vec![soa(9, 9)]) },
        ] {
            assert_eq!(entry(true, &resolution, 0).resolution(|ttl| ttl), resolution);
        }
    }

    #[test]
    fn it_lives_as_long_as_the_shortest_of_its_parts() {
        let a = |ttl| record("www.example.com", RrType::A, ttl, &[192, 0, 2, 1]);
        let bogus = Resolution { security: Security::Bogus, ..resolution(Rcode::NOERROR, vec![a(300)], vec![]) };
        let alias = record("www.example.com", RrType::CNAME, 300, &wire("b.example.com"));
        let rows: [(&str, bool, Resolution, u32); 13] = [
            ("the lesser TTL", false, resolution(Rcode::NOERROR, vec![a(300), a(20)], vec![]), 20),
            ("a week at most", false, resolution(Rcode::NOERROR, vec![a(u32::MAX)], vec![]), 604_800),
            ("none", false, resolution(Rcode::NOERROR, vec![a(0)], vec![]), 0),
            ("a denial: MINIMUM", false, resolution(Rcode::NXDOMAIN, vec![], vec![soa(900, 60)]), 60),
            ("a denial: the SOA record's TTL", false, resolution(Rcode::NOERROR, vec![], vec![soa(60, 900)]), 60),
            ("three hours for denials", false, resolution(Rcode::NXDOMAIN, vec![], vec![soa(90_000, 90_000)]), 10_800),
            ("no SOA record", false, resolution(Rcode::NXDOMAIN, vec![], vec![]), 0),
            ("no SOA record, behind an alias", false, resolution(Rcode::NOERROR, vec![alias], vec![]), 0),
            ("a failure", false, resolution(Rcode::SERVFAIL, vec![a(300)], vec![]), 5),
            ("bogus", false, bogus, 5),
            ("a signature's end", true, resolution(Rcode::NOERROR, vec![a(300), signature(1007)], vec![]), 7),
            ("a signature that is over", true, resolution(Rcode::NOERROR, vec![a(300), signature(999)], vec![]), 300),
            ("a signature not shown", false, resolution(Rcode::NOERROR, vec![a(300), signature(1007)], vec![]), 7),
        ];
        for (what, dnssec_ok, resolution, life) in rows {
            let entry = entry(dnssec_ok, &resolution, 1000);
            assert_eq!(entry.lives(), life > 0, "{what}");
            let last = Life::Fresh { age: life.saturating_sub(1), life };
            assert!(life == 0 || entry.life(100 + life - 1) == last, "{what}: {:?}", entry.life(100 + life - 1));
            assert_eq!(entry.life(100 + life), Life::Over { since: 0 }, "{what}");
        }
    }

    #[test]
    fn a_saved_entry_comes_back_older() {
        let answer = vec![record("www.example.com", RrType::A, 300, &[192, 0, 2, 1])];
        for (dnssec_ok, resolution) in [
            (true, resolution(Rcode::NOERROR, answer.clone(), vec![])),
            (false, resolution(Rcode::NXDOMAIN, vec![], vec![soa(300, 900)])),
            (false, Resolution { security: Security::Unchecked, ..resolution(Rcode::NOERROR, answer.clone(), vec![]) }),
        ] {
            let entry = entry(dnssec_ok, &resolution, 0);
            let mut saved = Vec::new();
            assert!(entry.save(140, &mut saved));
            let back = Entry::load(&saved, 5000, Some(60)).unwrap();
            assert_eq!((back.key(), back.rcode(), back.security()), (entry.key(), entry.rcode(), entry.security()));
            assert_eq!(back.resolution(|ttl| ttl), resolution);
            assert_eq!(back.life(5000), Life::Fresh { age: 100, life: 300 });
            assert!(Entry::load(&saved, 99, Some(60)).is_none(), "older than the clock");
            let unknown = Entry::load(&saved, 5000, None).unwrap();
            assert_eq!(unknown.life(5000), Life::Over { since: 0 });
            // Octets that nobody saved are told, or give an entry of which nothing is read beyond its end.
            for end in 0..saved.len() {
                if let Some(cut) = Entry::load(&saved[..end], 5000, Some(0)) {
                    let _ = (cut.resolution(|ttl| ttl), cut.write(&mut Vec::new(), |ttl| ttl));
                }
            }
        }
        let bogus = Resolution { security: Security::Bogus, ..resolution(Rcode::NOERROR, answer.clone(), vec![]) };
        let told = Resolution { ede: Some(ExtendedError::new(7, "x")), ..resolution(Rcode::NOERROR, answer, vec![]) };
        for not_saved in [bogus, told, resolution(Rcode::SERVFAIL, vec![], vec![])] {
            assert!(!entry(false, &not_saved, 0).save(140, &mut Vec::new()));
        }
    }

    #[test]
    fn every_ttl_counts_down_and_nothing_else_changes() {
        let resolution = resolution(
            Rcode::NOERROR,
            vec![
                record("www.example.com", RrType::CNAME, 300, &wire("b.example.com")),
                record("b.example.com", RrType::TXT, 60, b"\x03abc"),
            ],
            vec![soa(200, 900)],
        );
        let entry = entry(false, &resolution, 0);
        let (mut fresh, mut aged) = (Vec::new(), Vec::new());
        assert_eq!(entry.write(&mut fresh, |ttl| ttl), [2, 1, 0]);
        entry.write(&mut aged, |ttl| ttl - 50);
        let differing = fresh.iter().zip(&aged).filter(|(fresh, aged)| fresh != aged).count();
        // 300 → 250, 60 → 10, 200 → 150: two octets, one, one.
        assert_eq!((fresh.len(), differing), (aged.len(), 4));
    }
}
