//! What the program is told to do: plain, checked values. How they are written is `file`'s business.

mod dnstap_target;
mod file;
mod following;
mod moment;
pub mod overlay;
mod reach;
mod recording;
mod report;
pub mod rights;
mod schema;

pub use dnstap_target::{DnstapTarget, DnstapTargetError};
pub use file::{
    CONFIG_PATH, ConfigFiles, Embedded, Examined, Loaded, Shown, ToAsk, WORD_BYTES_MAX, World, duration, end_of_day,
    examine, exception_name, files_of, folder_of, is_part, load, name, read, show, to_ask, unknown,
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
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

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

/// A list that is held at a version, whatever it is now.
#[derive(Clone, PartialEq, Debug)]
pub struct Pin {
    pub program: String,
    /// What the list is called among its program's.
    pub list: String,
    /// The first octets of the SHA-256 of its text.
    pub version: u64,
    pub reason: String,
    /// Where it stands, for people.
    pub place: String,
}

/// Names whose rules the safety gate lets through in one list, besides those of its `release`.
#[derive(Clone, PartialEq, Debug)]
pub struct LetThrough {
    pub program: String,
    /// What the list is called among its program's.
    pub list: String,
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

/// What the file of the token is called in the state folder, where no option names one and one is needed.
pub const TOKEN_FILE_NAME: &str = "token";

/// The pages and the API.
#[derive(Clone, PartialEq)]
pub struct Admin {
    pub listen: SocketAddr,
    /// Host names by which it is asked, besides addresses and `localhost`; in small letters.
    pub names: Vec<String>,
    /// Who shows it as `Authorization: Bearer` may change things.
    pub token: Option<String>,
    /// Where that token is; a start makes one that isn't there. `None`: none is asked for.
    pub token_file: Option<PathBuf>,
    /// Who shows this one may look.
    pub read_token: Option<String>,
    /// Names, roles and passwords.
    pub users_file: Option<PathBuf>,
    /// `None`: plain HTTP.
    pub tls: Option<AdminTls>,
    /// The owner knows that passwords cross the network in the clear.
    pub insecure: bool,
    /// The audit log; `None`: in the state folder, if there is one.
    pub audit: Option<PathBuf>,
    pub client_names: ClientNames,
    /// Networks of proxies that are believed when they say whom a request is from.
    pub trusted_proxies: Vec<IpNet>,
}

/// Who is asked what clients are called, besides the owner's own records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientNames {
    /// Nobody.
    Own,
    /// Those to whom the owner forwards the zones that their addresses are in.
    Forwarded,
    /// Whoever has those zones on the Internet, too.
    Any,
}

/// Files of a certificate, with those that lead to its authority, and of its key.
#[derive(Clone, PartialEq, Debug)]
pub struct AdminTls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Admin {
    /// Nothing but where to listen.
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            names: Vec::new(),
            token: None,
            token_file: None,
            read_token: None,
            users_file: None,
            tls: None,
            insecure: false,
            audit: None,
            client_names: ClientNames::Forwarded,
            trusted_proxies: Vec::new(),
        }
    }

    /// The options in which two differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let differing = [
            (self.listen != other.listen, "admin.listen"),
            ((&self.token, &self.token_file) != (&other.token, &other.token_file), "admin.token_file"),
            (self.read_token != other.read_token, "admin.read_token_file"),
            (self.users_file != other.users_file, "admin.users_file"),
            (self.tls != other.tls, "admin.tls_cert"),
            (self.names != other.names, "admin.names"),
            (self.audit != other.audit, "admin.audit"),
            (self.insecure != other.insecure, "admin.insecure"),
            (self.client_names != other.client_names, "admin.client_names"),
            (self.trusted_proxies != other.trusted_proxies, "admin.trusted_proxies"),
        ];
        differing.into_iter().filter(|(differs, _)| *differs).map(|(_, option)| option).collect()
    }

    /// Where a start makes a token, because there is none yet.
    pub fn token_to_make(&self) -> Option<&Path> {
        self.token_file.as_deref().filter(|_| self.token.is_none())
    }

    /// Whether it can be reached from other machines, and knows nobody who may change things.
    pub fn is_unguarded(&self) -> bool {
        self.is_unguarded_at(self.listen)
    }

    /// The same at another address than its own.
    pub fn is_unguarded_at(&self, address: SocketAddr) -> bool {
        self.token.is_none() && self.users_file.is_none() && !address.ip().to_canonical().is_loopback()
    }

    /// Whether secrets cross a network in the clear.
    pub fn is_in_the_clear(&self) -> bool {
        self.tls.is_none() && !self.listen.ip().to_canonical().is_loopback()
    }
}

impl fmt::Debug for Admin {
    /// Without the tokens, which must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |token: &Option<String>| token.as_ref().map(|_| "…");
        f.debug_struct("Admin")
            .field("listen", &self.listen)
            .field("names", &self.names)
            .field("token", &hidden(&self.token))
            .field("token_file", &self.token_file)
            .field("read_token", &hidden(&self.read_token))
            .field("users_file", &self.users_file)
            .field("tls", &self.tls)
            .field("insecure", &self.insecure)
            .field("audit", &self.audit)
            .field("client_names", &self.client_names)
            .field("trusted_proxies", &self.trusted_proxies)
            .finish()
    }
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
