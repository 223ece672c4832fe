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
        verdict = verdict(record),
        group = policy.map(|policy| policy.group_name(record.verdict.group)),
        answer = if record.verdict.block().is_some() && !record.verdict.answer_seen { Some("not seen") } else { None },
        dropped = record.dropped.then_some(true),
        bypass = record.bypass.then_some(true),
        chain = (!record.links.is_empty()).then(|| chain(record)),
    );
}

/// `block clean-store/tiktok tiktok.list:12 (qname)`, for each program that said something; `pass` if none did.
fn verdict(record: &QueryRecord<'_>) -> String {
    let Some(policy) = record.policy.filter(|_| !record.verdict.is_pass()) else {
        return "pass".to_owned();
    };
    let owner = record.verdict.owner.map(|pass| &policy.owner_exceptions()[usize::from(pass.exception)].place);
    let owner = owner.map(|place| format!("except {place}"));
    let programs = record.verdict.programs.iter().map(|said| program(policy, said));
    let said: Vec<String> = owner.into_iter().chain(programs).collect();
    said.join(", ")
}

fn program(policy: &Policy, said: &ProgramVerdict) -> String {
    let word = Outcome::word(said.outcome);
    format!("{word} {} ({})", block_reason(policy, &said.cause), said.cause.trigger.word())
}

fn chain(record: &QueryRecord<'_>) -> String {
    let names: Vec<String> = record.links.iter().map(|link| link.what.to_string()).collect();
    names.join(" ")
}
