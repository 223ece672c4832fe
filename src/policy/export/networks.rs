//! Networks that answers may not lead to, for firewalls: as text, as JSON, as sets of nftables.

use super::{
    chosen::Chosen,
    names::{ANSWER, CONDITIONS, Rank},
    told::Telling,
};
use crate::policy::{Action, Effect, Matcher, Place, Rule, RuleView, What};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::{BTreeMap, BTreeSet};

/// Why rules are left out of every form of networks.
const NAMES: &str = "rules on names and patterns are for a resolver";
const ELSEWHERE: &str = "rules on name servers and clients are for a resolver";
const PLACES: &str = "which networks an AS number or a country has can't be told here";
const TAKEN_FROM: &str = "an exception takes part of the network, or may";
/// The table of nftables.
const TABLE: &str = "inet cleandns";
/// Networks in one line of a set.
const IN_A_LINE: usize = 8;

/// A network that a rule blocks.
pub struct FoundNet {
    pub net: IpNet,
    pub list: usize,
    pub line: u32,
    pub action: Action,
}

/// All of them, in the order of lists and lines.
#[derive(Default)]
pub struct Found {
    pub networks: Vec<FoundNet>,
}

/// An exception on addresses.
struct Excepted {
    /// `None`: who knows.
    net: Option<IpNet>,
    rank: Rank,
    is_whole: bool,
}

/// Looks for networks whose action can be said.
pub fn find(chosen: &Chosen<'_>, telling: &mut Telling, is_sayable: impl Fn(&Action) -> bool) -> Found {
    let exceptions = exceptions(chosen);
    let mut found = Found::default();
    for (list, view) in chosen.rules().filter(|(list, view)| is_block(view) && chosen.is_asked_for(*list)) {
        if !matches!(view.what, What::Other(crate::policy::OtherMatcher::Address(_))) {
            continue;
        }
        let rule = view.unpack();
        let mut leave = |why| telling.leave(why, || chosen.place(list, rule.line));
        let Matcher::Address(Place::Net(net)) = rule.matcher else {
            leave(PLACES);
            continue;
        };
        if rule.conditions.is_some() {
            leave(CONDITIONS);
        } else if !is_sayable(&rule.action) {
            leave(ANSWER);
        } else {
            match taken(&exceptions, &net, Rank::of(rule.effect, rule.important)) {
                Taken::Not => found.networks.push(FoundNet { net, list, line: rule.line, action: rule.action }),
                Taken::Wholly => {}
                Taken::Partly => leave(TAKEN_FROM),
            }
        }
    }
    found
}

fn is_block(view: &RuleView<'_>) -> bool {
    view.head.flags.effect() == Effect::Block
}

/// How much of a network exceptions take.
enum Taken {
    Not,
    Wholly,
    Partly,
}

fn taken(exceptions: &[Excepted], net: &IpNet, rank: Rank) -> Taken {
    let mut taken = Taken::Not;
    for exception in exceptions.iter().filter(|exception| exception.rank > rank) {
        match exception.net {
            Some(other) if exception.is_whole && other.contains(net) => return Taken::Wholly,
            Some(other) if !other.contains(net) && !net.contains(&other) => {}
            _ => taken = Taken::Partly,
        }
    }
    taken
}

fn exceptions(chosen: &Chosen<'_>) -> Vec<Excepted> {
    let one = |rule: Rule, rank| match rule.matcher {
        Matcher::Address(place) => {
            let net = if let Place::Net(net) = place { Some(net) } else { None };
            Some(Excepted { net, rank, is_whole: rule.conditions.is_none() })
        }
        _ => None,
    };
    let owners = chosen.owners().into_iter().filter_map(|(_, rule)| one(rule, Rank::Owner));
    let own = chosen.rules().filter(|(_, view)| !is_block(view)).filter_map(|(_, view)| {
        let rule = view.unpack();
        let rank = Rank::of(rule.effect, rule.important);
        one(rule, rank)
    });
    owners.chain(own).collect()
}

/// Tells that rules on neither names nor addresses aren't there.
pub fn leave_others(chosen: &Chosen<'_>, why: &'static str, telling: &mut Telling) {
    leave(chosen, why, telling, |what| {
        matches!(what, Matcher::NsName { .. } | Matcher::NsAddress(_) | Matcher::Client(_))
    });
}

/// Tells that no rule on anything but names is there.
pub fn leave_all(chosen: &Chosen<'_>, why: &'static str, telling: &mut Telling) {
    leave(chosen, why, telling, |what| !matches!(what, Matcher::Name { .. } | Matcher::Pattern(_)));
}

fn leave(chosen: &Chosen<'_>, why: &'static str, telling: &mut Telling, is_meant: impl Fn(&Matcher) -> bool) {
    for (list, view) in chosen.rules().filter(|(list, view)| is_block(view) && chosen.is_asked_for(*list)) {
        if matches!(view.what, What::Other(_)) && is_meant(&view.unpack().matcher) {
            telling.leave(why, || chosen.place(list, view.head.line));
        }
    }
}

/// The networks of a form for firewalls, and what else there is told of.
fn for_firewalls(chosen: &Chosen<'_>, telling: &mut Telling) -> Vec<FoundNet> {
    // A firewall stops what leads there, whatever would have been answered; an answer of its own stops nothing.
    let found = find(chosen, telling, |action| !matches!(action, Action::Rewrite(_) | Action::TcpOnly));
    leave_others(chosen, ELSEWHERE, telling);
    for (list, view) in chosen.rules().filter(|(list, view)| is_block(view) && chosen.is_asked_for(*list)) {
        if matches!(view.what, What::Name(_) | What::Other(crate::policy::OtherMatcher::Pattern(_))) {
            telling.leave(NAMES, || chosen.place(list, view.head.line));
        }
    }
    found.networks
}

/// One a line, lists told apart by comments.
pub fn text(chosen: &Chosen<'_>, telling: &mut Telling, put: &mut dyn FnMut(&str)) -> usize {
    put(&chosen.head("addresses", "#"));
    let networks = for_firewalls(chosen, telling);
    let mut last = None;
    for found in &networks {
        if last != Some(found.list) {
            let list = &chosen.policy.lists()[found.list];
            put(&format!("# {} ({})\n", list.service, list.name));
            last = Some(found.list);
        }
        put(&format!("{}\n", shown(&found.net)));
    }
    networks.len()
}

/// As data.
pub fn json(chosen: &Chosen<'_>, telling: &mut Telling, put: &mut dyn FnMut(&str)) -> usize {
    let networks = for_firewalls(chosen, telling);
    let one = |found: &FoundNet| {
        let list = &chosen.policy.lists()[found.list];
        let family = if found.net.addr().is_ipv4() { 4 } else { 6 };
        serde_json::json!({
            "network": found.net, "family": family, "service": list.service, "list": list.name, "line": found.line,
        })
    };
    let all = serde_json::json!({
        "program": chosen.program(),
        "networks": networks.iter().map(one).collect::<Vec<_>>(),
        "left_out": telling.left(),
    });
    put(&format!("{all:#}\n"));
    networks.len()
}

/// Networks by family.
#[derive(Default)]
struct Families {
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

/// Commands that fill a set for each service and family. They may be given again at any time: rules that name the sets
/// stay, and see either the old networks or the new.
pub fn nftables(chosen: &Chosen<'_>, telling: &mut Telling, put: &mut dyn FnMut(&str)) -> usize {
    let networks = for_firewalls(chosen, telling);
    let mut services: BTreeMap<&str, Families> = BTreeMap::new();
    for found in &networks {
        let families = services.entry(&chosen.policy.lists()[found.list].service).or_default();
        match found.net {
            IpNet::V4(net) => families.v4.push(net),
            IpNet::V6(net) => families.v6.push(net),
        }
    }
    put(&chosen.head("addresses as sets of nftables", "#"));
    put(&format!("add table {TABLE}\n"));
    let mut names = BTreeSet::new();
    for (service, families) in services {
        let name = set_name(service, &mut names);
        let v4 = Ipv4Net::aggregate(&families.v4).into_iter().map(IpNet::V4).collect();
        let v6 = Ipv6Net::aggregate(&families.v6).into_iter().map(IpNet::V6).collect();
        set(&format!("{name}_4"), "ipv4_addr", v4, put);
        set(&format!("{name}_6"), "ipv6_addr", v6, put);
    }
    networks.len()
}

fn set(name: &str, kind: &str, mut networks: Vec<IpNet>, put: &mut dyn FnMut(&str)) {
    networks.sort();
    put(&format!("add set {TABLE} {name} {{ type {kind}; flags interval; }}\nflush set {TABLE} {name}\n"));
    if networks.is_empty() {
        return;
    }
    let lines = networks.chunks(IN_A_LINE).map(|line| line.iter().map(shown).collect::<Vec<_>>().join(", "));
    put(&format!("add element {TABLE} {name} {{\n    {}\n}}\n", lines.collect::<Vec<_>>().join(",\n    ")));
}

/// A service's name as that of a set: letters, digits and underscores, a letter first; never one that another has.
fn set_name(service: &str, names: &mut BTreeSet<String>) -> String {
    let mut name: String = service.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '_' }).collect();
    if !name.starts_with(|sign: char| sign.is_ascii_alphabetic()) {
        name.insert(0, 's');
    }
    while !names.insert(name.clone()) {
        name.push('_');
    }
    name
}

/// An address alone without its length, as every firewall reads it.
fn shown(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
