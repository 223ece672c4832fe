//! Every option, and what may stand in it.

use serde_json::{Value, json};

/// What may stand in an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Table,
    /// Tables in double brackets, or a list of inline tables.
    Tables,
    Boolean,
    Text,
    Texts,
    Duration,
    Size,
    Percent,
    /// A whole number from the first to the second.
    Integer(u32, u32),
    Word(&'static [&'static str]),
    Mode,
    /// Modes by name.
    Modes,
    /// What blocked clients get.
    Block,
    /// Can only be empty in this version.
    NoTextYet,
    NoListYet,
}

const MODES: [&str; 3] = ["off", "shadow", "enforce"];
const BLOCKS: [&str; 5] = ["nxdomain", "nodata", "null", "refused", "drop"];
const FORMATS: [&str; 10] =
    ["auto", "ours", "domains", "hosts", "wildcard", "adblock", "regex", "rpz", "dnsmasq", "unbound"];

/// What must stand in each table of these arrays.
pub const TABLES: [(&str, &[&str]); 4] = [
    ("program", &["name"]),
    ("group", &["name", "clients"]),
    ("resolve.forward", &["zone", "servers"]),
    ("policy.exception", &[]),
];

/// All options, by their dotted names, tables before what is in them.
pub const OPTIONS: &[(&str, Kind)] = &[
    ("listen", Kind::Table),
    ("listen.do53", Kind::Texts),
    ("listen.dot", Kind::NoListYet),
    ("listen.doh", Kind::NoListYet),
    ("listen.doq", Kind::NoListYet),
    ("listen.workers", Kind::Integer(0, 1024)),
    ("listen.proxy_protocol_from", Kind::Texts),
    ("tls", Kind::Table),
    ("tls.cert", Kind::NoTextYet),
    ("tls.key", Kind::NoTextYet),
    ("access", Kind::Table),
    ("access.allow", Kind::Texts),
    ("access.i_know_this_is_open", Kind::Boolean),
    ("resolve", Kind::Table),
    ("resolve.root_hints", Kind::Text),
    ("resolve.trust_anchors", Kind::Text),
    ("resolve.validate", Kind::Boolean),
    ("resolve.negative_trust_anchors", Kind::NoListYet),
    ("resolve.ipv4", Kind::Boolean),
    ("resolve.ipv6", Kind::Boolean),
    ("resolve.do_not_query", Kind::Texts),
    ("resolve.forward", Kind::Tables),
    ("resolve.forward.zone", Kind::Text),
    ("resolve.forward.servers", Kind::Texts),
    ("resolve.forward.validate", Kind::Boolean),
    ("local", Kind::Table),
    ("local.records", Kind::Texts),
    ("local.hosts", Kind::Texts),
    ("cache", Kind::Table),
    ("cache.size", Kind::Size),
    ("cache.stale", Kind::Duration),
    ("cache.prefetch", Kind::Boolean),
    ("cache.save", Kind::Boolean),
    ("state", Kind::Table),
    ("state.dir", Kind::Text),
    ("policy", Kind::Table),
    ("policy.mode", Kind::Mode),
    ("policy.block", Kind::Block),
    ("policy.block_ttl", Kind::Duration),
    ("policy.asn_db", Kind::Text),
    ("policy.country_db", Kind::Text),
    ("policy.time_zone", Kind::Text),
    ("policy.exception", Kind::Tables),
    ("policy.exception.names", Kind::Texts),
    ("policy.exception.lists", Kind::Texts),
    ("policy.exception.programs", Kind::Texts),
    ("policy.exception.groups", Kind::Texts),
    ("policy.exception.reason", Kind::Text),
    ("policy.exception.until", Kind::Text),
    ("program", Kind::Tables),
    ("program.name", Kind::Text),
    ("program.mode", Kind::Mode),
    ("program.block", Kind::Block),
    ("program.ede", Kind::Integer(0, 65_535)),
    ("program.lists", Kind::Tables),
    ("program.lists.path", Kind::Text),
    ("program.lists.url", Kind::Text),
    ("program.lists.format", Kind::Word(&FORMATS)),
    ("program.lists.name", Kind::Text),
    ("program.lists.service", Kind::Text),
    ("program.lists.match", Kind::Word(&["exact", "subtree"])),
    ("program.lists.override", Kind::Text),
    ("program.lists.allow_empty", Kind::Boolean),
    ("program.lists.required", Kind::Boolean),
    ("program.lists.gate", Kind::Word(&["hold", "warn", "off"])),
    ("program.lists.release", Kind::Texts),
    ("program.lists.refresh", Kind::Duration),
    ("program.lists.change_max", Kind::Percent),
    ("program.lists.ca_file", Kind::Text),
    ("program.services", Kind::Modes),
    ("program.exceptions", Kind::Texts),
    ("program.schedule", Kind::Text),
    ("group", Kind::Tables),
    ("group.name", Kind::Text),
    ("group.clients", Kind::Texts),
    ("group.tags", Kind::Texts),
    ("group.programs", Kind::Modes),
    ("group.services", Kind::Modes),
    ("group.schedule", Kind::Text),
    ("admin", Kind::Table),
    ("admin.listen", Kind::Text),
    ("admin.names", Kind::Texts),
    ("admin.token_file", Kind::Text),
    ("admin.read_token_file", Kind::Text),
    ("admin.users_file", Kind::Text),
    ("admin.tls_cert", Kind::Text),
    ("admin.tls_key", Kind::Text),
    ("admin.insecure", Kind::Boolean),
    ("admin.audit", Kind::Text),
    ("admin.client_names", Kind::Word(&["own", "forwarded", "any"])),
    ("admin.trusted_proxies", Kind::Texts),
    ("query_log", Kind::Table),
    ("query_log.enabled", Kind::Boolean),
    ("query_log.path", Kind::Text),
    ("query_log.keep", Kind::Duration),
    ("query_log.keep_sums", Kind::Duration),
    ("query_log.size", Kind::Size),
    ("query_log.privacy", Kind::Word(&["full", "prefix", "hashed", "none"])),
    ("query_log.answers", Kind::Boolean),
    ("query_log.instance", Kind::Text),
    ("query_log.json", Kind::Table),
    ("query_log.json.to", Kind::Text),
    ("query_log.json.size", Kind::Size),
    ("query_log.json.files", Kind::Integer(1, 1000)),
    ("query_log.dnstap", Kind::Table),
    ("query_log.dnstap.to", Kind::Text),
    ("query_log.dnstap.client", Kind::Boolean),
    ("query_log.dnstap.resolver", Kind::Boolean),
    ("query_log.dnstap.size", Kind::Size),
    ("query_log.dnstap.files", Kind::Integer(1, 1000)),
    ("query_log.clickhouse", Kind::Table),
    ("query_log.clickhouse.url", Kind::Text),
    ("query_log.clickhouse.database", Kind::Text),
    ("query_log.clickhouse.user", Kind::Text),
    ("query_log.clickhouse.password_file", Kind::Text),
    ("query_log.clickhouse.spill", Kind::Size),
    ("process", Kind::Table),
    ("process.user", Kind::Text),
    ("process.group", Kind::Text),
    ("process.sandbox", Kind::Boolean),
    ("process.read", Kind::Texts),
    ("log", Kind::Table),
    ("log.filter", Kind::Text),
    ("log.json", Kind::Boolean),
    ("log.queries", Kind::Boolean),
];

impl Kind {
    /// What it is in a schema; tables come without their options.
    pub fn schema(self) -> Value {
        match self {
            Self::Table => json!({ "type": "object" }),
            Self::Tables => json!({ "type": "array", "items": { "type": "object" } }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Text => json!({ "type": "string" }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Duration => json!({ "type": "string", "pattern": r"^\s*[0-9]+\s*[smhd]\s*$" }),
            Self::Size => json!({
                "type": ["string", "integer"],
                "minimum": 0,
                "pattern": r"^\s*[0-9]+\s*(([kmgtKMGT][iI]?)?[bB])?\s*$",
            }),
            Self::Percent => json!({ "type": "string", "pattern": r"^\s*(100|[1-9][0-9]?)\s*%\s*$" }),
            Self::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Word(words) => json!({ "enum": words }),
            Self::Mode => json!({ "enum": MODES }),
            Self::Modes => json!({ "type": "object", "additionalProperties": { "enum": MODES } }),
            Self::Block => {
                let words: Vec<&str> = [""].into_iter().chain(BLOCKS).collect();
                let addresses =
                    json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 16 });
                json!({ "anyOf": [{ "enum": words }, addresses] })
            }
            Self::NoTextYet => json!({ "const": "" }),
            Self::NoListYet => json!({ "type": "array", "maxItems": 0 }),
        }
    }
}
