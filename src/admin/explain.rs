//! An explanation as data: the same for the API, the command line and, offline, for lists compiled from files.

use crate::{
    dns::{Name, RrType},
    lists::{ListPath, ListState, ListStatus, line_of, version_of},
    policy::{Cause, MatchedRule, Outcome, Policy, Scope},
    query::Explanation,
    resolve::Security,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What would happen to a question, and why.
#[derive(Serialize, Deserialize, Debug)]
pub struct Explained {
    pub name: String,
    pub r#type: String,
    pub client: String,
    /// False: the client is outside `[access] allow` and gets REFUSED, whatever stands below.
    pub admitted: bool,
    /// `block`, or `pass`.
    pub action: String,
    /// One sentence.
    pub summary: String,
    /// What each program said.
    pub verdicts: Vec<Said>,
    /// The owner's exception that matched, if one did: place and reason. It may be limited to some programs.
    pub owner_exception: Option<(String, String)>,
    /// The name asked, then the aliases its answer led to, each with what led there.
    pub chain: Vec<(String, String)>,
    /// Every rule in force that matched a name of the chain, decisive or not.
    pub considered: Vec<Rule>,
    /// `None`: nothing was resolved.
    pub answer: Option<Answer>,
    /// Number of the policy that decided.
    pub policy: u64,
}

/// One program's verdict.
#[derive(Serialize, Deserialize, Debug)]
pub struct Said {
    /// `block`, `would-block` or `except`.
    pub outcome: String,
    pub rule: Rule,
}

/// A rule and what it matched.
#[derive(Serialize, Deserialize, Debug)]
pub struct Rule {
    pub program: String,
    pub service: String,
    pub list: String,
    pub path: String,
    pub line: u32,
    /// The line itself, read back from the list; or why it can't be shown.
    pub text: String,
    pub mode: String,
    pub effect: String,
    /// What of the query it matched: qname, cname, dname, svcb-target.
    pub trigger: String,
    /// The name it matched.
    pub matched: String,
    /// The rule's own name, with `=` for exact and `*.` for below only.
    pub name: String,
}

/// What resolution brought.
#[derive(Serialize, Deserialize, Debug)]
pub struct Answer {
    pub rcode: String,
    pub security: String,
    pub ede: Option<(u16, String)>,
    pub records: usize,
}

/// Renders an explanation. Reads rules back from their files, so it may block.
pub fn explained(
    explanation: &Explanation,
    rr_type: RrType,
    client: IpAddr,
    admitted: bool,
    status: &ListStatus,
) -> Explained {
    let Explanation { policy, verdict, chain, resolution, own_answer } = explanation;
    let names: Vec<Name> = chain.iter().map(|alias| alias.name).collect();
    let rule = |cause: &Cause| rule(policy, cause, &names, status);
    let verdicts: Vec<Said> = verdict
        .programs
        .iter()
        .map(|said| Said { outcome: said.outcome.word().to_owned(), rule: rule(&said.cause) })
        .collect();
    let owner_exception = verdict.owner.map(|pass| {
        let exception = &policy.owner_exceptions()[usize::from(pass.exception)];
        (exception.place.clone(), exception.reason.clone())
    });
    let matching = |(index, alias): (usize, &crate::policy::Alias)| -> Vec<MatchedRule> {
        policy.matching_rules(&alias.name, index.min(255) as u8, alias.trigger)
    };
    let considered = chain.iter().enumerate().flat_map(matching).map(|matched| rule(&matched.cause)).collect();
    let is_blocked = verdict.block().is_some();
    let is_bogus = resolution.as_ref().is_some_and(|resolution| resolution.security == Security::Bogus);
    let summary = match own_answer {
        Some(why) => format!("{}: {why}", names[0]),
        None if is_bogus => {
            format!("{} fails: its answer breaks DNSSEC, so what it leads to was not looked at", names[0])
        }
        None => summary(&names[0], &verdicts, owner_exception.as_ref(), is_blocked),
    };
    Explained {
        name: names[0].to_string(),
        r#type: rr_type.to_string(),
        client: client.to_string(),
        admitted,
        action: if is_blocked { "block" } else { "pass" }.to_owned(),
        summary,
        verdicts,
        owner_exception,
        chain: chain.iter().map(|alias| (alias.name.to_string(), alias.trigger.word().to_owned())).collect(),
        considered,
        answer: resolution.as_ref().map(|resolution| Answer {
            rcode: resolution.rcode.to_string(),
            security: resolution.security.word().to_owned(),
            ede: resolution.ede.as_ref().map(|ede| (ede.code, ede.text.clone())),
            records: resolution.answer.len(),
        }),
        policy: policy.epoch(),
    }
}

fn summary(name: &Name, verdicts: &[Said], owner: Option<&(String, String)>, is_blocked: bool) -> String {
    if let (Some((place, reason)), false) = (owner, is_blocked) {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        return format!("{name} passes: the owner's exception at {place}{because}");
    }
    let with = |outcome: Outcome| verdicts.iter().find(|said| said.outcome == outcome.word());
    let place = |said: &Said| {
        format!("{}/{} ({} line {})", said.rule.program, said.rule.service, said.rule.list, said.rule.line)
    };
    if let (true, Some(said)) = (is_blocked, with(Outcome::Block)) {
        let by = if said.rule.trigger == "qname" {
            String::new()
        } else {
            format!(", since it leads to {}", said.rule.matched)
        };
        return format!("{name} is blocked by {}{by}", place(said));
    }
    if let Some(said) = with(Outcome::WouldBlock) {
        return format!("{name} passes; {} would block it if it were enforced", place(said));
    }
    match with(Outcome::Except) {
        Some(said) => format!("{name} passes: an exception of {}", place(said)),
        None => format!("{name} passes: no rule matches"),
    }
}

fn rule(policy: &Policy, cause: &Cause, names: &[Name], status: &ListStatus) -> Rule {
    let index = usize::from(cause.list);
    let list = &policy.lists()[index];
    let matched = names.get(usize::from(cause.link)).copied().unwrap_or(Name::ROOT);
    let own = matched.ancestor(matched.label_count() - usize::from(cause.labels).min(matched.label_count()));
    let prefix = match cause.scope {
        Scope::Exact => "=",
        Scope::Subtree => "",
        Scope::Below => "*.",
    };
    // The status is of the same policy but for a moment after a reload; then the text can't be vouched for.
    let state = status.lists.get(index).filter(|state| status.epoch == policy.epoch() && state.name == list.name);
    Rule {
        program: policy.programs()[list.program].name.clone(),
        service: list.service.clone(),
        list: list.name.clone(),
        path: state.map(|state| state.path.to_string()).unwrap_or_default(),
        line: cause.line,
        text: match state {
            Some(state) => rule_line(state, cause.line),
            None => format!("line {}, the lists changed just now", cause.line),
        },
        mode: policy.list_mode(index).word().to_owned(),
        effect: match cause.effect {
            crate::policy::Effect::Block => "block",
            crate::policy::Effect::Except => "except",
        }
        .to_owned(),
        trigger: cause.trigger.word().to_owned(),
        matched: matched.to_string(),
        name: format!("{prefix}{own}"),
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
    match found {
        Some(found) => String::from_utf8_lossy(found.trim_ascii()).into_owned(),
        None => format!("line {line}, changed since load"),
    }
}
