//! Numbers of the DNS registries that this program names, as newtypes that can hold any value.

use std::{fmt, str::FromStr};

/// A record or query type (RFC 1035 §3.2.2); any 16-bit value is legal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct RrType(pub u16);

/// A record or query class (RFC 1035 §3.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Class(pub u16);

/// A response code: the header's four bits, extended to twelve by an OPT record (RFC 6891 §6.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Rcode(pub u16);

/// The kind of a query (RFC 1035 §4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Opcode(pub u8);

impl Class {
    pub const IN: Self = Self(1);
}

impl Opcode {
    pub const QUERY: Self = Self(0);
    pub const NOTIFY: Self = Self(4);
    pub const UPDATE: Self = Self(5);
}

/// Declares the named values of a registry once, for constants, printing and parsing.
macro_rules! registry {
    ($type:ident, $inner:ty, $prefix:literal, { $($name:ident = $value:literal $text:literal),* $(,)? }) => {
        impl $type {
            $(#[doc = $text] pub const $name: Self = Self($value);)*

            /// The registered mnemonic, if this program knows one.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 { $($value => Some($text),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mnemonic() {
                    Some(text) => f.write_str(text),
                    None => write!(f, concat!($prefix, "{}"), self.0),
                }
            }
        }

        impl FromStr for $type {
            type Err = UnknownMnemonic;

            /// Reads a mnemonic in any case, or the generic form with the number (RFC 3597 §5).
            fn from_str(text: &str) -> Result<Self, UnknownMnemonic> {
                // Compared in place: zone files have one of these a line, and no line should allocate.
                $(if text.eq_ignore_ascii_case($text) {
                    return Ok(Self($value));
                })*
                let (prefix, digits) = text.split_at_checked($prefix.len()).unwrap_or_default();
                let is_generic = prefix.eq_ignore_ascii_case($prefix) && digits.bytes().all(|b| b.is_ascii_digit());
                let number = if is_generic { digits.parse::<$inner>().ok() } else { None };
                number
                    .map(Self)
                    .ok_or_else(|| UnknownMnemonic(text.to_owned()))
            }
        }
    };
}

/// A mnemonic that names no value of the registry it was read for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a known mnemonic (numbers are written like TYPE65)")]
pub struct UnknownMnemonic(pub String);

registry!(RrType, u16, "TYPE", {
    A = 1 "A", NS = 2 "NS", CNAME = 5 "CNAME", SOA = 6 "SOA", PTR = 12 "PTR", HINFO = 13 "HINFO", MX = 15 "MX",
    TXT = 16 "TXT", SIG = 24 "SIG", AAAA = 28 "AAAA", LOC = 29 "LOC", SRV = 33 "SRV", NAPTR = 35 "NAPTR",
    DNAME = 39 "DNAME", OPT = 41 "OPT", DS = 43 "DS", SSHFP = 44 "SSHFP", RRSIG = 46 "RRSIG", NSEC = 47 "NSEC",
    DNSKEY = 48 "DNSKEY", NSEC3 = 50 "NSEC3", NSEC3PARAM = 51 "NSEC3PARAM", TLSA = 52 "TLSA", CDS = 59 "CDS",
    CDNSKEY = 60 "CDNSKEY", SVCB = 64 "SVCB", HTTPS = 65 "HTTPS", SPF = 99 "SPF", TKEY = 249 "TKEY",
    TSIG = 250 "TSIG", IXFR = 251 "IXFR", AXFR = 252 "AXFR", MAILB = 253 "MAILB", MAILA = 254 "MAILA",
    ANY = 255 "ANY", URI = 256 "URI", CAA = 257 "CAA",
});

registry!(Rcode, u16, "RCODE", {
    NOERROR = 0 "NOERROR", FORMERR = 1 "FORMERR", SERVFAIL = 2 "SERVFAIL", NXDOMAIN = 3 "NXDOMAIN",
    NOTIMP = 4 "NOTIMP", REFUSED = 5 "REFUSED", YXDOMAIN = 6 "YXDOMAIN", YXRRSET = 7 "YXRRSET",
    NXRRSET = 8 "NXRRSET", NOTAUTH = 9 "NOTAUTH", NOTZONE = 10 "NOTZONE", BADVERS = 16 "BADVERS",
});

impl RrType {
    /// True for the record types that exist only to prove others, sent to DO clients alone (RFC 4035 §3.2.1).
    pub fn is_dnssec_proof(self) -> bool {
        matches!(self, Self::RRSIG | Self::NSEC | Self::NSEC3)
    }

    /// True for all types by which a zone is signed and its signatures are checked, those of old included.
    pub fn is_of_signed_zones(self) -> bool {
        const NAMELESS: [RrType; 4] = [RrType(25), RrType(30), RrType(63), RrType(32769)]; // KEY, NXT, ZONEMD, DLV
        let has_name =
            matches!(self, Self::SIG | Self::DS | Self::DNSKEY | Self::NSEC3PARAM | Self::CDS | Self::CDNSKEY);
        self.is_dnssec_proof() || has_name || NAMELESS.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_round_trip() {
        for (text, value) in [("A", 1), ("https", 65), ("TYPE65", 65), ("type1234", 1234)] {
            assert_eq!(text.parse::<RrType>(), Ok(RrType(value)), "{text}");
        }
        assert_eq!(RrType(1234).to_string(), "TYPE1234");
        assert_eq!(RrType(65).to_string(), "HTTPS");
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "AA"] {
            assert!(text.parse::<RrType>().is_err(), "{text}");
        }
    }
}
