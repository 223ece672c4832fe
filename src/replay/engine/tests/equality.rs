//! A log that is replayed against the policy that it is of changes nothing.

use super::*;
use crate::{config::Privacy as Kept, policy::ProgramVerdict, query_log::Privacy};
use proptest::prelude::*;

/// A line of our log for a query, as the policy decided it.
fn logged(judge: &Judge, asked: &Asked, privacy: &Privacy) -> String {
    let client = Client { address: asked.client.unwrap(), id: None, mac: None, tcp: asked.tcp, group: None };
    let asking = Asking { name: &asked.name, rr_type: asked.rr_type, client, now: NOW, pauses: &[] };
    let mut verdict = judge.policy.on_question(&asking);
    // As a server does: no answer is looked for where the question is blocked, and nobody is asked for name servers where
    // the owner lets it pass. Which they are no log tells.
    if verdict.block().is_none() {
        let servers = Some(Link::name("a".parse().unwrap(), Trigger::NsName)).filter(|_| !verdict.is_owners());
        let links: Vec<Link> = asked.links.iter().copied().chain(servers).collect();
        verdict = judge.policy.on_answer(&verdict, &asking, &links);
    }
    let said = |said: &ProgramVerdict| {
        let is_withheld = said.cause.by_client && privacy.tell(client.address, NOW) != client.address.to_string();
        serde_json::json!({
            "program": judge.policy.programs()[usize::from(said.program)].name,
            "service": "s",
            "list": "s.list",
            "version": "0",
            "line": if is_withheld { 0 } else { said.cause.line },
            "trigger": said.cause.trigger.word(),
            "outcome": said.outcome.word(),
        })
    };
    let owner = verdict.owner.map(|pass| &judge.policy.owner_exceptions()[usize::from(pass.exception)].place);
    let of = |trigger| {
        let links = asked.links.iter().filter(move |link| link.trigger == trigger);
        links.map(|link| link.what.to_string()).collect::<Vec<_>>()
    };
    let mut line = serde_json::json!({
        "time": "2026-11-28T22:00:00.000000Z",
        "client": privacy.tell(client.address, NOW),
        "group": if privacy.tells_group() { judge.policy.group_name(judge.policy.group_of(&client)) } else { "" },
        "transport": if asked.tcp { "tcp" } else { "udp" },
        "name": asked.name.to_string(),
        "type": asked.rr_type.to_string(),
        "rcode": "NOERROR",
        "micros": 1,
        "aliases": of(Trigger::Cname),
        "addresses": of(Trigger::Address),
        "fate": Fate::of(&verdict).word(),
        "verdicts": verdict.programs.iter().map(said).collect::<Vec<_>>(),
        "overruled": verdict.overruled.iter().map(said).collect::<Vec<_>>(),
    });
    if let Some(place) = owner {
        line["owner"] = place.as_str().into();
    }
    line.to_string() + "\n"
}

/// Few labels, so that rules and names meet.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&["a", "b", "c"][..]), 1..4).prop_map(|labels| labels.join("."))
}

fn rule() -> impl Strategy<Value = String> {
    let name = (prop::sample::select(&["", "=", "*.", "@", "@=", "@*."][..]), name());
    prop_oneof![
        4 => name.prop_map(|(prefix, name)| format!("{prefix}{name}")),
        1 => prop::sample::select(&["192.0.2.0/24", "@192.0.2.128/25", "ns:a", "@ns:a"][..])
            .prop_map(str::to_owned),
        1 => prop::sample::select(&["client:10.0.0.1", "@client:10.0.0.1", "client:10.0.0.0/24"][..])
            .prop_map(str::to_owned),
    ]
}

fn a_query() -> impl Strategy<Value = Asked> {
    let link = prop_oneof![
        name().prop_map(|name| Link::name(name.parse().unwrap(), Trigger::Cname)),
        any::<u8>().prop_map(|last| Link::address([192, 0, 2, last].into(), Trigger::Address)),
    ];
    let client = prop::sample::select(&["10.0.0.1", "10.0.0.2", "192.168.7.1"][..]);
    (name(), client, prop::collection::vec(link, 0..3), any::<bool>()).prop_map(|(name, client, mut links, tcp)| {
        // As they are written: aliases first.
        links.sort_by_key(|link| link.trigger == Trigger::Address);
        let (name, client) = (name.parse().unwrap(), Some(client.parse().unwrap()));
        Asked { name, rr_type: RrType::A, client, links, tcp, ..Asked::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A log that is replayed against the very policy that it is of changes nothing, whatever that policy is.
    #[test]
    fn a_log_against_its_own_policy_changes_nothing(
        programs in prop::collection::vec(
            (prop::sample::select(&Mode::ALL[..]), prop::collection::vec(rule(), 1..6)), 1..4),
        excepted in prop::option::of(name()),
        queries in prop::collection::vec(a_query(), 1..80),
        kept in prop::sample::select(&Kept::ALL[..]),
    ) {
        let privacy = Privacy::new(kept);
        let texts: Vec<(Mode, String)> = programs.into_iter().map(|(mode, rules)| (mode, rules.join("\n"))).collect();
        let programs: Vec<(Mode, &str)> = texts.iter().map(|(mode, rules)| (*mode, rules.as_str())).collect();
        let owner: Vec<OwnerException> = excepted.iter().map(|name| except(name)).collect();
        let judge = || policy(&programs, owner.clone());
        let log: String = queries.iter().map(|query| logged(&judge(), query, &privacy)).collect();
        let clock = Around::utc(NOW);
        for before in [Before::Recorded, Before::Policy(judge())] {
            let Opened { mut source, format, .. } = open(Cursor::new(log.clone()), None, None, &clock).unwrap();
            prop_assert_eq!(format, Format::Ours);
            let mut comparison = Comparison::new(before, judge(), NOW);
            comparison.run(&mut *source, &mut |_| {});
            let summary = comparison.summary(format, 10);
            prop_assert_eq!(summary.queries, queries.len() as u64, "{:?}", summary.skipped);
            // Where nothing is told of who asked, that is said, and nothing else changes.
            let of_nobody = summary.not_asked.changed_without_group;
            prop_assert_eq!(summary.changed, of_nobody, "{:#?}\n{}", shown(&summary), log);
            prop_assert!(kept == Kept::None || summary.not_asked.queries_without_group == 0);
        }
    }
}
