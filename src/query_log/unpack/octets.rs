//! The octets of what was packed, piece by piece.

use super::Packets;
use crate::{dns::Name, policy::Trigger};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where in what a program said the number of what matched stands, and the labels of the rule.
const LINK_AT: usize = 3;
pub(super) const LABELS_AT: usize = 4;

/// What is read from, in order. Everything here was written by this process, so what is missing is a fault.
pub(super) struct Cursor<'p>(pub &'p [u8]);

impl<'p> Cursor<'p> {
    pub fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn octet(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn packets(&mut self) -> Option<Packets<'p>> {
        let mut packet = || {
            let length = self.long()? as usize;
            self.take(length)
        };
        Some(Packets { query: packet()?, response: packet()? })
    }

    pub fn address(&mut self) -> Option<IpAddr> {
        self.array::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
    }

    pub fn server(&mut self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address()?, self.short()?))
    }
}

/// Something that an answer led to.
#[derive(Clone, Copy)]
pub(super) enum Linked<'p> {
    /// In wire form.
    Name(&'p [u8]),
    Address(IpAddr),
}

/// The rule's own name, in wire form: so many rightmost labels of the name it matched.
pub(super) fn rule_name<'p>(said: &[u8], name: &'p [u8], links: &[(Trigger, Linked<'p>)]) -> &'p [u8] {
    let (link, labels) = (usize::from(said[LINK_AT]), usize::from(said[LABELS_AT]));
    let matched = match link.checked_sub(1).map(|link| links.get(link)) {
        None => name,
        Some(Some((_, Linked::Name(name)))) => name,
        Some(_) => return &[],
    };
    if labels == 0 {
        return &[];
    }
    let count = label_starts(matched).count();
    let start = label_starts(matched).nth(count.saturating_sub(labels)).unwrap_or(0);
    &matched[start..]
}

/// What a rule matched in the answer, as octets; none if it matched the question.
pub(super) fn matched(said: &[u8], links: &[(Trigger, Linked<'_>)]) -> Vec<u8> {
    let link = said.get(LINK_AT).and_then(|link| usize::from(*link).checked_sub(1));
    match link.and_then(|link| links.get(link)) {
        None => Vec::new(),
        Some((_, Linked::Name(wire))) => wire.to_vec(),
        Some((_, Linked::Address(IpAddr::V4(address)))) => address.octets().into(),
        Some((_, Linked::Address(IpAddr::V6(address)))) => address.octets().into(),
    }
}

/// Where the labels of a name in wire form begin, the root's not among them.
fn label_starts(wire: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let length = usize::from(*wire.get(at).filter(|length| **length > 0)?);
        at += 1 + length;
        Some(start)
    })
}

pub(super) fn name_octets<'p>(cursor: &mut Cursor<'p>) -> Option<&'p [u8]> {
    let length = usize::from(cursor.octet()?);
    cursor.take(length)
}

/// A name's presentation form.
pub(super) fn presentation(wire: &[u8]) -> Option<String> {
    // Nearly all names are letters, digits and hyphens, which stand for themselves.
    let mut text = String::with_capacity(wire.len());
    for start in label_starts(wire) {
        let label = &wire[start + 1..start + 1 + usize::from(wire[start])];
        if !label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')) {
            return Some(Name::from_wire(wire).ok()?.to_string());
        }
        if start > 0 {
            text.push('.');
        }
        label.iter().for_each(|&octet| text.push(char::from(octet)));
    }
    if text.is_empty() {
        text.push('.');
    }
    Some(text)
}

pub(super) fn read_links<'p>(cursor: &mut Cursor<'p>) -> Option<Vec<(Trigger, Linked<'p>)>> {
    let count = cursor.octet()?;
    let mut links = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let trigger = *Trigger::ALL.get(usize::from(cursor.octet()?))?;
        let name = name_octets(cursor)?;
        links.push((trigger, if name.is_empty() { Linked::Address(cursor.address()?) } else { Linked::Name(name) }));
    }
    Some(links)
}
