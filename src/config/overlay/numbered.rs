//! What is made by hand and called by a number: exceptions, blocks, and rules that are let through.

use super::{Entry, Key, OwnBlock, OwnException, OwnLetThrough};

/// An entry that is called by a number: `e7`, `b7`, `l7`.
pub trait Numbered: Sized + Clone + Send + 'static {
    /// The word for it, also in the audit log and in keys.
    const WORD: &'static str;
    /// Before its number.
    const LETTER: char;

    /// Where the one of that number belongs.
    fn key(number: u32) -> Key;

    /// What stands at its key.
    fn entry(self) -> Entry;

    /// The other way round.
    fn of(entry: &Entry) -> Option<&Self>;

    /// The key of an id such as `e7`.
    fn key_of(id: &str) -> Option<Key> {
        Key::numbered(id, Self::LETTER).map(Self::key)
    }
}

impl Numbered for OwnException {
    const WORD: &'static str = "exception";
    const LETTER: char = 'e';

    fn key(number: u32) -> Key {
        Key::Exception(number)
    }

    fn entry(self) -> Entry {
        Entry::Exception(self)
    }

    fn of(entry: &Entry) -> Option<&Self> {
        if let Entry::Exception(own) = entry { Some(own) } else { None }
    }
}

impl Numbered for OwnBlock {
    const WORD: &'static str = "block";
    const LETTER: char = 'b';

    fn key(number: u32) -> Key {
        Key::Block(number)
    }

    fn entry(self) -> Entry {
        Entry::Block(self)
    }

    fn of(entry: &Entry) -> Option<&Self> {
        if let Entry::Block(own) = entry { Some(own) } else { None }
    }
}

impl Numbered for OwnLetThrough {
    const WORD: &'static str = "let_through";
    const LETTER: char = 'l';

    fn key(number: u32) -> Key {
        Key::LetThrough(number)
    }

    fn entry(self) -> Entry {
        Entry::LetThrough(self)
    }

    fn of(entry: &Entry) -> Option<&Self> {
        if let Entry::LetThrough(own) = entry { Some(own) } else { None }
    }
}
