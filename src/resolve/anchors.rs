//! Where recursion begins and what validation trusts: zone files of hints and anchors, read with line numbers.

use domain::{
    base::{Rtype, iana::Class},
    dnssec::validator::anchor::TrustAnchors,
    rdata::ZoneRecordData,
    zonefile::inplace::{Entry, Zonefile},
};
use std::net::IpAddr;

/// The root servers built in.
const BUILT_IN_HINTS: &str = include_str!("root.hints");
/// The root's keys built in.
const BUILT_IN_ANCHORS: &str = include_str!("root.ds");

/// Addresses of root servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hints(pub Vec<IpAddr>);

/// Checked text of trust anchors. Kept as text because the validator's own type can't be cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchorText(String);

/// Why a hints or anchors file is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// The parser's own words, which begin with line and column.
    #[error("{0}")]
    Syntax(String),
    #[error("it has no A or AAAA record of a root server")]
    NoAddress,
    #[error("it has no DS or DNSKEY record")]
    NoAnchor,
}

impl Hints {
    pub fn built_in() -> Self {
        Self::read(BUILT_IN_HINTS).expect("the hints built in are checked by a test")
    }

    /// Reads a hints zone: every A and AAAA record in it is a root server's address.
    pub fn read(text: &str) -> Result<Self, AnchorError> {
        let mut addresses = Vec::new();
        for_each_record(text, |_, data| match data {
            ZoneRecordData::A(a) => addresses.push(IpAddr::V4(a.addr())),
            ZoneRecordData::Aaaa(aaaa) => addresses.push(IpAddr::V6(aaaa.addr())),
            _ => {}
        })?;
        if addresses.is_empty() { Err(AnchorError::NoAddress) } else { Ok(Self(addresses)) }
    }
}

impl TrustAnchorText {
    pub fn built_in() -> Self {
        Self(BUILT_IN_ANCHORS.to_owned())
    }

    /// Reads DS or DNSKEY records of any owner.
    pub fn read(text: &str) -> Result<Self, AnchorError> {
        let mut anchors = 0;
        for_each_record(text, |rtype, _| anchors += usize::from(matches!(rtype, Rtype::DS | Rtype::DNSKEY)))?;
        if anchors == 0 {
            return Err(AnchorError::NoAnchor);
        }
        Ok(Self(text.to_owned()))
    }

    /// The form the validator takes.
    pub(super) fn parsed(&self) -> TrustAnchors {
        TrustAnchors::from_u8(self.0.as_bytes()).expect("the text was read record by record before")
    }
}

type Data = ZoneRecordData<bytes::Bytes, domain::zonefile::inplace::ScannedDname>;

fn for_each_record(text: &str, mut each: impl FnMut(Rtype, &Data)) -> Result<(), AnchorError> {
    let mut zone = Zonefile::new();
    zone.set_default_class(Class::IN);
    zone.set_origin(domain::base::Name::root());
    zone.extend_from_slice(text.as_bytes());
    zone.extend_from_slice(b"\n");
    for entry in zone {
        match entry.map_err(|error| AnchorError::Syntax(where_it_is(&error.to_string())))? {
            Entry::Record(record) => each(record.rtype(), record.data()),
            Entry::Include { .. } => return Err(AnchorError::Syntax("$INCLUDE is not allowed here".to_owned())),
        }
    }
    Ok(())
}

/// The parser's message, which begins with `line:column:`, put right: at the end of a line it names the next one.
fn where_it_is(message: &str) -> String {
    let mut parts = message.splitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.trim().parse::<usize>().ok());
    match (number(), number()) {
        (Some(line), Some(1)) if line > 1 => format!("{}:{}", line - 1, parts.next().unwrap_or_default()),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::{
        dnssec::{DigestType, TrustAnchors as BuiltIn, rdata::DNSKEY},
        rr::Name,
    };

    #[test]
    fn what_is_built_in_is_whole() {
        let hints = Hints::built_in();
        assert_eq!(hints.0.iter().filter(|address| address.is_ipv4()).count(), 13);
        assert_eq!(hints.0.iter().filter(|address| address.is_ipv6()).count(), 13);
        assert!(TrustAnchorText::read(BUILT_IN_ANCHORS).is_ok());
    }

    /// hickory carries the root's two keys themselves; their digests must be ours.
    #[test]
    fn the_anchors_are_digests_of_the_roots_keys() {
        let keys = BuiltIn::default();
        let mut digests = 0;
        for key in (0..keys.len()).filter_map(|index| keys.get(index)) {
            let digest = DNSKEY::with_flags(257, key.clone()).to_digest(&Name::root(), DigestType::SHA256).unwrap();
            let hex: String = digest.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
            assert!(BUILT_IN_ANCHORS.contains(&hex), "{hex}");
            digests += 1;
        }
        assert_eq!(digests, 2);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, part) in [
            (". IN DS 20326 8 2 XYZ", "1:"),
            ("; nothing but a comment", "no DS or DNSKEY"),
            (". IN NS a.root-servers.net.", "no DS or DNSKEY"),
        ] {
            let error = TrustAnchorText::read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let dnskey = ". 3600 DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";
        assert!(TrustAnchorText::read(dnskey).is_ok());
        assert_eq!(Hints::read(". NS x."), Err(AnchorError::NoAddress));
        assert!(matches!(Hints::read("x. A 1.2.3.400\n"), Err(AnchorError::Syntax(_))));
    }
}
