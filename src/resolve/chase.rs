//! Follows aliases link by link, so that every link comes from its own zone with its own proofs.

use super::link::{Link, LinkResult, proves_something};
use crate::dns::{ExtendedError, Name, Rcode, Record, RrType};
use std::{future::Future, time::Duration};
use tokio::time::timeout;

/// Links followed at most. Real chains have a handful; Unbound stops at eleven.
const LINKS_MAX: usize = 12;

/// How long an alias is looked for where DS records were asked for: the parent zone has answered, and the zone itself
/// may have no server that does.
const DS_ALIAS_WITHIN: Duration = Duration::from_millis(500);

/// A place to ask, for one name.
pub trait Source {
    /// Asks for one name and type.
    fn ask(&self, name: &Name, rr_type: RrType) -> impl Future<Output = LinkResult> + Send;

    /// Whether what is said of `name` may be taken from an answer that this source gave to a question for another
    /// name: true for a forwarder, which vouches for whole chains.
    fn vouches_for(&self, asked: &Name, name: &Name) -> bool;

    /// Whether a negative answer may hide an alias, so that the alias must be asked for.
    fn hides_aliases(&self, name: &Name) -> bool;

    /// The zone for which `name` is asked of a forwarder, if it is.
    fn forwarded_zone(&self, name: &Name) -> Option<Name>;
}

/// Why a chase ended without an answer, and how far it came.
#[derive(Debug)]
pub struct Stopped {
    pub ede: ExtendedError,
    /// The aliases followed until then.
    pub answer: Vec<Record>,
}

/// Finds the whole answer to a question.
///
/// `thorough` is for a client's question: then a DS question, too, is looked at for an alias. The validator asks for DS
/// records of zones, where there is none, and should not wait for a zone's servers to hear what its parent knows.
pub async fn chase(source: &impl Source, qname: &Name, rr_type: RrType, thorough: bool) -> Result<Link, Stopped> {
    let mut whole = Link { rcode: Rcode::NOERROR, answer: Vec::new(), authority: Vec::new(), server: None };
    let mut seen = vec![*qname];
    let mut name = *qname;
    while seen.len() <= LINKS_MAX {
        let link = match ask_for_alias_too(source, &name, rr_type, thorough).await {
            Ok(link) => link,
            Err(ede) => return Err(Stopped { ede, answer: whole.answer }),
        };
        let asked = name;
        for record in link.authority.iter().filter(|record| proves_something(record)) {
            if !whole.authority.contains(record) {
                whole.authority.push(record.clone());
            }
        }
        loop {
            let Some(target) = alias(&link.answer, &name, rr_type) else {
                return Ok(finish(whole, &link, &name, rr_type));
            };
            take_link(&mut whole.answer, &link.answer, &name);
            if seen.contains(&target) {
                let ede = ExtendedError::new(0, format!("the aliases of {qname} go in a circle"));
                return Err(Stopped { ede, answer: whole.answer });
            }
            seen.push(target);
            name = target;
            let goes_on = link.answer.iter().any(|record| record.owner == name);
            let ends_here = link.authority.iter().any(|record| record.rr_type == RrType::SOA);
            if !(source.vouches_for(&asked, &name) && (goes_on || ends_here)) || seen.len() > LINKS_MAX {
                break;
            }
        }
    }
    let ede = ExtendedError::new(0, format!("{qname} has more than {LINKS_MAX} aliases in a row"));
    Err(Stopped { ede, answer: whole.answer })
}

/// Asks; where nothing was found, asks whether the name is an alias.
async fn ask_for_alias_too(source: &impl Source, name: &Name, rr_type: RrType, thorough: bool) -> LinkResult {
    let link = source.ask(name, rr_type).await?;
    let may_hide = match rr_type {
        RrType::CNAME => false,
        RrType::DS => thorough,
        _ => true,
    };
    if !link.answer.is_empty() || !may_hide || !source.hides_aliases(name) {
        return Ok(link);
    }
    let hidden = source.ask(name, RrType::CNAME);
    let hidden = if rr_type == RrType::DS { timeout(DS_ALIAS_WITHIN, hidden).await.ok() } else { Some(hidden.await) };
    match hidden {
        Some(Ok(hidden)) if alias(&hidden.answer, name, rr_type).is_some() => Ok(hidden),
        // Whatever became of this question, the one that was asked has its answer.
        _ => Ok(link),
    }
}

/// The target of the alias at `name`, unless aliases themselves were asked for.
fn alias(records: &[Record], name: &Name, rr_type: RrType) -> Option<Name> {
    if rr_type == RrType::CNAME {
        return None;
    }
    records.iter().find(|record| record.rr_type == RrType::CNAME && record.owner == *name)?.target()
}

/// Appends the CNAME record at `name` with its signatures, and the DNAME record that gave rise to it, if one did.
fn take_link(answer: &mut Vec<Record>, records: &[Record], name: &Name) {
    let is_type = |record: &Record, rr_type| record.rr_type == rr_type || record.covered_type() == Some(rr_type);
    let from_above = |record: &&Record| {
        is_type(record, RrType::DNAME) && name.is_at_or_below(&record.owner) && *name != record.owner
    };
    let own = |record: &&Record| is_type(record, RrType::CNAME) && record.owner == *name;
    for record in records.iter().filter(from_above).chain(records.iter().filter(own)) {
        if !answer.contains(record) {
            answer.push(record.clone());
        }
    }
}

/// Appends what was asked for, if it is there; else the answer is negative.
fn finish(mut whole: Link, last: &Link, name: &Name, rr_type: RrType) -> Link {
    let is_asked = |record: &&Record| {
        record.owner == *name && (record.rr_type == rr_type || record.covered_type() == Some(rr_type))
    };
    whole.server = last.server;
    let before = whole.answer.len();
    whole.answer.extend(last.answer.iter().filter(is_asked).cloned());
    if whole.answer.len() == before {
        whole.rcode = last.rcode;
    } else {
        // A SOA beside an answer says nothing and would make it look negative.
        whole.authority.retain(|record| record.rr_type != RrType::SOA && record.covered_type() != Some(RrType::SOA));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Class;
    use std::{collections::HashMap, sync::Mutex};

    /// Answers from a table and notes what it was asked.
    #[derive(Default)]
    struct Table {
        links: HashMap<(String, RrType), Link>,
        whole_chains: bool,
        asked: Mutex<Vec<String>>,
    }

    impl Source for Table {
        async fn ask(&self, name: &Name, rr_type: RrType) -> LinkResult {
            self.asked.lock().unwrap().push(format!("{name}/{rr_type}"));
            let nothing = Link { rcode: Rcode::NOERROR, answer: vec![], authority: vec![], server: None };
            Ok(self.links.get(&(name.to_string(), rr_type)).cloned().unwrap_or(nothing))
        }

        fn vouches_for(&self, _asked: &Name, _name: &Name) -> bool {
            self.whole_chains
        }

        fn hides_aliases(&self, _name: &Name) -> bool {
            !self.whole_chains
        }

        fn forwarded_zone(&self, _name: &Name) -> Option<Name> {
            self.whole_chains.then_some(Name::ROOT)
        }
    }

    fn record(owner: &str, rr_type: RrType, target: &str) -> Record {
        let data = match rr_type {
            RrType::A => vec![192, 0, 2, 1],
            RrType::SOA => vec![0; 22],
            _ => target.parse::<Name>().unwrap().as_wire().to_vec(),
        };
        Record { owner: owner.parse().unwrap(), rr_type, class: Class::IN, ttl: 60, data }
    }

    fn link(rcode: Rcode, answer: &[(&str, RrType, &str)], soa: Option<&str>) -> Link {
        let answer = answer.iter().map(|(owner, rr_type, target)| record(owner, *rr_type, target)).collect();
        let authority = soa.map(|owner| record(owner, RrType::SOA, "")).into_iter().collect();
        Link { rcode, answer, authority, server: None }
    }

    /// `NXDOMAIN a CNAME, b A | z SOA`
    fn show(result: Result<Link, Stopped>) -> String {
        let list = |records: &[Record]| {
            let all: Vec<_> = records.iter().map(|r| format!("{} {}", r.owner, r.rr_type)).collect();
            all.join(", ")
        };
        match result {
            Ok(link) => format!("{} {} | {}", link.rcode, list(&link.answer), list(&link.authority)),
            Err(stopped) => stopped.ede.text,
        }
    }

    async fn run(table: &Table, name: &str) -> String {
        show(chase(table, &name.parse().unwrap(), RrType::A, true).await)
    }

    #[tokio::test]
    async fn chains_are_rebuilt_in_order() {
        const A: RrType = RrType::A;
        const CNAME: RrType = RrType::CNAME;
        const DNAME: RrType = RrType::DNAME;
        let mut table = Table::default();
        let mut add = |name: &str, rr_type, link| table.links.insert((name.to_owned(), rr_type), link);
        // A chain, the way hickory gives it: everything at once, of which only the first link is believed.
        let chain = [("a.x", CNAME, "b.y"), ("b.y", CNAME, "c.z"), ("c.z", A, "")];
        add("a.x", A, link(Rcode::NOERROR, &chain, None));
        add("b.y", A, link(Rcode::NOERROR, &chain[1..], None));
        add("c.z", A, link(Rcode::NOERROR, &chain[2..], None));
        // Into nothing: hickory forgets the alias, which must be asked for.
        add("nx.x", A, link(Rcode::NXDOMAIN, &[], Some("z")));
        add("nx.x", CNAME, link(Rcode::NOERROR, &[("nx.x", CNAME, "gone.z")], None));
        add("gone.z", A, link(Rcode::NXDOMAIN, &[], Some("z")));
        add("l1.x", A, link(Rcode::NOERROR, &[("l1.x", CNAME, "l2.x")], None));
        add("l2.x", A, link(Rcode::NOERROR, &[("l2.x", CNAME, "l1.x")], None));
        add("w.d.x", A, link(Rcode::NOERROR, &[("w.d.x", CNAME, "c.z"), ("d.x", DNAME, "z"), ("q.x", A, "")], None));
        for (name, expected) in [
            ("a.x", "NOERROR a.x CNAME, b.y CNAME, c.z A | "),
            ("c.z", "NOERROR c.z A | "),
            ("nx.x", "NXDOMAIN nx.x CNAME | z SOA"),
            ("gone.z", "NXDOMAIN  | z SOA"),
            ("w.d.x", "NOERROR d.x DNAME, w.d.x CNAME, c.z A | "),
            ("l1.x", "the aliases of l1.x go in a circle"),
        ] {
            assert_eq!(run(&table, name).await, expected, "{name}");
        }
        for i in 0..20 {
            let (own, next) = (format!("n{i}.x"), format!("n{}.x", i + 1));
            table.links.insert((own.clone(), A), link(Rcode::NOERROR, &[(&own, CNAME, &next)], None));
        }
        assert_eq!(run(&table, "n0.x").await, "n0.x has more than 12 aliases in a row");
        assert!(run(&table, "n12.x").await.starts_with("NOERROR n12.x CNAME"));
    }

    #[tokio::test]
    async fn a_forwarders_chain_is_taken_whole() {
        const A: RrType = RrType::A;
        const CNAME: RrType = RrType::CNAME;
        let mut table = Table { whole_chains: true, ..Table::default() };
        let chain = [("a.x", CNAME, "b.y"), ("b.y", CNAME, "c.z"), ("c.z", A, "")];
        table.links.insert(("a.x".into(), A), link(Rcode::NOERROR, &chain, None));
        table.links.insert(("nx.x".into(), A), link(Rcode::NXDOMAIN, &[("nx.x", CNAME, "b.y")], Some("y")));
        assert_eq!(run(&table, "a.x").await, "NOERROR a.x CNAME, b.y CNAME, c.z A | ");
        assert_eq!(run(&table, "nx.x").await, "NXDOMAIN nx.x CNAME | y SOA");
        assert_eq!(*table.asked.lock().unwrap(), ["a.x/A", "nx.x/A"]);
    }
}
