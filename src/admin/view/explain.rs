//! An explanation as data: the same for the API, the command line and, offline, for lists compiled from files.

use super::{
    super::AdminState,
    excepted::Excepted,
    meant::{mac_of, meant},
    weighed::{Rule, Weighed, Weighing},
};
use crate::{
    config::asked_name,
    dns::RrType,
    lists::{ListPath, ListState, ListStatus, kept_text, line_of, version_of},
    pause::another,
    policy::{Asking, Cause, Client, Link, MatchedRule, Outcome, OwnerException, Policy, Reached, Role},
    query::Explanation,
    resolve::Security,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What would happen to a question, and why.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct Explained {
    pub name: String,
    /// What the name was taken out of, if a URL was given, or a host with its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_of: Option<String>,
    pub r#type: String,
    pub client: String,
    /// The client's group.
    #[serde(default)]
    pub group: String,
    /// False: the client is outside `[access] allow` and gets REFUSED, whatever stands below.
    pub admitted: bool,
    /// `block`, or `pass`.
    #[schemars(extend("enum" = ["block", "pass"]))]
    pub action: String,
    /// One sentence.
    pub summary: String,
    /// False: the question was blocked or answered without its answer, so what rules on answers would say was not seen.
    #[serde(default)]
    pub answer_seen: bool,
    /// What each program said.
    pub verdicts: Vec<Said>,
    /// The owner's exception that matched, if one did: place and reason. It may be limited to some programs. Of several the
    /// one that let something pass.
    pub owner_exception: Option<(String, String)>,
    /// Whose exception is why nothing blocks it: `owner` or `program`. `None`: something blocks it, or nothing would if
    /// there were no exception.
    #[serde(default)]
    #[schemars(extend("enum" = ["owner", "program", null]))]
    pub excepted_by: Option<String>,
    /// The name asked, then the names and addresses its answer led to, each with what it is.
    pub chain: Vec<(String, String)>,
    /// Why nothing is blocked for now, if that is so: a pause, with its end.
    #[serde(default)]
    pub paused: Option<String>,
    /// Every rule that matched a name of the chain, decisive or not; `off` is the mode of one that is off for this client
    /// or hour. The owner's exceptions stand among them with `holds`, `ended` or `other groups` as their mode.
    pub considered: Vec<Rule>,
    /// The exceptions among them, and why each counts or doesn't.
    #[serde(default)]
    pub exceptions: Vec<Weighed>,
    /// `None`: nothing was resolved.
    pub answer: Option<Answer>,
    /// Number of the policy that decided.
    pub policy: u64,
}

/// One program's verdict.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct Said {
    /// `block`, `would-block` or `except`.
    #[schemars(extend("enum" = ["block", "would-block", "except"]))]
    pub outcome: String,
    pub rule: Rule,
}

/// What resolution brought.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct Answer {
    pub rcode: String,
    pub security: String,
    pub ede: Option<(u16, String)>,
    pub records: usize,
}

/// A question to explain, as it is typed.
#[derive(Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub name: String,
    #[serde(default)]
    pub r#type: Option<String>,
    /// An address, a hardware address, or what the client is called on the page Clients, if that is one client.
    #[serde(default)]
    pub client: Option<String>,
    /// Hardware address of the client, where a group is told by one.
    #[serde(default)]
    pub mac: Option<String>,
    /// Id of the client.
    #[serde(default)]
    pub id: Option<String>,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// What was typed can't be read.
    #[error("{0}")]
    Unreadable(String),
    #[error("no policy is loaded yet")]
    NotYet,
    #[error("{0}")]
    Fault(String),
}

/// Explains what was typed; `client`: who is meant if nobody is named.
pub async fn explain(state: &AdminState, asked: Asked, client: IpAddr) -> Result<Explained, ExplainError> {
    let unreadable = ExplainError::Unreadable;
    let (name, is_part) = asked_name(asked.name.trim()).map_err(|error| unreadable(format!("name: {error}")))?;
    let rr_type = asked.r#type.as_deref().unwrap_or("A").parse();
    let rr_type: RrType = rr_type.map_err(|error| unreadable(format!("type: {error}")))?;
    let address = match asked.client.as_deref().map(str::trim) {
        None => client.to_canonical(),
        Some(typed) => meant(state, typed).await.map_err(|why| unreadable(format!("client: {why}")))?,
    };
    let mac = asked.mac.as_deref().map(mac_of);
    if mac == Some(None) {
        return Err(unreadable("mac: write it as aa:bb:cc:dd:ee:ff".to_owned()));
    }
    let (id, mac) = (asked.id, mac.flatten());
    let client = Client { address, id: id.as_deref(), mac, tcp: false, group: None };
    let explanation = state.pipeline.explain(name, rr_type, client).await.ok_or(ExplainError::NotYet)?;
    let admitted = state.pipeline.admits(address);
    let published = state.health.published.clone();
    // Rules are read back from their files.
    let view = tokio::task::spawn_blocking(move || {
        let client = Client { address, id: id.as_deref(), mac, tcp: false, group: None };
        explained(&explanation, rr_type, client, admitted, &published.status.load())
    });
    let view = view.await.map_err(|error| ExplainError::Fault(error.to_string()))?;
    Ok(Explained { host_of: is_part.then_some(asked.name), ..view })
}

/// Renders an explanation. Reads rules back from their files, so it may block.
pub fn explained(
    explanation: &Explanation,
    rr_type: RrType,
    client: Client<'_>,
    admitted: bool,
    status: &ListStatus,
) -> Explained {
    let Explanation { policy, verdict, links, mac, now, pauses, resolution, own_answer } = explanation;
    let client = Client { mac: *mac, ..client };
    let Some(Link { what: Reached::Name(name), .. }) = links.first() else {
        unreachable!("the first link is the name asked")
    };
    let asking = Asking { name, rr_type, client, now: *now, pauses };
    let rule = |cause: &Cause| rule(policy, &asking, cause, links, status);
    let verdicts: Vec<Said> = verdict
        .programs
        .iter()
        .map(|said| Said { outcome: said.outcome.word().to_owned(), rule: rule(&said.cause) })
        .collect();
    let matching = |(index, link): (usize, &Link)| -> Vec<MatchedRule> {
        policy.matching_rules(&asking, index.min(255) as u8, link)
    };
    let of_client = policy.matching_rules(&asking, 0, &Link::address(client.address, crate::policy::Trigger::Client));
    let all = of_client.into_iter().chain(links.iter().enumerate().flat_map(matching));
    let matched: Vec<MatchedRule> = all.collect();
    let considered: Vec<Rule> = matched.iter().map(|matched| rule(&matched.cause)).collect();
    let excepted = Excepted::of(policy, &asking, verdict, &matched);
    let owner_exception = excepted.owner.map(|exception| (exception.place.clone(), exception.reason.clone()));
    let is_off = matched.iter().zip(&considered).find(|(matched, rule)| {
        matched.mode == crate::policy::Mode::Off && matched.program.is_some() && rule.effect == "block"
    });
    let off = is_off.map(|(_, rule)| format!("{}/{}", rule.program, rule.service));
    let paused = policy
        .paused_until(&asking)
        .map(|until| format!("nothing is blocked for {} (`cleandns pause --end` ends it)", another(until, *now)));
    let is_blocked = verdict.block().is_some();
    let is_bogus = resolution.as_ref().is_some_and(|resolution| resolution.security == Security::Bogus);
    let exceptions = Weighing {
        policy,
        asking: &asking,
        verdict,
        links,
        matched: &matched,
        considered: &considered,
        before_policy: own_answer.filter(|_| verdict.is_pass()),
        is_bogus,
    };
    let exceptions = exceptions.weighed();
    let summary = match own_answer {
        Some(why) => format!("{}: {why}", name),
        None if is_bogus => {
            format!("{} fails: its answer breaks DNSSEC, so what it leads to was not looked at", name)
        }
        None => summary(&name.to_string(), &verdicts, &excepted, is_blocked, paused.is_some(), off),
    };
    let summary = match admitted {
        true => summary,
        false => format!("this client is outside [access] allow and is refused; were it admitted: {summary}"),
    };
    Explained {
        name: name.to_string(),
        host_of: None,
        r#type: rr_type.to_string(),
        client: client.address.to_string(),
        group: policy.group_name(verdict.group).to_owned(),
        admitted,
        answer_seen: verdict.answer_seen,
        action: if is_blocked { "block" } else { "pass" }.to_owned(),
        summary,
        verdicts,
        owner_exception,
        excepted_by: excepted.by.map(str::to_owned),
        chain: links.iter().map(|link| (link.what.to_string(), link.trigger.word().to_owned())).collect(),
        paused,
        considered,
        exceptions,
        answer: resolution.as_ref().map(|resolution| Answer {
            rcode: resolution.rcode.to_string(),
            security: resolution.security.word().to_owned(),
            ede: resolution.ede.as_ref().map(|ede| (ede.code, ede.text.clone())),
            records: resolution.answer.len(),
        }),
        policy: policy.epoch(),
    }
}

fn summary(
    name: &str,
    verdicts: &[Said],
    excepted: &Excepted<'_>,
    is_blocked: bool,
    is_paused: bool,
    off: Option<String>,
) -> String {
    let with = |outcome: Outcome| verdicts.iter().find(|said| said.outcome == outcome.word());
    let place = |said: &Said| {
        format!("{}/{} ({} line {})", said.rule.program, said.rule.service, said.rule.list, said.rule.line)
    };
    if let (true, Some(said)) = (is_blocked, with(Outcome::Block)) {
        let by = match said.rule.trigger.as_str() {
            "qname" => String::new(),
            "client" => format!(" for the client {}", said.rule.matched),
            "ns-name" | "ns-address" => format!(", since its name server is {}", said.rule.matched),
            _ => format!(", since it leads to {}", said.rule.matched),
        };
        return format!("{name} is blocked by {}{by}", place(said));
    }
    let would = with(Outcome::WouldBlock).map(|said| {
        let unless = if is_paused { "were there no pause, or if it were enforced" } else { "if it were enforced" };
        format!("{} would block it {unless}", place(said))
    });
    let owners = excepted.owner.map(|OwnerException { place, reason, .. }| {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        format!("the owner's exception at {place}{because}")
    });
    if let (Some(owners), Some("owner")) = (&owners, excepted.by) {
        let too = would.map(|would| format!("; and {would}")).unwrap_or_default();
        return format!("{name} passes: {owners}{too}");
    }
    if let Some(would) = would {
        return format!("{name} passes; {would}");
    }
    if let (Some(said), Some("program")) = (excepted.said.and_then(|index| verdicts.get(index)), excepted.by) {
        return format!("{name} passes: an exception of {}", place(said));
    }
    let of_program = with(Outcome::Except).map(|said| format!("an exception of {}", place(said)));
    match (off, owners.or(of_program)) {
        (Some(service), _) => format!("{name} passes: {service} is off for this client at this time"),
        (None, Some(needless)) => format!("{name} passes: nothing would block it ({needless} is for it too)"),
        (None, None) => format!("{name} passes: no rule matches"),
    }
}

fn rule(policy: &Policy, asking: &Asking<'_>, cause: &Cause, links: &[Link], status: &ListStatus) -> Rule {
    let index = cause.list();
    let matched = match cause.trigger {
        crate::policy::Trigger::Client => asking.client.address.to_string(),
        _ => links.get(usize::from(cause.link)).map(|link| link.what.to_string()).unwrap_or_default(),
    };
    let effect = match cause.effect {
        crate::policy::Effect::Block => "block",
        crate::policy::Effect::Except => "except",
    };
    let shown = policy.rule(cause).unpack().to_string();
    let common = Rule {
        program: String::new(),
        service: String::new(),
        list: String::new(),
        path: String::new(),
        line: cause.line,
        text: String::new(),
        mode: policy.mode_for(asking, index).word().to_owned(),
        effect: effect.to_owned(),
        trigger: cause.trigger.word().to_owned(),
        matched,
        name: shown.trim_start_matches('@').to_owned(),
    };
    let Some(list) = policy.lists().get(index) else {
        // The names of one of the owner's exceptions, which stand in the configuration itself.
        let own = match policy.list_role(index) {
            Role::Owner(index) => policy.owner_exceptions().get(index),
            Role::Program(_) => None,
        };
        return Rule {
            list: "policy.exception".to_owned(),
            path: own.map(|exception| exception.place.clone()).unwrap_or_default(),
            text: shown,
            mode: own.map_or(common.mode.as_str(), |exception| standing(exception, policy, asking)).to_owned(),
            ..common
        };
    };
    // The status is of the same policy but for a moment after a reload; then the text can't be vouched for.
    let state = status.lists.get(index).filter(|state| status.epoch == policy.epoch() && state.name == list.name);
    Rule {
        program: list.program().map(|program| policy.programs()[program].name.clone()).unwrap_or_default(),
        service: list.service.clone(),
        list: list.name.clone(),
        path: state.map(|state| state.path.to_string()).unwrap_or_default(),
        text: match state {
            Some(state) => rule_line(state, cause.line),
            None => format!("line {}, the lists changed just now", cause.line),
        },
        ..common
    }
}

/// Whether one of the owner's exceptions holds for a query.
fn standing(exception: &OwnerException, policy: &Policy, asking: &Asking<'_>) -> &'static str {
    match exception.until {
        _ if exception.holds(asking.now, policy.group_of(&asking.client)) => "holds",
        Some(until) if asking.now >= until => "ended",
        _ => "other groups",
    }
}

/// A line of a list as it stands there now, or a note that the list changed since it was loaded.
pub fn rule_line(list: &ListState, line: u32) -> String {
    let found = match &list.path {
        ListPath::File(file) | ListPath::Url { file, .. } => line_of(file, list.version, line),
        ListPath::Embedded(path) => {
            crate::embedded::read(path).filter(|text| version_of(text) == list.version).map(|text| {
                text.split(|&byte| byte == b'\n').nth(line.saturating_sub(1) as usize).unwrap_or_default().to_vec()
            })
        }
    };
    // What it was when it was loaded, or when it was pinned, is kept.
    match found.or_else(|| kept_line(list, list.version, line)) {
        Some(found) => String::from_utf8_lossy(found.trim_ascii()).into_owned(),
        None => format!("line {line}, changed since load"),
    }
}

/// A line of a text of a list that is kept.
fn kept_line(list: &ListState, version: u64, line: u32) -> Option<Vec<u8>> {
    let kept = kept_text(list.kept_at.as_ref()?, version)?;
    line_of(&kept.path, version, line)
}

/// A line of a text that the list was before.
pub fn earlier_line(list: &ListState, version: &str, line: u32) -> Option<String> {
    let found = kept_line(list, u64::from_str_radix(version, 16).ok()?, line)?;
    Some(String::from_utf8_lossy(found.trim_ascii()).into_owned())
}
