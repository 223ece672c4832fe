//! What each section of the configuration means: its options, their defaults, and what may stand in them.
//!
//! One function a section, in the order of the file. It knows the options; `reader` knows TOML, `text` the values.

use super::{
    super::{
        Admin, Cache, Config, Exception, Forward, ForwardServer, Gate, ListSource, Listen, Location, Log, Origin,
        Policy, Program, Resolve,
    },
    read_bounded,
    reader::{Table, Value},
    text::{self, WrittenServer, nearest, shown},
    world::{Base, World},
};
use crate::policy::{
    BlockAnswer, Mode, PROGRAMS_MAX,
    parse::{Extent, Format},
};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

/// The programs there are when no `[[program]]` names any, each with the lists in `blocklists/<name>`. Also what
/// `mode` and `lists` default to where a `[[program]]` has one of these names.
const SHIPPED_PROGRAMS: [(&str, Mode); 2] = [("clean-store", Mode::Enforce), ("clean-apps", Mode::Enforce)];

/// Where nothing on the Internet can be. A name server whose zone claims one of these addresses is a mistake, or an
/// attempt to have this server ask its own network on a stranger's behalf (DNS rebinding's sibling).
const DO_NOT_QUERY: [&str; 21] = [
    "0.0.0.0/8",       // this network
    "10.0.0.0/8",      // private
    "100.64.0.0/10",   // shared by carriers (CGNAT)
    "127.0.0.0/8",     // loopback
    "169.254.0.0/16",  // link-local
    "172.16.0.0/12",   // private
    "192.0.0.0/24",    // protocol assignments
    "192.0.2.0/24",    // documentation: nobody legitimately runs a server there, nor in the next three
    "192.168.0.0/16",  // private
    "198.18.0.0/15",   // benchmarks
    "198.51.100.0/24", // documentation
    "203.0.113.0/24",  // documentation
    "224.0.0.0/4",     // multicast
    "240.0.0.0/4",     // class E and broadcast
    "::/128",          // unspecified
    "::1/128",         // loopback
    "::ffff:0:0/96",   // IPv4 written as IPv6, which would get round the lines above
    "2001:db8::/32",   // documentation
    "fc00::/7",        // private
    "fe80::/10",       // link-local
    "ff00::/8",        // multicast
];

/// Who is answered by default: the machine itself and private networks.
const ACCESS: [&str; 7] =
    ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"];

const LISTEN_DO53: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300);
const LISTEN_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);
const CACHE_BYTES: u64 = 128 << 20;
const BLOCK_TTL: Duration = Duration::from_secs(30);
/// Clients keep a block this long after it is lifted; beyond a day nobody means it.
const BLOCK_TTL_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// EDE code "Blocked" (RFC 8914 §4.16).
const EDE_BLOCKED: u16 = 15;
const LOG_FILTER: &str = "info,hickory_server=warn,hickory_resolver=error,hickory_net=error,hickory_proto=error";

const BLOCK: BlockAnswer = BlockAnswer::NxDomain;
// What later versions will do unless told otherwise.
const CACHE_STALE: Duration = Duration::from_secs(86_400);
const LIST_REFRESH: Duration = Duration::from_secs(86_400);
/// Percent.
const LIST_CHANGE_MAX: u8 = 50;
const QUERY_LOG_KEEP: Duration = Duration::from_secs(30 * 86_400);
const QUERY_LOG_BYTES: u64 = 1 << 30;

/// The words of `format`; those without a value belong to later versions.
const FORMATS: [(&str, Option<Format>); 10] = [
    ("auto", Some(Format::Auto)),
    ("ours", Some(Format::Ours)),
    ("domains", Some(Format::Domains)),
    ("hosts", Some(Format::Hosts)),
    ("wildcard", Some(Format::Wildcard)),
    ("adblock", None),
    ("regex", None),
    ("rpz", None),
    ("dnsmasq", None),
    ("unbound", None),
];
/// The words of `gate`.
const GATES: [(&str, Option<Gate>); 3] =
    [("hold", Some(Gate::Hold)), ("warn", Some(Gate::Warn)), ("off", Some(Gate::Off))];
/// The words of `match`.
const EXTENTS: [(&str, Option<Extent>); 2] = [("exact", Some(Extent::Exact)), ("subtree", Some(Extent::Subtree))];

const LIST_EXAMPLE: &str = "{ path = \"blocklists/clean-store\" }";
const NETWORK_EXAMPLE: &str = "\"192.168.0.0/16\"";

/// Octets of a token file: what fits into a request's header with room to spare.
const TOKEN_BYTES_MAX: u64 = 4096;
/// UDP workers: more than any machine it is meant for has cores; 5300 is a port in the wrong place.
const WORKERS_MAX: u64 = 1024;

/// Reads all sections. What is wrong is in the report behind `root`; the value is of use only if there is nothing.
pub fn read_config(root: &Table<'_>, origin: Origin, world: &World<'_>) -> Config {
    Reading { world, base: world.base(&origin) }.config(root, origin)
}

/// What all sections need while they are read.
struct Reading<'a> {
    world: &'a World<'a>,
    base: Base<'a>,
}

impl Reading<'_> {
    fn config(&self, root: &Table<'_>, origin: Origin) -> Config {
        let (listen, do53) = root.section("listen", read_listen);
        let programs = self.programs(root);
        let (policy, exceptions) = root.section("policy", |table| read_policy(table, &programs));
        let config = Config {
            origin,
            listen,
            access: root.section("access", read_access),
            resolve: root.section("resolve", |table| self.resolve(table)),
            cache: root.section("cache", read_cache),
            state_dir: root.section("state", |table| self.state_dir(table)),
            policy,
            exceptions,
            programs,
            admin: root.section("admin", |table| self.admin(table, &do53)),
            log: root.section("log", read_log),
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
            Some(value) => value.parse("", |path| self.base.folder(path)),
            None => self.world.state_folder(),
        }
    }

    fn admin(&self, table: &Table<'_>, do53: &[(Option<Value<'_>>, SocketAddr)]) -> Option<Admin> {
        let token_file = table.set_text("token_file", "/etc/cleandns/token");
        let token = token_file.as_ref().and_then(|value| value.parse("", |path| self.token(path)));
        let value = table.value("listen");
        let listen = match &value {
            Some(value) if value.text("127.0.0.1:8053")?.is_empty() => return None,
            Some(value) => value.parse("", text::listen_address)?,
            None => LISTEN_ADMIN,
        };
        // A token file that is named and can't be read is reported already.
        if let Some(value) = &value
            && !listen.ip().to_canonical().is_loopback()
            && token_file.is_none()
        {
            value.problem(format!(
                "{listen} can be reached from other machines, and anybody there could use it; set token_file, or \
                 write listen = \"127.0.0.1:{}\"",
                listen.port()
            ));
        }
        // Two can't listen at one place; port 0 is a new place each time.
        if listen.port() != 0
            && let Some((element, _)) = do53.iter().find(|(_, address)| *address == listen)
            && let Some(written) = element.as_ref().or(value.as_ref())
        {
            written.problem(format!("{listen} is both in listen.do53 and admin.listen; give one of them another port"));
        }
        Some(Admin { listen, token })
    }

    /// The token in a file: one line of visible ASCII, as it stands in an HTTP header.
    fn token(&self, path: &str) -> Result<String, String> {
        let path = self.base.find_file(path)?;
        let octets = read_bounded(&path, TOKEN_BYTES_MAX)?;
        match std::str::from_utf8(&octets).map(str::trim) {
            Ok(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token.to_owned()),
            _ => Err(format!(
                "{} holds no token; write one line of letters and digits into it, such as `openssl rand -hex 32` prints",
                path.display()
            )),
        }
    }

    /// Those that are named, or else the shipped ones.
    fn programs(&self, root: &Table<'_>) -> Vec<Program> {
        let mut names = Vec::new();
        match root.sections("program", |table| self.program(table, &mut names)) {
            Some(programs) if !programs.is_empty() => programs,
            _ => SHIPPED_PROGRAMS.iter().map(|&(name, mode)| self.shipped_program(name, mode)).collect(),
        }
    }

    /// Reads a program, and adds its name to those there are.
    fn program(&self, table: &Table<'_>, names: &mut Vec<String>) -> Program {
        if names.len() == PROGRAMS_MAX {
            table.problem(format!(
                "there are more than {PROGRAMS_MAX} programs, and each query carries a verdict of each; put lists \
                 that share a purpose into one program"
            ));
        }
        let name = read_program_name(table, names);
        let shipped = SHIPPED_PROGRAMS.iter().find(|(shipped, _)| *shipped == name);
        let services = table
            .value("services")
            .and_then(|value| value.read_table("services = { tiktok = \"enforce\" }", read_services));
        let exceptions = table.value("exceptions").map(|value| {
            let locations = value.parse_list("\"exceptions.list\"", |path| self.base.find(path));
            locations.into_iter().map(|(_, location)| plain_list(location)).collect()
        });
        table.not_yet_text("schedule");
        Program {
            mode: table.parse("mode", shipped.map_or(Mode::Enforce, |&(_, mode)| mode), "enforce", read_mode),
            block: read_own_block(table),
            ede: table.integer("ede", EDE_BLOCKED.into(), 0..=u16::MAX.into()) as u16,
            lists: match table.value("lists") {
                Some(value) => self.lists(&value),
                None if shipped.is_some() => vec![self.shipped_list(&name)],
                None => {
                    table.missing("lists", format!("a program needs a list; write lists = [{LIST_EXAMPLE}]"));
                    Vec::new()
                }
            },
            services: services.unwrap_or_default(),
            exceptions: exceptions.unwrap_or_default(),
            name,
        }
    }

    fn lists(&self, value: &Value<'_>) -> Vec<ListSource> {
        if value.is_empty_list() {
            value.problem(format!("a program needs a list; write lists = [{LIST_EXAMPLE}]"));
        }
        let lists = value.list(LIST_EXAMPLE);
        lists.iter().filter_map(|list| list.read_table(LIST_EXAMPLE, |table| self.list(table))?).collect()
    }

    /// One entry of `lists`; `None` if it doesn't say where the list is.
    fn list(&self, table: &Table<'_>) -> Option<ListSource> {
        let (path, url) = (table.value("path"), table.set_text("url", ""));
        if path.is_none() && url.is_none() {
            table.missing("path", format!("a list needs a path; write {LIST_EXAMPLE}"));
        }
        table.not_yet_text("override");
        table.not_yet_list("release");
        let options = ListSource {
            format: table.choose("format", ("auto", Format::Auto), &FORMATS),
            name: table.value("name").and_then(|value| value.parse("my list", text::title)),
            service: table.value("service").and_then(|value| value.parse("tiktok", text::word)),
            extent: table.choose("match", ("exact", Extent::Exact), &EXTENTS),
            allow_empty: table.boolean("allow_empty", false),
            required: table.boolean("required", false),
            refresh: table.parse("refresh", LIST_REFRESH, "24h", text::duration),
            change_max: table.integer("change_max", LIST_CHANGE_MAX.into(), 0..=100) as u8,
            gate: table.choose("gate", ("hold", Gate::Hold), &GATES),
            ca_file: self.optional_file(table, "ca_file"),
            // Filled in below, so that an unusable path doesn't hide what is wrong with the other options.
            location: Location::Embedded(String::new()),
        };
        let location = match (path, url) {
            (None, Some(url)) => url.parse("https://lists.example/a.txt", read_list_url)?,
            (path, _) => path?.parse("blocklists/clean-store", |path| self.base.find(path))?,
        };
        Some(ListSource { location, ..options })
    }

    fn shipped_program(&self, name: &str, mode: Mode) -> Program {
        Program {
            name: name.to_owned(),
            mode,
            block: None,
            ede: EDE_BLOCKED,
            lists: vec![self.shipped_list(name)],
            services: BTreeMap::new(),
            exceptions: Vec::new(),
        }
    }

    /// A shipped program's list, beside the file if it is there, where the owner may have changed it; else built in.
    fn shipped_list(&self, program: &str) -> ListSource {
        let path = format!("blocklists/{program}");
        plain_list(self.base.find(&path).unwrap_or(Location::Embedded(path)))
    }

    /// The path of a file that may be left empty.
    fn optional_file(&self, table: &Table<'_>, key: &'static str) -> Option<PathBuf> {
        table.set_text(key, "")?.parse("", |path| self.base.find_file(path))
    }
}

/// `[listen]`, and where each address of `do53` stands, if it isn't the default.
fn read_listen<'a>(table: &Table<'a>) -> (Listen, Vec<(Option<Value<'a>>, SocketAddr)>) {
    for key in ["dot", "doh", "doq", "proxy_protocol_from"] {
        table.not_yet_list(key);
    }
    let workers = table.integer("workers", 0, 0..=WORKERS_MAX) as usize;
    let Some(value) = table.value("do53") else {
        return (Listen { do53: vec![LISTEN_DO53], workers }, vec![(None, LISTEN_DO53)]);
    };
    if value.is_empty_list() {
        value.problem(format!("there is no address, so nobody could ask; write do53 = [\"{LISTEN_DO53}\"]"));
    }
    let addresses = value.parse_list("\"127.0.0.1:53\"", text::listen_address);
    for (index, (element, address)) in addresses.iter().enumerate() {
        // Port 0 is a new port each time.
        if address.port() != 0 && addresses[..index].iter().any(|(_, earlier)| earlier == address) {
            element.problem(format!("{address} stands there twice; remove one"));
        }
    }
    let do53 = addresses.iter().map(|&(_, address)| address).collect();
    (Listen { do53, workers }, addresses.into_iter().map(|(element, address)| (Some(element), address)).collect())
}

fn read_access(table: &Table<'_>) -> Vec<IpNet> {
    let Some(value) = table.value("allow") else { return written_here(&ACCESS) };
    if value.is_empty_list() {
        value.warn("answers nobody: every client is refused; write the networks of your clients");
    }
    let networks = value.parse_list(NETWORK_EXAMPLE, text::network);
    for (element, network) in networks.iter().filter(|(_, network)| network.prefix_len() == 0) {
        element.warn(format!(
            "{network} answers anybody on the Internet who can reach this server, and makes it a tool for attacks \
             on others; write the networks of your clients"
        ));
    }
    networks.into_iter().map(|(_, network)| network).collect()
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
            let zone = value.parse("corp.example", text::name)?;
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
    table.not_yet_unless("stale", "\"1d\"", |value| value.parse("1d", text::duration), CACHE_STALE);
    table.not_yet_unless("prefetch", "true", Value::boolean, true);
    Cache { bytes: table.size("size", CACHE_BYTES) }
}

fn read_policy(table: &Table<'_>, programs: &[Program]) -> (Policy, Vec<Exception>) {
    for key in ["asn_db", "country_db", "time_zone"] {
        table.not_yet_text(key);
    }
    let policy = Policy {
        mode: table.parse("mode", Mode::Enforce, "enforce", read_mode),
        block: table.value("block").and_then(|value| read_block(&value, "\"nxdomain\"")).unwrap_or(BLOCK),
        block_ttl: table.parse("block_ttl", BLOCK_TTL, "30s", read_block_ttl),
    };
    let exceptions = table.sections("exception", |table| read_exception(table, programs));
    (policy, exceptions.unwrap_or_default())
}

fn read_exception(table: &Table<'_>, programs: &[Program]) -> Exception {
    const EXAMPLE: &str = "\"example.com\"";
    for key in ["lists", "groups"] {
        table.not_yet_list(key);
    }
    let names = table.value("names");
    if names.as_ref().is_none_or(Value::is_empty_list) {
        table.missing("names", format!("an exception needs a name; write names = [{EXAMPLE}]"));
    }
    let names = names.map(|value| value.parse_list(EXAMPLE, text::exception_name)).unwrap_or_default();
    for (element, _) in names.iter().filter(|(_, (name, extent))| name.is_root() && *extent == Extent::Subtree) {
        element.warn("passes every name there is; [policy] mode = \"shadow\" does that and still records matches");
    }
    let known: Vec<_> = programs.iter().map(|program| program.name.as_str()).collect();
    let limits = table.value("programs").map(|value| value.parse_list("\"clean-store\"", |text| Ok(text.to_owned())));
    let limits = limits.unwrap_or_default();
    for (element, name) in limits.iter().filter(|(_, name)| !known.contains(&name.as_str())) {
        let advice = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {}?", shown(near)),
            None => format!("there are {}", known.join(", ")),
        };
        element.missing(format!("there is no program {}; {advice}", shown(name)));
    }
    Exception {
        names: names.into_iter().map(|(_, name)| name).collect(),
        programs: limits.into_iter().map(|(_, name)| name).collect(),
        reason: table.text("reason", ""),
        until_day: table.value("until").and_then(|value| value.parse_date("2027-01-31", text::day)),
        place: table.place(),
    }
}

/// A program's name. Each has one of its own.
fn read_program_name(table: &Table<'_>, names: &mut Vec<String>) -> String {
    let Some(value) = table.value("name") else {
        table.missing("name", "a program needs a name; write name = \"my-program\"");
        return String::new();
    };
    let name = value.parse("my-program", text::word).unwrap_or_default();
    if names.contains(&name) && !name.is_empty() {
        value.problem(format!("there is a program {} already; put the lists of both into one", shown(&name)));
    }
    names.push(name.clone());
    name
}

/// Modes by service; `*` is any other.
fn read_services(table: &Table<'_>) -> BTreeMap<String, Mode> {
    let mut services = BTreeMap::new();
    for (service, key, value) in table.entries() {
        let mode = value.parse("enforce", read_mode);
        match text::word(service) {
            Err(message) if service != "*" => table.problem_at(key, service, message),
            _ => drop(mode.map(|mode| services.insert(service.to_owned(), mode))),
        }
    }
    services
}

/// A program's own `block`; empty: it has none.
fn read_own_block(table: &Table<'_>) -> Option<BlockAnswer> {
    let value = table.value("block")?;
    if value.is_text() && value.text("")?.is_empty() { None } else { read_block(&value, "\"\"") }
}

/// What blocked clients get, as text; addresses are for a later version.
fn read_block(value: &Value<'_>, default: &str) -> Option<BlockAnswer> {
    if !value.is_text() {
        let addresses = value.parse_list("\"192.0.2.1\"", |_| Ok(()));
        if !addresses.is_empty() || value.is_empty_list() {
            value.not_yet(default);
        }
        return None;
    }
    value.choose(
        &[
            (BlockAnswer::NxDomain.word(), Some(BlockAnswer::NxDomain)),
            (BlockAnswer::NoData.word(), Some(BlockAnswer::NoData)),
            ("null", None),
            ("refused", None),
            ("drop", None),
        ],
        default,
    )
}

fn read_block_ttl(text: &str) -> Result<Duration, String> {
    match text::duration(text)? {
        ttl if BLOCK_TTL_RANGE.contains(&ttl) => Ok(ttl),
        _ => Err(format!("{} is out of range; write \"1s\" to \"1d\"", shown(text))),
    }
}

fn read_mode(text: &str) -> Result<Mode, String> {
    let word = text::choice(text, &Mode::ALL.map(Mode::word))?;
    Ok(Mode::ALL.into_iter().find(|mode| mode.word() == word).expect("the words are those of these modes"))
}

fn read_log(table: &Table<'_>) -> Log {
    Log {
        filter: table.text("filter", LOG_FILTER),
        json: table.boolean("json", false),
        queries: table.boolean("queries", false),
    }
}

/// Sections that are part of the contract and belong to later versions.
fn refuse_later_sections(root: &Table<'_>) {
    root.section("tls", |table| ["cert", "key"].map(|key| table.not_yet_text(key)));
    root.section("local", |table| ["records", "hosts"].map(|key| table.not_yet_list(key)));
    root.section("query_log", |table| {
        table.not_yet_text("path");
        table.not_yet_unless("keep", "\"30d\"", |value| value.parse("30d", text::duration), QUERY_LOG_KEEP);
        table.not_yet_unless("size", "\"1 GiB\"", Value::size, QUERY_LOG_BYTES);
        let privacy = [("full", Some(())), ("prefix", None), ("hashed", None), ("none", None)];
        table.choose("privacy", ("full", ()), &privacy);
    });
    root.sections("group", |table| {
        for key in ["name", "clients", "programs", "services", "schedule"] {
            table.ignored(key);
        }
        table.problem("not yet supported by this version; remove it");
    });
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

/// A list of which nothing is said but where it is.
fn plain_list(location: Location) -> ListSource {
    ListSource {
        location,
        format: Format::Auto,
        name: None,
        service: None,
        extent: Extent::Exact,
        allow_empty: false,
        required: false,
        refresh: LIST_REFRESH,
        change_max: LIST_CHANGE_MAX,
        gate: Gate::Hold,
        ca_file: None,
    }
}

fn read_list_url(text: &str) -> Result<Location, String> {
    match text.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() => Ok(Location::Url(text.to_owned())),
        _ => Err(format!("{} can't be used; lists are downloaded over https alone", shown(text))),
    }
}
