//! Files of recorded queries, one file a format. Each is read from its beginning to its end, once, in little memory.
//!
//! What can't be read is skipped with its place and a reason; what holds no query (comments, responses) is passed over.
//! Databases alone are read where they lie; of all others somebody else opened the file.

mod adguard;
mod database;
mod detect;
mod dnsperf;
mod json;
mod lines;
mod ours;
mod packet;
mod pcap;
mod pihole;
mod pihole_database;
mod recorded;
mod tap;

use crate::{
    dns::{Name, RrType},
    policy::{Link, Reached, Zone},
    query_log::Fate,
};
use detect::Detected;
use json::JsonLines;
pub use lines::{Line, Lines};
use std::{
    borrow::Cow,
    fmt,
    io::{self, BufReader, Cursor, Read},
    net::IpAddr,
    path::Path,
};

/// Octets that a format is told from.
const HEAD_BYTES: u64 = 1 << 16;
/// Octets asked of a file at once.
const READ_BYTES: usize = 1 << 18;
/// Octets that are kept of a text: no rule has as many, and no client's name. What is counted by such texts stays bounded.
const TEXT_BYTES_MAX: usize = 1024;
/// Why a message is skipped that no policy is asked about.
const NOT_JUDGED: &str = "the query is answered with an error code alone, before any policy";

/// A recorded query. A place to be filled again and again, because copies of names cost more than reading them.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Microseconds since 1970 (UTC).
    pub time: Option<i64>,
    /// `None`: the file doesn't tell the address.
    pub client: Option<IpAddr>,
    /// What the file tells of a client instead of its address: a network, a pseudonym; else empty.
    pub client_text: String,
    /// What an encrypted transport said the client is called, in lower case; else empty.
    pub client_id: String,
    /// The name of the client's group, as it was when the query was answered; empty: the file doesn't tell it.
    pub group: String,
    pub tcp: bool,
    pub name: Name,
    pub rr_type: RrType,
    /// What the answer led to, as far as it was recorded.
    pub links: Vec<Link>,
    /// Where that is from, or could be.
    pub answer: Answer,
    /// What became of it, by rules that can be asked again; `None` if the file doesn't tell.
    pub recorded: Option<Fate>,
    /// Whose rule that was.
    pub told: Told,
    /// A verdict was recorded that can't be asked again, since its rule looks at what the file doesn't tell: the strongest
    /// fate that it may have kept from being told.
    pub unaskable: Option<Fate>,
    /// What its exceptions beat.
    pub beaten: Beaten,
    /// That would, or may, have blocked the question itself.
    pub beat_on_question: bool,
    /// One of the exceptions is the owner's.
    pub by_owner: bool,
}

/// What the file tells of rules that a query's exceptions were stronger than.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Beaten {
    /// Nothing: there may have been one.
    #[default]
    Untold,
    /// There are some, and none can be asked again.
    Unaskable,
    /// One that can be asked again would block, or would if it were enforced.
    Told,
}

/// What is known of where an answer led.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Answer {
    /// What the file tells here, and there is no more to it.
    #[default]
    Told,
    /// It was resolved for this query, so the file tells all of it.
    Resolved,
    /// It came from the cache, and the file doesn't tell all of it here.
    FromCache,
    /// It came from the cache, and where it led is known from another query.
    Remembered,
}

/// The rule that a recorded verdict names. Empty texts: none, or not told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told {
    pub program: String,
    pub service: String,
    /// `list:line`, or the rule itself.
    pub rule: String,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            time: None,
            client: None,
            client_text: String::new(),
            client_id: String::new(),
            group: String::new(),
            tcp: false,
            name: Name::ROOT,
            rr_type: RrType::A,
            links: Vec::new(),
            answer: Answer::Told,
            recorded: None,
            told: Told::default(),
            unaskable: None,
            beaten: Beaten::Untold,
            beat_on_question: false,
            by_owner: false,
        }
    }
}

impl Asked {
    /// Forgets all but the name and the type, which are written over anyway.
    fn clear(&mut self) {
        (self.time, self.client, self.tcp, self.recorded) = (None, None, false, None);
        (self.unaskable, self.beaten, self.beat_on_question, self.by_owner) = (None, Beaten::Untold, false, false);
        self.client_text.clear();
        self.client_id.clear();
        self.group.clear();
        self.links.clear();
        self.answer = Answer::Told;
        self.told.clear();
    }

    /// Whether it leads to names, and to addresses, as far as is known.
    pub(super) fn tells(&self) -> [bool; 2] {
        let is_name = |link: &Link| matches!(link.what, Reached::Name(_));
        [self.links.iter().any(is_name), self.links.iter().any(|link| !is_name(link))]
    }

    /// Takes what a file tells of a client: an address, or another text.
    fn set_client(&mut self, text: &str) {
        self.client = text.parse().ok().map(|address: IpAddr| address.to_canonical());
        if self.client.is_none() {
            Bounded(&mut self.client_text).push(text);
        }
    }

    /// Takes the name of the client's group.
    fn set_group(&mut self, name: &str) {
        Bounded(&mut self.group).push(name);
    }
}

/// A text of which so much is kept as there is room for.
struct Bounded<'a>(&'a mut String);

impl Bounded<'_> {
    fn push(&mut self, text: &str) {
        let room = TEXT_BYTES_MAX.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
    }
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl Told {
    fn clear(&mut self) {
        self.program.clear();
        self.service.clear();
        self.rule.clear();
    }

    fn set(&mut self, program: &str, service: &str, rule: &str) {
        self.clear();
        Bounded(&mut self.program).push(program);
        Bounded(&mut self.service).push(service);
        Bounded(&mut self.rule).push(rule);
    }

    /// The same of a rule that stands in some line of a list.
    fn set_line(&mut self, program: &str, service: &str, list: &str, line: u32) {
        self.set(program, service, list);
        // Writing to memory doesn't fail.
        let _ = fmt::Write::write_fmt(&mut Bounded(&mut self.rule), format_args!(":{line}"));
    }
}

/// A file's queries, one after the other.
pub trait Source {
    /// Goes on by a line, a packet, a frame or a row. `asked` is filled if that was a query. An error is one of reading
    /// the file itself.
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step>;

    /// Where that was.
    fn place(&self) -> Place;

    /// True if the file ended before what was read last did. If that can't be read, the file was cut off in it.
    fn is_cut(&self) -> bool {
        false
    }

    /// Queries that the file tells of, but not one by one, so that they can't be asked: of these only sums are left.
    fn only_sums(&self) -> u64 {
        0
    }
}

/// What that was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Asked,
    /// Nothing to be asked: a comment, a response.
    Ignored,
    /// A query without RD: resolvers ask name servers so, and clients don't ask resolvers so.
    BetweenServers,
    /// It can't be read, and why.
    Skipped(Cow<'static, str>),
    /// Nor can what follows, and why. It is the end.
    Broken(Cow<'static, str>),
    End,
}

impl Step {
    fn skipped(reason: impl Into<Cow<'static, str>>) -> io::Result<Self> {
        Ok(Self::Skipped(reason.into()))
    }
}

/// Where something stands in a file, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Line(u64),
    Packet(u64),
    /// Of a stream, whose START is the first.
    Frame(u64),
    /// A row by its number in the database.
    Row(i64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Packet(number) => write!(f, "packet {number}"),
            Self::Frame(number) => write!(f, "frame {number}"),
            Self::Row(number) => write!(f, "row {number}"),
        }
    }
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Our query log as lines of JSON.
    Ours,
    /// Recorded packets: pcap or pcapng.
    Pcap,
    /// `name type` a line, as dnsperf and resperf read them.
    Dnsperf,
    /// AdGuard Home's `querylog.json`.
    Adguard,
    /// The text log of dnsmasq, and of Pi-hole, whose resolver it is.
    Pihole,
    /// A Frame Streams file of dnstap messages.
    Dnstap,
    /// A SQLite database: our query log, or Pi-hole's `pihole-FTL.db`.
    Sqlite,
}

impl Format {
    pub const ALL: [Self; 7] =
        [Self::Ours, Self::Pcap, Self::Dnsperf, Self::Adguard, Self::Pihole, Self::Dnstap, Self::Sqlite];

    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Pcap => "pcap",
            Self::Dnsperf => "dnsperf",
            Self::Adguard => "adguard",
            Self::Pihole => "pihole",
            Self::Dnstap => "dnstap",
            Self::Sqlite => "sqlite",
        }
    }

    /// What such a file consists of.
    pub fn parts(self) -> &'static str {
        match self {
            Self::Ours | Self::Dnsperf | Self::Adguard | Self::Pihole => "lines",
            Self::Pcap => "packets",
            Self::Dnstap => "frames",
            Self::Sqlite => "rows",
        }
    }
}

/// The port that queries are sent to, unless somebody says another.
pub const DNS_PORT: u16 = 53;

/// What files leave out: logs whose times have neither a year nor a zone, and captures.
#[derive(Clone, Debug)]
pub struct Around {
    /// Seconds since 1970 (UTC): nothing was recorded later.
    pub now: i64,
    pub zone: Zone,
    /// The port at which a resolver is asked in what was captured.
    pub dns_port: u16,
}

#[cfg(test)]
impl Around {
    /// As tests mostly have it.
    pub fn utc(now: i64) -> Self {
        Self { now, zone: Zone::utc(), dns_port: DNS_PORT }
    }
}

/// A file that can be read.
pub struct Opened {
    pub format: Format,
    pub source: Box<dyn Source>,
    /// It tells what became of its queries.
    pub tells_verdicts: bool,
}

/// Why a file can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("is empty")]
    Empty,
    #[error("is compressed with {0}; unpack it first, or pipe it in: `{1} FILE | cleandns replay -`")]
    Compressed(&'static str, &'static str),
    #[error(
        "is in no format that can be told from its beginning; name it with --format ({})",
        Format::ALL.map(Format::word).join(", ")
    )]
    Unknown,
    #[error("is no stream of dnstap that can be read: {0}")]
    Dnstap(String),
    #[error("a database can't be read from standard input, but only where it lies; write the path of its file")]
    DatabaseWithoutPath,
    #[error("is a database that can't be read: {0}")]
    Database(String),
    #[error("is a database, but neither our query log nor Pi-hole's: it has no table `queries` of theirs")]
    OtherDatabase,
    #[error("is no file of captured packets: {0}")]
    Pcap(String),
}

/// Makes a reader for a file, in the format given or in the one that its first octets tell. `path` is where it lies, if
/// it is a file.
pub fn open<R>(mut input: R, path: Option<&Path>, format: Option<Format>, around: &Around) -> Result<Opened, OpenError>
where
    R: Read + Send + 'static,
{
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    if head.is_empty() {
        return Err(OpenError::Empty);
    }
    let format = match (format, detect::detect(&head)) {
        // Nobody means a compressed file, whatever they call it.
        (_, Detected::Compressed(what, unpack)) => return Err(OpenError::Compressed(what, unpack)),
        (Some(format), _) | (None, Detected::Format(format)) => format,
        (None, Detected::Nothing) => return Err(OpenError::Unknown),
    };
    reader(Cursor::new(head).chain(input), path, format, around)
}

/// The reader of a format. Whoever writes another adds it here, and nowhere else.
fn reader<R>(input: R, path: Option<&Path>, format: Format, around: &Around) -> Result<Opened, OpenError>
where
    R: Read + Send + 'static,
{
    let buffered = |input| BufReader::with_capacity(READ_BYTES, input);
    let lines = |input| lines::Lines::new(buffered(input));
    let (source, tells_verdicts): (Box<dyn Source>, bool) = match format {
        Format::Ours => (Box::new(JsonLines::new(lines(input), ours::read_line)), true),
        Format::Pcap => (Box::new(pcap::Packets::new(input, around.dns_port)?), false),
        Format::Dnsperf => (Box::new(dnsperf::Dnsperf::new(lines(input))), false),
        Format::Adguard => (Box::new(JsonLines::new(lines(input), adguard::read_line)), true),
        Format::Pihole => (Box::new(pihole::Pihole::new(lines(input), around)), true),
        Format::Dnstap => {
            let taps = tap::Taps::new(buffered(input))?;
            let tells_verdicts = taps.tells_verdicts();
            (Box::new(taps), tells_verdicts)
        }
        Format::Sqlite => (database::open(path.ok_or(OpenError::DatabaseWithoutPath)?)?, true),
    };
    Ok(Opened { format, source, tells_verdicts })
}

/// Microseconds since 1970 of a time as RFC 3339 has it.
fn micros_of(text: &str) -> Option<i64> {
    utc_micros(text.as_bytes()).or_else(|| text.parse().ok().map(jiff::Timestamp::as_microsecond))
}

/// The same of `2026-11-28T21:12:44.123456Z`, as our log and others write it millions of times; `None`: it isn't just so.
fn utc_micros(text: &[u8]) -> Option<i64> {
    const FORM: [u8; 27] = *b"0000-00-00T00:00:00.000000Z";
    let text: &[u8; FORM.len()] = text.try_into().ok()?;
    let is_like = |(octet, form): (&u8, &u8)| if *form == b'0' { octet.is_ascii_digit() } else { octet == form };
    let is_formed = text.iter().zip(&FORM).fold(true, |all, pair| all & is_like(pair));
    let number = |at: std::ops::Range<usize>| text[at].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    if !is_formed {
        return None;
    }
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hour, minute, second) = (number(11..13), number(14..16), number(17..19));
    // The last days of a month, and leap seconds, are left to who knows them.
    if year < 1970 || !(1..=12).contains(&month) || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    // Years that begin in March have their odd day at the end, and months of 153 days in each five.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + number(20..26))
}

/// From the first of March of the year 0.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests;
