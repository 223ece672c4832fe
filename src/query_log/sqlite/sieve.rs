//! Which names some rows are for, in ten bits a name: a Bloom filter.
//!
//! Sums of an hour with very many names stand in no order, so nothing leads from a name to its rows but a look at all of
//! them. A sieve keeps that look away from rows that the name isn't among: of a hundred runs of rows without it, it lets
//! one pass, and none with it is ever held back.
//!
//! What it is made of stays in databases, so neither the hash nor the numbers below change without a table of another name.

use super::{HOUR_MICROS, HOUR_PARTS, MINUTE_MICROS, has_table};
use rusqlite::{Connection, Transaction, params};

/// Bits for each name, and how many of them a name sets.
const BITS_A_NAME: usize = 10;
const SET_BY_NAME: u64 = 7;
/// Octets of a sieve at least.
const BYTES_MIN: usize = 8;
/// Sieves that are read before the rows that they leave are looked at.
const SIEVES_AT_ONCE: usize = 64;

/// The names of some rows.
pub(super) struct Sieve(Vec<u8>);

impl Sieve {
    /// One with room for so many names.
    pub fn new(names: usize) -> Self {
        Self(vec![0; (names * BITS_A_NAME).div_ceil(8).max(BYTES_MIN)])
    }

    pub fn add(&mut self, name: &[u8]) {
        let bits = self.0.len() as u64 * 8;
        for bit in places(hash(name), bits) {
            self.0[(bit / 8) as usize] |= 1 << (bit % 8);
        }
    }

    /// Keeps it for the rows after one up to another.
    pub fn write(&self, transaction: &Transaction<'_>, (first, last): (i64, i64)) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO sieves VALUES (?, ?, ?)")?;
        statement.execute(params![first, last, self.0]).map(drop)
    }
}

/// The bits that a name sets, of so many.
fn places(hash: u64, bits: u64) -> impl Iterator<Item = u64> {
    // Two halves make as many as are wanted (Kirsch and Mitzenmacher, 2006).
    let (start, step) = (hash & 0xffff_ffff, hash >> 32 | 1);
    (0..SET_BY_NAME).map(move |time| (start + time * step) % bits)
}

/// FNV-1a, and a last step that has each octet of the name change all bits.
fn hash(name: &[u8]) -> u64 {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// Two rows, for those between them.
pub(super) type Stretch = (i64, i64);

/// Leaves of the rows between two those that may be for a name, in their order, as pairs of rows around each stretch; and
/// between which two nothing was looked at yet, if there is something left. `is_back`: the last ones come first to be
/// looked at.
pub(super) fn sift(
    connection: &Connection,
    name: &str,
    (after, before): Stretch,
    is_back: bool,
) -> rusqlite::Result<(Vec<Stretch>, Option<Stretch>)> {
    let sieves = read(connection, name, (after, before), is_back)?;
    let is_all = sieves.len() < SIEVES_AT_ONCE;
    let (mut after, mut before, mut rest) = (after, before, None);
    match (sieves.first(), sieves.last()) {
        _ if is_all => {}
        (Some(first), _) if is_back && first.first > after => {
            (rest, after) = (Some((after, first.first + 1)), first.first);
        }
        (_, Some(last)) if !is_back && last.last + 1 < before => {
            (rest, before) = (Some((last.last, before)), last.last + 1);
        }
        _ => {}
    }
    let mut left: Vec<Stretch> = Vec::new();
    let mut leave = |after: i64, before: i64| match left.last_mut() {
        _ if after.saturating_add(1) >= before => {}
        // What follows on another is one with it.
        Some((_, end)) if *end == after + 1 => *end = before,
        _ => left.push((after, before)),
    };
    let mut at = after;
    for Sifted { first, last, may_have } in sieves {
        // Of what lies between two nothing is known.
        leave(at, first.saturating_add(1).min(before));
        if may_have {
            leave(first.max(at), last.saturating_add(1).min(before));
        }
        at = at.max(last);
    }
    leave(at, before);
    Ok((left, rest))
}

/// What the sieve of the rows after one up to another says of a name.
struct Sifted {
    first: i64,
    last: i64,
    may_have: bool,
}

/// The first sieves of the rows between two, or the last, in their order.
fn read(connection: &Connection, name: &str, (after, before): Stretch, is_back: bool) -> rusqlite::Result<Vec<Sifted>> {
    if !has_table(connection, "sieves")? {
        return Ok(Vec::new());
    }
    let order = if is_back { "DESC" } else { "ASC" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT first, last, bits FROM sieves WHERE first < ?2 AND
         first >= coalesce((SELECT max(first) FROM sieves WHERE first <= ?1), ?1) ORDER BY first {order} LIMIT ?3"
    ))?;
    let hash = hash(name.as_bytes());
    let mut rows = statement.query(params![after, before, SIEVES_AT_ONCE])?;
    let mut sieves = Vec::new();
    while let Some(row) = rows.next()? {
        let may_have = may_have(row.get_ref(2)?.as_blob()?, hash);
        sieves.push(Sifted { first: row.get(0)?, last: row.get(1)?, may_have });
    }
    if is_back {
        sieves.reverse();
    }
    Ok(sieves)
}

fn may_have(bits: &[u8], hash: u64) -> bool {
    let is_set = |bit: u64| bits[(bit / 8) as usize] & 1 << (bit % 8) != 0;
    bits.is_empty() || places(hash, bits.len() as u64 * 8).all(is_set)
}

/// Removes sieves of rows that are gone, and those of hours in whose sums names are found: all before the first hour that
/// has parts, but for the newest.
pub(super) fn trim(connection: &Connection) -> rusqlite::Result<()> {
    // They follow one upon the other, so no more are looked at than go.
    let sql = "DELETE FROM sieves WHERE first < ?1 AND last < ?1";
    let first = "SELECT max(
                   (SELECT coalesce(min(id), (SELECT value + 1 FROM meta WHERE key = 'rolled')) FROM queries),
                   coalesce((SELECT min(id) FROM marks WHERE minute >= ?2 * min(
                     coalesce((SELECT min(id) FROM parts) / ?1, (SELECT max(hour) FROM hours)),
                     coalesce((SELECT max(hour) FROM hours), (SELECT max(id) FROM parts) / ?1))), 0))";
    let first: i64 =
        connection.prepare_cached(first)?.query_row([HOUR_PARTS, HOUR_MICROS / MINUTE_MICROS], |row| row.get(0))?;
    connection.prepare_cached(sql)?.execute([first]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> String {
        format!("host{number}.some-domain.example")
    }

    #[test]
    fn no_name_is_held_back_and_few_others_pass() {
        for names in [1, 100, 65_536] {
            let mut sieve = Sieve::new(names);
            (0..names).for_each(|number| sieve.add(name(number).as_bytes()));
            let passes = |number: usize| may_have(&sieve.0, hash(name(number).as_bytes()));
            assert!((0..names).all(passes), "{names}");
            let others = (names..names + 10_000).filter(|number| passes(*number)).count();
            assert!(others < 300, "{others} of 10000 pass the sieve of {names}");
        }
    }

    /// Sieves are kept: what one version writes the next one reads.
    #[test]
    fn the_hash_stays() {
        assert_eq!(hash(b""), 0xefd0_1f60_ba99_2926);
        let mut sieve = Sieve::new(2);
        sieve.add(b"www.example.com");
        assert_eq!(sieve.0, [4, 2, 8, 32, 16, 64, 0, 1]);
    }

    #[test]
    fn what_no_sieve_tells_of_is_left() {
        let connection = Connection::open_in_memory().unwrap();
        let left = |between| {
            let [back, on] = [true, false].map(|is_back| sift(&connection, "a.example", between, is_back).unwrap());
            assert_eq!(back, on);
            assert_eq!(on.1, None, "so few are read at once");
            on.0
        };
        assert_eq!(left((10, 20)), [(10, 20)], "there is no table");
        connection.execute_batch(include_str!("sieves.sql")).unwrap();
        assert_eq!(left((10, 20)), [(10, 20)]);
        let put = |first: i64, last: i64, has: bool| {
            let mut sieve = Sieve::new(10);
            if has {
                sieve.add(b"a.example");
            }
            connection.execute("INSERT INTO sieves VALUES (?, ?, ?)", params![first, last, sieve.0]).unwrap();
        };
        put(0, 10, false);
        put(10, 20, true);
        put(20, 30, false);
        put(35, 40, false);
        put(40, 50, true);
        for (between, expected) in [
            ((0, i64::MAX), vec![(10, 21), (30, 36), (40, i64::MAX)]),
            ((0, 11), vec![]),
            ((0, 12), vec![(10, 12)]),
            ((15, 18), vec![(15, 18)]),
            ((15, 33), vec![(15, 21), (30, 33)]),
            ((25, 45), vec![(30, 36), (40, 45)]),
            ((33, 38), vec![(33, 36)]),
            ((60, 70), vec![(60, 70)]),
            ((5, 6), vec![]),
        ] {
            assert_eq!(left(between), expected, "{between:?}");
        }
    }

    #[test]
    fn many_are_read_one_after_the_other_from_either_end() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("sieves.sql")).unwrap();
        let count = 5 * SIEVES_AT_ONCE as i64 / 2;
        for number in (0..count).filter(|number| number % 7 != 3) {
            let mut sieve = Sieve::new(10);
            if number % 5 == 0 {
                sieve.add(b"a.example");
            }
            let values = params![number * 10, number * 10 + 10, sieve.0];
            connection.execute("INSERT INTO sieves VALUES (?, ?, ?)", values).unwrap();
        }
        let rows = |stretches: &[(i64, i64)]| -> Vec<i64> {
            stretches.iter().flat_map(|(after, before)| after + 1..*before).collect()
        };
        for (after, before) in [(0, count * 10 + 1), (-5, count * 10 + 5), (77, 1203), (640, 641), (635, 645)] {
            let expected: Vec<i64> = (after + 1..before)
                .filter(|row| {
                    let number = (row - 1).div_euclid(10);
                    !(0..count).contains(&number) || number % 7 == 3 || number % 5 == 0
                })
                .collect();
            for is_back in [true, false] {
                let (mut found, mut rest, mut times) = (Vec::new(), Some((after, before)), 0);
                while let Some(between) = rest {
                    let (left, next) = sift(&connection, "a.example", between, is_back).unwrap();
                    match is_back {
                        true => drop(found.splice(0..0, rows(&left))),
                        false => found.extend(rows(&left)),
                    }
                    (rest, times) = (next, times + 1);
                }
                assert_eq!(found, expected, "{after} {before} {is_back}");
                assert_eq!(times > 1, before - after > 1000, "{after} {before}");
            }
        }
    }
}
