//! From the configuration to what a policy is built from.

use crate::dns::Rcode;
use crate::{
    config::{Config, DEFAULT_GROUP, Override, WORD_BYTES_MAX},
    policy::{Action, AliasTarget, Effect, GroupSpec, LocalData, Modes, OwnerException, ProgramSpec},
};
use std::sync::Arc;

/// The programs, in the order of configuration.
pub fn programs(config: &Config) -> Vec<ProgramSpec> {
    let programs = config.programs.iter().map(|program| ProgramSpec {
        name: program.name.clone(),
        mode: program.mode,
        block: program.block.clone().unwrap_or_else(|| config.policy.block.clone()),
        ede: program.ede,
        services: program.services.clone(),
        schedule: program.schedule.clone(),
    });
    programs.collect()
}

/// How far it all goes.
pub fn modes(config: &Config) -> Modes {
    Modes { ceiling: config.policy.mode, programs: programs(config), groups: groups(config) }
}

/// The groups, in the order of configuration.
pub fn groups(config: &Config) -> Vec<GroupSpec> {
    let program = |name: &String| program_index(config, name);
    let groups = config.groups.iter().map(|group| GroupSpec {
        name: group.name.clone(),
        clients: group.clients.clone(),
        tags: group.tags.clone(),
        programs: group.programs.iter().filter_map(|(name, mode)| Some((program(name)?, *mode))).collect(),
        services: group
            .services
            .iter()
            .filter_map(|((name, service), mode)| Some(((program(name)?, service.clone()), *mode)))
            .collect(),
        schedule: group.schedule.clone(),
    });
    groups.collect()
}

/// The owner's exceptions, in the order of configuration.
pub fn owner_exceptions(config: &Config) -> Vec<OwnerException> {
    let group = |name: &String| match name.as_str() {
        DEFAULT_GROUP => Some(0),
        name => config.groups.iter().position(|group| group.name == name).map(|at| at as u16 + 1),
    };
    let exceptions = config.exceptions.iter().map(|exception| OwnerException {
        names: exception.names.iter().map(|(name, extent)| (*name, extent.scope())).collect(),
        programs: exception.programs.iter().filter_map(|name| program_index(config, name)).collect(),
        groups: exception.groups.iter().filter_map(group).collect(),
        until: exception.until,
        reason: exception.reason.clone(),
        place: exception.place.clone(),
    });
    exceptions.collect()
}

/// The owner's exceptions that are over at `now` (seconds since 1970): place and last day.
pub fn expired(config: &Config, now: u64) -> Vec<(String, String)> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let is_over = |exception: &&crate::config::Exception| exception.until.is_some_and(|until| now >= until);
    let over = config.exceptions.iter().filter(is_over);
    over.map(|exception| (exception.place.clone(), exception.until_text.clone())).collect()
}

/// A service's name as the configuration can name it: up to forty lower-case letters, digits, `-` and `_`; anything else
/// in a list's header or file name becomes a hyphen.
pub fn service_word(text: &str) -> String {
    let plain = |sign: char| match sign.to_ascii_lowercase() {
        sign @ ('a'..='z' | '0'..='9' | '_') => sign,
        _ => '-',
    };
    let word: String = text.chars().map(plain).take(WORD_BYTES_MAX).collect();
    match word.trim_matches('-') {
        "" => "list".to_owned(),
        word => word.to_owned(),
    }
}

/// What an override makes of every rule of a zone; `None`: it leaves them as they are.
pub fn overriding(own: &Override) -> Option<(Effect, Action)> {
    let alias = |target| {
        let data = LocalData { alias: Some(target), ..LocalData::default() };
        (Effect::Block, Action::Rewrite(Arc::new(data)))
    };
    Some(match own {
        Override::Passthru => (Effect::Except, Action::Given),
        Override::NxDomain => (Effect::Block, Action::Code(Rcode::NXDOMAIN)),
        Override::NoData => (Effect::Block, Action::NoData),
        Override::Drop => (Effect::Block, Action::Drop),
        Override::TcpOnly => (Effect::Block, Action::TcpOnly),
        Override::Disabled => return None,
        Override::Cname(name) => alias(AliasTarget::Name(Box::new(*name))),
        Override::CnameBelow(name) => alias(AliasTarget::Below(Box::new(*name))),
    })
}

fn program_index(config: &Config, name: &str) -> Option<usize> {
    config.programs.iter().position(|program| program.name == name)
}
