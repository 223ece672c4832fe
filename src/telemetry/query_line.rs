//! One structured log line a query, for those who ask for it.

use crate::{
    dns::Transport,
    policy::{Outcome, Policy, ProgramVerdict},
    query::QueryRecord,
    query_log::Privacy,
    response::block_reason,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the line, with as much of the client as may be told. The log's own queue is bounded and lossy, so this never
/// waits.
pub fn log(record: &QueryRecord<'_>, privacy: &Privacy) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let client = Some(privacy.tell(record.client, now)).filter(|client| !client.is_empty());
    let policy = record.policy.filter(|_| privacy.tells_group());
    let QueryRecord { transport, rcode, ede, latency, .. } = record;
    let (name, rr_type) = match record.question {
        Some(question) => (question.name.to_string(), question.rr_type.to_string()),
        None => Default::default(),
    };
    tracing::info!(
        target: "cleandns::queries",
        client = client.map(tracing::field::display),
        transport = Transport::label(*transport),
        name,
        r#type = rr_type,
        %rcode,
        ede,
        micros = latency.as_micros() as u64,
        cache = record.cache.map(|cache| cache.word()),
        security = record.security.map(|security| security.word()),
        verdict = verdict(record, privacy),
        group = policy.map(|policy| policy.group_name(record.verdict.group)),
        answer = if record.verdict.block().is_some() && !record.verdict.answer_seen { Some("not seen") } else { None },
        dropped = record.dropped.then_some(true),
        bypass = record.bypass.then_some(true),
        chain = (!record.links.is_empty()).then(|| chain(record)),
    );
}

/// `block clean-store/tiktok tiktok.list:12 (qname)`, for each program that said something; `pass` if none did. Without the
/// line, `block clean-store/tiktok tiktok.list (client)`, where it would tell who asked.
fn verdict(record: &QueryRecord<'_>, privacy: &Privacy) -> String {
    let Some(policy) = record.policy.filter(|_| !record.verdict.is_pass()) else {
        return "pass".to_owned();
    };
    let owner = record.verdict.owner.map(|pass| &policy.owner_exceptions()[usize::from(pass.exception)].place);
    let owner = owner.map(|place| format!("except {place}"));
    let programs = record.verdict.programs.iter().map(|said| program(policy, said, privacy));
    let said: Vec<String> = owner.into_iter().chain(programs).collect();
    said.join(", ")
}

fn program(policy: &Policy, said: &ProgramVerdict, privacy: &Privacy) -> String {
    let (word, cause) = (Outcome::word(said.outcome), &said.cause);
    let trigger = cause.trigger.word();
    if cause.by_client && !privacy.tells_addresses() {
        let list = policy.list_label(cause.list()).trim_end_matches(':');
        return format!("{word} {list} ({trigger})");
    }
    format!("{word} {} ({trigger})", block_reason(policy, cause))
}

fn chain(record: &QueryRecord<'_>) -> String {
    let names: Vec<String> = record.links.iter().map(|link| link.what.to_string()).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config,
        dns::{Class, Question, RrType},
        policy::{
            Asking, Client, ListSpec, PolicySpec, ProgramSpec,
            parse::{Options, parse},
        },
    };
    use std::{sync::Arc, time::Instant};

    fn policy(text: &str) -> Arc<Policy> {
        let parsed = parse(text.as_bytes(), &Options::default()).unwrap();
        let list = ListSpec::of_program(0, "shop", "own.list", parsed.rules);
        Arc::new(Policy::build(PolicySpec::of(vec![ProgramSpec::enforced("own")], vec![list])).unwrap())
    }

    #[test]
    fn a_line_that_would_tell_who_asked_is_told_where_clients_are() {
        let policy = policy("#! cleandns\nclient:192.0.2.9\nplain.example\n||typed.example^$client=192.0.2.8\n");
        for (client, name, full, else_told) in [
            ("192.0.2.9", "x.example", "own.list:2 (client)", "own.list (client)"),
            ("192.0.2.8", "typed.example", "own.list:4 (qname)", "own.list (qname)"),
            ("192.0.2.8", "plain.example", "own.list:3 (qname)", "own.list:3 (qname)"),
        ] {
            let question = Question { name: name.parse().unwrap(), rr_type: RrType::A, class: Class::IN };
            let client = Client { address: client.parse().unwrap(), id: None, mac: None, tcp: false, group: None };
            let asking = Asking { name: &question.name, rr_type: RrType::A, client, now: 0, pauses: &[] };
            let mut record = QueryRecord::new(client.address, Transport::Udp, Instant::now());
            (record.question, record.policy) = (Some(&question), Some(&policy));
            record.verdict = policy.on_question(&asking);
            use config::Privacy as Kept;
            for privacy in [Kept::Full, Kept::Prefix, Kept::Hashed, Kept::None] {
                let expected = if privacy == Kept::Full { full } else { else_told };
                let told = verdict(&record, &Privacy::new(privacy));
                assert_eq!(told, format!("block own/shop {expected}"), "{privacy:?}");
            }
        }
    }
}
