//! Asks for a whole answer anew, past what is kept: the one that is kept broke DNSSEC.

use super::{chase::Source, link::LinkResult};
use crate::dns::{Name, RrType};
use std::sync::Mutex;

/// A source whose memory can be told to forget.
pub trait Forgets {
    /// What is kept of one name and type.
    fn forget_link(&self, name: &Name, rr_type: RrType);

    /// What is kept of the keys of a zone.
    fn forget_keys(&self, zone: &Name);
}

/// A source that forgets what it has of each name it is asked for, and of the keys of the zones that may have been why. The
/// root's are left: nothing stands above them, and all other answers hang on them.
pub struct Afresh<'a, S> {
    source: &'a S,
    forgotten: Mutex<Vec<Name>>,
}

impl<'a, S> Afresh<'a, S> {
    pub fn new(source: &'a S) -> Self {
        Self { source, forgotten: Mutex::default() }
    }
}

impl<S: Forgets> Afresh<'_, S> {
    fn forget(&self, name: &Name, rr_type: RrType) {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !forgotten.contains(name) {
            forgotten.push(*name);
            self.source.forget_link(name, rr_type);
            (0..name.label_count()).for_each(|depth| self.source.forget_keys(&name.ancestor(depth)));
        }
    }
}

impl<S: Source + Forgets + Sync> Source for Afresh<'_, S> {
    async fn ask(&self, name: &Name, rr_type: RrType) -> LinkResult {
        self.forget(name, rr_type);
        self.source.ask(name, rr_type).await
    }

    fn vouches_for(&self, asked: &Name, name: &Name) -> bool {
        self.source.vouches_for(asked, name)
    }

    fn hides_aliases(&self, name: &Name) -> bool {
        self.source.hides_aliases(name)
    }

    fn forwarded_zone(&self, name: &Name) -> Option<Name> {
        self.source.forwarded_zone(name)
    }
}
