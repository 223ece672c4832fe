//! How far a program goes, and what a blocked client is told.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

/// What a program or service does with a match. Ordered: a ceiling is a minimum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// Its rules and exceptions don't exist.
    Off,
    /// Matches are recorded; no octet of any answer changes.
    Shadow,
    /// Matches are acted upon.
    Enforce,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Off, Self::Shadow, Self::Enforce];

    /// The word used in configuration, list headers, logs and metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that is none of the words allowed in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not one of {allowed}")]
pub struct UnknownWord {
    pub given: String,
    pub allowed: &'static str,
}

impl FromStr for Mode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.word() == text)
            .ok_or_else(|| UnknownWord { given: text.to_owned(), allowed: "off, shadow, enforce" })
    }
}

/// What the client of a blocked question gets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BlockAnswer {
    /// NXDOMAIN for every type.
    NxDomain,
    /// NOERROR with an empty answer section.
    NoData,
    /// 0.0.0.0 and ::, NODATA for every other type.
    Null,
    /// REFUSED.
    Refused,
    /// Nothing at all.
    Drop,
    /// These addresses by family; NODATA for every other type and for a family without any.
    Addresses(Arc<[IpAddr]>),
}

impl BlockAnswer {
    /// The word used in configuration; addresses are written as a list there.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NxDomain => "nxdomain",
            Self::NoData => "nodata",
            Self::Null => "null",
            Self::Refused => "refused",
            Self::Drop => "drop",
            Self::Addresses(_) => "addresses",
        }
    }
}
