//! Files out of reach, by the kernel's Landlock: all but the places that a server needs, and nothing can be executed.
//!
//! It holds for the thread that asks for it, and for those that it starts later.

use super::Places;
use landlock::{
    ABI, Access, AccessFs, BitFlags, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use std::fmt;

/// The newest rules that are asked for; of those, a kernel holds what it knows.
const RULES: ABI = ABI::V6;

/// What came of it.
#[derive(Debug)]
pub enum Held {
    /// So many places are left, in whole or in as far as an older kernel can.
    Held { read: usize, write: usize, whole: bool },
    /// The kernel has no Landlock, or it is switched off there.
    Not(String),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { read, write, whole } => {
                let part = if *whole { "" } else { ", in part: the kernel is an older one" };
                write!(f, "reads {read} places and writes to {write}, and no others (Landlock{part})")
            }
            Self::Not(why) => write!(f, "files are not kept out of reach ({why})"),
        }
    }
}

/// Keeps everything else out of reach.
pub(super) fn restrict(places: &Places) -> Held {
    match enforce(places) {
        Ok(RestrictionStatus { ruleset: RulesetStatus::NotEnforced, .. }) => {
            Held::Not("this kernel has no Landlock, or it is off".to_owned())
        }
        Ok(status) => Held::Held {
            read: places.read.len(),
            write: places.write.len(),
            whole: status.ruleset == RulesetStatus::FullyEnforced,
        },
        Err(error) => Held::Not(format!("Landlock: {error}")),
    }
}

/// Places that aren't there are passed over.
fn enforce(places: &Places) -> Result<RestrictionStatus, RulesetError> {
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    Ruleset::default()
        .handle_access(AccessFs::from_all(RULES))?
        // Signals to other processes; its own threads hear each other. Sockets without files stay, for the process that takes
        // over.
        .scope(Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(&places.read, reading))?
        .add_rules(path_beneath_rules(&places.write, reading | writing()))?
        .restrict_self()
}

/// To make, change and remove files and folders, and nothing more special.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}
