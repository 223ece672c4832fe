//! Numbers of verdicts in the database, for whoever writes rows.

use super::super::row::{Owner, Said, Verdicts};
use crate::policy::{Outcome, Trigger};
use ring::digest::{SHA256, digest};
use rusqlite::{OptionalExtension, Transaction, params};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Write,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

/// Verdicts whose numbers are remembered.
const VERDICTS_MAX: usize = 1 << 12;

/// Numbers of verdicts in the database.
#[derive(Default)]
pub(super) struct Numbers {
    /// By where they stand in memory, with lines and rules. They are held here, so no others come to stand there.
    by_place: HashMap<usize, Number, foldhash::fast::RandomState>,
    /// By a hash of what they say without lines and rules: such verdicts, and their number.
    by_kind: HashMap<u64, Vec<(Verdicts, i64)>, foldhash::fast::RandomState>,
}

/// Verdicts without their lines and rules.
struct Kind<'v>(&'v Verdicts);

/// What one program said, without line and rule.
type Part<'v> = (&'v str, &'v str, &'v str, &'v str, Trigger, Outcome, bool);

impl<'v> Kind<'v> {
    fn parts(&self) -> impl Iterator<Item = Part<'v>> + use<'v> {
        let verdicts: &'v Verdicts = self.0;
        verdicts.said.iter().chain(&verdicts.overruled).map(|own| {
            let Said { program, service, list, version, trigger, outcome, acted, .. } = own;
            (&**program, &**service, &**list, &**version, *trigger, *outcome, *acted)
        })
    }

    /// What else they have in common; how many were said tells those from what was overruled.
    fn rest(&self) -> (&'v Option<Owner>, bool, usize) {
        let verdicts: &'v Verdicts = self.0;
        (&verdicts.owner, verdicts.needless, verdicts.said.len())
    }
}

impl PartialEq for Kind<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rest() == other.rest() && self.parts().eq(other.parts())
    }
}

impl Hash for Kind<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rest().hash(state);
        self.parts().for_each(|part| part.hash(state));
    }
}

struct Number {
    _held: Arc<Verdicts>,
    number: i64,
    rules: String,
}

impl Numbers {
    /// The number of some verdicts, and their lines and rules. They are written if they are of a new kind.
    pub fn of(&mut self, transaction: &Transaction<'_>, verdicts: &Arc<Verdicts>) -> rusqlite::Result<(i64, &str)> {
        if verdicts.said.is_empty() && verdicts.owner.is_none() {
            return Ok((0, ""));
        }
        let place = Arc::as_ptr(verdicts) as usize;
        if self.by_place.len() >= VERDICTS_MAX && !self.by_place.contains_key(&place) {
            self.by_place.clear();
        }
        let found = match self.by_place.entry(place) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => {
                let mut rules = String::new();
                for said in verdicts.said.iter().chain(&verdicts.overruled) {
                    let space = if rules.is_empty() { "" } else { " " };
                    // Writing to memory doesn't fail.
                    let _ = write!(rules, "{space}{}:{}", said.line, said.rule);
                }
                // Each new version of a list makes new kinds; those of old ones never come again.
                if self.by_kind.len() >= VERDICTS_MAX {
                    self.by_kind.clear();
                }
                let hash = self.by_kind.hasher().hash_one(Kind(verdicts));
                let alike = self.by_kind.entry(hash).or_default();
                let number = match alike.iter().find(|(known, _)| Kind(known) == Kind(verdicts)) {
                    Some((_, number)) => *number,
                    None => {
                        let (mut kind, nothing): (_, Arc<str>) = (Verdicts::clone(verdicts), "".into());
                        kind.said
                            .iter_mut()
                            .chain(&mut kind.overruled)
                            .for_each(|said| (said.line, said.rule) = (0, nothing.clone()));
                        let number = number(transaction, &kind)?;
                        alike.push((kind, number));
                        number
                    }
                };
                place.insert(Number { _held: verdicts.clone(), number, rules })
            }
        };
        Ok((found.number, &found.rules))
    }
}

fn number(transaction: &Transaction<'_>, kind: &Verdicts) -> rusqlite::Result<i64> {
    let digest = digest(&SHA256, format!("{kind:?}").as_bytes());
    let digest = &digest.as_ref()[..16];
    let known = transaction
        .prepare_cached("SELECT id FROM verdicts WHERE digest = ?")?
        .query_row([digest], |row| row.get(0))
        .optional()?;
    if let Some(number) = known {
        return Ok(number);
    }
    transaction
        .prepare_cached("INSERT INTO verdicts (digest, owner) VALUES (?, ?)")?
        .execute(params![digest, kind.owner.as_ref().map(|owner| &owner.place)])?;
    let number = transaction.last_insert_rowid();
    let mut statement = transaction.prepare_cached("INSERT INTO said VALUES (?,?,?,?,?,?,?,?,?)")?;
    for (place, said) in kind.said.iter().enumerate() {
        let (trigger, outcome) = (said.trigger.word(), said.outcome.word());
        let Said { program, service, list, version, acted, .. } = said;
        statement.execute(params![number, place, program, service, list, version, trigger, outcome, acted])?;
    }
    let mut statement = transaction.prepare_cached("INSERT INTO overruled VALUES (?,?,?,?,?,?,?,?)")?;
    for (place, said) in kind.overruled.iter().enumerate() {
        let (trigger, outcome) = (said.trigger.word(), said.outcome.word());
        let Said { program, service, list, version, .. } = said;
        statement.execute(params![number, place, program, service, list, version, trigger, outcome])?;
    }
    if kind.owner.is_some() || kind.needless {
        let Owner { rule, reason, .. } = kind.owner.clone().unwrap_or_default();
        let mut statement = transaction.prepare_cached("INSERT INTO excepted VALUES (?,?,?,?)")?;
        statement.execute(params![number, rule, reason, kind.needless])?;
    }
    Ok(number)
}
