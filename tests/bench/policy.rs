//! How long the policy takes, and how much memory: `cargo bench --bench policy`. Prints medians; asserts nothing, since
//! machines differ and are busy.
//!
//! `cargo bench --bench policy -- 5000000` takes five million names instead of one; `-- 1000000 only` leaves out the
//! groups and patterns, for `valgrind --tool=callgrind`, whose counts are repeatable.

#[path = "names.rs"]
mod names;
#[path = "policies.rs"]
mod policies;

use cleandns::{
    dns::Name,
    policy::{ClientKey, Foreseen, GroupSpec, Policy, RuleSet, Verdict, parse::Format},
};
use names::Random;
use policies::{asking, policy, rules};
use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Instant};

/// Names asked in a round, all different, so that memory is as cold as it is for a server.
const ASKED: usize = 100_000;
const ROUNDS: usize = 7;
/// Questions decided together, as a worker reads them from its socket.
const BATCH: usize = 32;
/// Times that all are asked in a round: the system counts a thread's time in steps of milliseconds.
const REPEATS: usize = 10;

fn main() {
    // `cargo bench` passes flags of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let count = words.first().and_then(|word| word.parse().ok()).unwrap_or(1_000_000);
    let text = names::domains(count);
    say(format!("{count} names, {} octets of text", text.len()));
    let started = Instant::now();
    let rules = rules(&text, Format::Domains);
    say(format!("parse                  {:>8.0} ms", millis(started)));
    let started = Instant::now();
    let policy = policy(vec![rules.clone()], vec![]);
    say(format!("build                  {:>8.0} ms", millis(started)));
    say(format!("memory                 {:>8.1} octets a name", policy.bytes() as f64 / count as f64));
    lookups("", &policy, count);
    if words.iter().any(|word| word == "only") {
        return;
    }
    drop(policy);
    for (what, text, format) in [
        ("200k-line hosts", names::hosts(200_000), Format::Hosts),
        ("100k-line adblock", names::adblock(100_000), Format::Adblock),
    ] {
        let started = Instant::now();
        black_box(self::rules(&text, format));
        say(format!("parse {what:<17}{:>8.0} ms", millis(started)));
    }
    let parts = split(&text, 60);
    lookups("60 lists", &self::policy(parts, vec![]), count);
    let groups = (0..200u8).map(|number| group(number, 100)).collect();
    lookups("200 groups", &self::policy(vec![rules.clone()], groups), count);
    let mut random = Random::new(9);
    let patterns: String = (0..1000)
        .map(|number| match number % 4 {
            0 => format!("/^{}[0-9]+\\./\n", names::label(&mut random)),
            1 => format!("*{}*.example\n", names::label(&mut random)),
            2 => format!("||{}*.{}^\n", names::label(&mut random), names::label(&mut random)),
            _ => format!("/{}\\.(com|net)$/\n", names::label(&mut random)),
        })
        .collect();
    let patterns = self::rules(&patterns, Format::Adblock);
    lookups("1000 patterns", &self::policy(vec![rules, patterns], vec![]), count);
}

/// Times hits, misses and deep misses.
fn lookups(what: &str, policy: &Policy, count: usize) {
    let mut random = Random::new(1);
    let mut hits: Vec<Name> = Vec::new();
    let step = (count / ASKED).max(1);
    for serial in 0..count {
        let name = names::name(&mut random, serial);
        if serial % step == 0 && hits.len() < ASKED {
            hits.push(name.parse().expect("a name"));
        }
    }
    // In an order that has nothing to do with that of the list.
    for index in (1..hits.len()).rev() {
        hits.swap(index, random.below(index + 1));
    }
    let misses: Vec<Name> =
        (0..ASKED).map(|serial| names::name(&mut random, count + serial).parse().expect("a name")).collect();
    let deep: Vec<Name> = (0..ASKED)
        .map(|_| {
            let labels: Vec<String> = (0..8).map(|_| names::label(&mut random)).collect();
            labels.join(".").parse().expect("a name")
        })
        .collect();
    for (kind, names) in [("hit", &hits), ("miss", &misses), ("deep miss", &deep)] {
        // One after the other in wire form, and read like packets: a name asked is in the processor's cache.
        let wire: Vec<u8> = names.iter().flat_map(|name| name.as_wire().iter().copied()).collect();
        let alone = |names: &[Name]| {
            for name in names {
                black_box(policy.on_question(black_box(&asking(name))));
            }
        };
        let mut foreseen = [Foreseen::NOTHING; BATCH];
        let together = |names: &[Name]| {
            names.iter().zip(&mut foreseen).for_each(|(name, foreseen)| policy.foresee(name, foreseen));
            foreseen.iter_mut().for_each(|foreseen| policy.foresee_rules(foreseen));
            for (name, foreseen) in names.iter().zip(&foreseen) {
                let mut verdict = Verdict::default();
                policy.on_question_foreseen(black_box(&asking(name)), foreseen, &mut verdict);
                black_box(&verdict);
            }
        };
        let reading = nanos_a_name(&wire, |names| _ = black_box(names));
        let together = nanos_a_name(&wire, together) - reading;
        let alone = nanos_a_name(&wire, alone) - reading;
        say(format!("on_question {kind:<10} {together:>8.0} ns in batches, {alone:>4.0} ns one by one  {what}"));
    }
}

/// Does something with the names, a batch at a time; nanoseconds a name, the median of some rounds.
fn nanos_a_name(wire: &[u8], mut act: impl FnMut(&[Name])) -> f64 {
    let mut batch = [Name::ROOT; BATCH];
    median(|| {
        let (started, mut count) = (busy_nanos(), 0);
        for _ in 0..REPEATS {
            let mut at = 0;
            while at < wire.len() {
                let place = count % BATCH;
                at = batch[place].read_into(wire, at).expect("a name");
                count += 1;
                if place == BATCH - 1 {
                    act(&batch);
                }
            }
        }
        (busy_nanos() - started) / count as f64
    })
}

fn median(mut run: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..ROUNDS).map(|_| run()).collect();
    all.sort_by(f64::total_cmp);
    all[ROUNDS / 2]
}

/// The same names in so many lists.
fn split(text: &str, parts: usize) -> Vec<Arc<RuleSet>> {
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks(lines.len().div_ceil(parts)).map(|part| rules(&part.join("\n"), Format::Domains)).collect()
}

fn group(number: u8, networks: u8) -> GroupSpec {
    let net = |third| ClientKey::Net(format!("10.{number}.{third}.0/24").parse().expect("a network"));
    GroupSpec {
        name: format!("g{number}"),
        clients: (0..networks).map(net).collect(),
        tags: vec![],
        programs: BTreeMap::new(),
        services: BTreeMap::new(),
        schedule: None,
    }
}

/// What this thread has run, in nanoseconds: other work on the machine doesn't count.
fn busy_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0.0)
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn say(text: String) {
    println!("{text}");
}
