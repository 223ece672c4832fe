//! Speaks with a ClickHouse server by HTTP, and understands what it says when it refuses.

use crate::config::ClickHouse;
use std::{
    io::Read,
    time::{Duration, Instant},
};
use ureq::{Agent, Body, RequestBuilder, http::Response, typestate::WithBody};

/// Octets of an answer that are read, where it isn't a report.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Characters of a refusal that are told: it may go on with pages of what was sent.
const WHY_CHARS_MAX: usize = 300;
/// A connection that was idle for longer is not used again: the server closes it after three seconds.
const IDLE_MAX: Duration = Duration::from_secs(2);
/// How long a report waits for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long it waits for the next rows, the first among them, for which all must be summed up.
const ROWS_WITHIN: Duration = Duration::from_secs(600);

/// Codes of errors that lie in the data: the same data meets them again. By ClickHouse's `ErrorCodes.cpp`: text,
/// quotes, escapes, input, dates, times, numbers, arrays, types, syntax, bounds, values, NULL.
const CODES_OF_DATA: [u32; 19] = [6, 25, 26, 27, 33, 38, 41, 53, 62, 69, 70, 72, 117, 130, 131, 321, 349, 441, 467];
/// Codes for no such table, and no such database.
const CODES_OF_ABSENCE: [u32; 2] = [60, 81];
/// What the server says if the table is an older one, with one of `CODES_OF_DATA`.
const OLD_TABLE: &str = "Unknown field";
/// The request is longer than whoever stands in between lets pass.
const STATUS_TOO_LONG: u16 = 413;
/// What came was not answered in time, says the server or whoever stands in between.
const STATUSES_OF_TIME: [u16; 2] = [408, 504];
/// Codes for the same: a statement that takes too long, and a request that comes too slowly.
const CODES_OF_TIME: [u32; 2] = [159, 209];

/// Why something wasn't done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing came back, or not in time. What was sent may have arrived.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// It wasn't done in time, and less of it might have been. What was sent may have arrived.
    #[error("it takes too long: {0}")]
    Late(String),
    /// What answers there is something else, such as a page to log in at: what was sent has not arrived.
    #[error("what answers there is no ClickHouse server; check the url, and what stands in between: {0}")]
    Foreign(String),
    /// The data is at fault.
    #[error("it can't read this: {0}")]
    Rejected(String),
    /// There is no such table or database.
    #[error("the tables are not there: {0}")]
    Absent(String),
    /// A migration of that number is left to whoever made the tables.
    #[error(
        "queries is a Distributed table, so migration {0} is yours to make: alter the tables that it reads on each machine, \
         then queries, and note number {0} in migrations (config/clickhouse/README.md, \"Several machines\")"
    )]
    Distributed(u32),
    /// It can't or won't now: a password, a right, room, its own trouble.
    #[error("it refuses: {0}")]
    Refused(String),
}

/// A server, and who asks it.
pub(super) struct Server {
    agent: Agent,
    url: String,
    database: String,
    user: String,
    password: String,
}

impl Server {
    pub fn new(config: &ClickHouse) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // Nobody else shall get the password.
            .max_redirects(0)
            .proxy(None)
            .max_idle_age(IDLE_MAX)
            .user_agent(concat!("cleandns/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let ClickHouse { url, database, user, password, .. } = config.clone();
        Self { agent, url, database, user, password }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database, whose name has letters, digits and `_` alone.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Inserts lines of JSON into a table, and returns when they are there.
    pub fn insert(&self, table: &str, lines: &[u8], until: Instant) -> Result<(), Failure> {
        let statement = format!("INSERT INTO {table} FORMAT JSONEachRow");
        let request = self.request().query("database", &self.database).query("query", statement);
        silence(&answer(within(request, until)?.send(lines))?)
    }

    /// Has a statement done that returns nothing, in the database or, to make it, in none.
    pub fn run(&self, statement: &str, is_in_database: bool, until: Instant) -> Result<(), Failure> {
        let request = self.request();
        let request = if is_in_database { request.query("database", &self.database) } else { request };
        silence(&answer(within(request, until)?.send(statement))?)
    }

    /// Asks for numbers, which come one a line.
    pub fn numbers(&self, statement: &str, until: Instant) -> Result<Vec<u32>, Failure> {
        let text = answer(within(self.request().query("database", &self.database), until)?.send(statement))?;
        text.lines().map(|line| line.trim().parse().map_err(|_| Failure::Foreign(told(&text)))).collect()
    }

    /// Asks, and gives what comes as it comes.
    pub fn read(&self, statement: &str) -> Result<impl Read + use<>, Failure> {
        let request = self
            .request()
            .query("database", &self.database)
            .config()
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_per_read(Some(ROWS_WITHIN))
            .build();
        let mut response = request.send(statement).map_err(unreachable)?;
        if response.status() != 200 {
            let text = text(&mut response)?;
            return Err(refusal(response.status().as_u16(), &text));
        }
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    fn request(&self) -> RequestBuilder<WithBody> {
        let request = self.agent.post(&self.url);
        if self.user.is_empty() {
            return request;
        }
        let request = request.header_raw("X-ClickHouse-User", self.user.as_bytes());
        request.header_raw("X-ClickHouse-Key", self.password.as_bytes())
    }
}

/// The request with the time that is left for it.
fn within(request: RequestBuilder<WithBody>, until: Instant) -> Result<RequestBuilder<WithBody>, Failure> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Failure::Late("no time is left".to_owned()));
    }
    Ok(request.config().timeout_global(Some(left)).build())
}

fn answer(response: Result<Response<Body>, ureq::Error>) -> Result<String, Failure> {
    let mut response = response.map_err(unreachable)?;
    let text = text(&mut response)?;
    match response.status().as_u16() {
        // It may find that something is wrong when it has said that all is well.
        200 if code(&text).is_none() => Ok(text),
        status => Err(refusal(status, &text)),
    }
}

fn text(response: &mut Response<Body>) -> Result<String, Failure> {
    let mut octets = Vec::new();
    let read = response.body_mut().as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut octets);
    read.map_err(|error| unreachable(ureq::Error::from(error)))?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// What is done without a result is done without a word: anything else comes from somebody else, who says 200 too.
pub(super) fn silence(text: &str) -> Result<(), Failure> {
    if text.trim().is_empty() { Ok(()) } else { Err(Failure::Foreign(told(text))) }
}

fn unreachable(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::Late("it doesn't answer in time".to_owned()),
        ureq::Error::Io(error) => Failure::Unreachable(error.to_string()),
        other => Failure::Unreachable(other.to_string()),
    }
}

/// As much of a text as is told.
fn told(text: &str) -> String {
    text.trim().chars().take(WHY_CHARS_MAX).collect()
}

/// What a refusal means. The server's own code counts, since its status says 500 of bad data too.
fn refusal(status: u16, text: &str) -> Failure {
    let told = told(text);
    let why = if told.is_empty() { format!("HTTP status {status}") } else { told };
    match code(text) {
        Some(code) if CODES_OF_ABSENCE.contains(&code) => Failure::Absent(why),
        Some(code) if CODES_OF_DATA.contains(&code) && !text.contains(OLD_TABLE) => Failure::Rejected(why),
        Some(code) if CODES_OF_TIME.contains(&code) => Failure::Late(why),
        None if status == STATUS_TOO_LONG => Failure::Rejected(why),
        None if STATUSES_OF_TIME.contains(&status) => Failure::Late(why),
        _ => Failure::Refused(why),
    }
}

/// The code in `Code: 60, e.displayText() = …` or `Code: 60. DB::Exception: …`.
pub(super) fn code(text: &str) -> Option<u32> {
    let rest = text.trim_start().strip_prefix("Code: ")?;
    rest.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_codes() {
        for (status, text, expected) in [
            (400, "Code: 26, e.displayText() = DB::Exception: Cannot parse JSON string", "Rejected"),
            (500, "Code: 27, e.displayText() = DB::Exception: Cannot parse input", "Rejected"),
            (400, "Code: 27. DB::ParsingException: Cannot parse input (CANNOT_PARSE_INPUT)", "Rejected"),
            (400, "Code: 62, e.displayText() = DB::Exception: Syntax error", "Rejected"),
            (413, "<html>too large", "Rejected"),
            (
                500,
                "Code: 117, e.displayText() = DB::Exception: Unknown field found while parsing JSONEachRow",
                "Refused",
            ),
            (404, "Code: 60, e.displayText() = DB::Exception: Table t1.q2 doesn't exist.", "Absent"),
            (404, "Code: 81. DB::Exception: Database nodb does not exist", "Absent"),
            (401, "Code: 193, e.displayText() = DB::Exception: Wrong password for user writer", "Refused"),
            (403, "Code: 516. DB::Exception: default: Authentication failed", "Refused"),
            (500, "Code: 241. DB::Exception: Memory limit (total) exceeded", "Refused"),
            (500, "Code: 252. DB::Exception: Too many parts", "Refused"),
            (400, "The plain HTTP request was sent to HTTPS port", "Refused"),
            (404, "", "Refused"),
            (502, "<html>Bad gateway", "Refused"),
            (504, "<html>Gateway timeout", "Late"),
            (500, "Code: 159. DB::Exception: Timeout exceeded", "Late"),
        ] {
            let failure = format!("{:?}", refusal(status, text));
            assert!(failure.starts_with(expected), "{status} {text}: {failure}");
        }
    }
}
