//! `[query_log]`: what is kept of queries, and where it goes.

use super::{
    super::{ClickHouse, Dnstap, DnstapTarget, JsonLines, JsonTarget, Privacy, QueryLog},
    reader::{Table, Value},
    sections::Reading,
    text,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long queries are kept.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// How long sums by day are kept: a year ago is to be compared with.
const KEEP_SUMS: Duration = Duration::from_secs(400 * 86_400);
/// Octets that they may take on disk.
const BYTES: u64 = 1 << 30;
/// The least that is worth a database: less would hold some minutes.
const BYTES_MIN: u64 = 16 << 20;
/// Octets of one file of lines or frames, after which the next begins, and files kept.
const FILE_BYTES: u64 = 64 << 20;
const FILES: u64 = 5;
const FILES_MAX: u64 = 1000;
/// Octets that wait on disk for a database that can't be reached.
const SPILL_BYTES: u64 = 256 << 20;
/// The database's name in the state folder.
const FILE_NAME: &str = "queries.db";
/// Octets of a password file, and of the names of an instance and a database.
const PASSWORD_BYTES_MAX: u64 = 4096;
const INSTANCE_BYTES_MAX: usize = 64;
const DATABASE_BYTES_MAX: usize = 64;

impl Reading<'_> {
    pub(super) fn query_log(&self, table: &Table<'_>, state_dir: Option<&Path>) -> QueryLog {
        let enabled = table.boolean("enabled", true);
        let path = table.set_text("path", "/var/lib/cleandns/queries.db").and_then(|value| self.written_file(&value));
        let database = path.or_else(|| state_dir.map(|folder| folder.join(FILE_NAME))).filter(|_| enabled);
        let bytes = table.size("size", BYTES);
        if bytes < BYTES_MIN
            && let Some(value) = table.value("size")
        {
            value.problem("is less than a database needs; write \"16 MiB\" or more");
        }
        let privacy = [
            ("full", Some(Privacy::Full)),
            ("prefix", Some(Privacy::Prefix)),
            ("hashed", Some(Privacy::Hashed)),
            ("none", Some(Privacy::None)),
        ];
        let json = table.section("json", |table| self.json(table, database.as_deref()));
        let lines = json.as_ref().and_then(|json| match &json.to {
            JsonTarget::File(path) => Some(path.as_path()),
            JsonTarget::Stdout => None,
        });
        let dnstap = table.section("dnstap", |table| self.dnstap(table, [database.as_deref(), lines]));
        let (keep, keep_sums) = (
            table.parse("keep", KEEP, "30d", text::duration),
            table.parse("keep_sums", KEEP_SUMS, "400d", text::duration),
        );
        if keep > keep_sums
            && let Some(value) = table.value("keep").or_else(|| table.value("keep_sums"))
        {
            value.problem(
                "keep is longer than keep_sums, and sums are what is left of questions; make keep_sums longer",
            );
        }
        let instance = table.parse("instance", self.world.host_name.clone(), "resolver-1", instance);
        QueryLog {
            database,
            keep,
            keep_sums,
            bytes,
            privacy: table.choose("privacy", ("full", Privacy::Full), &privacy),
            answers: table.boolean("answers", true),
            instance,
            json,
            dnstap,
            clickhouse: table.section("clickhouse", |table| self.clickhouse(table)),
        }
    }

    fn json(&self, table: &Table<'_>, database: Option<&Path>) -> Option<JsonLines> {
        let value = table.set_text("to", "stdout");
        let (bytes, files) = rotation(table);
        let value = value?;
        let to = match value.text("stdout")? {
            "stdout" => JsonTarget::Stdout,
            _ => JsonTarget::File(self.own_file(&value, [database])?),
        };
        Some(JsonLines { to, bytes, files })
    }

    /// `others`: files that are written for something else.
    fn dnstap(&self, table: &Table<'_>, others: [Option<&Path>; 2]) -> Option<Dnstap> {
        let value = table.set_text("to", "unix:/run/dnstap.sock");
        let (bytes, files) = rotation(table);
        let (client, resolver) = (table.boolean("client", true), table.boolean("resolver", false));
        let value = value?;
        let to = match value.text("unix:/run/dnstap.sock")?.split_once(':') {
            Some((scheme, _)) if !scheme.contains('/') => {
                let target = |text: &str| text.parse::<DnstapTarget>().map_err(|error| error.to_string());
                value.parse("unix:/run/dnstap.sock", target)?
            }
            _ => DnstapTarget::File(self.own_file(&value, others)?),
        };
        if !client && !resolver {
            value.problem("client and resolver are both false, so there is nothing to tell; set one to true");
        }
        Some(Dnstap { to, bytes, files, client, resolver })
    }

    fn clickhouse(&self, table: &Table<'_>) -> Option<ClickHouse> {
        let url = table.set_text("url", "http://127.0.0.1:8123");
        let password = table.set_text("password_file", "/etc/cleandns/clickhouse").and_then(|value| {
            value.parse("", |path| {
                let path = self.base.find_file(path)?;
                self.secrets.borrow_mut().push(path.clone());
                let octets = super::read_bounded(&path, PASSWORD_BYTES_MAX)?;
                let text = String::from_utf8(octets).map_err(|_| format!("{} holds no text", path.display()))?;
                Ok(text.trim().to_owned())
            })
        });
        let database = table.parse("database", "cleandns".to_owned(), "cleandns", database);
        let user = table.text("user", "default");
        let spill_bytes = table.size("spill", SPILL_BYTES);
        let url = url?.parse("http://127.0.0.1:8123", |url| match url.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() => Ok(url.trim_end_matches('/').to_owned()),
            _ => Err("expected http:// or https:// with a host; write \"http://127.0.0.1:8123\"".to_owned()),
        })?;
        Some(ClickHouse { url, database, user, password: password.unwrap_or_default(), spill_bytes })
    }

    /// The path of a file that is going to be written, and isn't any of some others.
    fn own_file<const N: usize>(&self, value: &Value<'_>, others: [Option<&Path>; N]) -> Option<PathBuf> {
        let path = self.written_file(value)?;
        if others.contains(&Some(path.as_path())) {
            value.problem("is a file that is written for something else in [query_log]; write another");
        }
        Some(path)
    }

    /// The path of a file that is going to be written.
    fn written_file(&self, value: &Value<'_>) -> Option<PathBuf> {
        value.parse("", |path| self.base.written_file(path))
    }
}

/// How large one file may get, and how many are kept.
fn rotation(table: &Table<'_>) -> (u64, usize) {
    (table.size("size", FILE_BYTES), table.integer("files", FILES, 1..=FILES_MAX) as usize)
}

/// What rows of this server are told apart by.
fn instance(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match text {
        "" => Err("is empty; leave it out for the name of this machine".to_owned()),
        _ if text.len() > INSTANCE_BYTES_MAX => Err(format!("is longer than {INSTANCE_BYTES_MAX} characters")),
        _ if text.bytes().all(is_plain) => Ok(text.to_owned()),
        _ => Err("has other characters than letters, digits, \"-\", \"_\" and \".\"".to_owned()),
    }
}

/// The name of a database, as it stands in statements.
fn database(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match text {
        "" => Err("is empty; leave it out for \"cleandns\"".to_owned()),
        _ if text.len() > DATABASE_BYTES_MAX => Err(format!("is longer than {DATABASE_BYTES_MAX} characters")),
        _ if text.bytes().all(is_plain) => Ok(text.to_owned()),
        _ => Err("has other characters than letters, digits and \"_\"".to_owned()),
    }
}
