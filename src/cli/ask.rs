//! `cleandns query` and `cleandns health`: questions to the running server, over DNS itself.

use super::{
    Failure, Outcome, say, say_json,
    wire_client::{Asking, exchange, reachable},
};
use crate::{
    config::Config,
    dns::{Name, Rcode, RrType, Section, extended_error, read_records},
};
use std::{net::SocketAddr, time::Instant};

/// How to ask.
pub struct Options {
    pub tcp: bool,
    pub dnssec: bool,
    pub cd: bool,
}

/// Asks and prints the response as dig would.
pub fn ask(config: &Config, name: &str, rr_type: &str, options: Options) -> Outcome {
    let usage = |text: &str, error: &dyn std::fmt::Display| Failure::Usage(format!("`{text}`: {error}"));
    let name: Name = name.parse().map_err(|error| usage(name, &error))?;
    let rr_type: RrType = rr_type.parse().map_err(|error| usage(rr_type, &error))?;
    let server = server(config)?;
    let asked = Instant::now();
    let asking = Asking { name, rr_type, dnssec: options.dnssec, cd: options.cd };
    let response = exchange(server, &asking, options.tcp).map_err(|error| no_answer(server, &error))?;
    let millis = asked.elapsed().as_secs_f64() * 1e3;
    print(&response)?;
    say(format!(";; {millis:.1} ms, {} octets, from {server}\n", response.len()));
    Ok(())
}

/// Asks what every cleandns answers by itself.
pub fn health(config: &Config, json: bool) -> Outcome {
    let server = server(config)?;
    let name = "localhost".parse().map_err(|error: crate::dns::NameError| Failure::Other(error.to_string()))?;
    let asking = Asking { name, rr_type: RrType::A, dnssec: false, cd: false };
    exchange(server, &asking, false).map_err(|error| no_answer(server, &error))?;
    if json {
        return say_json(&serde_json::json!({ "server": server, "answers": true }));
    }
    say(format!("{server} answers\n"));
    Ok(())
}

fn server(config: &Config) -> Result<SocketAddr, Failure> {
    let address = config.listen.do53.first().ok_or_else(|| Failure::Configuration("listen.do53 is empty".into()))?;
    Ok(reachable(*address))
}

fn no_answer(server: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::Other(format!("no answer from {server} ({error}); is `cleandns serve` running with this configuration?"))
}

fn print(response: &[u8]) -> Outcome {
    let damaged = |error: crate::dns::ReadError| Failure::Other(format!("the response is damaged: {error}"));
    let records = read_records(response).map_err(damaged)?;
    let flags = [
        (2, 0x80, "qr"),
        (2, 0x04, "aa"),
        (2, 0x02, "tc"),
        (2, 0x01, "rd"),
        (3, 0x80, "ra"),
        (3, 0x20, "ad"),
        (3, 0x10, "cd"),
    ];
    let set: Vec<&str> = flags.iter().filter(|(at, bit, _)| response[*at] & bit != 0).map(|(.., name)| *name).collect();
    say(format!(";; {}; flags: {}\n", Rcode(u16::from(response[3] & 0x0f)), set.join(" ")));
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
