//! The names that a policy gave things, for rows that outlive it.

use crate::policy::{Policy, Role};
use std::sync::Arc;

/// The names that one policy gave things.
#[derive(Debug, Default)]
pub struct PolicyNames {
    epoch: u64,
    pub lists: Vec<ListNames>,
    pub groups: Vec<Arc<str>>,
    /// Where the owner's exceptions stand.
    pub owner: Vec<Arc<str>>,
}

/// What one list is called.
#[derive(Debug)]
pub struct ListNames {
    pub program: Arc<str>,
    pub service: Arc<str>,
    pub list: Arc<str>,
    pub version: Arc<str>,
}

impl PolicyNames {
    pub fn of(policy: &Policy) -> Self {
        let lists = policy.lists().iter().map(|list| ListNames {
            program: match list.role {
                Role::Program(program) => policy.programs()[program].name.as_str().into(),
                Role::Owner(_) => "".into(),
            },
            service: list.service.as_str().into(),
            list: list.name.as_str().into(),
            version: format!("{:016x}", list.version).into(),
        });
        Self {
            epoch: policy.epoch(),
            lists: lists.collect(),
            groups: (0..=policy.groups().len()).map(|group| policy.group_name(group as u16).into()).collect(),
            owner: policy.owner_exceptions().iter().map(|exception| exception.place.as_str().into()).collect(),
        }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
