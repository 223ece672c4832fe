//! What is looked for, what was kept of it, and what was found.

use super::CacheUse;
use crate::{
    cache::{Entry, Key, Life},
    dns::{Name, Query, Record, RrType},
    resolve::{NameServersWanted, Resolution},
    response,
};
use std::sync::Arc;

/// What is looked for, and for whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sought {
    pub name: Name,
    pub rr_type: RrType,
    /// The client wants signatures and proofs (DO).
    pub dnssec_ok: bool,
    /// The client validates by itself (CD).
    pub cd: bool,
    pub name_servers: NameServersWanted,
}

/// What was kept of something when it was looked for. Who has to look further takes it along, and asks the cache once.
#[derive(Clone)]
pub struct Looked {
    pub sought: Sought,
    /// However old.
    pub entry: Option<Arc<Entry>>,
    /// `Finder::landings` before the cache was asked.
    pub landings: u64,
}

/// A name that is looked for because aliases of the owner's lead there, or none.
pub struct Elsewhere {
    pub aliases: Vec<Record>,
    pub looked: Looked,
}

/// What was found: as if it had been resolved just now, whether or not it was kept.
pub struct Found {
    pub resolution: Arc<Resolution>,
    pub cache: CacheUse,
}

impl Sought {
    /// What a query asks for, of its own name or of one that this leads to.
    pub fn by(query: &Query, name: Name, name_servers: NameServersWanted) -> Self {
        let rr_type = query.question.rr_type;
        Self { name, rr_type, dnssec_ok: query.wants_dnssec(), cd: query.cd, name_servers }
    }

    pub fn key(&self) -> Key<'_> {
        Key { name: self.name.as_wire(), rr_type: self.rr_type, dnssec_ok: self.dnssec_ok, cd: self.cd }
    }
}

impl Found {
    pub fn kept(entry: &Entry, life: Life) -> Self {
        Self { resolution: Arc::new(response::as_kept(entry, life)), cache: CacheUse::of(life) }
    }
}
