//! Finds whose name servers an answer came from. Mostly that was heard while the answer was looked for; what wasn't,
//! because the answer was remembered or came from a forwarder, is asked for, within bounds.

use super::{
    Delegation, NameServersWanted,
    chase::Source,
    cuts::{Cut, Family, Said, ZoneCuts},
    link::Link,
    observed::SharedCuts,
};
use crate::dns::{Name, RrType};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::timeout_at};

/// How long a client may have to wait for its answer because somebody wants to know this.
const WITHIN: Duration = Duration::from_millis(800);
/// A resolution that has taken so long already waits no longer: a late answer is no answer.
const NOT_AFTER: Duration = Duration::from_millis(3000);
/// Questions asked to find the zone of one name. A zone's SOA record shows the way, so two do mostly.
const ZONE_QUESTIONS_MAX: usize = 4;
/// Name servers whose addresses are asked for, for one answer.
const HOSTS_MAX: usize = 8;

/// Looks for the name servers behind one answer.
pub struct Search<S> {
    source: Arc<S>,
    cuts: SharedCuts,
    deadline: tokio::time::Instant,
}

impl<S: Source + Send + Sync + 'static> Search<S> {
    /// `begun` is when the answer began to be looked for.
    pub fn new(source: Arc<S>, cuts: SharedCuts, begun: Instant) -> Self {
        let deadline = (Instant::now() + WITHIN).min(begun + NOT_AFTER).into();
        Self { source, cuts, deadline }
    }

    /// The zones of the name asked and of each alias followed, with what is wanted of them; and whether some of that is
    /// not known because somebody gave no answer.
    pub async fn find(
        &self,
        qname: &Name,
        rr_type: RrType,
        link: &Link,
        wanted: NameServersWanted,
    ) -> (Vec<Delegation>, bool) {
        let mut zones = Vec::new();
        if wanted == NameServersWanted::No {
            return (Vec::new(), false);
        }
        let mut unheard = false;
        let names = names(qname, rr_type, link);
        for (index, name) in names.iter().enumerate() {
            let is_last = index + 1 == names.len();
            let (zone, is_sure) = self.zone(name, !is_last, soa(link, name).filter(|_| is_last)).await;
            unheard |= !is_sure;
            zones.extend(zone.filter(|zone| !zones.contains(zone)));
        }
        if wanted == NameServersWanted::Addresses {
            self.find_addresses(&zones).await;
        }
        let delegations = delegations(&mut self.cuts.lock(), zones);
        let has_none = |delegation: &Delegation| delegation.servers.iter().all(|server| server.addresses.is_empty());
        unheard |= wanted == NameServersWanted::Addresses && delegations.iter().any(has_none);
        (delegations, unheard)
    }

    /// The deepest zone at or above `name`, and whether none that is deeper may have been missed for want of an answer.
    /// `soa` is the owner of the SOA record that came with a negative answer.
    async fn zone(&self, name: &Name, is_alias: bool, soa: Option<Name>) -> (Option<Name>, bool) {
        let forwarded = self.source.forwarded_zone(name);
        let floor = forwarded.unwrap_or(Name::ROOT);
        let mut at = match self.heard(name, soa).filter(|_| forwarded.is_none()) {
            Some(zone) => zone,
            // No zone begins at an alias (RFC 1034 §3.6.2).
            None if is_alias && *name != floor => name.ancestor(1),
            None => *name,
        };
        let (mut questions, mut is_sure) = (0, true);
        while at.is_at_or_below(&floor) {
            let mut next = None;
            let mut cut = self.cuts.lock().cut(&at, Instant::now());
            let is_open = matches!(cut, Cut::Unknown | Cut::Stale);
            let is_silent = is_open && self.is_silent(&at, forwarded.as_ref());
            if is_open && !is_silent && questions < ZONE_QUESTIONS_MAX {
                questions += 1;
                next = self.ask_for_zone(&at).await;
                let (mut cuts, now) = (self.cuts.lock(), Instant::now());
                if let Some(zone) = forwarded.filter(|_| self.deadline <= now.into()) {
                    cuts.note_no_cut(&zone, false, now);
                }
                cut = cuts.cut(&at, now);
            }
            // What is known must do where nobody answers.
            if cut == Cut::Zone || cut == Cut::Stale && is_silent {
                // As where it was heard: nobody looks for a deeper one then.
                return (Some(at), is_sure || at.label_count() > 1);
            }
            is_sure &= cut == Cut::None;
            if at.is_root() {
                break;
            }
            at = next.unwrap_or_else(|| at.ancestor(1));
        }
        (self.cuts.lock().closest(name).filter(|zone| zone.is_at_or_below(&floor)), is_sure)
    }

    /// Whether there is no use in asking for `name`: whoever was asked for one above it gave no answer just now. Those
    /// above a zone that is known are others; a forwarder has all names of its zone.
    fn is_silent(&self, name: &Name, forwarded: Option<&Name>) -> bool {
        let (mut cuts, now) = (self.cuts.lock(), Instant::now());
        let floor = forwarded.unwrap_or(&Name::ROOT);
        let mut at = *name;
        while at != *floor {
            at = at.ancestor(1);
            if cuts.is_silent(&at, now) {
                return true;
            }
            if forwarded.is_none() && cuts.cut(&at, now) == Cut::Zone {
                return false;
            }
        }
        false
    }

    /// The zone of a name that was recursed for, as far as it was heard. The root and the zones below it are known
    /// always, so they mean nothing, unless their own server denied the name.
    fn heard(&self, name: &Name, soa: Option<Name>) -> Option<Name> {
        let closest = self.cuts.lock().closest(name)?;
        match soa {
            Some(soa) if soa.is_at_or_below(&closest) => Some(soa),
            _ if closest.label_count() > 1 || closest == *name => Some(closest),
            _ => None,
        }
    }

    /// Asks whether a zone begins at `name`, and takes note of the answer; if none does, returns where one may.
    async fn ask_for_zone(&self, name: &Name) -> Option<Name> {
        let asked = timeout_at(self.deadline, self.source.ask(name, RrType::NS)).await;
        let (mut cuts, now) = (self.cuts.lock(), Instant::now());
        let Ok(Ok(link)) = asked else {
            cuts.note_no_cut(name, false, now);
            return None;
        };
        let own = || link.answer.iter().filter(|record| record.owner == *name && record.rr_type == RrType::NS);
        let servers: Vec<Name> = own().filter_map(|record| record.target()).collect();
        if !servers.is_empty() {
            let ttl = own().map(|record| record.ttl).min().unwrap_or(0);
            cuts.note_servers(&Said { zone: *name, servers, glue: Vec::new(), ttl, by: None }, now);
            return None;
        }
        let soa = soa(&link, name);
        // A zone may begin there all the same, whose servers are too poor to say so.
        let is_denied = soa != Some(*name) && cuts.cut(name, now) != Cut::Zone;
        cuts.note_no_cut(name, is_denied, now);
        let soa = soa.filter(|soa| soa != name)?;
        let mut between = name.ancestor(1);
        while between != soa {
            if cuts.cut(&between, now) == Cut::Unknown {
                cuts.note_no_cut(&between, true, now);
            }
            between = between.ancestor(1);
        }
        Some(soa)
    }

    /// Asks for addresses of name servers that are not known, and takes note of them.
    async fn find_addresses(&self, zones: &[Name]) {
        let wanting = {
            let (mut cuts, now) = (self.cuts.lock(), Instant::now());
            let mut wanting: Vec<(Name, Family)> = Vec::new();
            for zone in zones {
                wanting.extend(cuts.without_addresses(zone, now));
            }
            wanting
        };
        let mut hosts: Vec<Name> = Vec::new();
        let mut asking = JoinSet::new();
        for (host, family) in wanting {
            if !hosts.contains(&host) {
                if hosts.len() == HOSTS_MAX {
                    continue;
                }
                hosts.push(host);
            }
            let (source, cuts, deadline) = (self.source.clone(), self.cuts.clone(), self.deadline);
            asking.spawn(async move {
                let rr_type = if family == Family::V4 { RrType::A } else { RrType::AAAA };
                let asked = timeout_at(deadline, source.ask(&host, rr_type)).await;
                let (mut cuts, now) = (cuts.lock(), Instant::now());
                match asked {
                    Ok(Ok(link)) => {
                        let (addresses, ttl) = addresses(&link, &host, rr_type);
                        cuts.note_addresses(&host, family, addresses, ttl, now);
                    }
                    _ => cuts.note_no_addresses(&host, family, now),
                }
            });
        }
        while asking.join_next().await.is_some() {}
    }
}

/// What is known without asking, of an answer that could not be had: the servers that gave none are of interest, too.
pub fn known(cuts: &SharedCuts, qname: &Name, rr_type: RrType, link: &Link) -> Vec<Delegation> {
    let mut cuts = cuts.lock();
    let mut zones = Vec::new();
    for name in names(qname, rr_type, link) {
        zones.extend(cuts.closest(&name).filter(|zone| !zones.contains(zone)));
    }
    delegations(&mut cuts, zones)
}

fn delegations(cuts: &mut ZoneCuts, zones: Vec<Name>) -> Vec<Delegation> {
    zones.iter().filter_map(|zone| cuts.delegation(zone)).collect()
}

/// The name asked and the names that its aliases led to, in order.
fn names(qname: &Name, rr_type: RrType, link: &Link) -> Vec<Name> {
    let mut names = vec![*qname];
    if rr_type == RrType::CNAME {
        return names;
    }
    let mut name = *qname;
    while let Some(alias) = link.answer.iter().find(|record| record.rr_type == RrType::CNAME && record.owner == name)
        && let Some(target) = alias.target()
        && !names.contains(&target)
    {
        names.push(target);
        name = target;
    }
    names
}

/// The owner of the SOA record beside a negative answer, if it can be that of the zone of `name`.
fn soa(link: &Link, name: &Name) -> Option<Name> {
    let soa = link.authority.iter().find(|record| record.rr_type == RrType::SOA)?;
    name.is_at_or_below(&soa.owner).then_some(soa.owner)
}

/// The addresses of `host` in an answer, and how many seconds they hold.
fn addresses(link: &Link, host: &Name, rr_type: RrType) -> (Vec<IpAddr>, u32) {
    let own = || link.answer.iter().filter(|record| record.owner == *host && record.rr_type == rr_type);
    let read = |data: &[u8]| match rr_type {
        RrType::A => Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?))),
        _ => Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?))),
    };
    (own().filter_map(|record| read(&record.data)).collect(), own().map(|record| record.ttl).min().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::{Class, ExtendedError, Rcode, Record},
        resolve::link::LinkResult,
    };
    use std::sync::Mutex;

    /// What there is to ask: `name TYPE answer`, where `answer` is data, `SOA zone` or `nobody`; all else is refused.
    struct World {
        answers: &'static [&'static str],
        forwarded: Option<&'static str>,
        asked: Mutex<Vec<String>>,
    }

    impl Source for World {
        async fn ask(&self, name: &Name, rr_type: RrType) -> LinkResult {
            let question = format!("{name} {rr_type} ");
            self.asked.lock().unwrap().push(question.trim().to_owned());
            let mut link = Link { rcode: Rcode::NOERROR, answer: vec![], authority: vec![], server: None };
            for answer in self.answers.iter().filter_map(|line| line.strip_prefix(&question)) {
                match answer.strip_prefix("SOA ") {
                    Some(zone) => link.authority.push(record(zone, RrType::SOA, ".")),
                    None if answer == "nobody" => return std::future::pending().await,
                    None => link.answer.push(record(&name.to_string(), rr_type, answer)),
                }
            }
            let refused = ExtendedError::new(ExtendedError::NO_REACHABLE_AUTHORITY, "refused");
            if link.answer.is_empty() && link.authority.is_empty() { Err(refused) } else { Ok(link) }
        }

        fn vouches_for(&self, _asked: &Name, _name: &Name) -> bool {
            false
        }

        fn hides_aliases(&self, _name: &Name) -> bool {
            true
        }

        fn forwarded_zone(&self, _name: &Name) -> Option<Name> {
            self.forwarded.map(name)
        }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn record(owner: &str, rr_type: RrType, data: &str) -> Record {
        let data = match data.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.octets().to_vec(),
            Ok(IpAddr::V6(address)) => address.octets().to_vec(),
            Err(_) => name(data).as_wire().to_vec(),
        };
        Record { owner: name(owner), rr_type, class: Class::IN, ttl: 300, data }
    }

    /// Searches and their questions, in a world that may have `heard` of zones, two hours ago or just now.
    struct Searching {
        world: Arc<World>,
        cuts: SharedCuts,
    }

    impl Searching {
        fn new(answers: &'static [&'static str], forwarded: Option<&'static str>) -> Self {
            let world = Arc::new(World { answers, forwarded, asked: Mutex::default() });
            Self { world, cuts: SharedCuts::new(ZoneCuts::new(&[], 0)) }
        }

        fn heard(&self, zone: &str, server: &str, ago: Duration) {
            let said = Said { zone: name(zone), servers: vec![name(server)], glue: vec![], ttl: 300, by: None };
            self.cuts.lock().note_servers(&said, Instant::now() - ago);
        }

        async fn find(&self, asked: &str, link: &[(&str, RrType, &str)], wanted: NameServersWanted) -> String {
            let mut whole = Link { rcode: Rcode::NOERROR, answer: vec![], authority: vec![], server: None };
            for (owner, rr_type, data) in link {
                let section = if *rr_type == RrType::SOA { &mut whole.authority } else { &mut whole.answer };
                section.push(record(owner, *rr_type, data));
            }
            let search = Search::new(self.world.clone(), self.cuts.clone(), Instant::now());
            let mut text = String::new();
            let (found, unheard) = search.find(&name(asked), RrType::A, &whole, wanted).await;
            for delegation in found {
                text += &format!("{}", delegation.zone);
                for server in delegation.servers {
                    text += &format!(" {} {:?}", server.name, server.addresses);
                }
                text += "; ";
            }
            if unheard { text + "unheard" } else { text }
        }

        /// What was asked since the last time.
        fn asked(&self) -> String {
            self.world.asked.lock().unwrap().drain(..).collect::<Vec<_>>().join(", ")
        }
    }

    const LONG_AGO: Duration = Duration::from_secs(7200);
    const JUST_NOW: Duration = Duration::ZERO;
    const ANSWERS: &[&str] = &[
        "com NS a.gtld.net",
        "shop.com NS ns.shop.com",
        "a.b.c.shop.com NS SOA shop.com",
        "nx.com NS SOA com",
        "www.nx.com NS SOA com",
        "gone.com NS SOA com",
        "poor.com NS SOA poor.com",
        "ns.shop.com A 192.0.2.1",
        "ns.shop.com AAAA SOA shop.com",
    ];

    #[tokio::test]
    async fn zones_that_were_not_heard_are_asked_for() {
        for (asked, link, zone, questions) in [
            ("shop.com", &[][..], "shop.com ns.shop.com []; ", "shop.com NS"),
            // Nothing but the way up.
            ("www.shop.com", &[], "shop.com ns.shop.com []; ", "www.shop.com NS, shop.com NS"),
            // The SOA record shows the way, the answer's own even without a question.
            ("a.b.c.shop.com", &[], "shop.com ns.shop.com []; ", "a.b.c.shop.com NS, shop.com NS"),
            ("x.nx.com", &[("com", RrType::SOA, ".")], "com a.gtld.net []; ", ""),
            ("www.nx.com", &[], "com a.gtld.net []; ", "www.nx.com NS"),
            // No zone begins at an alias.
            (
                "www.shop.com",
                &[("www.shop.com", RrType::CNAME, "www.nx.com")],
                "shop.com ns.shop.com []; com a.gtld.net []; ",
                "shop.com NS, www.nx.com NS",
            ),
            // A few questions, no more.
            (
                "a.b.c.d.e.f.g.org",
                &[],
                "unheard",
                "a.b.c.d.e.f.g.org NS, b.c.d.e.f.g.org NS, c.d.e.f.g.org NS, d.e.f.g.org NS",
            ),
        ] {
            let searching = Searching::new(ANSWERS, None);
            searching.heard("com", "a.gtld.net", JUST_NOW);
            assert_eq!(searching.find(asked, link, NameServersWanted::Names).await, zone, "{asked}");
            assert_eq!(searching.asked(), questions, "{asked}");
            searching.find(asked, link, NameServersWanted::Names).await;
            let is_settled = !asked.ends_with("org");
            assert_eq!(searching.asked().is_empty(), is_settled, "{asked} once more");
            assert_eq!(searching.find(asked, link, NameServersWanted::No).await, "", "{asked}");
            assert_eq!(searching.asked(), "", "{asked} if not wanted");
        }
    }

    #[tokio::test]
    async fn stale_zones_are_asked_for_again() {
        for (zone, expected) in [
            ("shop.com", "shop.com ns.shop.com []; "),
            ("gone.com", "com a.gtld.net []; "),
            // Its servers refuse, or say nothing of themselves: what was known must do.
            ("refusing.com", "refusing.com old.shop.com []; "),
            ("poor.com", "poor.com old.shop.com []; "),
        ] {
            let searching = Searching::new(ANSWERS, None);
            searching.heard("com", "a.gtld.net", JUST_NOW);
            searching.heard(zone, "old.shop.com", LONG_AGO);
            for questions in [format!("{zone} NS"), String::new()] {
                assert_eq!(searching.find(zone, &[], NameServersWanted::Names).await, expected, "{zone}");
                assert_eq!(searching.asked(), questions, "{zone}");
            }
        }
    }

    #[tokio::test]
    async fn addresses_are_asked_for_once() {
        let searching = Searching::new(ANSWERS, None);
        let expected = "shop.com ns.shop.com [192.0.2.1]; ";
        assert_eq!(searching.find("shop.com", &[], NameServersWanted::Addresses).await, expected);
        let asked = searching.asked();
        assert!(asked.contains("ns.shop.com A") && asked.contains("ns.shop.com AAAA"), "{asked}");
        assert_eq!(searching.find("shop.com", &[], NameServersWanted::Addresses).await, expected);
        assert_eq!(searching.asked(), "");
    }

    #[tokio::test]
    async fn a_forwarders_zone_ends_the_way_up() {
        let searching = Searching::new(ANSWERS, Some("lan.shop.com"));
        searching.heard("shop.com", "ns.shop.com", JUST_NOW);
        assert_eq!(searching.find("nas.lan.shop.com", &[], NameServersWanted::Names).await, "unheard");
        assert_eq!(searching.asked(), "nas.lan.shop.com NS, lan.shop.com NS");
    }

    #[tokio::test]
    async fn silence_is_waited_for_once() {
        let searching = Searching::new(&["www.shop.com NS nobody", "ns.silent.com A nobody"], None);
        searching.heard("shop.com", "ns.shop.com", JUST_NOW);
        searching.heard("silent.com", "ns.silent.com", JUST_NOW);
        let begun = Instant::now();
        for _ in 0..2 {
            let found = searching.find("silent.com", &[], NameServersWanted::Addresses).await;
            assert_eq!(found, "silent.com ns.silent.com []; unheard");
        }
        assert!(begun.elapsed() < WITHIN * 2);
        // Nothing at all, where the answer itself took too long.
        let begun = Instant::now().checked_sub(NOT_AFTER).unwrap();
        let searching = Searching::new(&["www.slow.com NS nobody"], None);
        let search = Search::new(searching.world.clone(), searching.cuts.clone(), begun);
        let link = Link { rcode: Rcode::NOERROR, answer: vec![], authority: vec![], server: None };
        let (found, unheard) = search.find(&name("www.slow.com"), RrType::A, &link, NameServersWanted::Names).await;
        assert!(found.is_empty() && unheard && begun.elapsed() < NOT_AFTER + WITHIN);
    }

    /// Once nobody answered for one name of a zone, nobody is asked for another meanwhile.
    #[tokio::test]
    async fn silence_is_waited_for_once_in_a_zone() {
        const SILENT: &[&str] = &["a.dead.com NS nobody", "b.dead.com NS nobody", "www.shop.com NS SOA shop.com"];
        for (forwarded, asked) in [(None, "a.dead.com NS, dead.com NS"), (Some("dead.com"), "a.dead.com NS")] {
            let searching = Searching::new(SILENT, forwarded);
            searching.heard("com", "a.gtld.net", JUST_NOW);
            let begun = Instant::now();
            for name in ["a.dead.com", "b.dead.com", "x.y.dead.com"] {
                let found = searching.find(name, &[], NameServersWanted::Names).await;
                assert!(found.ends_with("unheard"), "{name}: {found}");
            }
            assert!(begun.elapsed() < WITHIN * 2);
            let told = searching.asked();
            assert!(told.starts_with(asked) && !told.contains("b.dead.com") && !told.contains("x.y"), "{told}");
        }
        // Others of the zone above are asked for.
        let searching = Searching::new(SILENT, None);
        searching.heard("com", "a.gtld.net", JUST_NOW);
        searching.find("a.dead.com", &[], NameServersWanted::Names).await;
        searching.asked();
        searching.find("www.shop.com", &[], NameServersWanted::Names).await;
        assert!(searching.asked().starts_with("www.shop.com NS"));
    }
}
