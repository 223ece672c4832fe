//! What is said of lists, databases and exceptions when a policy is made of them.

use super::Lists;
use crate::{
    lists::{catalog::ListPath, publish::ListStatus, spec},
    policy::parse::Told,
};

impl Lists {
    /// Tells of the owner's exceptions that ended since it was last called; true if there are any.
    pub(super) fn tell_of_expired(&mut self) -> bool {
        let expired = spec::expired(&self.config, (self.chance.clock)());
        let is_new = |ended: &&(String, String)| !self.expired.contains(ended);
        let news: Vec<_> = expired.iter().filter(is_new).cloned().collect();
        for (place, until) in &news {
            tracing::warn!(place, until, "an exception has ended: what it let pass is blocked again");
        }
        self.expired = expired;
        !news.is_empty()
    }

    /// Tells of rules that the safety gate held back or warns of, in the lists that changed.
    pub(super) fn tell_of_gate(&self, changed: &[ListPath]) {
        for entry in self.catalog.entries().iter().filter(|entry| changed.contains(&entry.path)) {
            let Some(loaded) = entry.in_force() else { continue };
            let tell = |told: &Told, what: &str| {
                if let Some(first) = told.first.first() {
                    let (list, line, reason) = (&entry.path, first.line, &first.reason);
                    tracing::warn!(%list, rules = told.count, line, reason, "{what}");
                }
            };
            tell(&loaded.held, "rules are held back as too broad to be meant; `release` them on the list if they are");
            tell(&loaded.warned, "rules are very broad; they are obeyed");
        }
    }

    pub(super) fn tell_of_databases(&self, troubles: &[(String, String)]) {
        for (file, reason) in troubles {
            tracing::warn!(file, reason, "a database can't be used as it is now");
        }
    }

    pub(super) fn warn_of_missing_databases(&self) {
        if self.published.status.load().name_servers_unheard {
            tracing::warn!("{}", ListStatus::NAME_SERVERS_UNHEARD);
        }
        let (asns, countries) = self.published.status.load().rules_without_database;
        for (count, what, option) in
            [(asns, "AS numbers", "policy.asn_db"), (countries, "countries", "policy.country_db")]
        {
            if count > 0 {
                tracing::warn!(
                    rules = count,
                    option,
                    "rules on {what} are inactive: the option names no usable database"
                );
            }
        }
    }

    pub(super) fn warn_of_unknown_services(&self) {
        for service in self.unknown_services() {
            tracing::warn!(service, "the configuration names a service that no list has");
        }
    }
}
