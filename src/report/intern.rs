//! Texts to small numbers, bounded.

use foldhash::{HashMap, HashMapExt as _};
use std::sync::Arc;

/// Numbers texts in the order of their first appearance.
pub(super) struct Interner {
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Interner {
    pub(super) fn new() -> Self {
        Self { ids: HashMap::new(), texts: Vec::new() }
    }

    /// The number of a text; `None` if it is new and there are `max` already.
    pub(super) fn id(&mut self, text: &str, max: usize) -> Option<u32> {
        if let Some(&id) = self.ids.get(text) {
            return Some(id);
        }
        let id = u32::try_from(self.texts.len()).ok().filter(|_| self.texts.len() < max)?;
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.ids.insert(text, id);
        Some(id)
    }

    /// The number of a text that was numbered.
    pub(super) fn known(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The text that a number of this interner stands for.
    pub(super) fn text(&self, id: u32) -> &str {
        &self.texts[id as usize]
    }

    /// All texts, by number.
    pub(super) fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }
}
