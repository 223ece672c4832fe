//! The names that a policy gave things, for rows that outlive it.

use crate::{
    dns::Name,
    policy::{OwnerException, Policy, Role, Scope},
};
use std::sync::Arc;

/// The names that one policy gave things.
#[derive(Debug, Default)]
pub struct PolicyNames {
    epoch: u64,
    pub lists: Vec<ListNames>,
    pub groups: Vec<Arc<str>>,
    /// The owner's exceptions.
    pub owner: Vec<OwnerNames>,
}

/// What is known of an exception of the owner's.
#[derive(Debug)]
pub struct OwnerNames {
    pub place: Arc<str>,
    pub reason: Arc<str>,
    names: Vec<(Name, Scope)>,
}

impl OwnerNames {
    /// The first of its names by which it passes one of these, in wire form; `None`: it is by one of its lists.
    pub fn rule_of<'n>(&self, mut names: impl Iterator<Item = &'n [u8]>) -> Option<(&Name, Scope)> {
        names.find_map(|wire| {
            let name = Name::from_wire(wire).ok()?;
            let covers = |(own, scope): &&(Name, Scope)| {
                let below = name.label_count().checked_sub(own.label_count());
                name.is_at_or_below(own) && below.is_some_and(|below| scope.covers(below))
            };
            self.names.iter().find(covers).map(|(own, scope)| (own, *scope))
        })
    }
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
        let owner = |exception: &OwnerException| OwnerNames {
            place: exception.place.as_str().into(),
            reason: exception.reason.as_str().into(),
            names: exception.names.clone(),
        };
        Self {
            epoch: policy.epoch(),
            lists: lists.collect(),
            groups: (0..=policy.groups().len()).map(|group| policy.group_name(group as u16).into()).collect(),
            owner: policy.owner_exceptions().iter().map(owner).collect(),
        }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
