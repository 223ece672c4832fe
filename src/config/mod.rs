//! What the program is told to do: plain, checked values. How they are written is `file`'s business.

mod file;
mod report;

pub use file::{CONFIG_PATH, Embedded, Loaded, World, load, read};
pub use report::{Problem, Problems};

use crate::{
    dns::Name,
    policy::{
        BlockAnswer, Mode,
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
    pub resolve: Resolve,
    pub cache: Cache,
    /// Folder for last good lists; `None`: nothing is kept over a restart.
    pub state_dir: Option<PathBuf>,
    pub policy: Policy,
    pub exceptions: Vec<Exception>,
    pub programs: Vec<Program>,
    /// `None`: no HTTP at all.
    pub admin: Option<Admin>,
    pub log: Log,
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

#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Ceiling in octets.
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Ceiling for every program.
    pub mode: Mode,
    pub block: BlockAnswer,
    pub block_ttl: Duration,
}

/// The owner's own exception: it passes a whole answer and beats every program.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// Name, and whether it means exactly that name alone.
    pub names: Vec<(Name, Extent)>,
    /// Programs it is limited to; empty: all.
    pub programs: Vec<String>,
    pub reason: String,
    /// Days since 1970-01-01 of the last day it holds (UTC); `None`: for good.
    pub until_day: Option<i64>,
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
    /// How often a list with a url is downloaded.
    pub refresh: Duration,
    /// By how many percent a list's rules may become more or fewer at once.
    pub change_max: u8,
    /// What becomes of a download that changed too much.
    pub gate: Gate,
    /// Certificates of authorities, as PEM, that are trusted for the url beside the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// What becomes of what looks like a mistake in a list that others write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It is held back, and reported.
    Hold,
    /// It is obeyed, and reported.
    Warn,
    /// It is obeyed.
    Off,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    /// One file.
    File(PathBuf),
    /// Every list file in this folder.
    Folder(PathBuf),
    /// Downloaded from here.
    Url(String),
    /// Files or one file below this path of the copy inside the binary, such as `blocklists/clean-store`.
    Embedded(String),
}

#[derive(Clone, PartialEq)]
pub struct Admin {
    pub listen: SocketAddr,
    /// Asked for as `Authorization: Bearer` when set.
    pub token: Option<String>,
}

impl fmt::Debug for Admin {
    /// Without the token, which must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("Admin").field("listen", &self.listen).field("token", &token).finish()
    }
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
