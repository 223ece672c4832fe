//! What each section of the configuration means: its options, their defaults, and what may stand in them.
//!
//! One function a section, in the order of the file; what decides on queries has files of its own: `policy`,
//! `programs`, `groups`. They know the options; `reader` knows TOML, `text` and `names` the values.

use super::{
    super::{
        Cache, Config, Forward, ForwardServer, Listen, Origin, Resolve,
        reach::{NOT_PUBLIC, covered_by, open_to_the_internet},
    },
    local::read_local,
    log::read_log,
    names,
    reader::{Table, Value},
    text::{self, WrittenServer},
    world::{Base, World},
};
use ipnet::IpNet;
use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

/// A name server whose zone claims an address where nothing can be is a mistake, or an attempt to have this server ask its
/// own network on a stranger's behalf (DNS rebinding's sibling).
const DO_NOT_QUERY: [&str; 21] = NOT_PUBLIC;

/// Who is answered by default: the machine itself and private networks.
const ACCESS: [&str; 7] =
    ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"];

const LISTEN_DO53: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300);
const CACHE_BYTES: u64 = 128 << 20;
/// Room for some answers, and more than any machine it is meant for has: beyond both it is a slip of the pen.
const CACHE_BYTES_RANGE: RangeInclusive<u64> = 16 << 10..=1 << 40;
const CACHE_STALE: Duration = Duration::from_secs(86_400);

const NETWORK_EXAMPLE: &str = "\"192.168.0.0/16\"";

/// Networks of proxies: each is looked at for every address that one tells.
const PROXIES_MAX: usize = 64;

/// UDP workers: more than any machine it is meant for has cores; 5300 is a port in the wrong place.
const WORKERS_MAX: u64 = 1024;

/// Reads all sections. What is wrong is in the report behind `root`; the value is of use only if there is nothing.
pub fn read_config(root: &Table<'_>, origin: Origin, world: &World<'_>) -> Config {
    Reading { world, base: world.base(&origin), state_dir: None, secrets: RefCell::default() }.config(root, origin)
}

/// What all sections need while they are read.
pub(super) struct Reading<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) base: Base<'a>,
    pub(super) state_dir: Option<PathBuf>,
    /// Files that were read, whose text is in the configuration.
    pub(super) secrets: RefCell<Vec<PathBuf>>,
}

impl Reading<'_> {
    fn config(mut self, root: &Table<'_>, origin: Origin) -> Config {
        // Before the lists, of which it may have copies.
        self.state_dir = root.section("state", |table| self.state_dir(table));
        let state_dir = self.state_dir.clone();
        let (listen, do53) = root.section("listen", read_listen);
        let access = root.section("access", |table| read_access(table, &listen.do53));
        let policies = self.policies(root);
        let config = Config {
            origin,
            listen,
            access: access.networks,
            open: access.open,
            resolve: root.section("resolve", |table| self.resolve(table)),
            local: root.section("local", |table| read_local(table, &self.base)),
            cache: root.section("cache", read_cache),
            query_log: root.section("query_log", |table| self.query_log(table, state_dir.as_deref())),
            admin: root.section("admin", |table| self.admin(table, &do53, state_dir.as_deref())),
            state_dir,
            policy: policies.policy,
            exceptions: policies.exceptions,
            pins: Vec::new(),
            let_through: Vec::new(),
            programs: policies.programs,
            groups: policies.groups,
            process: root.section("process", |table| self.process(table)),
            log: root.section("log", read_log),
            secrets: self.secrets.take(),
        };
        refuse_later_sections(root);
        config
    }

    fn resolve(&self, table: &Table<'_>) -> Resolve {
        let validate = table.boolean("validate", true);
        let (ipv4, ipv6) = (table.boolean("ipv4", true), table.boolean("ipv6", true));
        if !ipv4 && !ipv6 {
            table.problem("ipv4 and ipv6 are both false, so no server could be asked; set one to true");
        }
        table.not_yet_list("negative_trust_anchors");
        Resolve {
            root_hints: self.optional_file(table, "root_hints"),
            trust_anchors: self.optional_file(table, "trust_anchors"),
            validate,
            ipv4,
            ipv6,
            do_not_query: networks(table, "do_not_query", &DO_NOT_QUERY),
            forwards: read_forwards(table, validate),
        }
    }

    fn state_dir(&self, table: &Table<'_>) -> Option<PathBuf> {
        match table.set_text("dir", "/var/lib/cleandns") {
            Some(value) => value.parse("", |path| self.base.written_folder(path)),
            None => self.world.state_folder(),
        }
    }

    /// The path of a file that may be left empty.
    pub(super) fn optional_file(&self, table: &Table<'_>, key: &'static str) -> Option<PathBuf> {
        table.set_text(key, "")?.parse("", |path| self.base.find_file(path))
    }
}

/// `[listen]`, and where each address of `do53` stands, if it isn't the default.
fn read_listen<'a>(table: &Table<'a>) -> (Listen, Vec<(Option<Value<'a>>, SocketAddr)>) {
    for key in ["dot", "doh", "doq"] {
        table.not_yet_list(key);
    }
    let workers = table.integer("workers", 0, 0..=WORKERS_MAX) as usize;
    let proxies = table.value("proxy_protocol_from").map(|value| proxies(&value)).unwrap_or_default();
    let Some(value) = table.value("do53") else {
        return (Listen { do53: vec![LISTEN_DO53], workers, proxies }, vec![(None, LISTEN_DO53)]);
    };
    if value.is_empty_list() {
        value.problem(format!("there is no address, so nobody could ask; write do53 = [\"{LISTEN_DO53}\"]"));
    }
    let addresses = value.parse_list("\"127.0.0.1:53\"", text::listen_address);
    let do53: Vec<SocketAddr> = addresses.iter().map(|&(_, address)| address).collect();
    for (index, (element, address)) in addresses.iter().enumerate() {
        // Port 0 is a new port each time.
        if address.port() != 0 && do53[..index].contains(address) {
            element.problem(format!("{address} stands there twice; remove one"));
        } else if let Some(wide) = covered_by(*address, &do53) {
            element.problem(format!("{wide} covers {address} already; remove one"));
        }
    }
    (
        Listen { do53, workers, proxies },
        addresses.into_iter().map(|(element, address)| (Some(element), address)).collect(),
    )
}

/// What `[access]` says.
struct Access {
    networks: Vec<IpNet>,
    open: bool,
}

/// `[access]`; strangers are answered only by who says that it is meant.
fn read_access(table: &Table<'_>, listen: &[SocketAddr]) -> Access {
    let open = table.boolean("i_know_this_is_open", false);
    let Some(value) = table.value("allow") else { return Access { networks: written_here(&ACCESS), open } };
    if value.is_empty_list() {
        value.warn("answers nobody: every client is refused; write the networks of your clients");
    }
    let elements = value.parse_list(NETWORK_EXAMPLE, text::network);
    let networks: Vec<IpNet> = elements.iter().map(|&(_, network)| network).collect();
    match open_to_the_internet(listen, &networks) {
        Some(_) if open => {}
        Some(found) => value.problem(found.told()),
        None => {
            for (element, network) in elements.iter().filter(|(_, network)| network.prefix_len() == 0 && !open) {
                element.warn(format!(
                    "{network} answers anybody on the Internet who can reach this server, and makes it a tool for \
                     attacks on others; write the networks of your clients"
                ));
            }
        }
    }
    Access { networks, open }
}

/// The `[[resolve.forward]]` tables.
fn read_forwards(table: &Table<'_>, validate: bool) -> Vec<Forward> {
    let mut zones = Vec::new();
    let forwards = table.sections("forward", |table| {
        let zone = table.value("zone");
        if zone.is_none() {
            table.missing("zone", "a forward needs a zone; write zone = \"corp.example\", or \".\" for every name");
        }
        let zone = zone.and_then(|value| {
            let zone = value.parse("corp.example", names::name)?;
            if zones.contains(&zone) {
                value.problem(format!("{zone} is forwarded already; put all its servers into one [[resolve.forward]]"));
            }
            zones.push(zone);
            Some(zone)
        });
        // Private zones are rarely signed, and the world's root knows nothing of them.
        let default = zone.is_some_and(|zone| zone.is_root()) && validate;
        let (servers, validate) = (read_servers(table), table.boolean("validate", default));
        Some(Forward { zone: zone?, servers, validate })
    });
    forwards.into_iter().flatten().flatten().collect()
}

fn read_servers(table: &Table<'_>) -> Vec<ForwardServer> {
    const EXAMPLE: &str = "\"udp://10.0.0.1\"";
    let value = table.value("servers");
    match &value {
        None => table.missing("servers", format!("a forward needs a server; write servers = [{EXAMPLE}]")),
        Some(value) if value.is_empty_list() => {
            value.problem(format!("a forward needs a server; write servers = [{EXAMPLE}]"));
        }
        Some(_) => {}
    }
    let servers = value.map(|value| value.parse_list(EXAMPLE, text::forward_server)).unwrap_or_default();
    let plain = |(element, server): (Value<'_>, WrittenServer)| match server {
        WrittenServer::Plain(server) => Some(server),
        WrittenServer::Encrypted => {
            element.problem("tls, https and quic are not yet supported by this version; write udp:// or tcp://");
            None
        }
    };
    servers.into_iter().filter_map(plain).collect()
}

fn read_cache(table: &Table<'_>) -> Cache {
    let bytes = table.value("size").and_then(|value| {
        let bytes = value.size()?;
        if !CACHE_BYTES_RANGE.contains(&bytes) {
            value.problem("is out of range; write \"16 KiB\" to \"1 TiB\"");
        }
        Some(bytes)
    });
    Cache {
        bytes: bytes.unwrap_or(CACHE_BYTES),
        stale: table.parse("stale", CACHE_STALE, "1d", text::duration),
        prefetch: table.boolean("prefetch", true),
        save: table.boolean("save", false),
    }
}

/// Sections that are part of the contract and belong to later versions.
fn refuse_later_sections(root: &Table<'_>) {
    root.section("tls", |table| ["cert", "key"].map(|key| table.not_yet_text(key)));
}

/// Networks of proxies that are believed when they say whom they speak for.
pub(super) fn proxies(value: &Value<'_>) -> Vec<IpNet> {
    let networks = value.parse_list("\"10.0.0.7\"", text::network);
    if let Some((beyond, _)) = networks.get(PROXIES_MAX) {
        beyond.problem(format!("there are more than {PROXIES_MAX}; write the network that they are in"));
    }
    for (element, network) in networks.iter().filter(|(_, network)| network.prefix_len() == 0) {
        element.problem(format!(
            "{network} is everybody, who could say to be anybody; write the addresses of your proxies"
        ));
    }
    networks.into_iter().map(|(_, network)| network).collect()
}

/// Networks, or else those of `default`.
fn networks(table: &Table<'_>, key: &'static str, default: &[&str]) -> Vec<IpNet> {
    let Some(value) = table.value(key) else { return written_here(default) };
    value.parse_list(NETWORK_EXAMPLE, text::network).into_iter().map(|(_, network)| network).collect()
}

/// Networks of this file's own constants.
fn written_here(networks: &[&str]) -> Vec<IpNet> {
    networks.iter().map(|network| network.parse().expect("the constants above are networks")).collect()
}
