//! Builds the world from its table: parses the zones, draws the delegations between them (NS, glue,
//! DS), gives each its keys and faults, and puts them on servers. Done once a process; every
//! `Internet` shares the result.

use super::{
    keys::{self, Keys, Window},
    table::{self, Kind, Spec},
    zone::{self, DenialStyle, Signing, Zone},
};
use hickory_resolver::proto::{
    dnssec::{
        Algorithm,
        rdata::{DNSKEY, DNSSECRData, DS},
    },
    rr::{
        Name, RData, Record, RecordType,
        rdata::{NS, SOA},
    },
    serialize::txt::Parser,
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, LazyLock},
};

/// TTL of all records, and of negative answers.
const TTL_SECONDS: u32 = 300;
/// An algorithm number nobody has assigned.
const ALGORITHM_UNKNOWN: Algorithm = Algorithm::Unknown(200);

/// The one world.
pub static WORLD: LazyLock<World> = LazyLock::new(World::build);

/// All zones on their servers.
pub struct World {
    /// The servers by their logical addresses.
    pub servers: BTreeMap<IpAddr, Host>,
    /// The root's name servers.
    pub roots: Vec<(Name, IpAddr)>,
    /// The root's secure entry point.
    pub anchor: DNSKEY,
    /// The DS record for it.
    pub anchor_ds: DS,
}

/// What a server does.
pub enum Host {
    /// Answers for these zones and refuses the rest.
    Serves(Vec<Arc<Zone>>),
    /// Takes questions and says nothing.
    Dead,
    /// Isn't there: its port is closed.
    Closed,
}

/// A zone of the table while the world is being built.
struct Plan {
    apex: Name,
    spec: Spec,
    hosts: Vec<(Name, IpAddr)>,
    signing: Option<Signing>,
}

impl World {
    /// Builds the world.
    fn build() -> Self {
        let plans: Vec<Plan> = table::zones().into_iter().map(Plan::new).collect();
        let mut servers: BTreeMap<IpAddr, Host> = BTreeMap::new();
        for plan in &plans {
            let zone = plan.loads().then(|| Arc::new(plan.load(&plans)));
            for (_, address) in &plan.hosts {
                let host = servers.entry(*address).or_insert_with(|| match plan.spec.kind {
                    Kind::Dead => Host::Dead,
                    Kind::Closed => Host::Closed,
                    _ => Host::Serves(Vec::new()),
                });
                if let (Host::Serves(zones), Some(zone)) = (host, &zone) {
                    zones.push(Arc::clone(zone));
                }
            }
        }
        let root = plans.iter().find(|plan| plan.apex.is_root()).expect("a root");
        let keys = &root.signing.as_ref().expect("a signed root").keys;
        Self { servers, roots: root.hosts.clone(), anchor: keys.dnskeys().swap_remove(0), anchor_ds: keys.ds() }
    }
}

impl Plan {
    /// Reads a line of the table and makes the zone's keys.
    fn new(spec: Spec) -> Self {
        let apex = name(spec.apex);
        let hosts = spec.hosts.iter().map(|(host, address)| (name(host), IpAddr::V4(*address)));
        let style = match spec.kind {
            Kind::Nsec3 => Some(DenialStyle::Nsec3),
            Kind::Nsec3OptOut => Some(DenialStyle::Nsec3OptOut),
            Kind::NoProofs => Some(DenialStyle::Missing),
            Kind::Unsigned | Kind::Lame | Kind::Dead | Kind::Closed => None,
            _ => Some(DenialStyle::Nsec),
        };
        let window: Window = match spec.kind {
            Kind::Expired => keys::EXPIRED,
            Kind::NotYetValid => keys::NOT_YET_VALID,
            _ => keys::VALID,
        };
        let algorithm = match spec.kind {
            Kind::UnknownAlgorithm => ALGORITHM_UNKNOWN,
            _ => Algorithm::ECDSAP256SHA256,
        };
        let signing =
            style.map(|style| Signing { keys: Keys::generate(&apex, apex.is_root(), algorithm, window), style });
        Self { hosts: hosts.collect(), apex, signing, spec }
    }

    /// Whether some server has the zone.
    fn loads(&self) -> bool {
        !matches!(self.spec.kind, Kind::Lame | Kind::Dead | Kind::Closed)
    }

    /// Loads the zone, given all of them.
    fn load(&self, plans: &[Self]) -> Zone {
        let mut records = vec![record(&self.apex, self.soa())];
        records.extend(self.name_servers());
        records.extend(parse(&self.spec.text, &self.apex));
        for plan in plans {
            if self.is_parent_of(plan, plans) {
                records.extend(plan.name_servers());
                records.extend(plan.published_ds().map(|ds| record(&plan.apex, ds)));
            }
            // Addresses of name servers: the zone's own, and glue for what is below it.
            let here = plan.hosts.iter().filter(|(host, _)| self.apex.zone_of(host));
            records.extend(here.map(|(host, address)| record(host, (*address).into())));
        }
        let signing = self.signing.as_ref().filter(|_| self.spec.kind != Kind::Stripped);
        let mut zone = Zone::load(self.apex.clone(), records, signing);
        if self.spec.kind == Kind::FlippedBit {
            zone.flip_signature_bit(&name(&format!("www.{}", self.apex)), RecordType::A);
        }
        zone
    }

    /// The NS records, as parent and child both have them.
    fn name_servers(&self) -> impl Iterator<Item = Record> {
        self.hosts.iter().map(|(host, _)| record(&self.apex, RData::NS(NS(host.clone()))))
    }

    /// The SOA.
    fn soa(&self) -> RData {
        let (primary, _) = &self.hosts[0];
        let contact = name("hostmaster.nic.test.");
        RData::SOA(SOA::new(primary.clone(), contact, 1, 7200, 900, 1_209_600, TTL_SECONDS))
    }

    /// The DS record in the parent.
    fn published_ds(&self) -> Option<RData> {
        let keys = &self.signing.as_ref()?.keys;
        let ds = match self.spec.kind {
            Kind::WrongDs => {
                // right tag and algorithm, wrong digest: the key is looked at and found wanting
                let ds = keys.ds();
                let digest = ds.digest().iter().map(|byte| !byte).collect();
                DS::new(ds.key_tag(), ds.algorithm(), ds.digest_type(), digest)
            }
            _ => keys.ds(),
        };
        Some(RData::DNSSEC(DNSSECRData::DS(ds)))
    }

    /// Whether `child` is delegated from this zone and not from one in between.
    fn is_parent_of(&self, child: &Self, plans: &[Self]) -> bool {
        let above = plans.iter().filter(|plan| plan.apex.zone_of(&child.apex));
        let above = above.filter(|plan| plan.apex != child.apex);
        above.max_by_key(|plan| plan.apex.iter().count()).is_some_and(|plan| plan.apex == self.apex)
    }
}

/// A record with the usual TTL.
fn record(owner: &Name, data: RData) -> Record {
    Record::from_rdata(owner.clone(), TTL_SECONDS, data)
}

/// Reads zone-file text. hickory's parser knows no DNAME, so those lines are read here.
fn parse(text: &str, apex: &Name) -> Vec<Record> {
    let (aliases, rest): (Vec<&str>, Vec<&str>) =
        text.lines().map(str::trim).partition(|line| line.contains(" DNAME "));
    let file = format!("$TTL {TTL_SECONDS}\n{}\n", rest.join("\n"));
    let parsed = Parser::new(file, None, Some(apex.clone())).parse();
    let (_, sets) = parsed.unwrap_or_else(|error| panic!("zone {apex}: {error}"));
    let mut records: Vec<Record> = sets.values().flat_map(|set| set.records_without_rrsigs().cloned()).collect();
    for line in aliases {
        let (owner, target) = line.split_once(" DNAME ").expect("partitioned by it");
        let owner = Name::parse(owner.trim(), Some(apex)).expect("a name");
        records.push(record(&owner, zone::dname(&name(target.trim()))));
    }
    records
}

/// A name of the table.
fn name(text: &str) -> Name {
    assert!(text.ends_with('.'), "{text} is relative");
    Name::from_ascii(text).expect("a name")
}
