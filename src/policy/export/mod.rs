//! Rules in forms that others read: names for other resolvers, addresses for firewalls.
//!
//! What a form can't say is left out and told. Nothing is written that would block more than the policy does: where an
//! exception or a rewrite can't be said, the rules that it takes from are left out as well.

mod adblock;
mod chosen;
mod names;
mod networks;
mod told;
mod zone;

pub use told::Left;

use super::{Mode, Policy};
use chosen::Chosen;
use told::Telling;

/// The forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Addresses and networks, one a line.
    Text,
    /// The same with program, service, list and line.
    Json,
    /// The same as sets of nftables, by service and family.
    Nftables,
    /// Names, one a line; `*.name` is everything below.
    Domains,
    /// A response policy zone.
    Rpz,
    /// AdBlock's syntax for DNS.
    Adblock,
}

impl Form {
    /// True for forms that hold addresses, for firewalls; the others hold names, for resolvers.
    pub fn is_of_addresses(self) -> bool {
        matches!(self, Self::Text | Self::Json | Self::Nftables)
    }

    /// What begins a comment.
    fn comment(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Nftables | Self::Domains => Some("#"),
            Self::Rpz => Some(";"),
            Self::Adblock => Some("!"),
            Self::Json => None,
        }
    }
}

/// Which rules are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub program: usize,
    /// The least mode that a service has for clients in no group.
    pub least: Mode,
    /// Only rules of these services; empty: of all.
    pub services: &'a [String],
    /// Seconds since 1970 (UTC): exceptions that are over don't count, and zones have it as their serial number.
    pub now: u64,
}

/// Why nothing can be written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the program has no service {0}")]
    UnknownService(String),
    #[error(
        "{0} is a response policy zone, which has an order of its own among other lists: give others the zone itself"
    )]
    IsZone(String),
    #[error(
        "{0} may let any name pass, or give it an answer of its own, and this format can't say it: without it, more would \
         be blocked than here"
    )]
    Exception(String),
    #[error("the program answers `refused`, which a response policy zone can't say: set another `block` for it")]
    Refused,
}

/// What was written and what wasn't.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exported {
    /// Rules that the text says.
    pub said: usize,
    pub left: Vec<Left>,
}

/// Writes rules by `put`, piece by piece.
pub fn export(
    policy: &Policy,
    wanted: &Wanted<'_>,
    form: Form,
    put: &mut dyn FnMut(&str),
) -> Result<Exported, ExportError> {
    let chosen = Chosen::new(policy, wanted)?;
    let mut telling = Telling::default();
    let said = match form {
        Form::Text => networks::text(&chosen, &mut telling, put),
        Form::Json => networks::json(&chosen, &mut telling, put),
        Form::Nftables => networks::nftables(&chosen, &mut telling, put),
        Form::Domains => names::domains(&chosen, &mut telling, put)?,
        Form::Rpz => zone::zone(&chosen, &mut telling, put)?,
        Form::Adblock => adblock::adblock(&chosen, &mut telling, put)?,
    };
    let left = telling.finish();
    if let Some(sign) = form.comment() {
        left.iter().for_each(|left| put(&format!("{sign} {left}\n")));
    }
    Ok(Exported { said, left })
}

#[cfg(test)]
mod tests;
