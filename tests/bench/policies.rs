//! Policies to measure, of one program.

use cleandns::{
    dns::{Name, RrType},
    policy::{
        Asking, BlockAnswer, Client, Geo, GroupSpec, ListSpec, Mode, Policy, PolicySpec, ProgramSpec, Role, RuleSet,
        parse::{Extent, Format, Options, parse},
    },
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

/// A list, read.
pub fn rules(text: &str, format: Format) -> Arc<RuleSet> {
    let options = Options { format, extent: Extent::Subtree, ..Options::default() };
    Arc::new(parse(text.as_bytes(), &options).expect("a list").rules)
}

/// A policy of these lists, all enforced.
pub fn policy(lists: Vec<Arc<RuleSet>>, groups: Vec<GroupSpec>) -> Policy {
    let program = ProgramSpec {
        name: "bench".to_owned(),
        mode: Mode::Enforce,
        block: BlockAnswer::NxDomain,
        ede: 15,
        services: BTreeMap::new(),
        schedule: None,
    };
    let list = |(index, rules)| ListSpec {
        role: Role::Program(0),
        service: format!("s{index}"),
        default: None,
        never_acts: false,
        name: format!("l{index}"),
        version: 0,
        rules,
    };
    Policy::build(PolicySpec {
        epoch: 1,
        mode: Mode::Enforce,
        block_ttl: Duration::from_secs(30),
        programs: vec![program],
        lists: lists.into_iter().enumerate().map(list).collect(),
        owner_exceptions: vec![],
        groups,
        geo: Geo::default(),
        seed: 7,
    })
    .expect("a policy")
}

/// A question of a client at home.
pub fn asking(name: &Name) -> Asking<'_> {
    let client = Client { address: IpAddr::from([192, 168, 1, 7]), id: None, mac: None, tcp: false, group: None };
    Asking { name, rr_type: RrType::A, client, now: 1_800_000_000, pauses: &[] }
}
