//! Records in presentation format, for people.

use super::{Name, Record, RrType};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

impl fmt::Display for Record {
    /// `owner. TTL IN TYPE data`; types not known here in the generic form (RFC 3597 §5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.owner.is_root() { "" } else { "." };
        write!(f, "{}{dot}\t{}\tIN\t{}\t", self.owner, self.ttl, self.rr_type)?;
        match show_data(self.rr_type, &self.data) {
            Some(text) => f.write_str(&text),
            None => {
                write!(f, "\\# {} ", self.data.len())?;
                self.data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

fn show_data(rr_type: RrType, data: &[u8]) -> Option<String> {
    let name = |at: usize| {
        let (name, length) = Name::read(data.get(at..)?, 0).ok()?;
        let dot = if name.is_root() { "" } else { "." };
        Some((format!("{name}{dot}"), at + length))
    };
    let number = |at: usize| Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?));
    Some(match rr_type {
        RrType::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
        RrType::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
        RrType::NS | RrType::CNAME | RrType::PTR | RrType::DNAME => name(0)?.0,
        RrType::MX => format!("{} {}", number(0)?, name(2)?.0),
        RrType::SRV => format!("{} {} {} {}", number(0)?, number(2)?, number(4)?, name(6)?.0),
        RrType::TXT | RrType::SPF | RrType::HINFO => strings(data)?,
        RrType::SOA => {
            let (primary, at) = name(0)?;
            let (mailbox, at) = name(at)?;
            let fields: Vec<String> =
                data.get(at..)?.as_chunks::<4>().0.iter().map(|field| u32::from_be_bytes(*field).to_string()).collect();
            format!("{primary} {mailbox} {}", fields.join(" "))
        }
        _ => return None,
    })
}

/// Character strings, quoted (RFC 1035 §5.1).
fn strings(mut data: &[u8]) -> Option<String> {
    let mut all = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        let shown: String = text
            .iter()
            .map(|&octet| match octet {
                b'"' | b'\\' => format!("\\{}", char::from(octet)),
                b' '..=b'~' => char::from(octet).to_string(),
                _ => format!("\\{octet:03}"),
            })
            .collect();
        all.push(format!("\"{shown}\""));
        data = rest;
    }
    Some(all.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Class;

    #[test]
    fn records_are_shown_as_in_a_zone_file() {
        for (rr_type, data, expected) in [
            (RrType::A, &[192, 0, 2, 1][..], "192.0.2.1"),
            (RrType::MX, b"\0\x0a\x01m\x01x\0", "10 m.x."),
            (RrType::TXT, b"\x03a\"b\x01\x07", "\"a\\\"b\" \"\\007\""),
            (RrType(65280), b"\x01\xff", "\\# 2 01ff"),
            (RrType::A, b"\x01", "\\# 1 01"),
            (RrType::SOA, b"\x01p\0\0\0\0\0\x07\0\0\0\x08", "p. . 7 8"),
        ] {
            let record =
                Record { owner: "o.x".parse().unwrap(), rr_type, class: Class::IN, ttl: 60, data: data.to_vec() };
            assert_eq!(record.to_string(), format!("o.x.\t60\tIN\t{rr_type}\t{expected}"));
        }
    }
}
