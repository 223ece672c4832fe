//! Where an entry of the overlay belongs, and how that is written down.

use super::{super::file::text, LIST_NAME_BYTES_MAX, Numbered, OwnBlock, OwnException, OwnLetThrough};
use std::{fmt, str::FromStr};

/// Where an entry belongs. What it names needn't be there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// The mode of a program, or of one of its services, for everybody or for a group.
    Mode { group: Option<String>, program: String, service: Option<String> },
    /// When a group's own modes hold.
    GroupSchedule(String),
    /// When a program is on.
    ProgramSchedule(String),
    /// `e7`
    Exception(u32),
    /// `b7`
    Block(u32),
    /// The version of a list.
    Pin { program: String, list: String },
    /// `l7`
    LetThrough(u32),
}

impl fmt::Display for Key {
    /// `modes/everybody/clean-store/tiktok`, `modes/group/kids/clean-store`, `schedules/group/kids`, `exception/e7`,
    /// `pin/clean-store/tiktok.list`, `let_through/l7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode { group, program, service } => {
                match group {
                    None => write!(f, "modes/everybody/{program}")?,
                    Some(group) => write!(f, "modes/group/{group}/{program}")?,
                }
                service.as_ref().map_or(Ok(()), |service| write!(f, "/{service}"))
            }
            Self::GroupSchedule(group) => write!(f, "schedules/group/{group}"),
            Self::ProgramSchedule(program) => write!(f, "schedules/program/{program}"),
            Self::Exception(_) => write!(f, "{}/{}", OwnException::WORD, self.id()),
            Self::Block(_) => write!(f, "{}/{}", OwnBlock::WORD, self.id()),
            Self::Pin { .. } => write!(f, "pin/{}", self.id()),
            Self::LetThrough(_) => write!(f, "{}/{}", OwnLetThrough::WORD, self.id()),
        }
    }
}

/// What no key looks like.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is nothing that can be changed")]
pub struct UnknownKey(pub String);

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let parts: Vec<&str> = text.split('/').collect();
        let name = |name: &str| text::word(name).ok();
        let mode = |group: Option<&str>, program: &str, service: Option<&str>| {
            let group = group.map_or(Some(None), |group| name(group).map(Some))?;
            let service = service.map_or(Some(None), |service| text::service(service).ok().map(Some))?;
            Some(Self::Mode { group, program: name(program)?, service })
        };
        let key = match parts[..] {
            ["modes", "everybody", program] => mode(None, program, None),
            ["modes", "everybody", program, service] => mode(None, program, Some(service)),
            ["modes", "group", group, program] => mode(Some(group), program, None),
            ["modes", "group", group, program, service] => mode(Some(group), program, Some(service)),
            ["schedules", "group", group] => name(group).map(Self::GroupSchedule),
            ["schedules", "program", program] => name(program).map(Self::ProgramSchedule),
            [OwnException::WORD, id] => OwnException::key_of(id),
            [OwnBlock::WORD, id] => OwnBlock::key_of(id),
            [OwnLetThrough::WORD, id] => OwnLetThrough::key_of(id),
            ["pin", ..] => text.split_once('/').and_then(|(_, both)| Self::of_list(both).ok()),
            _ => None,
        };
        key.ok_or_else(|| UnknownKey(text.to_owned()))
    }
}

impl Key {
    /// The number in `e7`, if the letter is right.
    pub(super) fn numbered(id: &str, letter: char) -> Option<u32> {
        let digits = id.strip_prefix(letter)?;
        let is_plain = digits.bytes().all(|octet| octet.is_ascii_digit()) && !digits.starts_with('0');
        if is_plain { digits.parse().ok() } else { None }
    }

    /// The key of a list by its program and its name.
    pub fn of_list(both: &str) -> Result<Self, String> {
        let wrong = || "is no list; write its program and its name, such as \"clean-store/tiktok.list\"".to_owned();
        let (program, list) = both.split_once('/').ok_or_else(wrong)?;
        let is_name = !list.is_empty() && list.len() <= LIST_NAME_BYTES_MAX && !list.chars().any(char::is_control);
        let list = Some(list.to_owned()).filter(|_| is_name).ok_or_else(wrong)?;
        Ok(Self::Pin { program: text::word(program)?, list })
    }

    /// The last part: what a person calls it in the place where such keys stand.
    pub fn id(&self) -> String {
        match self {
            Self::Exception(number) => format!("{}{number}", OwnException::LETTER),
            Self::Block(number) => format!("{}{number}", OwnBlock::LETTER),
            Self::LetThrough(number) => format!("{}{number}", OwnLetThrough::LETTER),
            Self::GroupSchedule(name) | Self::ProgramSchedule(name) => name.clone(),
            Self::Mode { program, service: None, .. } => program.clone(),
            Self::Mode { program, service: Some(service), .. } => format!("{program}/{service}"),
            Self::Pin { program, list } => format!("{program}/{list}"),
        }
    }
}
