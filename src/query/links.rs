//! What an answer leads to, and rules look at: aliases, addresses, name servers.

use crate::{
    dns::{Name, Question, Record, RrType},
    policy::{Link, Needs, Reached, Trigger},
    resolve::{NameServersWanted, Resolution},
};
use std::net::IpAddr;

/// Names looked at: the chase follows twelve aliases; an answer may hold several SVCB targets besides.
const NAMES_MAX: usize = 62;
/// Addresses looked at, of an answer and of name servers each, and name servers: with the names above they have numbers
/// of one octet. Who has more addresses than that has them in the same networks.
const OTHERS_MAX: usize = 64;
/// Keys of the address hints of an HTTPS or SVCB record (RFC 9460 §14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// What must be known of the name servers for those needs.
pub fn name_servers_wanted(needs: Needs) -> NameServersWanted {
    match (needs.ns_names, needs.ns_addresses) {
        (_, true) => NameServersWanted::Addresses,
        (true, false) => NameServersWanted::Names,
        (false, false) => NameServersWanted::No,
    }
}

/// All links of a resolution, as far as rules look at them.
pub fn links(qname: &Name, rr_type: RrType, resolution: &Resolution, needs: Needs) -> Vec<Link> {
    let mut links = aliases(qname, rr_type, &resolution.answer);
    if needs.addresses {
        addresses(&resolution.answer, &mut links);
    }
    let servers = || resolution.delegations.iter().flat_map(|delegation| &delegation.servers);
    if needs.ns_names {
        let mut names: Vec<Name> = Vec::new();
        for name in servers().map(|server| server.name) {
            if names.len() < OTHERS_MAX && !names.contains(&name) {
                names.push(name);
            }
        }
        links.extend(names.into_iter().map(|name| Link::name(name, Trigger::NsName)));
    }
    if needs.ns_addresses {
        let all = servers().flat_map(|server| server.addresses.iter().copied());
        push_addresses(all, Trigger::NsAddress, &mut links);
    }
    links
}

/// The names and addresses that an answer section leads to.
pub fn answer_links(question: &Question, answer: &[Record]) -> Vec<Link> {
    let mut links = aliases(&question.name, question.rr_type, answer);
    addresses(answer, &mut links);
    links
}

/// The names that an answer leads to: its alias chain in order, then the targets of HTTPS and SVCB records.
fn aliases(qname: &Name, rr_type: RrType, answer: &[Record]) -> Vec<Link> {
    let mut aliases: Vec<Link> = Vec::new();
    let mut name = *qname;
    while aliases.len() < NAMES_MAX {
        let own = answer.iter().find(|record| record.rr_type == RrType::CNAME && record.owner == name);
        let Some(target) = own.and_then(Record::target) else {
            break;
        };
        let above = |record: &Record| {
            record.rr_type == RrType::DNAME && name != record.owner && name.is_at_or_below(&record.owner)
        };
        let trigger = if answer.iter().any(above) { Trigger::Dname } else { Trigger::Cname };
        aliases.push(Link::name(target, trigger));
        if rr_type == RrType::CNAME || target == *qname {
            break;
        }
        name = target;
    }
    for target in answer.iter().filter_map(Record::service_target) {
        let is_new = |link: &Link| link.what != Reached::Name(target);
        if aliases.len() < NAMES_MAX && target != *qname && aliases.iter().all(is_new) {
            aliases.push(Link::name(target, Trigger::SvcbTarget));
        }
    }
    aliases
}

/// The addresses of A and AAAA records, then those in hints.
fn addresses(answer: &[Record], links: &mut Vec<Link>) {
    let own = answer.iter().filter_map(|record| match record.rr_type {
        RrType::A => <[u8; 4]>::try_from(&record.data[..]).ok().map(IpAddr::from),
        RrType::AAAA => <[u8; 16]>::try_from(&record.data[..]).ok().map(IpAddr::from),
        _ => None,
    });
    push_addresses(own, Trigger::Address, links);
    push_addresses(answer.iter().flat_map(hints), Trigger::Hint, links);
}

/// Appends addresses that aren't there yet.
fn push_addresses(addresses: impl Iterator<Item = IpAddr>, trigger: Trigger, links: &mut Vec<Link>) {
    let start = links.len();
    for address in addresses {
        let is_known = links[start..].iter().any(|link| link.what == Reached::Address(address));
        // Hints share the numbers of the answer's addresses.
        let taken = links.iter().filter(|link| link.trigger == trigger || link.trigger == Trigger::Address).count();
        let own = if trigger == Trigger::NsAddress { links.len() - start } else { taken };
        if !is_known && own < OTHERS_MAX {
            links.push(Link::address(address, trigger));
        }
    }
}

/// The addresses in the hints of an HTTPS or SVCB record (RFC 9460 §7.3).
fn hints(record: &Record) -> Vec<IpAddr> {
    let mut found = Vec::new();
    if !matches!(record.rr_type, RrType::HTTPS | RrType::SVCB) {
        return found;
    }
    let Some(Ok((_, target_end))) = record.data.get(2..).map(|rest| Name::read(rest, 0)) else {
        return found;
    };
    let mut rest = &record.data[2 + target_end..];
    while let [key_high, key_low, length_high, length_low, tail @ ..] = rest {
        let key = u16::from_be_bytes([*key_high, *key_low]);
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let Some((value, after)) = tail.split_at_checked(length) else {
            break;
        };
        match key {
            IPV4_HINT => found.extend(value.as_chunks::<4>().0.iter().map(|octets| IpAddr::from(*octets))),
            IPV6_HINT => found.extend(value.as_chunks::<16>().0.iter().map(|octets| IpAddr::from(*octets))),
            _ => {}
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::{Class, Rcode},
        resolve::{Delegation, NameServer, Security},
    };

    fn record(owner: &str, rr_type: RrType, data: &[u8]) -> Record {
        Record { owner: owner.parse().unwrap(), rr_type, class: Class::IN, ttl: 60, data: data.to_vec() }
    }

    #[test]
    fn everything_that_an_answer_leads_to_is_told_once() {
        let wire = |name: &str| name.parse::<Name>().unwrap().as_wire().to_vec();
        let hints = b"\0\x01\0\0\x01\0\x03\x02h3\0\x04\0\x08\xc0\0\x02\x07\xc0\0\x02\x01\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        let answer = vec![
            record("a.x", RrType::CNAME, &wire("b.y")),
            record("b.y", RrType::A, &[192, 0, 2, 1]),
            record("b.y", RrType::A, &[192, 0, 2, 2]),
            record("b.y", RrType::HTTPS, hints),
        ];
        let server = |name: &str, address: &str| NameServer {
            name: name.parse().unwrap(),
            addresses: vec![address.parse().unwrap()],
        };
        let delegation = Delegation {
            zone: "y".parse().unwrap(),
            servers: vec![server("ns1.z", "192.0.2.53"), server("ns2.z", "192.0.2.53")],
        };
        let resolution = Resolution {
            rcode: Rcode::NOERROR,
            answer,
            authority: vec![],
            security: Security::Insecure,
            ede: None,
            delegations: vec![delegation],
            unheard: false,
            server: None,
        };
        let show = |needs| {
            let links = links(&"a.x".parse().unwrap(), RrType::A, &resolution, needs);
            links.iter().map(|link| format!("{} {}", link.trigger.word(), link.what)).collect::<Vec<_>>()
        };
        assert_eq!(show(Needs::default()), ["cname b.y"]);
        let needs = Needs { addresses: true, ns_names: true, ns_addresses: true };
        assert_eq!(
            show(needs),
            [
                "cname b.y",
                "address 192.0.2.1",
                "address 192.0.2.2",
                "address-hint 192.0.2.7",
                "address-hint 192.0.2.1",
                "address-hint 2001:db8::1",
                "ns-name ns1.z",
                "ns-name ns2.z",
                "ns-address 192.0.2.53",
            ]
        );
    }
}
