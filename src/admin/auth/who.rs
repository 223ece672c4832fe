//! Who asks, and what they may.

use super::super::problem::{Kind, Refusal};
use super::{Role, sessions};
use axum::{extract::FromRequestParts, http::request::Parts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};

/// By what way they come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// A browser.
    Page,
    /// A program of their own.
    Api,
    /// `cleandns` itself, which says so of itself.
    Cli,
    /// A file that was edited by hand.
    File,
}

impl By {
    /// The word in the audit log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Api => "api",
            Self::Cli => "cli",
            Self::File => "file",
        }
    }
}

/// Who does something, as the audit log tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// A user's name; `local` on this machine where no secret is asked for; `token` and `read-token` for those who show one.
    pub name: String,
    pub role: Role,
    pub by: By,
    /// `None`: it isn't told, as with a file.
    pub from: Option<IpAddr>,
}

/// Who reads a page or asks the API. An argument of every handler that shows or changes something.
#[derive(Clone, Debug)]
pub struct Reader {
    pub who: Who,
    /// What their forms and scripts have to show: the field `csrf`, or the header `X-CSRF-Token`.
    pub csrf: Arc<str>,
    /// The session they came with.
    pub session: Option<sessions::Found>,
    /// The change that the page was told to tell of (`?done=`).
    pub done: Option<u64>,
}

impl Reader {
    /// Whether forms that change something are of use to them.
    pub fn may_change(&self) -> bool {
        self.who.role == Role::Operator
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let found = parts.extensions.get::<Self>().cloned();
        // A route that isn't guarded has nobody to tell of.
        found.ok_or_else(|| Refusal::new(Kind::NotSignedIn, "sign in first"))
    }
}

/// Somebody who may change things. An argument of every handler that does.
#[derive(Clone, Debug)]
pub struct Operator(pub Who);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let reader = Reader::from_request_parts(parts, state).await?;
        match reader.may_change() {
            true => Ok(Self(reader.who)),
            false => Err(Refusal::read_only(&reader.who.name)),
        }
    }
}
