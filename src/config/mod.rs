//! What the program is told to do: plain, checked values. How they are written is `file`'s business.

mod admin;
mod dnstap_target;
mod file;
mod following;
pub mod foreign;
mod moment;
pub mod overlay;
mod reach;
mod recording;
mod report;
pub mod rights;
mod schema;
pub mod token;

pub use admin::{Admin, AdminTls, ClientNames, TOKEN_FILE_NAME};
pub use dnstap_target::{DnstapTarget, DnstapTargetError};
pub use file::{
    CONFIG_PATH, ConfigFiles, Embedded, Examined, KeptLists, Loaded, Shown, ToAsk, WORD_BYTES_MAX, World, asked_name,
    duration, end_of_day, examine, exception_name, files_of, folder_of, is_part, load, name, read, show, to_ask,
    unknown,
};
pub use following::Following;
pub use moment::{moment, moment_or_ago};
pub use reach::{Open, open_to_the_internet};
pub use recording::{ClickHouse, Dnstap, JsonLines, JsonTarget, Privacy, QueryLog};
pub use report::{Problem, Problems};
pub use schema::schema;

use crate::{
    dns::{Name, Record},
    policy::{
        BlockAnswer, ClientKey, Mode, Schedule, Zone,
        parse::{Extent, Format},
    },
};
use ipnet::IpNet;
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

/// Everything that can be configured, valid as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it was read from.
    pub origin: Origin,
    pub listen: Listen,
    /// Networks whose clients are answered.
    pub access: Vec<IpNet>,
    /// The owner knows that strangers are answered.
    pub open: bool,
    pub resolve: Resolve,
    pub local: Local,
    pub cache: Cache,
    /// Folder for what outlives a restart; `None`: nothing does.
    pub state_dir: Option<PathBuf>,
    pub policy: Policy,
    pub exceptions: Vec<Exception>,
    /// Lists that are held at a version. No file of the owner's says so; an overlay does.
    pub pins: Vec<Pin>,
    /// Rules that the safety gate holds back are let through.
    pub let_through: Vec<LetThrough>,
    pub programs: Vec<Program>,
    pub groups: Vec<Group>,
    /// `None`: no HTTP at all.
    pub admin: Option<Admin>,
    pub query_log: QueryLog,
    pub process: Process,
    pub log: Log,
    /// Files besides its own whose text is in it: a token, a password.
    pub secrets: Vec<PathBuf>,
}

impl Config {
    /// True if some group is told by the hardware addresses of its clients.
    pub fn tells_clients_by_mac(&self) -> bool {
        let is_mac = |key: &ClientKey| matches!(key, ClientKey::Mac(_));
        self.groups.iter().any(|group| group.clients.iter().any(is_mac))
    }
}

/// Which file the configuration came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    File(PathBuf),
    /// The copy inside the binary, because no file was found.
    Embedded,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Addresses for DNS over UDP and TCP.
    pub do53: Vec<SocketAddr>,
    /// UDP worker threads; 0: one a core.
    pub workers: usize,
    /// Networks of those who say, in a header of the PROXY protocol, whom they ask for. Nobody else is answered there.
    pub proxies: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Resolve {
    /// A hints zone file; `None`: built in.
    pub root_hints: Option<PathBuf>,
    /// A file of DS or DNSKEY records; `None`: built in.
    pub trust_anchors: Option<PathBuf>,
    pub validate: bool,
    pub ipv4: bool,
    pub ipv6: bool,
    /// Networks that recursion never asks.
    pub do_not_query: Vec<IpNet>,
    pub forwards: Vec<Forward>,
}

/// A zone whose questions go to given servers instead of being resolved from the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    pub zone: Name,
    pub servers: Vec<ForwardServer>,
    pub validate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForwardServer {
    pub protocol: ForwardProtocol,
    pub address: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ForwardProtocol {
    /// UDP, and TCP for truncated answers.
    Udp,
    Tcp,
}

/// The owner's own names.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    pub records: Vec<Record>,
    /// Files in the format of `/etc/hosts`.
    pub hosts: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Ceiling in octets.
    pub bytes: u64,
    /// How long an answer may be given past its time.
    pub stale: Duration,
    /// Popular answers are asked for again when their time is over.
    pub prefetch: bool,
    /// Answers outlast the process.
    pub save: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Ceiling for every program.
    pub mode: Mode,
    pub block: BlockAnswer,
    pub block_ttl: Duration,
    /// A database of networks (ASN) by address; `None`: rules about them do nothing.
    pub asn_db: Option<PathBuf>,
    /// A database of countries by address; `None`: rules about them do nothing.
    pub country_db: Option<PathBuf>,
    /// Of schedules that name none, and of the days in `until`.
    pub time_zone: Zone,
}

/// What a list is called: its program, and its name among that program's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListName {
    pub program: String,
    pub list: String,
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.program, self.list)
    }
}

/// A list that is held at a version, whatever it is now.
#[derive(Clone, PartialEq, Debug)]
pub struct Pin {
    pub list: ListName,
    /// The first octets of the SHA-256 of its text.
    pub version: u64,
    pub reason: String,
    /// Where it stands, for people.
    pub place: String,
}

/// Names whose rules the safety gate lets through in one list, besides those of its `release`.
#[derive(Clone, PartialEq, Debug)]
pub struct LetThrough {
    pub list: ListName,
    pub names: Vec<Name>,
    /// Where it stands, for people.
    pub place: String,
}

/// The owner's own exception: it passes a whole answer and beats every program.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// Name, and whether it means exactly that name alone.
    pub names: Vec<(Name, Extent)>,
    /// Lists whose every rule passes.
    pub lists: Vec<ListSource>,
    /// Programs it is limited to; empty: all.
    pub programs: Vec<String>,
    /// Groups it is limited to, `DEFAULT_GROUP` being one; empty: all clients.
    pub groups: Vec<String>,
    pub reason: String,
    /// It holds before this second since 1970, the end of its last day; `None`: for good.
    pub until: Option<i64>,
    /// That day as it is written; empty: for good.
    pub until_text: String,
    /// Where it stands, as `file:line`.
    pub place: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub name: String,
    pub mode: Mode,
    /// `None`: as `[policy] block`.
    pub block: Option<BlockAnswer>,
    /// Extended DNS Error code of its blocks.
    pub ede: u16,
    pub lists: Vec<ListSource>,
    /// Modes of its services; `*` is the default for those that neither this table nor their list names.
    pub services: BTreeMap<String, Mode>,
    /// Lists whose every rule is an exception of this program.
    pub exceptions: Vec<ListSource>,
    /// Outside it the program is off; `None`: always.
    pub schedule: Option<Schedule>,
}

/// The group of all clients that no other names.
pub const DEFAULT_GROUP: &str = "default";

/// Clients with modes of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: String,
    /// None of them is in another group.
    pub clients: Vec<ClientKey>,
    /// What AdBlock's `$ctag` calls its clients.
    pub tags: Vec<String>,
    /// Modes by program.
    pub programs: BTreeMap<String, Mode>,
    /// Modes by program and service.
    pub services: BTreeMap<(String, String), Mode>,
    /// Outside it the two tables above don't apply; `None`: always.
    pub schedule: Option<Schedule>,
    /// Where it stands, as `file:line`.
    pub place: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListSource {
    pub location: Location,
    pub format: Format,
    /// Shown instead of the file's name.
    pub name: Option<String>,
    /// Overrides the list header's service.
    pub service: Option<String>,
    /// What a bare name means in the domains and hosts formats.
    pub extent: Extent,
    /// An empty list is as good as any other.
    pub allow_empty: bool,
    /// Without a usable list the program doesn't start.
    pub required: bool,
    /// What every rule of a response policy zone does instead of what it says; `None`: as given.
    pub rpz_override: Option<Override>,
    /// What happens to rules that look like accidents; `None`: held if others wrote the list, else a warning.
    pub gate: Option<Gate>,
    /// Names whose rules the gate lets through.
    pub release: Vec<Name>,
    /// How often a downloaded list is asked for.
    pub refresh: Duration,
    /// By how many percent of its rules a downloaded list may shrink or grow at once; 100: by any number.
    pub change_max: u8,
    /// Certificates (PEM) to trust when downloading; `None`: those of the public authorities.
    pub ca_file: Option<PathBuf>,
}

impl ListSource {
    /// How often a list is downloaded unless it says so.
    pub const REFRESH: Duration = Duration::from_secs(86_400);
    /// Percent by which a download may differ: lists live, but seldom halve or double overnight.
    pub const CHANGE_MAX: u8 = 50;

    /// A list of which nothing is said but where it is.
    pub fn plain(location: Location) -> Self {
        Self {
            location,
            format: Format::Auto,
            name: None,
            service: None,
            extent: Extent::Exact,
            allow_empty: false,
            required: false,
            rpz_override: None,
            gate: None,
            release: Vec::new(),
            refresh: Self::REFRESH,
            change_max: Self::CHANGE_MAX,
            ca_file: None,
        }
    }
}

/// An action instead of the one that each rule of a response policy zone has.
#[derive(Clone, PartialEq, Debug)]
pub enum Override {
    Passthru,
    NxDomain,
    NoData,
    Drop,
    TcpOnly,
    /// Matches are recorded, and nothing is done.
    Disabled,
    /// An alias to this name.
    Cname(Name),
    /// An alias to the name asked, put below this name.
    CnameBelow(Name),
}

/// What happens to a rule that covers far more than anybody means, such as a public suffix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// The rule isn't used, and that is reported.
    Hold,
    /// It is used, and that is reported.
    Warn,
    /// It is used.
    Off,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    /// One file.
    File(PathBuf),
    /// Every list file in this folder.
    Folder(PathBuf),
    /// Files or one file below this path of the copy inside the binary, such as `blocklists/clean-store`.
    Embedded(String),
    /// One list to download: `https`, with a host name.
    Url(String),
}

/// What the process gives up before it serves.
#[derive(Clone, PartialEq, Debug)]
pub struct Process {
    /// Who root becomes; `None`: it stays who it is.
    pub user: Option<String>,
    /// `None`: that user's own group.
    pub group: Option<String>,
    /// Files and system calls that a server doesn't need are out of its reach.
    pub sandbox: bool,
    /// Files and folders within its reach besides those that the rest of the configuration names.
    pub read: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// A `tracing` filter.
    pub filter: String,
    /// JSON lines instead of text.
    pub json: bool,
    /// One line a query.
    pub queries: bool,
}
