//! What some rules would do to queries that were asked before.

use super::diff::ServiceDiff;
use crate::{
    dns::{Name, RrType},
    policy::{
        Asking, BlockAnswer, BuildError, Client, Geo, Link, ListSpec, Mode, Policy, PolicySpec, ProgramSpec, Role,
        Trigger,
        parse::{Format, Options, parse},
    },
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

/// Rules that differ, made into a policy: each service's added rules are one list, its removed ones another.
pub struct Trial {
    policy: Policy,
    /// Of each list: its service, and whether its rules are new.
    lists: Vec<(String, bool)>,
}

/// A query that was asked before.
pub struct Before<'a> {
    pub name: &'a Name,
    pub rr_type: RrType,
    pub client: IpAddr,
    /// Seconds since 1970 (UTC).
    pub time: i64,
    /// What its answer led to.
    pub aliases: &'a [Name],
    pub addresses: &'a [IpAddr],
}

impl Trial {
    /// A policy of the rules that differ, and nothing else.
    pub fn new(diffs: &[ServiceDiff]) -> Result<Self, BuildError> {
        let (mut programs, mut specs, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        for diff in diffs {
            for (rules, is_added) in [(&diff.added, true), (&diff.removed, false)] {
                let text = format!("#! cleandns\n{}\n", rules.join("\n"));
                let options = Options { format: Format::Ours, ..Options::default() };
                // As they were shown, so they can be read.
                let Ok(parsed) = parse(text.as_bytes(), &options) else { continue };
                programs.push(ProgramSpec {
                    name: diff.service.clone(),
                    // In shadow all is looked at, whatever the question alone would come to.
                    mode: Mode::Shadow,
                    block: BlockAnswer::NxDomain,
                    ede: 15,
                    services: BTreeMap::new(),
                    schedule: None,
                });
                specs.push(ListSpec {
                    role: Role::Program(specs.len()),
                    service: diff.service.clone(),
                    default: None,
                    never_acts: false,
                    name: diff.service.clone(),
                    version: 0,
                    rules: Arc::new(parsed.rules),
                });
                lists.push((diff.service.clone(), is_added));
            }
        }
        let policy = Policy::build(PolicySpec {
            epoch: 1,
            mode: Mode::Enforce,
            block_ttl: Duration::from_secs(30),
            programs,
            lists: specs,
            owner_exceptions: Vec::new(),
            groups: Vec::new(),
            geo: Geo::default(),
            seed: 0,
        })?;
        Ok(Self { policy, lists })
    }

    /// Calls `each` for each service whose rules match a query: the service, whether they are new, and whether it is what the
    /// answer led to that they match.
    pub fn judge(&self, before: &Before<'_>, mut each: impl FnMut(&str, bool, bool)) {
        let client = Client { address: before.client, id: None, mac: None, tcp: false, group: None };
        let asking = Asking { name: before.name, rr_type: before.rr_type, client, now: before.time, pauses: &[] };
        let question = self.policy.on_question(&asking);
        let aliases = before.aliases.iter().map(|alias| Link::name(*alias, Trigger::Cname));
        let addresses = before.addresses.iter().map(|address| Link::address(*address, Trigger::Address));
        let links: Vec<Link> = aliases.chain(addresses).collect();
        let verdict = if links.is_empty() { question } else { self.policy.on_answer(&question, &asking, &links) };
        for said in &verdict.programs {
            let (service, is_added) = &self.lists[said.cause.list()];
            each(service, *is_added, !said.cause.trigger.is_of_question());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_differ_are_tried_on_questions_and_what_they_led_to() {
        let diff = |service: &str, added: &[&str], removed: &[&str]| ServiceDiff {
            service: service.into(),
            added: added.iter().map(|&rule| rule.into()).collect(),
            removed: removed.iter().map(|&rule| rule.into()).collect(),
        };
        let trial = Trial::new(&[
            diff("shop", &["shop.example", "192.0.2.0/24"], &["=old.example"]),
            diff("other", &["*.other.example"], &[]),
        ])
        .unwrap();
        for (name, aliases, address, expected) in [
            ("www.shop.example", &[][..], None, "+shop"),
            ("old.example", &[], None, "-shop"),
            ("www.old.example", &[], None, ""),
            ("other.example", &[], None, ""),
            ("www.example", &["a.other.example"], None, "+other>"),
            ("www.example", &["a.example"], Some("192.0.2.7"), "+shop>"),
            ("a.other.example", &[], Some("192.0.2.7"), "+shop> +other"),
        ] {
            let aliases: Vec<Name> = aliases.iter().map(|alias| alias.parse().unwrap()).collect();
            let addresses: Vec<IpAddr> = address.iter().map(|address: &&str| address.parse().unwrap()).collect();
            let mut found = Vec::new();
            let (name, client): (Name, _) = (name.parse().unwrap(), "192.0.2.1".parse().unwrap());
            let before =
                Before { name: &name, rr_type: RrType::A, client, time: 0, aliases: &aliases, addresses: &addresses };
            trial.judge(&before, |service, is_added, by_answer| {
                let [sign, led] = [if is_added { "+" } else { "-" }, if by_answer { ">" } else { "" }];
                found.push(format!("{sign}{service}{led}"));
            });
            assert_eq!(found.join(" "), expected, "{name}");
        }
    }
}
