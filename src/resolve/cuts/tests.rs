use super::*;

const ROOT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 41, 0, 4));
const HOUR: u32 = 3600;

/// A table and the time it is told.
struct World {
    cuts: ZoneCuts,
    now: Instant,
}

impl World {
    /// The root's server has told of com, com's of example.com.
    fn new() -> Self {
        let mut world = Self { cuts: ZoneCuts::bounded(&[ROOT], 1000), now: Instant::now() };
        world.said("198.41.0.4", "com", &["a.gtld.net=192.5.6.30"], HOUR);
        world.said("192.5.6.30", "example.com", &["ns1.example.com=185.49.140.1"], HOUR);
        world
    }

    /// A response of `by` to the question for the name servers of `zone`: each with its glue, if it has any.
    fn said(&mut self, by: &str, zone: &str, servers: &[&str], ttl: u32) {
        let mut said = Said { zone: name(zone), servers: vec![], glue: vec![], ttl, by: Some(by.parse().unwrap()) };
        for server in servers {
            let (host, addresses) = server.split_once('=').unwrap_or((server, ""));
            said.servers.push(name(host));
            for address in addresses.split('+').filter(|address| !address.is_empty()) {
                said.glue.push((name(host), address.parse().unwrap()));
            }
        }
        self.cuts.note_servers(&said, self.now);
    }

    fn resolved(&mut self, host: &str, addresses: &[&str], ttl: u32) {
        let list: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let family = if list.iter().any(IpAddr::is_ipv6) { Family::V6 } else { Family::V4 };
        self.cuts.note_addresses(&name(host), family, list, ttl, self.now);
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// `example.com ns1.example.com=185.49.140.1`, of the zone closest to a name.
    fn zone_of(&mut self, of: &str) -> String {
        let Some(zone) = self.cuts.closest(&name(of)) else {
            return "nothing".to_owned();
        };
        let mut text = zone.to_string();
        for server in self.cuts.delegation(&zone).unwrap().servers {
            let addresses: Vec<_> = server.addresses.iter().map(IpAddr::to_string).collect();
            text += &format!(" {}={}", server.name, addresses.join("+"));
        }
        text
    }

    fn cut(&mut self, of: &str) -> Cut {
        self.cuts.cut(&name(of), self.now)
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn the_deepest_zone_at_or_above_a_name_is_its() {
    let mut world = World::new();
    world.said("185.49.140.1", "deep.example.com", &["ns1.deep.example.com=185.49.140.2"], HOUR);
    for (of, expected) in [
        ("www.example.com", "example.com ns1.example.com=185.49.140.1"),
        ("example.com", "example.com ns1.example.com=185.49.140.1"),
        ("a.b.deep.example.com", "deep.example.com ns1.deep.example.com=185.49.140.2"),
        ("notexample.com", "com a.gtld.net=192.5.6.30"),
        ("example.org", "nothing"),
        (".", "nothing"),
    ] {
        assert_eq!(world.zone_of(of), expected, "{of}");
    }
    world.said("198.41.0.4", ".", &["a.root.net=198.41.0.4"], HOUR);
    assert_eq!(world.zone_of("example.org"), ". a.root.net=198.41.0.4");
}

#[test]
fn glue_is_believed_below_whoever_gives_it() {
    for (by, zone, server, expected) in [
        // The root has the say everywhere, com's server in com.
        ("198.41.0.4", "net", "a.gtld.net=192.5.6.30", "a.gtld.net=192.5.6.30"),
        ("192.5.6.30", "shop.com", "ns.sibling.com=192.0.2.1", "ns.sibling.com=192.0.2.1"),
        ("192.5.6.30", "shop.com", "ns.provider.net=192.0.2.1", "ns.provider.net="),
        // A zone's own server, or a stranger's, only within that zone.
        ("203.0.113.66", "shop.com", "ns.sibling.com=192.0.2.1", "ns.sibling.com="),
        ("203.0.113.66", "shop.com", "ns.shop.com=192.0.2.1", "ns.shop.com=192.0.2.1"),
        ("203.0.113.66", "shop.com", "ns.notshop.com=192.0.2.1", "ns.notshop.com="),
        ("185.49.140.1", "in.example.com", "ns1.example.com=192.0.2.1", "ns1.example.com=192.0.2.1"),
        (
            "185.49.140.1",
            "in.example.com",
            "ns1.example.com=192.0.2.1+2001:db8::1",
            "ns1.example.com=192.0.2.1+2001:db8::1",
        ),
    ] {
        let mut world = World::new();
        world.said(by, zone, &[server], HOUR);
        assert_eq!(world.zone_of(zone), format!("{zone} {expected}"), "{by} {server}");
        // Whatever it was, the zone whose server was named is none the wiser.
        assert_eq!(world.zone_of("www.example.com"), "example.com ns1.example.com=185.49.140.1");
    }
}

#[test]
fn a_zones_own_servers_add_but_never_take_away_nor_prolong() {
    let mut world = World::new();
    world.said("185.49.140.1", "example.com", &["ns2.example.com=185.49.140.9"], 10 * HOUR);
    let both = "example.com ns1.example.com=185.49.140.1 ns2.example.com=185.49.140.9";
    assert_eq!(world.zone_of("example.com"), both);
    world.later(3599);
    assert_eq!(world.cut("example.com"), Cut::Zone);
    world.later(1);
    assert_eq!(world.cut("example.com"), Cut::Stale);
    // Once the parent's word is too old, theirs is all there is.
    world.said("185.49.140.1", "example.com", &["ns2.example.com"], HOUR);
    assert_eq!(world.zone_of("example.com"), "example.com ns2.example.com=");
    // The parent's word replaces it, and its own earlier one.
    world.said("192.5.6.30", "example.com", &["ns3.example.com=192.0.2.3"], HOUR);
    world.said("192.5.6.30", "example.com", &["ns4.example.com=192.0.2.4"], HOUR);
    assert_eq!(world.zone_of("example.com"), "example.com ns4.example.com=192.0.2.4");
}

#[test]
fn resolved_servers_of_a_parent_are_known_by_their_addresses() {
    let mut world = World::new();
    world.said("192.5.6.30", "provided.com", &["ns1.provider.net"], HOUR);
    world.resolved("ns1.provider.net", &["192.0.2.53"], HOUR);
    world.said("192.0.2.53", "in.provided.com", &["ns.other.provided.com=192.0.2.54"], HOUR);
    assert_eq!(world.zone_of("in.provided.com"), "in.provided.com ns.other.provided.com=192.0.2.54");
}

#[test]
fn addresses_are_noted_of_name_servers_alone() {
    let mut world = World::new();
    world.resolved("ns1.provider.net", &["192.0.2.1"], HOUR);
    world.said("192.5.6.30", "provided.com", &["ns1.provider.net", "ns2.provider.net"], HOUR);
    assert_eq!(world.zone_of("provided.com"), "provided.com ns1.provider.net= ns2.provider.net=");
    assert_eq!(world.cuts.without_addresses(&name("provided.com"), world.now).len(), 4);
    world.resolved("ns1.provider.net", &["192.0.2.1", "192.0.2.2"], HOUR);
    world.resolved("ns1.provider.net", &["2001:db8::1"], HOUR);
    world.resolved("ns2.provider.net", &[], HOUR);
    let expected = "provided.com ns1.provider.net=192.0.2.1+192.0.2.2+2001:db8::1 ns2.provider.net=";
    assert_eq!(world.zone_of("provided.com"), expected);
    assert_eq!(
        world.cuts.without_addresses(&name("provided.com"), world.now),
        [(name("ns2.provider.net"), Family::V6)]
    );
    assert!(world.cuts.without_addresses(&name("example.com"), world.now).is_empty(), "it has glue");
}

#[test]
fn what_could_not_be_asked_is_asked_again_and_old_addresses_stay() {
    let mut world = World::new();
    world.said("192.5.6.30", "provided.com", &["ns1.provider.net"], HOUR);
    world.resolved("ns1.provider.net", &["192.0.2.1"], HOUR);
    let (zone, host) = (name("provided.com"), name("ns1.provider.net"));
    world.later(3600);
    assert_eq!(world.cuts.without_addresses(&zone, world.now).len(), 2);
    for family in [Family::V4, Family::V6] {
        world.cuts.note_no_addresses(&host, family, world.now);
    }
    assert_eq!(world.zone_of("provided.com"), "provided.com ns1.provider.net=192.0.2.1");
    assert!(world.cuts.without_addresses(&zone, world.now).is_empty());
    world.later(10);
    assert_eq!(world.cuts.without_addresses(&zone, world.now).len(), 2);
}

#[test]
fn lives_are_clamped() {
    for (ttl, lives, is_over) in [(0, 9, 10), (300, 299, 300), (u32::MAX, 86_399, 86_400)] {
        for (seconds, expected) in [(lives, Cut::Zone), (is_over, Cut::Stale)] {
            let mut world = World::new();
            world.said("192.5.6.30", "shop.com", &["ns.shop.com"], ttl);
            world.later(seconds);
            assert_eq!(world.cut("shop.com"), expected, "TTL {ttl} after {seconds} s");
        }
    }
}

#[test]
fn it_is_remembered_where_no_zone_begins() {
    let mut world = World::new();
    let www = name("www.example.com");
    for (answered, seconds, expected) in [(true, 60, Cut::None), (false, 10, Cut::Silent)] {
        assert_eq!(world.cut("www.example.com"), Cut::Unknown);
        world.cuts.note_no_cut(&www, answered, world.now);
        assert_eq!(world.cut("www.example.com"), expected);
        assert_eq!(world.cuts.is_silent(&www, world.now), !answered);
        world.later(seconds);
    }
    // A zone that is there no more is forgotten if that was the answer, and kept if there was none.
    world.later(u64::from(HOUR));
    world.cuts.note_no_cut(&name("example.com"), false, world.now);
    assert_eq!(world.cut("example.com"), Cut::Zone, "for now");
    world.cuts.note_no_cut(&name("example.com"), true, world.now);
    assert_eq!(world.cut("example.com"), Cut::None);
    assert_eq!(world.zone_of("example.com"), "com a.gtld.net=192.5.6.30");
}

#[test]
fn everything_is_bounded() {
    let mut world = World::new();
    let many: Vec<String> = (0..100).map(|i| format!("ns{i}.shop.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.said("192.5.6.30", "shop.com", &many, HOUR);
    let addresses: Vec<String> = (0..100).map(|i| format!("192.0.2.{i}")).collect();
    world.said("192.5.6.30", "shop2.com", &[&format!("ns.shop2.com={}", addresses.join("+"))], HOUR);
    assert_eq!(world.cuts.delegation(&name("shop.com")).unwrap().servers.len(), SERVERS_MAX);
    assert_eq!(world.cuts.delegation(&name("shop2.com")).unwrap().servers[0].addresses.len(), ADDRESSES_MAX);
    for i in 0..5000 {
        let zone = format!("z{i}.com");
        world.said("192.5.6.30", &zone, &[&format!("ns.provider{i}.net")], HOUR);
        world.cuts.note_no_cut(&name(&format!("www.{zone}")), true, world.now);
        // What is looked at stays.
        assert_eq!(world.cut("example.com"), Cut::Zone, "after {i}");
    }
    let sizes = [world.cuts.zones.len(), world.cuts.hosts.len(), world.cuts.no_cuts.len()];
    assert!(sizes.iter().all(|size| (500..=1000).contains(size)), "{sizes:?}");
    assert_eq!(world.cut("z4999.com"), Cut::Zone);
    assert_eq!(world.cut("z0.com"), Cut::Unknown);
}
