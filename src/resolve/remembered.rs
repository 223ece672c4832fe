//! What is kept by name, within bounds.

use std::collections::HashMap;

/// A bounded map by name that forgets what was not looked at for long. It has two halves: when the young one is full,
/// the old one is dropped and the young one grows old; what is looked at becomes young again.
pub struct Remembered<V> {
    young: HashMap<Box<[u8]>, V>,
    old: HashMap<Box<[u8]>, V>,
    half: usize,
}

impl<V> Remembered<V> {
    pub fn new(entries_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (entries_max / 2).max(1) }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub fn get(&mut self, key: &[u8]) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.add(key, value);
        }
        self.young.get_mut(key)
    }

    pub fn get_or_default(&mut self, key: &[u8]) -> &mut V
    where
        V: Default,
    {
        if self.get(key).is_none() {
            self.add(key.into(), V::default());
        }
        self.young.get_mut(key).expect("it is there, or was just put there")
    }

    pub fn insert(&mut self, key: &[u8], value: V) {
        match self.get(key) {
            Some(known) => *known = value,
            None => self.add(key.into(), value),
        }
    }

    pub fn remove(&mut self, key: &[u8]) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Adds what is in neither half.
    fn add(&mut self, key: Box<[u8]>, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}
