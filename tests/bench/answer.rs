//! How long each stage of an answer takes, on one thread and without sockets: `cargo bench --bench answer`. Prints medians;
//! asserts nothing, since machines differ and are busy. `cargo bench --bench answer -- count` counts instructions instead,
//! which is repeatable, by running itself under valgrind.

#[path = "instructions.rs"]
mod instructions;
#[path = "names.rs"]
#[expect(dead_code, reason = "the generators of other lists are for the other bench")]
mod names;
#[path = "policies.rs"]
mod policies;

use cleandns::{
    cache::{Cache, Entry, Key, Life},
    dns::{Class, Edns, HEADER_BYTES, Name, Query, Question, Rcode, Record, RrType},
    policy::{Foreseen, Policy, Verdict, parse::Format},
    resolve::{NameServersWanted, Resolution, Security},
    response::{Age, Reply, blocked, kept, resolved},
};
use names::Random;
use policies::{asking, policy, rules};
use std::{hint::black_box, sync::Arc, time::Instant};

/// Questions in a round, all different.
const ASKED: usize = 10_000;
const ROUNDS: usize = 21;
/// Questions looked up together, as a worker does.
const BATCH: usize = 32;
/// Names in the list, those asked among them.
const LISTED: usize = 100_000;

fn main() {
    let mut bench = Bench::new();
    if std::env::args().any(|word| word == "count") {
        bench.what = What::Names;
        stages(&mut bench);
        for name in &bench.names {
            say(match instructions::of(name, ASKED) {
                Ok(count) => format!("{name:<36}{count:>6.0} instructions"),
                Err(why) => format!("{name:<36}{why}"),
            });
        }
        return;
    }
    stages(&mut bench);
}

/// What is done with the stages.
enum What {
    /// All are timed.
    Time,
    /// They are only named.
    Names,
    /// One of them is run so many times.
    Run(String, usize),
}

struct Bench {
    what: What,
    names: Vec<&'static str>,
}

impl Bench {
    fn new() -> Self {
        let what = instructions::asked().map_or(What::Time, |(name, rounds)| What::Run(name, rounds));
        Self { what, names: Vec::new() }
    }

    /// Prints the median time that each of the questions takes.
    fn stage(&mut self, name: &'static str, mut run: impl FnMut()) {
        match &self.what {
            What::Names => self.names.push(name),
            What::Run(asked, rounds) if asked == name => (0..*rounds).for_each(|_| run()),
            What::Run(..) => {}
            What::Time => {
                let mut rounds: Vec<f64> = (0..ROUNDS)
                    .map(|_| {
                        let started = Instant::now();
                        run();
                        started.elapsed().as_secs_f64() * 1e9 / ASKED as f64
                    })
                    .collect();
                rounds.sort_by(f64::total_cmp);
                say(format!("{name:<36}{:>6.0} ns", rounds[ROUNDS / 2]));
            }
        }
    }
}

fn stages(bench: &mut Bench) {
    let mut random = Random::new(1);
    let names: Vec<Name> = (0..ASKED).map(|serial| names::name(&mut random, serial).parse().expect("a name")).collect();
    let packets: Vec<Vec<u8>> = names.iter().map(packet).collect();
    let mut queries = vec![Query::BLANK; ASKED];
    let mut read = || {
        for (packet, query) in packets.iter().zip(&mut queries) {
            black_box(query.read(black_box(packet))).expect("a query");
        }
    };
    read();
    bench.stage("read a query", read);
    verdicts(bench, &names, &packets, &queries);
    let cache = Cache::new(128 << 20, 7);
    names.iter().for_each(|name| cache.store(Arc::new(entry(name))));
    finding(bench, &cache, &queries);
    let entries: Vec<Entry> = names.iter().map(entry).collect();
    let mut out = Vec::with_capacity(1232);
    bench.stage("write a kept answer", || {
        for ((packet, query), entry) in packets.iter().zip(&queries).zip(&entries) {
            let Life::Fresh { age, .. } = entry.life(7) else { return };
            black_box(kept(&Reply::to(query, packet, 1232), query, entry, Age::Fresh(age), &mut out));
        }
    });
    bench.stage("write a resolved answer", || {
        for ((packet, query), name) in packets.iter().zip(&queries).zip(&names) {
            black_box(resolved(&Reply::to(query, packet, 1232), query, &resolution(name), &mut out));
        }
    });
}

/// Names that are blocked, names that an exception lets pass, others, and the answer to blocked ones.
fn verdicts(bench: &mut Bench, names: &[Name], packets: &[Vec<u8>], queries: &[Query]) {
    // The generator's own names, from its first on: all that are asked are among them.
    let listed = rules(&names::domains(LISTED), Format::Domains);
    let exceptions: String = names.iter().map(|name| format!("@{name}\n")).collect();
    let excepting = policy(vec![listed.clone(), rules(&exceptions, Format::Ours)], vec![]);
    let policy = policy(vec![listed], vec![]);
    let mut random = Random::new(2);
    let others: Vec<Name> =
        (0..ASKED).map(|serial| names::name(&mut random, LISTED + serial).parse().expect("a name")).collect();
    bench.stage("decide on a blocked name", || decide(&policy, names, |_, _| ()));
    bench.stage("decide on a name that is excepted", || decide(&excepting, names, |_, _| ()));
    bench.stage("decide on another name", || decide(&policy, &others, |_, _| ()));
    let mut verdicts = vec![Verdict::default(); ASKED];
    decide(&policy, names, |index, verdict| verdicts[index] = verdict.clone());
    let mut out = Vec::with_capacity(1232);
    for (name, edns) in [("write a blocked answer", false), ("write a blocked answer with EDNS", true)] {
        bench.stage(name, || {
            for ((packet, query), verdict) in packets.iter().zip(queries).zip(&verdicts) {
                let mut reply = Reply::to(query, packet, 1232);
                if edns {
                    reply.edns = Some(Edns { udp_size: 1232, version: 0, dnssec_ok: false });
                }
                black_box(blocked(&reply, query, &policy, verdict, &[], &mut out)).expect("a block");
            }
        });
    }
}

/// Decides by the batch, as a worker does.
fn decide(policy: &Policy, names: &[Name], mut each: impl FnMut(usize, &Verdict)) {
    let mut foreseen = [Foreseen::NOTHING; BATCH];
    for (number, names) in names.chunks(BATCH).enumerate() {
        names.iter().zip(&mut foreseen).for_each(|(name, foreseen)| policy.foresee(name, foreseen));
        foreseen.iter_mut().for_each(|foreseen| policy.foresee_rules(foreseen));
        for (index, (name, foreseen)) in names.iter().zip(&foreseen).enumerate() {
            let mut verdict = Verdict::default();
            policy.on_question_foreseen(black_box(&asking(name)), foreseen, &mut verdict);
            each(number * BATCH + index, black_box(&verdict));
        }
    }
}

fn finding(bench: &mut Bench, cache: &Cache, queries: &[Query]) {
    bench.stage("find, in the cache", || {
        for query in queries {
            let key = key(query);
            black_box(cache.find(cache.hash(&key), &key)).expect("an entry");
        }
    });
    let mut front = cache.front(1);
    bench.stage("find, in front of it, by the batch", || {
        for queries in queries.chunks(BATCH) {
            let mut hashes = [0; BATCH];
            front.begin(cache);
            for (hash, query) in hashes.iter_mut().zip(queries) {
                *hash = cache.hash(&key(query));
                front.foresee_place(*hash);
            }
            hashes.iter().for_each(|&hash| front.foresee_entry(hash));
            hashes.iter().for_each(|&hash| front.foresee_octets(hash));
            for (hash, query) in hashes.into_iter().zip(queries) {
                let is_fresh = |entry: &Entry| matches!(entry.life(0), Life::Fresh { .. });
                black_box(front.find(cache, hash, &key(query), is_fresh)).expect("an entry");
            }
        }
    });
}

fn packet(name: &Name) -> Vec<u8> {
    let mut packet = vec![0; HEADER_BYTES];
    (packet[2], packet[5]) = (1, 1);
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&[0, 1, 0, 1]);
    packet
}

fn key(query: &Query) -> Key<'_> {
    Key { name: query.question.name.as_wire(), rr_type: query.question.rr_type, dnssec_ok: false, cd: false }
}

fn resolution(name: &Name) -> Resolution {
    let record = Record { owner: *name, rr_type: RrType::A, class: Class::IN, ttl: 300, data: vec![192, 0, 2, 1] };
    Resolution {
        rcode: Rcode::NOERROR,
        answer: vec![record],
        authority: vec![],
        security: Security::Insecure,
        ede: None,
        delegations: vec![],
        unheard: false,
        server: None,
    }
}

fn entry(name: &Name) -> Entry {
    let question = Question { name: *name, rr_type: RrType::A, class: Class::IN };
    Entry::new(&question, (false, false), NameServersWanted::No, &resolution(name), 0)
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn say(text: String) {
    println!("{text}");
}
