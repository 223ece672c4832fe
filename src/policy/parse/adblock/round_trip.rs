//! What is shown of a rule means that rule: any that AdBlock's syntax can say is read back from its text.

use super::tests::told;
use crate::{
    dns::{
        Name, Rcode, RrType,
        presentation::{Field, rdata},
    },
    policy::{
        Action, AliasTarget, Anchor, ClientIs, Conditions, Effect, LocalData, LocalRecord, Matcher, Pattern, Place,
        Rule, Scope,
    },
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::sync::Arc;

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9_-]{1,8}(\\.[a-z0-9_-]{1,8}){0,3}\\.[a-z]{2,5}".prop_map(|text| text.parse().unwrap())
}

fn network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(a, length)| Ipv4Net::new(a.into(), length).unwrap().trunc().into()),
        (any::<[u8; 16]>(), 0u8..=128).prop_map(|(a, length)| Ipv6Net::new(a.into(), length).unwrap().trunc().into()),
    ]
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let anchor = select(vec![Anchor::Anywhere, Anchor::Start, Anchor::Label]);
    // With a star inside, or not anchored to a whole name, so that no name says the same.
    let starred = (anchor.clone(), "[a-z_-][a-z.-]{0,4}(\\*[a-z.-]{1,4}){1,3}", any::<bool>());
    let open = (anchor, "[a-z_-][a-z0-9.-]{1,6}", Just(false));
    let ending = (Just(Anchor::Anywhere), "[a-z_-][a-z0-9.-]{1,6}", Just(true));
    let glob = |(start, text, end)| Pattern::Glob { start, text, end };
    prop_oneof![
        starred.prop_map(glob),
        open.prop_map(glob),
        ending.prop_map(glob),
        "[a-z(\\[][a-z0-9.$^|,*+=\\[\\]()-]{0,12}".prop_map(Pattern::Regex),
    ]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let scope = select(vec![Scope::Exact, Scope::Subtree, Scope::Below]);
    prop_oneof![
        (scope, name()).prop_map(|(scope, name)| Matcher::Name { scope, name }),
        Just(Matcher::Name { scope: Scope::Subtree, name: Name::ROOT }),
        pattern().prop_map(Matcher::Pattern),
        network().prop_map(|net| Matcher::Address(Place::Net(net))),
    ]
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let types = (any::<bool>(), vec(1u16..300, 1..4)).prop_map(|(wanted, mut types)| {
        types.sort_unstable();
        types.dedup();
        (wanted, types.into_iter().map(RrType).collect())
    });
    let client =
        prop_oneof![network().prop_map(ClientIs::Net), "[a-zA-Z0-9 ,|'\"~$\\\\#ü./:=-]{1,10}".prop_map(ClientIs::Id),];
    let clients = vec((any::<bool>(), client), 0..4);
    let tags = vec((any::<bool>(), "[a-z_]{1,8}"), 0..3);
    (option::of(types), clients, tags, vec(name(), 0..3)).prop_map(|(types, clients, tags, denyallow)| {
        let mut conditions = Conditions { types, clients, tags, denyallow };
        conditions.sort();
        conditions
    })
}

fn action() -> impl Strategy<Value = Action> {
    let record = |rr_type, data| {
        let records = vec![LocalRecord { rr_type, ttl: None, data }];
        Action::Rewrite(Arc::new(LocalData { records, ..LocalData::default() }))
    };
    let alias = |name| LocalData { alias: Some(AliasTarget::Name(Box::new(name))), ..LocalData::default() };
    let service = |port: u16| {
        let (hosts, port) = ("alpn=\"h2,h3\"", format!("port={port}"));
        let fields = [Field::word("1"), Field::word("a.example."), Field::word(hosts), Field::word(&port)];
        rdata(RrType::HTTPS, &fields, None).unwrap()
    };
    let string = |text: Vec<u8>| [&[text.len() as u8][..], &text].concat();
    prop_oneof![
        3 => Just(Action::Given),
        1 => Just(Action::NoData),
        1 => select(vec![Rcode::NXDOMAIN, Rcode::REFUSED, Rcode::SERVFAIL]).prop_map(Action::Code),
        1 => any::<[u8; 4]>().prop_map(move |a| record(RrType::A, a.to_vec())),
        1 => any::<[u8; 16]>().prop_map(move |a| record(RrType::AAAA, a.to_vec())),
        1 => name().prop_map(move |name| Action::Rewrite(Arc::new(alias(name)))),
        1 => name().prop_map(move |name| record(RrType::PTR, name.as_wire().to_vec())),
        1 => (any::<u16>(), name()).prop_map(move |(preference, name)| {
            record(RrType::MX, [&preference.to_be_bytes()[..], name.as_wire()].concat())
        }),
        1 => any::<[u8; 6]>().prop_map(move |numbers| record(RrType::SRV, [&numbers[..], b"\x01a\0"].concat())),
        1 => any::<u16>().prop_map(move |port| record(RrType::HTTPS, service(port))),
        2 => vec(any::<u8>(), 0..20).prop_map(move |text| record(RrType::TXT, string(text))),
        1 => "[ -~]{0,20}".prop_map(move |text| record(RrType::TXT, string(text.into_bytes()))),
        1 => vec(any::<u8>(), 0..9).prop_map(move |data| record(RrType(65280), data)),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let effect = prop_oneof![Just(Effect::Block), Just(Effect::Except)];
    (effect, any::<bool>(), action(), matcher(), option::of(conditions())).prop_map(
        |(effect, important, action, matcher, conditions)| Rule {
            effect,
            important,
            // AdBlock's exceptions have no answers, and conditions that demand nothing are none.
            action: if effect == Effect::Except { Action::Given } else { action },
            matcher,
            conditions: conditions.filter(|all| *all != Conditions::default()).map(Box::new),
            line: 7,
        },
    )
}

/// A plain rule is shown in our own format, whose names, networks and stars AdBlock's reader takes for other things.
fn is_shown_as_adblock(rule: &Rule) -> bool {
    let is_plain = !rule.important && rule.conditions.is_none() && rule.action == Action::Given;
    matches!(rule.matcher, Matcher::Pattern(_)) || !is_plain
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_is_read_back_from_its_text(rule in rule().prop_filter("ours", is_shown_as_adblock)) {
        let text = rule.to_string();
        let told = told(&text);
        prop_assert_eq!(told.skipped.first(), None, "{}", &text);
        prop_assert_eq!(told.rules, vec![rule], "{}", &text);
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,40}") {
        let told = told(&text);
        prop_assert!(told.rules.len() + told.disabled.len() + told.skipped.len() <= 1);
        // What was read is shown as something that means the same.
        for rule in told.rules.into_iter().filter(is_shown_as_adblock) {
            prop_assert_eq!(super::tests::told(&rule.to_string()).rules, vec![rule]);
        }
    }

    #[test]
    fn any_rule_is_read(text in "(@@)?(\\|\\|?)?[a-z*.^|0-9/-]{0,10}\\^?(\\$[a-z=|~,;A1.'\\\\]{0,20}|\\$(client|ctag|dnstype|denyallow|dnsrewrite)=[a-zA-F|~,;.1:'\\\\$]{0,12})?") {
        for rule in told(&text).rules.into_iter().filter(is_shown_as_adblock) {
            let shown = rule.to_string();
            prop_assert_eq!(told(&shown).rules, vec![rule], "{} {}", text, shown);
        }
    }
}
