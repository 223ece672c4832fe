//! The rules that are looked at: those of one program, and the owner's exceptions from it.

use super::{ExportError, Wanted};
use crate::policy::{Effect, Policy, Role, Rule, RuleView, Scope};
use std::collections::HashSet;

/// One program's rules.
pub struct Chosen<'a> {
    pub policy: &'a Policy,
    pub wanted: &'a Wanted<'a>,
    /// Indexes of its lists that go far enough.
    lists: Vec<usize>,
    /// Identities of rules that a list of them takes back.
    gone: HashSet<u64>,
}

impl<'a> Chosen<'a> {
    pub fn new(policy: &'a Policy, wanted: &'a Wanted<'a>) -> Result<Self, ExportError> {
        let is_own = |list: &usize| policy.lists()[*list].role == Role::Program(wanted.program);
        let own: Vec<usize> = (0..policy.lists().len()).filter(is_own).collect();
        let known = |service: &String| own.iter().any(|&list| policy.lists()[list].service == *service);
        if let Some(service) = wanted.services.iter().find(|service| !known(service)) {
            return Err(ExportError::UnknownService(service.clone()));
        }
        let goes_far = |list: &usize| policy.list_mode(*list) >= wanted.least && !policy.lists()[*list].never_acts;
        let lists: Vec<usize> = own.into_iter().filter(goes_far).collect();
        if let Some(&zone) = lists.iter().find(|&&list| policy.lists()[list].rules.zone().is_some()) {
            return Err(ExportError::IsZone(policy.lists()[zone].name.clone()));
        }
        let gone = lists.iter().flat_map(|&list| policy.lists()[list].rules.disabled()).copied().collect();
        Ok(Self { policy, wanted, lists, gone })
    }

    pub fn program(&self) -> &'a str {
        &self.policy.programs()[self.wanted.program].name
    }

    /// The program's rules with their lists, those of services that nobody asked for among them: exceptions hold for all.
    pub fn rules(&self) -> impl Iterator<Item = (usize, RuleView<'a>)> {
        let of_list = |&list: &usize| self.policy.lists()[list].rules.iter().map(move |(_, rule)| (list, rule));
        let is_there =
            |(_, rule): &(usize, RuleView<'_>)| self.gone.is_empty() || !self.gone.contains(&rule.identity());
        self.lists.iter().flat_map(of_list).filter(is_there)
    }

    /// True if a rule of this list is to be written, if it blocks.
    pub fn is_asked_for(&self, list: usize) -> bool {
        let services = self.wanted.services;
        services.is_empty() || services.contains(&self.policy.lists()[list].service)
    }

    /// The owner's exceptions from this program, as rules that beat all others, with their places.
    pub fn owners(&self) -> Vec<(String, Rule)> {
        let now = i64::try_from(self.wanted.now).unwrap_or(i64::MAX);
        let mut rules = Vec::new();
        for (index, exception) in self.policy.owner_exceptions().iter().enumerate() {
            let is_of_this = exception.programs.is_empty() || exception.programs.contains(&self.wanted.program);
            if !is_of_this || !exception.holds(now, 0) {
                continue;
            }
            let named = |&(name, scope): &(_, Scope)| Rule::on_name(Effect::Except, scope, name, 0);
            rules.extend(exception.names.iter().map(|name| (exception.place.clone(), named(name))));
            let lists = self.policy.lists().iter().filter(|list| list.role == Role::Owner(index));
            for list in lists {
                let own = list.rules.iter().map(|(_, rule)| rule.unpack());
                rules.extend(own.map(|rule| (format!("{}:{}", list.name, rule.line), rule)));
            }
        }
        rules
    }

    /// `list:line`, for people.
    pub fn place(&self, list: usize, line: u32) -> String {
        format!("{}:{line}", self.policy.lists()[list].name)
    }

    /// What a text begins with, each line after the sign that begins a comment.
    pub fn head(&self, what: &str, sign: &str) -> String {
        let of = if self.wanted.services.is_empty() {
            String::new()
        } else {
            format!(", only {}", self.wanted.services.join(" "))
        };
        format!(
            "{sign} {what} of the program {}{of}, from mode {} on, for clients in no group; written by cleandns {}\n",
            self.program(),
            self.wanted.least,
            env!("CARGO_PKG_VERSION"),
        )
    }
}
