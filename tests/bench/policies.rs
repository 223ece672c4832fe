//! Policies to measure, of one program.

use cleandns::{
    dns::{Name, RrType},
    policy::{
        Asking, Client, GroupSpec, ListSpec, Policy, PolicySpec, ProgramSpec, RuleSet,
        parse::{Extent, Format, Options, parse},
    },
};
use std::{net::IpAddr, sync::Arc};

/// A list, read.
pub fn rules(text: &str, format: Format) -> Arc<RuleSet> {
    let options = Options { format, extent: Extent::Subtree, ..Options::default() };
    Arc::new(parse(text.as_bytes(), &options).expect("a list").rules)
}

/// A policy of these lists, all enforced.
pub fn policy(lists: Vec<Arc<RuleSet>>, groups: Vec<GroupSpec>) -> Policy {
    let program = ProgramSpec::enforced("bench");
    let list = |(index, rules)| ListSpec::of_program(0, &format!("s{index}"), &format!("l{index}"), rules);
    Policy::build(PolicySpec {
        groups,
        ..PolicySpec::of(vec![program], lists.into_iter().enumerate().map(list).collect())
    })
    .expect("a policy")
}

/// A question of a client at home.
pub fn asking(name: &Name) -> Asking<'_> {
    let client = Client { address: IpAddr::from([192, 168, 1, 7]), id: None, mac: None, tcp: false, group: None };
    Asking { name, rr_type: RrType::A, client, now: 1_800_000_000, pauses: &[] }
}
