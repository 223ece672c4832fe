//! Where names led, as far as a log told it before: a query that is answered from the cache leads where the one led for which
//! that answer was resolved.

use super::input::{Answer, Asked};
use crate::{
    dns::Name,
    policy::{Link, Reached, Trigger},
};
use foldhash::fast::RandomState;
use std::{collections::HashMap, mem, net::IpAddr};

/// Octets of each half of what is remembered: some hundred thousand names.
const HALF_BYTES_MAX: usize = 32 << 20;
/// What an entry takes besides its name and where that led.
const ENTRY_BYTES: usize = 64;
/// Queries that wait for the one whose answer they got: threads write their rows side by side, so it may come later.
const WAITING_MAX: usize = 4096;

/// What was remembered, and who waits.
#[derive(Default)]
pub(super) struct Answers {
    recent: Half,
    /// What was recent before: what is looked for here is recent again, the rest goes.
    older: Half,
    /// With how many had been put aside before each: they are judged in the order of the file, so that the same file gives the
    /// same tables.
    waiting: HashMap<Key, Vec<(u64, Asked)>, RandomState>,
    waiting_count: usize,
    put_aside: u64,
    key: Vec<u8>,
}

/// A name as on the wire, and the type that was asked for.
type Key = Box<[u8]>;

#[derive(Default)]
struct Half {
    led: HashMap<Key, Box<[Led]>, RandomState>,
    octets: usize,
}

/// A link, in as many octets as it needs.
#[derive(Clone)]
enum Led {
    Name(Box<[u8]>, Trigger),
    Address(IpAddr, Trigger),
}

impl Answers {
    /// Completes a query. True: it can be judged; false: it was put aside, and comes out of `freed` later. So do those there
    /// that waited for this one.
    pub fn complete(&mut self, asked: &mut Asked, freed: &mut Vec<Asked>) -> bool {
        if asked.answer == Answer::Told {
            return true;
        }
        self.key.clear();
        self.key.extend_from_slice(asked.name.as_wire());
        self.key.extend_from_slice(&asked.rr_type.0.to_le_bytes());
        if asked.answer == Answer::Resolved {
            let led: Box<[Led]> = asked.links.iter().map(Led::of).collect();
            self.wake(&led, freed);
            self.recent.insert(&self.key, led);
            self.age();
            return true;
        }
        if self.recall(asked) {
            return true;
        }
        // Its place is overwritten by the next.
        let numbered = (self.put_aside, asked.clone());
        self.waiting.entry(self.key.as_slice().into()).or_default().push(numbered);
        (self.waiting_count, self.put_aside) = (self.waiting_count + 1, self.put_aside + 1);
        if self.waiting_count >= WAITING_MAX {
            self.end(freed);
        }
        false
    }

    /// Nothing comes any more that somebody could wait for.
    pub fn end(&mut self, freed: &mut Vec<Asked>) {
        let mut all: Vec<(u64, Asked)> = mem::take(&mut self.waiting).into_values().flatten().collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        freed.extend(all.into_iter().map(|(_, asked)| asked));
        self.waiting_count = 0;
    }

    fn wake(&mut self, led: &[Led], freed: &mut Vec<Asked>) {
        let Some(mut woken) = self.waiting.remove(self.key.as_slice()) else { return };
        self.waiting_count -= woken.len();
        woken.iter_mut().for_each(|(_, asked)| add(led, asked));
        freed.extend(woken.into_iter().map(|(_, asked)| asked));
    }

    fn recall(&mut self, asked: &mut Asked) -> bool {
        if let Some(led) = self.recent.led.get(self.key.as_slice()) {
            add(led, asked);
            return true;
        }
        let Some(led) = self.older.led.remove(self.key.as_slice()) else { return false };
        add(&led, asked);
        self.recent.insert(&self.key, led);
        self.age();
        true
    }

    fn age(&mut self) {
        if self.recent.octets > HALF_BYTES_MAX {
            self.older = mem::take(&mut self.recent);
        }
    }
}

impl Half {
    fn insert(&mut self, key: &[u8], led: Box<[Led]>) {
        self.octets += octets(key, &led);
        match self.led.get_mut(key) {
            Some(known) => self.octets -= octets(key, &mem::replace(known, led)),
            None => drop(self.led.insert(key.into(), led)),
        }
    }
}

fn octets(key: &[u8], led: &[Led]) -> usize {
    let names = led.iter().map(|led| if let Led::Name(wire, _) = led { wire.len() } else { 0 });
    ENTRY_BYTES + key.len() + mem::size_of_val(led) + names.sum::<usize>()
}

impl Led {
    fn of(link: &Link) -> Self {
        match link.what {
            Reached::Name(name) => Self::Name(name.as_wire().into(), link.trigger),
            Reached::Address(address) => Self::Address(address, link.trigger),
        }
    }

    fn link(&self) -> Option<Link> {
        match self {
            Self::Name(wire, trigger) => Name::from_wire(wire).ok().map(|name| Link::name(name, *trigger)),
            Self::Address(address, trigger) => Some(Link::address(*address, *trigger)),
        }
    }
}

/// Adds to a query's links the kinds that it tells nothing of: a rule may have looked at its aliases alone.
fn add(led: &[Led], asked: &mut Asked) {
    let [has_names, has_addresses] = asked.tells();
    let wanted = led.iter().filter(|led| if let Led::Name(..) = led { !has_names } else { !has_addresses });
    asked.links.extend(wanted.filter_map(Led::link));
    asked.answer = Answer::Remembered;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::RrType;

    fn asked(name: &str, answer: Answer, led: &[&str]) -> Asked {
        let link = |text: &&str| match text.parse() {
            Ok(address) => Link::address(address, Trigger::Address),
            Err(_) => Link::name(text.parse().unwrap(), Trigger::Cname),
        };
        let links = led.iter().map(link).collect();
        Asked { name: name.parse().unwrap(), rr_type: RrType::A, answer, links, ..Asked::default() }
    }

    /// Each that can be judged, in that order: where it led.
    fn judged(all: Vec<Asked>) -> Vec<String> {
        let (mut answers, mut freed, mut judged) = (Answers::default(), Vec::new(), Vec::new());
        for mut asked in all {
            if answers.complete(&mut asked, &mut freed) {
                judged.push(asked);
            }
            judged.append(&mut freed);
        }
        answers.end(&mut freed);
        judged.append(&mut freed);
        let led = |asked: &Asked| asked.links.iter().map(|link| link.what.to_string()).collect::<Vec<_>>().join(" ");
        judged.iter().map(|asked| format!("{} {:?}: {}", asked.name, asked.answer, led(asked))).collect()
    }

    /// Threads write side by side, and each sink has its own order of them.
    #[test]
    fn the_order_of_rows_changes_nothing() {
        use Answer::{FromCache, Resolved};
        let all = [
            asked("a.test", FromCache, &["cdn.test"]),
            asked("a.test", FromCache, &[]),
            asked("a.test", Resolved, &["cdn.test", "192.0.2.1"]),
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut judged = judged(order.map(|at: usize| all[at].clone()).to_vec());
            judged.sort();
            let led = "cdn.test 192.0.2.1";
            let expected = ["Remembered", "Remembered", "Resolved"].map(|answer| format!("a.test {answer}: {led}"));
            assert_eq!(judged, expected, "{order:?}");
        }
    }

    #[test]
    fn a_query_from_the_cache_leads_where_the_one_did_that_was_resolved() {
        use Answer::{FromCache, Resolved, Told};
        let led = ["cdn.test", "192.0.2.1"];
        let all = vec![
            asked("early.test", FromCache, &[]),
            asked("a.test", Resolved, &led),
            asked("a.test", FromCache, &[]),
            // A rule looked at its alias.
            asked("a.test", FromCache, &["cdn.test"]),
            Asked { rr_type: RrType::AAAA, ..asked("a.test", FromCache, &[]) },
            asked("early.test", Resolved, &["192.0.2.2"]),
            asked("a.test", Resolved, &["192.0.2.9"]),
            asked("a.test", FromCache, &[]),
            asked("nothing.test", Resolved, &[]),
            asked("nothing.test", FromCache, &[]),
            asked("part.test", FromCache, &["192.0.2.3"]),
            asked("told.test", Told, &[]),
        ];
        let expected = [
            "a.test Resolved: cdn.test 192.0.2.1",
            "a.test Remembered: cdn.test 192.0.2.1",
            "a.test Remembered: cdn.test 192.0.2.1",
            "early.test Resolved: 192.0.2.2",
            "early.test Remembered: 192.0.2.2",
            "a.test Resolved: 192.0.2.9",
            "a.test Remembered: 192.0.2.9",
            "nothing.test Resolved: ",
            "nothing.test Remembered: ",
            "told.test Told: ",
            "a.test FromCache: ",
            "part.test FromCache: 192.0.2.3",
        ];
        assert_eq!(judged(all), expected);
    }

    /// Nothing is lost of what waits, however much that is.
    #[test]
    fn what_waits_and_what_is_remembered_is_bounded() {
        let (mut answers, mut freed, mut put_aside) = (Answers::default(), Vec::new(), 0);
        for number in 0..10_000 {
            put_aside += usize::from(
                !answers.complete(&mut asked(&format!("n{number}.test"), Answer::FromCache, &[]), &mut freed),
            );
            assert!(answers.waiting_count < WAITING_MAX);
        }
        answers.end(&mut freed);
        assert_eq!((put_aside, freed.len()), (10_000, 10_000));
        let is_in_order = |(number, asked): (usize, &Asked)| asked.name.to_string() == format!("n{number}.test");
        assert!(freed.iter().enumerate().all(is_in_order), "in the order of the file");
        let long: Vec<String> = (0..100).map(|number| format!("{number}.{}.test", "a".repeat(60))).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let first = "n0.test";
        for number in 0..20_000 {
            assert!(answers.complete(&mut asked(&format!("n{number}.test"), Answer::Resolved, &long), &mut freed));
            assert!(answers.recent.octets <= HALF_BYTES_MAX && answers.older.octets <= HALF_BYTES_MAX + 16_384);
            // What is looked for again and again stays.
            let mut again = asked(first, Answer::FromCache, &[]);
            assert!(answers.complete(&mut again, &mut freed) && again.links.len() == 100);
        }
        assert!(!answers.complete(&mut asked("n1.test", Answer::FromCache, &[]), &mut freed), "the oldest are gone");
    }
}
