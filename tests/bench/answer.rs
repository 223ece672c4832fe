//! How long each stage of an answer takes, on one thread and without sockets: `cargo bench --bench answer`. Prints medians;
//! asserts nothing, since machines differ and are busy. `valgrind --tool=callgrind` counts instructions, repeatably.

#[path = "names.rs"]
#[expect(dead_code, reason = "the generators of lists are for the other bench")]
mod names;

use cleandns::{
    cache::{Cache, Entry, Key, Life},
    dns::{Class, HEADER_BYTES, Name, Query, Question, Rcode, Record, RrType},
    resolve::{NameServersWanted, Resolution, Security},
    response::{Age, Reply, kept, resolved},
};
use names::Random;
use std::{hint::black_box, sync::Arc, time::Instant};

/// Questions in a round, all different.
const ASKED: usize = 10_000;
const ROUNDS: usize = 21;
/// Questions looked up together, as a worker does.
const BATCH: usize = 32;

fn main() {
    let mut random = Random::new(1);
    let names: Vec<Name> = (0..ASKED).map(|serial| names::name(&mut random, serial).parse().expect("a name")).collect();
    let packets: Vec<Vec<u8>> = names.iter().map(packet).collect();
    let mut queries = vec![Query::BLANK; ASKED];
    stage("read a query", || {
        for (packet, query) in packets.iter().zip(&mut queries) {
            black_box(query.read(black_box(packet))).expect("a query");
        }
    });
    let cache = Cache::new(128 << 20, 7);
    names.iter().for_each(|name| cache.store(Arc::new(entry(name))));
    stage("find, in the cache", || {
        for query in &queries {
            let key = key(query);
            black_box(cache.find(cache.hash(&key), &key)).expect("an entry");
        }
    });
    let mut front = cache.front(1);
    stage("find, in front of it, by the batch", || {
        for queries in queries.chunks(BATCH) {
            let mut hashes = [0; BATCH];
            front.begin(&cache);
            for (hash, query) in hashes.iter_mut().zip(queries) {
                *hash = cache.hash(&key(query));
                front.foresee_place(*hash);
            }
            hashes.iter().for_each(|&hash| front.foresee_entry(hash));
            hashes.iter().for_each(|&hash| front.foresee_octets(hash));
            for (hash, query) in hashes.into_iter().zip(queries) {
                black_box(front.find(&cache, hash, &key(query), 0)).expect("an entry");
            }
        }
    });
    let entries: Vec<Entry> = names.iter().map(entry).collect();
    let mut out = Vec::with_capacity(1232);
    stage("write a kept answer", || {
        for ((packet, query), entry) in packets.iter().zip(&queries).zip(&entries) {
            let Life::Fresh { age, .. } = entry.life(7) else { return };
            black_box(kept(&Reply::to(query, packet, 1232), query, entry, Age::Fresh(age), &mut out));
        }
    });
    stage("write a resolved answer", || {
        for ((packet, query), name) in packets.iter().zip(&queries).zip(&names) {
            black_box(resolved(&Reply::to(query, packet, 1232), query, &resolution(name), &mut out));
        }
    });
}

/// Prints the median time that each of the questions takes.
fn stage(what: &str, mut run: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed().as_secs_f64() * 1e9 / ASKED as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    say(format!("{what:<36}{:>6.0} ns", rounds[ROUNDS / 2]));
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
