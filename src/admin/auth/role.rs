//! What those who are known may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one may. The greater one may all that the lesser may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See everything but secrets.
    ReadOnly,
    /// Change things too.
    Operator,
}

impl Role {
    /// The word in `users_file`, the audit log and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Operator => "operator",
        }
    }
}
