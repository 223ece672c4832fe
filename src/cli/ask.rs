//! `cleandns query` and `cleandns health`: questions to the running server, over DNS itself.

use super::{
    Failure, Outcome, http, say, say_json,
    to_ask::Asked,
    warn,
    wire_client::{Asking, Server, WAIT, exchange},
};
use crate::{
    config::Config,
    dns::{Name, NameError, Rcode, Record, RrType, Section, extended_error, read_records},
    query::HEALTH_NAME,
};
use serde::Serialize;
use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

/// How long a server may take to answer `health`, at one place or two: with what it says of itself (`http`) less than the
/// three seconds after which orchestrators end a probe, and nobody hears why.
const WELL_WITHIN: Duration = Duration::from_secs(2);

/// How to ask.
pub struct Options {
    pub tcp: bool,
    pub dnssec: bool,
    pub cd: bool,
    pub json: bool,
}

/// A response, as JSON.
#[derive(Serialize)]
struct Answered {
    server: SocketAddr,
    name: String,
    #[serde(rename = "type")]
    rr_type: String,
    rcode: String,
    /// Those that are set: `qr`, `aa`, `tc`, `rd`, `ra`, `ad`, `cd`.
    flags: Vec<&'static str>,
    /// Extended DNS Error (RFC 8914).
    ede: Option<Ede>,
    answer: Vec<Shown>,
    authority: Vec<Shown>,
    milliseconds: f64,
    octets: usize,
}

#[derive(Serialize)]
struct Ede {
    code: u16,
    text: String,
}

/// A record; its data as a zone file has it.
#[derive(Serialize)]
struct Shown {
    name: String,
    ttl: u32,
    #[serde(rename = "type")]
    rr_type: String,
    data: String,
}

impl Shown {
    fn of(record: &Record) -> Self {
        // Owner, TTL, class, type, data.
        let data = record.to_string().splitn(5, '\t').nth(4).unwrap_or_default().to_owned();
        Self { name: record.owner.to_string(), ttl: record.ttl, rr_type: record.rr_type.to_string(), data }
    }
}

/// Asks and prints the response as dig would.
pub fn ask(config: &Config, name: &str, rr_type: &str, options: Options) -> Outcome {
    let usage = |text: &str, error: &dyn std::fmt::Display| Failure::Usage(format!("`{text}`: {error}"));
    let name: Name = name.parse().map_err(|error| usage(name, &error))?;
    let rr_type: RrType = rr_type.parse().map_err(|error| usage(rr_type, &error))?;
    let to = Server::of(config, WAIT).ok_or_else(nowhere)?;
    let (server, asked) = (to.address, Instant::now());
    let asking = Asking { name, rr_type, dnssec: options.dnssec, cd: options.cd };
    let response = exchange(&to, &asking, options.tcp).map_err(|error| no_answer(&to.why_silent(&error)))?;
    let millis = asked.elapsed().as_secs_f64() * 1e3;
    if options.json {
        let records = read_records(&response).map_err(damaged)?;
        let of = |wanted| {
            let own = records.iter().filter(move |(section, _)| *section == wanted);
            own.map(|(_, record)| Shown::of(record)).collect()
        };
        return say_json(&Answered {
            server,
            name: name.to_string(),
            rr_type: rr_type.to_string(),
            rcode: rcode(&response).to_string(),
            flags: flags(&response),
            ede: extended_error(&response).map(|error| Ede { code: error.code, text: error.text }),
            answer: of(Section::Answer),
            authority: of(Section::Authority),
            milliseconds: (millis * 1e3).round() / 1e3,
            octets: response.len(),
        });
    }
    print(&response)?;
    say(format!(";; {millis:.1} ms, {} octets, from {server}\n", response.len()));
    Ok(())
}

/// What `health` found of a running server.
#[derive(Serialize, Default)]
struct Found {
    /// Where it was asked first; `None`: nothing says where.
    server: Option<SocketAddr>,
    /// Where it answers.
    #[serde(skip)]
    servers: Vec<SocketAddr>,
    answers: bool,
    /// What it says of itself at `/readyz`, and where; `None`: it has no HTTP, that doesn't answer, or it wasn't asked.
    readyz: Option<http::Ready>,
    /// Why it is not well; `None`: it is.
    why: Option<String>,
}

/// Asks the running server what every cleandns answers by itself and, unless it is enough that it is `live`, what it says
/// of itself.
pub fn health(asked: Result<Asked, Failure>, live: bool, json: bool) -> Outcome {
    let mut found = Found::default();
    let outcome = asked.and_then(|asked| {
        found.server = Server::of(&asked.config, WAIT).map(|server| server.address);
        look(&asked, live, &mut found)
    });
    if json {
        found.why = outcome.as_ref().err().map(|failure| failure.text().to_owned());
        say_json(&found)?;
        // It is told.
        return outcome.map_err(|failure| match failure {
            Failure::Configuration(_) => Failure::Configuration(String::new()),
            _ => Failure::Other(String::new()),
        });
    }
    outcome?;
    found.servers.iter().for_each(|server| say(format!("{server} answers\n")));
    found.readyz.iter().for_each(|ready| say(format!("{ready}\n")));
    Ok(())
}

fn look(asked: &Asked, live: bool, found: &mut Found) -> Outcome {
    let within = if asked.or.is_some() { WELL_WITHIN / 2 } else { WELL_WITHIN };
    let (config, servers) = match (answers(&asked.config, within), &asked.or) {
        (Ok(servers), _) => (&asked.config, servers),
        (Err(Silent { anywhere: false, failure }), Some(or)) => {
            (or, answers(or, within).map_err(|silent| if silent.anywhere { silent.failure } else { failure })?)
        }
        (Err(silent), _) => return Err(silent.failure),
    };
    (found.server, found.servers, found.answers) = (servers.first().copied(), servers, true);
    if live {
        return Ok(());
    }
    // DNS is what people depend on. That the pages don't answer is told, and no reason to end a server that does.
    found.readyz = http::ready(config).unwrap_or_else(|why| {
        warn(&why);
        None
    });
    match found.readyz.as_ref().filter(|ready| !ready.serves) {
        Some(ready) => Err(Failure::Other(format!("{} answers, but {ready}", listed(&found.servers)))),
        None => Ok(()),
    }
}

/// A server that doesn't answer everywhere.
struct Silent {
    /// It answers somewhere.
    anywhere: bool,
    failure: Failure,
}

/// The server's addresses, if it answers at each of them. All are asked at once.
fn answers(config: &Config, within: Duration) -> Result<Vec<SocketAddr>, Silent> {
    let nowhere_at_all = |failure| Silent { anywhere: false, failure };
    let name = HEALTH_NAME.parse().map_err(|error: NameError| Failure::Other(error.to_string()));
    let name: Name = name.map_err(nowhere_at_all)?;
    let all = Server::all(config, within);
    if all.is_empty() {
        return Err(nowhere_at_all(nowhere()));
    }
    let ask = |server: &Server| {
        let asking = Asking { name, rr_type: RrType::A, dnssec: false, cd: false };
        exchange(server, &asking, false).map(drop)
    };
    let answers: Vec<io::Result<()>> = thread::scope(|scope| {
        let asking: Vec<_> = all.iter().map(|server| scope.spawn(|| ask(server))).collect();
        let broken = |_| Err(io::ErrorKind::Other.into());
        asking.into_iter().map(|one| one.join().unwrap_or_else(broken)).collect()
    });
    let found: Vec<_> = all.iter().zip(answers).collect();
    let answering: Vec<SocketAddr> =
        found.iter().filter(|(_, answer)| answer.is_ok()).map(|(server, _)| server.address).collect();
    let silent = found.iter().filter_map(|(server, answer)| Some((server, answer.as_ref().err()?)));
    // A listener for every address says nothing of whether this machine has any of that family.
    let is_missing =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::NetworkUnreachable);
    let silent = silent.filter(|(server, error)| {
        answering.is_empty() || !(server.address.ip() == Ipv6Addr::LOCALHOST && is_missing(error))
    });
    let silent: Vec<String> = silent.map(|(server, error)| server.why_silent(error)).collect();
    match (silent.is_empty(), answering.is_empty()) {
        (true, _) => Ok(answering),
        (false, true) => Err(nowhere_at_all(no_answer(&silent.join(", ")))),
        (false, false) => {
            let told = format!("no answer from {}, while {} answers", silent.join(", "), listed(&answering));
            Err(Silent { anywhere: true, failure: Failure::Other(told) })
        }
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn nowhere() -> Failure {
    Failure::Configuration("listen.do53 is empty".into())
}

fn no_answer(who: &str) -> Failure {
    Failure::Other(format!("no answer from {who}; is `cleandns serve` running with this configuration?"))
}

fn print(response: &[u8]) -> Outcome {
    let records = read_records(response).map_err(damaged)?;
    say(format!(";; {}; flags: {}\n", rcode(response), flags(response).join(" ")));
    if let Some(ede) = extended_error(response) {
        say(format!(";; EDE {}: {}\n", ede.code, ede.text));
    }
    for (section, title) in [(Section::Answer, "answer"), (Section::Authority, "authority")] {
        let mut own = records.iter().filter(|(of, _)| *of == section).map(|(_, record)| record).peekable();
        if own.peek().is_some() {
            say(format!(";; {title}\n"));
        }
        own.for_each(|record| say(format!("{record}\n")));
    }
    Ok(())
}

fn damaged(error: crate::dns::ReadError) -> Failure {
    Failure::Other(format!("the response is damaged: {error}"))
}

fn rcode(response: &[u8]) -> Rcode {
    Rcode(u16::from(response[3] & 0x0f))
}

/// The flags that are set.
fn flags(response: &[u8]) -> Vec<&'static str> {
    let flags = [
        (2, 0x80, "qr"),
        (2, 0x04, "aa"),
        (2, 0x02, "tc"),
        (2, 0x01, "rd"),
        (3, 0x80, "ra"),
        (3, 0x20, "ad"),
        (3, 0x10, "cd"),
    ];
    flags.iter().filter(|(at, bit, _)| response[*at] & bit != 0).map(|(.., name)| *name).collect()
}
