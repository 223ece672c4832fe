//! `cleandns explain`: what would happen to a name, and why.

use super::{Failure, Outcome, fetch, overlay, say, say_json};
use crate::{
    admin::{Explained, Rule, explained},
    app,
    config::{Config, asked_name},
    dns::{Name, RrType},
    lists::Lists,
    policy::Client,
};
use std::{fmt::Write, net::IpAddr, sync::Arc};

/// What is asked.
pub struct Asked {
    pub name: String,
    pub rr_type: String,
    /// An address; the running server knows names too.
    pub client: String,
    pub json: bool,
    pub offline: bool,
    /// Leave out what pages and API changed.
    pub no_overlay: bool,
}

/// Explains, by the running server or from the files.
pub fn explain(config: Config, asked: &Asked) -> Outcome {
    let usage =
        |what: &str, text: &str, error: &dyn std::fmt::Display| Failure::Usage(format!("{what} `{text}`: {error}"));
    let name = asked_name(asked.name.trim()).map_err(|error| Failure::Usage(format!("NAME: {error}")))?;
    let (name, is_part) = name;
    let rr_type: RrType = asked.rr_type.parse().map_err(|error| usage("--type", &asked.rr_type, &error))?;
    let view: Explained = if asked.offline {
        let config = if asked.no_overlay { config } else { overlay::laid(config) };
        let client = asked.client.parse().map_err(|_| {
            let what = "write an address, such as 192.168.1.7; what clients are called the running server alone knows";
            usage("--client", &asked.client, &what)
        })?;
        offline(config, name, rr_type, client)?
    } else {
        let (name, rr_type) = (name.to_string(), rr_type.to_string());
        fetch(&config, "/api/v1/explain", &[("name", &name), ("type", &rr_type), ("client", &asked.client)])?
    };
    let view = Explained { host_of: is_part.then(|| asked.name.clone()), ..view };
    if asked.json {
        return say_json(&view);
    }
    if asked.offline {
        say("Offline: compiled from the files and from what was downloaded before, not asked of the running server. \
             Nothing was resolved, so aliases were not looked at.\n");
    }
    say(for_a_person(&view));
    Ok(())
}

/// Compiles the lists from their files and decides on the question alone.
fn offline(config: Config, name: Name, rr_type: RrType, client: IpAddr) -> Result<Explained, Failure> {
    let lists = Lists::load(Arc::new(config.clone()), app::embedded_files(), app::Outside::real().chance())
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let published = lists.published();
    let pipeline =
        app::offline_pipeline(&config, &published).map_err(|error| Failure::Configuration(error.to_string()))?;
    let client = Client { address: client.to_canonical(), id: None, mac: None, tcp: false, group: None };
    let (_, explanation) = pipeline
        .explain_question(name, rr_type, client)
        .ok_or_else(|| Failure::Other("no policy could be built".into()))?;
    Ok(explained(&explanation, rr_type, client, pipeline.admits(client.address), &published.status.load()))
}

fn for_a_person(view: &Explained) -> String {
    let mut text = format!("{}\n", view.summary);
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<12} {value}");
    };
    line("question", &format!("{} {} from {}", view.name, view.r#type, view.client));
    view.host_of.iter().for_each(|whole| line("host of", whole));
    if !view.admitted {
        line("access", "this client is outside [access] allow and is refused, whatever follows");
    }
    if !view.group.is_empty() && view.group != "default" {
        line("group", &view.group);
    }
    for said in &view.verdicts {
        line(&said.outcome, &rule(&said.rule));
        line("", &format!("{}:{}: {}", said.rule.path, said.rule.line, said.rule.text));
    }
    if let Some((place, reason)) = &view.owner_exception {
        line("exception", &format!("{place}: {reason}"));
    }
    if view.chain.len() > 1 {
        let names: Vec<String> = view.chain.iter().map(|(name, trigger)| format!("{name} ({trigger})")).collect();
        line("chain", &names.join(" → "));
    }
    view.paused.iter().for_each(|paused| line("pause", paused));
    match &view.answer {
        Some(answer) => {
            line("answer", &format!("{}, {}, {} records", answer.rcode, answer.security, answer.records));
            if let Some((code, reason)) = &answer.ede {
                line("", &format!("EDE {code}: {reason}"));
            }
        }
        None => line("answer", "not resolved"),
    }
    let decisive: Vec<(&str, u32)> =
        view.verdicts.iter().map(|said| (said.rule.path.as_str(), said.rule.line)).collect();
    for other in view.considered.iter().filter(|other| !decisive.contains(&(other.path.as_str(), other.line))) {
        line("considered", &format!("{}: {}", rule(other), other.text));
        let is_it = |own: &Rule| (&own.path, own.line, &own.matched) == (&other.path, other.line, &other.matched);
        view.exceptions.iter().filter(|own| is_it(&own.rule)).for_each(|own| line("", &own.why));
    }
    text
}

/// `block tiktok.com in clean-store/tiktok tiktok.list:18 (enforce), matched www.tiktok.com by qname`.
fn rule(rule: &Rule) -> String {
    let Rule { effect, name, program, service, list, line, mode, matched, trigger, .. } = rule;
    if program.is_empty() {
        return format!(
            "{effect} {name} by the owner's exception at {} ({mode}), matched {matched} by {trigger}",
            rule.path
        );
    }
    format!("{effect} {name} in {program}/{service} {list}:{line} ({mode}), matched {matched} by {trigger}")
}
