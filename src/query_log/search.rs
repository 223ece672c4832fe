//! Which queries somebody looks for. One meaning for all: what is recorded, and what just happens.

use super::row::{Fate, Row, Verdicts};
use crate::dns::{Name, RrType};
use ipnet::IpNet;
use std::net::IpAddr;

/// What is looked for: each part that is given narrows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    pub name: Option<NameLike>,
    pub client: Option<ClientLike>,
    /// Some program said something, or would have but for an exception, or this service of it, or a service of that name of any program.
    pub program: Option<String>,
    pub service: Option<String>,
    /// What became of it is one of these; none: whatever became of it.
    pub fates: Vec<Fate>,
    pub rr_type: Option<RrType>,
    /// Microseconds since 1970: included.
    pub from: Option<i64>,
    /// Not included.
    pub to: Option<i64>,
}

/// Which names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NameLike {
    /// Those with this text anywhere in them.
    Part(String),
    Exact(String),
    /// This name and all below it.
    Subtree(String),
}

/// Which clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientLike {
    /// An address, or those in a network.
    Network(IpNet),
    /// One of these.
    Among(Vec<IpAddr>),
    /// What privacy left of one.
    Told(String),
}

/// What of a query is compared before anything is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'r> {
    pub time: i64,
    pub client: &'r str,
    pub name: &'r str,
    pub rr_type: RrType,
    pub fate: Fate,
}

impl Search {
    /// Whether a query is looked for.
    pub fn finds(&self, row: &Row) -> bool {
        let Row { time, client, name, rr_type, verdicts, .. } = row;
        let facts = Facts { time: *time, client, name, rr_type: *rr_type, fate: row.fate() };
        self.fits(&facts) && self.fits_said(verdicts)
    }

    /// Whether all but what programs said fits.
    pub fn fits(&self, facts: &Facts<'_>) -> bool {
        let Facts { time, client, name, rr_type, fate } = *facts;
        (self.fates.is_empty() || self.fates.contains(&fate))
            && self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
            // A query that couldn't be read has no name, and its type means nothing.
            && self.rr_type.is_none_or(|wanted| wanted == rr_type && !name.is_empty())
            && self.name.as_ref().is_none_or(|like| like.fits(name))
            && self.client.as_ref().is_none_or(|like| like.fits(client))
    }

    /// Whether what programs said fits. It doesn't depend on lines and rules.
    pub fn fits_said(&self, verdicts: &Verdicts) -> bool {
        let (program, service) = (self.program.as_deref(), self.service.as_deref());
        let fits = |wanted: Option<&str>, own: &str| wanted.is_none_or(|wanted| wanted == own);
        !self.asks_said()
            || verdicts
                .said
                .iter()
                .chain(&verdicts.overruled)
                .any(|said| fits(program, &said.program) && fits(service, &said.service))
    }

    /// Whether it matters what programs said.
    pub fn asks_said(&self) -> bool {
        self.program.is_some() || self.service.is_some()
    }
}

impl NameLike {
    /// As it is typed: a part of a name; `=name` for just that one; `.name` for it and all below.
    pub fn read(text: &str) -> Self {
        // Names are kept as they are asked for, and not as people see them.
        let text = if text.is_ascii() { text.to_owned() } else { idna::domain_to_ascii(text).unwrap_or(text.into()) };
        let whole = |text: &str| text.parse::<Name>().map_or_else(|_| text.to_lowercase(), |name| name.to_string());
        match text.strip_prefix('=') {
            Some(name) => Self::Exact(whole(name)),
            None => match text.strip_prefix('.').filter(|name| !name.is_empty()) {
                Some(name) => Self::Subtree(whole(name)),
                None => Self::Part(text.to_lowercase()),
            },
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Part(part) => name.contains(part.as_str()),
            Self::Exact(wanted) => name == wanted,
            Self::Subtree(top) => {
                name.strip_suffix(top.as_str()).is_some_and(|below| below.is_empty() || below.ends_with('.'))
            }
        }
    }
}

impl ClientLike {
    /// As it is typed: an address, a network, or a pseudonym.
    pub fn read(text: &str) -> Self {
        let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network = address.or_else(|_| text.parse::<IpNet>());
        network.map_or_else(|_| Self::Told(text.to_lowercase()), |network| Self::Network(network.trunc()))
    }

    fn fits(&self, client: &str) -> bool {
        match self {
            Self::Told(told) => client == told,
            Self::Among(all) => client.parse::<IpAddr>().is_ok_and(|address| all.contains(&address)),
            Self::Network(network) => match client.parse::<IpAddr>() {
                Ok(address) => network.contains(&address),
                // Of a client of which its network is kept.
                Err(_) => client.parse::<IpNet>().is_ok_and(|own| network.contains(&own)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::row::Said, *};
    use crate::policy::{Outcome, Trigger};
    use std::sync::Arc;

    #[test]
    fn names_are_found_by_what_is_typed() {
        for (typed, name, finds) in [
            ("tok", "www.tiktok.com", true),
            ("TikTok", "www.tiktok.com", true),
            ("tok", "www.example.com", false),
            ("=tiktok.com", "tiktok.com", true),
            ("=TikTok.com.", "tiktok.com", true),
            ("=tiktok.com", "www.tiktok.com", false),
            (".tiktok.com", "tiktok.com", true),
            (".tiktok.com", "www.tiktok.com", true),
            (".tiktok.com", "nottiktok.com", false),
            (".tiktok.com", "tiktok.com.evil.example", false),
            (".", "a.b", true),
            ("=.", ".", true),
            ("=.", "a.b", false),
            ("bücher", "www.xn--bcher-kva.example", true),
            (".bücher.example", "www.xn--bcher-kva.example", true),
            ("=a\\032b", "a\\032b", true),
            ("x", "", false),
        ] {
            assert_eq!(NameLike::read(typed).fits(name), finds, "{typed} {name}");
        }
    }

    #[test]
    fn clients_are_found_by_address_network_and_pseudonym() {
        for (typed, client, finds) in [
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.77", false),
            ("::ffff:192.168.1.7", "192.168.1.7", true),
            ("FD00::7", "fd00::7", true),
            ("192.168.1.0/24", "192.168.1.7", true),
            ("192.168.1.9/24", "192.168.1.7", true),
            ("192.168.1.0/24", "192.168.1.0/24", true),
            ("192.168.0.0/16", "192.168.1.0/24", true),
            ("192.168.1.0/24", "192.168.0.0/16", false),
            ("192.168.1.7", "192.168.1.0/24", false),
            ("192.168.1.0/24", "fd00::7", false),
            ("0a1B", "0a1b", true),
            ("0a1b", "", false),
            ("192.168.1.0/24", "", false),
        ] {
            assert_eq!(ClientLike::read(typed).fits(client), finds, "{typed} {client}");
        }
    }

    #[test]
    fn all_that_is_given_has_to_fit() {
        let said = Said {
            program: "p".into(),
            service: "s".into(),
            list: "l".into(),
            version: "v".into(),
            line: 1,
            rule: "".into(),
            trigger: Trigger::Qname,
            outcome: Outcome::Block,
            acted: true,
        };
        let row = Row {
            time: 10,
            name: "a.example".into(),
            client: "192.0.2.1".into(),
            rr_type: RrType::AAAA,
            verdicts: Arc::new(Verdicts { said: vec![said.clone()], ..Verdicts::default() }),
            ..Row::default()
        };
        let word = |text: &str| Some(text.to_owned());
        let none = Search::default;
        for (search, finds) in [
            (none(), true),
            (Search { fates: vec![Fate::Excepted, Fate::Blocked], ..none() }, true),
            (Search { fates: vec![Fate::Passed], ..none() }, false),
            (Search { rr_type: Some(RrType::AAAA), ..none() }, true),
            (Search { rr_type: Some(RrType::A), ..none() }, false),
            (Search { from: Some(10), to: Some(11), ..none() }, true),
            (Search { to: Some(10), ..none() }, false),
            (Search { from: Some(11), ..none() }, false),
            (Search { program: word("p"), service: word("s"), ..none() }, true),
            (Search { service: word("s"), ..none() }, true),
            (Search { program: word("p"), service: word("t"), ..none() }, false),
            (Search { program: word("q"), ..none() }, false),
            (Search { name: Some(NameLike::read("a.")), client: Some(ClientLike::read("192.0.2.1")), ..none() }, true),
            (Search { name: Some(NameLike::read("a.")), client: Some(ClientLike::read("192.0.2.2")), ..none() }, false),
        ] {
            assert_eq!(search.finds(&row), finds, "{search:?}");
        }
        assert!(!Search { program: word("p"), ..none() }.finds(&Row::default()));
        let excepted = Verdicts { owner: Some("c.toml:3".into()), overruled: vec![said], ..Verdicts::default() };
        let row = Row { verdicts: Arc::new(excepted), ..Row::default() };
        assert!(Search { service: word("s"), fates: vec![Fate::Excepted], ..none() }.finds(&row));
        assert!(!Search { service: word("t"), ..none() }.finds(&row));
    }
}
