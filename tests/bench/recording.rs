//! What recording costs those who answer: instructions a query, which are the same on a quiet machine and on a busy one.
//!
//! `cargo bench --bench recording` (needs valgrind, a Debian package). A worker's part in user space is run on one thread,
//! without sockets: read a batch, decide, find in the cache, write, count, record. What empties the rings and writes the
//! database is on threads of its own, and in `--bench query_log`.
//!
//! Of the processor time of a worker most is the system's, for receiving and sending. So the last column compares what
//! recording takes with the least that a query was seen to take of a worker: a bare UDP echo at 20,000 queries a second.

#[path = "instructions.rs"]
mod instructions;
#[path = "names.rs"]
#[expect(dead_code, reason = "the generators of lists are for the other bench")]
mod names;

use arc_swap::ArcSwapOption;
use cleandns::{
    config,
    dns::{HEADER_BYTES, Name, Rcode, Record, RrType, Transport},
    pause::Pauses,
    policy::{
        ListSpec, Policy, PolicySpec, ProgramSpec,
        parse::{Options, parse},
    },
    query::{AccessList, Asked, FORESEEN_MAX, Keeping, LocalData, Now, Pipeline, SpecialNames, Surroundings, Terms},
    query_log::{Privacy, QueryLog},
    resolve::{Resolution, Resolve, Security, Wanted},
    telemetry::Telemetry,
};
use names::Random;
use std::{
    future::Future,
    hint::black_box,
    net::IpAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

/// Queries of a round. Some rounds with their packets find room in a thread's ring, which nobody empties here.
const QUERIES: usize = 2_048;
/// Packets that come in together.
const BATCH: usize = 32;
/// Names asked; every sixth is blocked.
const NAMES: usize = 1_024;
const BLOCKED_EVERY: usize = 6;
const ROUNDS: usize = 31;
/// What a bare UDP echo takes of a worker at 20,000 queries a second, in nanoseconds of processor time: 12 to 14 us.
const ECHO_NANOS: f64 = 12_000.0;
/// What is recorded, by the word that a child is told.
const KINDS: [(&str, &str); 3] = [
    ("nothing", "nothing is recorded"),
    ("rows", "database, JSON lines or ClickHouse"),
    ("packets", "the same, and packets for dnstap"),
];

fn main() {
    match instructions::asked() {
        Some((kind, rounds)) => work(&kind, rounds),
        None => compare(),
    }
}

/// Has each kind counted, and prints what they take.
fn compare() {
    let mut first: Option<(f64, f64)> = None;
    for (kind, what) in KINDS {
        let instructions = instructions::of(kind, QUERIES).unwrap_or_else(|why| panic!("{why}"));
        let nanos = nanos(kind);
        let (bare, bare_nanos) = *first.get_or_insert((instructions, nanos));
        let more = instructions - bare;
        // At the pace of the whole, which is steadier than a difference of times.
        let more_nanos = more * bare_nanos / bare;
        say(format!(
            "{what:<36} {instructions:>6.0} instructions a query ({more:>+5.0}), {nanos:>5.0} ns in user space; recording: \
             {more_nanos:>4.0} ns, {:.2} % of a worker's time",
            100.0 * more_nanos / ECHO_NANOS
        ));
    }
}

/// Nanoseconds a query: the median.
fn nanos(kind: &str) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let mut scene = Scene::new(kind);
            scene.warm();
            scene.run();
            let begun = Instant::now();
            scene.run();
            begun.elapsed().as_secs_f64() * 1e9 / QUERIES as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// What valgrind looks at.
fn work(kind: &str, rounds: usize) {
    let mut scene = Scene::new(kind);
    scene.warm();
    (0..rounds).for_each(|_| scene.run());
    let lost: u64 = scene.telemetry.sinks().iter().filter_map(|sink| sink.queries).map(|kept| kept.dropped).sum();
    assert_eq!(lost, 0, "what has no room costs less");
}

/// A pipeline with all that it answers from.
struct Scene {
    pipeline: Pipeline,
    telemetry: Telemetry,
    packets: Vec<Vec<u8>>,
    asked: Vec<Asked>,
    responses: Vec<Vec<u8>>,
    _folder: tempfile::TempDir,
}

/// Finds the same address for every name.
struct Found;

impl Resolve for Found {
    fn resolve(&self, name: Name, rr_type: RrType, _: Wanted) -> Pin<Box<dyn Future<Output = Resolution> + Send>> {
        let record =
            Record { owner: name, rr_type, class: cleandns::dns::Class::IN, ttl: 3600, data: vec![192, 0, 2, 1] };
        let (rcode, security) = (Rcode::NOERROR, Security::Insecure);
        let (answer, authority, delegations) = (vec![record], vec![], vec![]);
        Box::pin(async move {
            Resolution { rcode, answer, authority, security, ede: None, delegations, unheard: false, server: None }
        })
    }
}

impl Scene {
    fn new(kind: &str) -> Self {
        let mut random = Random::new(1);
        let texts: Vec<String> = (0..NAMES).map(|serial| names::name(&mut random, serial)).collect();
        let policy = Arc::new(policy(texts.iter().step_by(BLOCKED_EVERY)));
        let folder = tempfile::tempdir().expect("a folder");
        let log = log(kind, folder.path());
        let telemetry = Telemetry::new(false, Privacy::new(config::Privacy::Full), log);
        telemetry.policy_comes(&policy);
        let pipeline = Pipeline::new(
            Arc::new(ArcSwapOption::new(Some(policy))),
            Terms {
                access: AccessList::new(vec!["192.0.2.0/24".parse().expect("a network")]),
                local: LocalData::new(&[]),
                special: SpecialNames::new(std::iter::empty()),
                tells_chains: false,
            },
            Arc::new(Found),
            Keeping { bytes: 64 << 20, seed: 1, stale: Duration::ZERO, refresh: false },
            Arc::new(Pauses::load(None, 0)),
            Surroundings {
                now: Arc::new(|| 1_800_000_000),
                uptime: Arc::new(|| Duration::ZERO),
                mac: Arc::new(|_| None),
                knows_macs: Arc::new(|| false),
            },
        );
        Self {
            pipeline,
            telemetry,
            packets: texts.iter().map(|name| packet(&name.parse().expect("a name"))).collect(),
            asked: (0..BATCH).map(|_| Asked::default()).collect(),
            responses: (0..BATCH).map(|_| Vec::with_capacity(1232)).collect(),
            _folder: folder,
        }
    }

    /// Has every name in the cache that isn't blocked.
    fn warm(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let Self { pipeline, packets, .. } = self;
        let mut out = Vec::with_capacity(1232);
        for packet in packets {
            let mut asked = Asked::default();
            asked.read(packet, client(0), Transport::Udp, Instant::now());
            let turn = pipeline.turn();
            pipeline.foresee(&turn, std::slice::from_mut(&mut asked), None);
            let mut record = pipeline.record(&asked);
            if let Now::Later(pending) = pipeline.answer_now(&turn, &asked, packet, None, &mut record, &mut out) {
                runtime.block_on(pipeline.answer(&pending, &mut out));
            }
        }
    }

    fn run(&mut self) {
        let Self { pipeline, telemetry, packets, asked, responses, .. } = self;
        let mut front = pipeline.front(1);
        for batch in 0..QUERIES / BATCH {
            let packets = &packets[batch * BATCH % NAMES..][..BATCH];
            black_box(answer_a_batch(pipeline, telemetry, packets, asked, responses, &mut front, batch));
        }
    }
}

/// What a UDP worker does with packets that came in together, but for the sockets.
fn answer_a_batch(
    pipeline: &Pipeline,
    telemetry: &Telemetry,
    packets: &[Vec<u8>],
    asked: &mut [Asked],
    responses: &mut [Vec<u8>],
    front: &mut cleandns::cache::Front,
    batch: usize,
) -> usize {
    let received = Instant::now();
    for (asked, packet) in asked.iter_mut().zip(packets) {
        asked.read(packet, client(batch), Transport::Udp, received);
    }
    let turn = pipeline.turn();
    let mut told = Vec::with_capacity(BATCH);
    let chunks =
        asked.chunks_mut(FORESEEN_MAX).zip(packets.chunks(FORESEEN_MAX)).zip(responses.chunks_mut(FORESEEN_MAX));
    for ((asked, packets), responses) in chunks {
        pipeline.foresee(&turn, asked, Some(front));
        for ((asked, packet), response) in asked.iter().zip(packets).zip(responses) {
            told.push(pipeline.record(asked));
            let Some(record) = told.last_mut() else { break };
            let now = pipeline.answer_now(&turn, asked, packet, Some(front), record, response);
            assert!(matches!(now, Now::Answered), "all of it is answered at once");
        }
    }
    let latency = received.elapsed();
    let mut recorder = telemetry.recorder();
    for ((record, packet), response) in told.iter_mut().zip(packets).zip(responses) {
        record.latency = latency;
        recorder.record(record, Some((packet, response)));
    }
    told.len()
}

/// The log as the configuration would have it. It never begins to write, so that its threads take no part in this.
fn log(kind: &str, folder: &Path) -> Option<Arc<QueryLog>> {
    let to = config::DnstapTarget::File(folder.join("x.dnstap"));
    let dnstap = config::Dnstap { to, bytes: 1 << 30, files: 2, client: true, resolver: false };
    let config = config::QueryLog {
        database: Some(folder.join("queries.db")),
        dnstap: (kind == "packets").then_some(dnstap),
        ..config::QueryLog::nowhere()
    };
    if kind == "nothing" {
        return None;
    }
    let (log, writing) =
        QueryLog::start(&config, &Privacy::new(config.privacy), None, Arc::default(), None).expect("a query log");
    // Its threads wait for as long as this process runs.
    std::mem::forget(writing);
    Some(log)
}

fn policy<'n>(blocked: impl Iterator<Item = &'n String>) -> Policy {
    let text = blocked.fold(String::from("#! cleandns\n"), |text, name| text + name + "\n");
    let parsed = parse(text.as_bytes(), &Options::default()).expect("a list");
    let program = ProgramSpec::enforced("clean-store");
    let list = ListSpec::of_program(0, "tiktok", "tiktok.list", parsed.rules);
    let spec = PolicySpec::of(vec![program], vec![list]);
    Policy::build(spec).expect("a policy")
}

fn client(number: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, (number % 200) as u8])
}

fn packet(name: &Name) -> Vec<u8> {
    let mut packet = vec![0; HEADER_BYTES];
    (packet[2], packet[5]) = (1, 1);
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&[0, 1, 0, 1]);
    packet
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn say(text: String) {
    println!("{text}");
}
