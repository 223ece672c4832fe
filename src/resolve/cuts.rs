//! Where zones begin and which name servers they have, as far as it was heard. No I/O and no clock.
//!
//! What makes a server's word count: it is only asked about the very name it speaks of, and only by a resolver that
//! holds it responsible for that name. Nothing else in a response is looked at, so nobody can speak for a stranger's
//! zone. A zone's own servers may add to what its parent says of it, never take away, and never prolong it.

use super::{Delegation, NameServer, remembered::Remembered};
use crate::dns::{LABELS_MAX, Name};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// Name servers remembered of one zone. The root and its like have thirteen; more would be there to fill our memory.
const SERVERS_MAX: usize = 16;
/// Addresses remembered of one name server, for the same reason.
const ADDRESSES_MAX: usize = 8;
/// Nothing is forgotten sooner than this, so that a TTL of zero still serves the answer it came with.
const LIFE_MIN: Duration = Duration::from_secs(10);
/// Nothing is believed longer than this: hickory's own ceiling.
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// How long it is remembered that a question found nothing. Short, since it may have been an accident.
const NOTHING_LIFE: Duration = Duration::from_secs(60);
/// How long it is remembered that a question was not answered, so that not every client waits for it.
const SILENCE_LIFE: Duration = Duration::from_secs(10);
/// Octets that a zone with its servers takes: a guess on the safe side. Typical are four servers of 60 octets each.
const ZONE_BYTES: u64 = 1024;
/// Zones remembered at least.
const ZONES_MIN: u64 = 1024;
/// Zones remembered at most: as many as a large network meets in a day.
const ZONES_MAX: u64 = 65_536;

/// Zones, their name servers and their addresses.
pub struct ZoneCuts {
    zones: Remembered<Zone>,
    hosts: Remembered<Host>,
    /// Names of which was asked whether a zone begins there, and none does, or nobody answered (then false); until when
    /// that holds.
    no_cuts: Remembered<(Instant, bool)>,
    /// Addresses of the root's servers, for whom there is no parent to say them.
    roots: Vec<IpAddr>,
}

/// What a server said to the question for the NS records of `zone`.
#[derive(Debug, PartialEq)]
pub struct Said {
    pub zone: Name,
    pub servers: Vec<Name>,
    /// Addresses of these servers from the same response, believed only if they lie below who said it.
    pub glue: Vec<(Name, IpAddr)>,
    /// Seconds.
    pub ttl: u32,
    /// Who said it; `None` if that isn't known.
    pub by: Option<IpAddr>,
}

/// What is known of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A zone begins there.
    Zone,
    /// One did, when it was last asked.
    Stale,
    /// None does.
    None,
    /// Nobody answered just now.
    Silent,
    Unknown,
}

/// The record type of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

struct Zone {
    servers: Vec<Server>,
    /// Whether the parent's servers said so: then the zone's own may only add.
    is_delegated: bool,
    expires: Instant,
}

struct Server {
    name: Box<[u8]>,
    glue: Vec<IpAddr>,
}

/// A name server whose addresses no zone's parent says, or not all.
#[derive(Default)]
struct Host {
    v4: Option<Addresses>,
    v6: Option<Addresses>,
}

struct Addresses {
    list: Vec<IpAddr>,
    expires: Instant,
}

impl ZoneCuts {
    /// `cache_bytes` is the ceiling for everything that a resolver remembers, of which this takes a part.
    pub fn new(roots: &[IpAddr], cache_bytes: u64) -> Self {
        Self::bounded(roots, (cache_bytes / 32 / ZONE_BYTES).clamp(ZONES_MIN, ZONES_MAX) as usize)
    }

    fn bounded(roots: &[IpAddr], zones_max: usize) -> Self {
        Self {
            zones: Remembered::new(zones_max),
            hosts: Remembered::new(zones_max),
            no_cuts: Remembered::new(zones_max),
            roots: roots.to_vec(),
        }
    }

    /// Takes note of a zone's name servers.
    pub fn note_servers(&mut self, said: &Said, now: Instant) {
        if said.servers.is_empty() {
            return;
        }
        let parent = self.parent(&said.zone);
        let by_parent = said.by.is_some_and(|server| self.serves(&parent, server));
        let from = if by_parent { parent } else { said.zone };
        let mut zone = Zone { servers: Vec::new(), is_delegated: by_parent, expires: now + life(said.ttl) };
        for name in &said.servers {
            let glue = said.glue.iter().filter(|(host, _)| host == name && host.is_at_or_below(&from));
            zone.add(name.as_wire(), glue.map(|(_, address)| *address));
        }
        for server in zone.servers.iter().filter(|server| server.glue.is_empty()) {
            self.hosts.get_or_default(&server.name);
        }
        match self.zones.get(said.zone.as_wire()) {
            Some(known) if known.is_delegated && !by_parent && known.expires > now => {
                for server in zone.servers {
                    known.add(&server.name, server.glue.into_iter());
                }
            }
            _ => self.zones.insert(said.zone.as_wire(), zone),
        }
    }

    /// Takes note of the addresses of one family that a name server was said to have, if it is one: there may be none.
    pub fn note_addresses(&mut self, host: &Name, family: Family, mut list: Vec<IpAddr>, ttl: u32, now: Instant) {
        let Some(host) = self.hosts.get(host.as_wire()) else {
            return;
        };
        list.truncate(ADDRESSES_MAX);
        let expires = now + if list.is_empty() { NOTHING_LIFE } else { life(ttl) };
        *host.of(family) = Some(Addresses { list, expires });
    }

    /// Takes note that the addresses could not be found. Old ones, if there are any, stay: better than none.
    pub fn note_no_addresses(&mut self, host: &Name, family: Family, now: Instant) {
        let of_family = self.hosts.get_or_default(host.as_wire()).of(family);
        let list = of_family.take().map_or_else(Vec::new, |addresses| addresses.list);
        *of_family = Some(Addresses { list, expires: now + SILENCE_LIFE });
    }

    /// Takes note that no zone begins at `name`: it was asked, and if `answered`, that was the answer.
    pub fn note_no_cut(&mut self, name: &Name, answered: bool, now: Instant) {
        if answered {
            self.zones.remove(name.as_wire());
        }
        let life = if answered { NOTHING_LIFE } else { SILENCE_LIFE };
        self.no_cuts.insert(name.as_wire(), (now + life, answered));
    }

    /// Whether nobody answered just now who was asked for a zone at `name`.
    pub fn is_silent(&mut self, name: &Name, now: Instant) -> bool {
        self.no_cuts.get(name.as_wire()).is_some_and(|&mut (until, answered)| until > now && !answered)
    }

    /// Whether a zone begins at `name`.
    pub fn cut(&mut self, name: &Name, now: Instant) -> Cut {
        let asked = self.no_cuts.get(name.as_wire()).filter(|(until, _)| *until > now).map(|(_, answered)| *answered);
        match self.zones.get(name.as_wire()) {
            Some(zone) if zone.expires > now => Cut::Zone,
            // Nobody answered just now, so what is known must do.
            Some(_) if asked.is_some() => Cut::Zone,
            Some(_) => Cut::Stale,
            None => match asked {
                Some(true) => Cut::None,
                Some(false) => Cut::Silent,
                None => Cut::Unknown,
            },
        }
    }

    /// The deepest zone known at or above `name`, fresh or stale.
    pub fn closest(&mut self, name: &Name) -> Option<Name> {
        let mut offsets = [0; LABELS_MAX];
        let count = name.label_offsets(&mut offsets);
        let wire = name.as_wire();
        let depth = (0..count).find(|&label| self.zones.get(&wire[usize::from(offsets[label])..]).is_some());
        match depth {
            Some(label) => Some(name.ancestor(label)),
            None => self.zones.get(Name::ROOT.as_wire()).map(|_| Name::ROOT),
        }
    }

    /// A zone with its name servers and the addresses known of them, fresh or stale.
    pub fn delegation(&mut self, zone: &Name) -> Option<Delegation> {
        let known = self.zones.get(zone.as_wire())?;
        let mut servers = Vec::with_capacity(known.servers.len());
        for server in &known.servers {
            let mut addresses = server.glue.clone();
            if let Some(host) = self.hosts.get(&server.name) {
                addresses.extend([&host.v4, &host.v6].into_iter().flatten().flat_map(|known| &known.list));
            }
            addresses.sort_unstable();
            addresses.dedup();
            let name = Name::from_wire(&server.name).expect("it came from a name");
            servers.push(NameServer { name, addresses });
        }
        Some(Delegation { zone: *zone, servers })
    }

    /// The name servers of `zone` whose addresses are worth a question: no glue, and not asked lately.
    pub fn without_addresses(&mut self, zone: &Name, now: Instant) -> Vec<(Name, Family)> {
        let mut wanting = Vec::new();
        let Some(zone) = self.zones.get(zone.as_wire()) else {
            return wanting;
        };
        for server in zone.servers.iter().filter(|server| server.glue.is_empty()) {
            let name = Name::from_wire(&server.name).expect("it came from a name");
            let host = self.hosts.get_or_default(&server.name);
            for family in [Family::V4, Family::V6] {
                if host.of(family).as_ref().is_none_or(|addresses| addresses.expires <= now) {
                    wanting.push((name, family));
                }
            }
        }
        wanting
    }

    /// The closest zone known strictly above `zone`: the one whose servers are asked where it begins.
    fn parent(&mut self, zone: &Name) -> Name {
        if zone.is_root() { Name::ROOT } else { self.closest(&zone.ancestor(1)).unwrap_or(Name::ROOT) }
    }

    /// Whether `address` is one of a server of `zone`.
    fn serves(&mut self, zone: &Name, address: IpAddr) -> bool {
        if zone.is_root() && self.roots.contains(&address) {
            return true;
        }
        let Some(known) = self.zones.get(zone.as_wire()) else {
            return false;
        };
        known.servers.iter().any(|server| {
            let host = self.hosts.get(&server.name);
            let resolved = host.into_iter().flat_map(|host| [&host.v4, &host.v6].into_iter().flatten());
            server.glue.contains(&address) || { resolved }.any(|addresses| addresses.list.contains(&address))
        })
    }
}

impl Zone {
    /// Adds a server, or addresses to one that is there, as long as there is room.
    fn add(&mut self, name: &[u8], glue: impl Iterator<Item = IpAddr>) {
        let index = match self.servers.iter().position(|server| *server.name == *name) {
            Some(index) => index,
            None if self.servers.len() < SERVERS_MAX => {
                self.servers.push(Server { name: name.into(), glue: Vec::new() });
                self.servers.len() - 1
            }
            None => return,
        };
        let known = &mut self.servers[index].glue;
        for address in glue {
            if known.len() < ADDRESSES_MAX && !known.contains(&address) {
                known.push(address);
            }
        }
    }
}

impl Host {
    fn of(&mut self, family: Family) -> &mut Option<Addresses> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

fn life(ttl: u32) -> Duration {
    Duration::from_secs(u64::from(ttl)).clamp(LIFE_MIN, LIFE_MAX)
}

#[cfg(test)]
mod tests;
