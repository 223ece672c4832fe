//! `[admin]`: where the pages and the API listen, and who may use them.

use super::{
    super::{Admin, AdminTls, ClientNames},
    read_bounded,
    reader::{Table, Value},
    sections::{Reading, proxies},
    text,
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);
/// Octets of a token file: what fits into a request's header with room to spare.
const TOKEN_BYTES_MAX: u64 = 4096;
/// And at least: whoever guesses so many letters and digits guesses for ever.
const TOKEN_BYTES_MIN: usize = 16;
/// Octets of a host name (RFC 1035 §2.3.4), and how many this server may have.
const HOST_BYTES_MAX: usize = 253;
const HOSTS_MAX: usize = 64;

impl Reading<'_> {
    pub(super) fn admin(&self, table: &Table<'_>, do53: &[(Option<Value<'_>>, SocketAddr)]) -> Option<Admin> {
        let file = |key| table.set_text(key, "/etc/cleandns/token");
        let (token_file, read_token_file, users_file) =
            (file("token_file"), file("read_token_file"), table.set_text("users_file", "/etc/cleandns/users"));
        let token_in = |file: &Option<Value<'_>>| {
            file.as_ref().and_then(|value| value.parse("", |path| self.token_if_readable(path))).flatten()
        };
        let (token, read_token) = (token_in(&token_file), token_in(&read_token_file));
        let users = users_file.as_ref().and_then(|value| value.parse("", |path| self.base.find_file(path)));
        let names = table.value("names").map(|value| value.parse_list("\"dns.corp.example\"", host_name));
        let names: Vec<String> = names.into_iter().flatten().map(|(_, name)| name).collect();
        if names.len() > HOSTS_MAX {
            table.problem(format!("names: at most {HOSTS_MAX}"));
        }
        let audit = table.set_text("audit", "/var/log/cleandns/audit.jsonl");
        let audit = audit.and_then(|value| value.parse("", |path| self.base.written_file(path)));
        let (tls, insecure) = (self.admin_tls(table), table.boolean("insecure", false));
        let client_names = [
            ("own", Some(ClientNames::Own)),
            ("forwarded", Some(ClientNames::Forwarded)),
            ("any", Some(ClientNames::Any)),
        ];
        let client_names = table.choose("client_names", ("forwarded", ClientNames::Forwarded), &client_names);
        if let Some(same) = read_token_file.as_ref().filter(|_| token.is_some() && token == read_token) {
            same.problem("holds the same token as token_file; who shows it could change things too");
        }
        // A file that is named and can't be read is reported already.
        let is_guarded = token_file.is_some() || users_file.is_some();
        let trusted_proxies = trusted_proxies(table, is_guarded);
        let value = table.value("listen");
        let listen = match &value {
            Some(value) if value.text("127.0.0.1:8053")?.is_empty() => return None,
            Some(value) => value.parse("", text::listen_address)?,
            None => LISTEN,
        };
        if let Some(value) = value.as_ref().filter(|_| !is_guarded && !listen.ip().to_canonical().is_loopback()) {
            value.problem(unguarded(listen));
        }
        // Two can't listen at one place; port 0 is a new place each time.
        if listen.port() != 0
            && let Some((element, _)) = do53.iter().find(|(_, address)| *address == listen)
            && let Some(written) = element.as_ref().or(value.as_ref())
        {
            written.problem(format!("{listen} is both in listen.do53 and admin.listen; give one of them another port"));
        }
        let users_file = users;
        let secrets = Admin { token, read_token, users_file, ..Admin::plain(listen) };
        Some(Admin { names, tls, insecure, audit, client_names, trusted_proxies, ..secrets })
    }

    /// Certificate and key, both or neither.
    fn admin_tls(&self, table: &Table<'_>) -> Option<AdminTls> {
        let is_set = |key| table.set_text(key, "").is_some();
        let (cert, key) = (self.optional_file(table, "tls_cert"), self.optional_file(table, "tls_key"));
        match (is_set("tls_cert"), is_set("tls_key")) {
            (true, false) => table.missing("tls_key", "tls_cert is set, so its key is needed; set tls_key"),
            (false, true) => table.missing("tls_cert", "tls_key is set, so its certificate is needed; set tls_cert"),
            _ => {}
        }
        Some(AdminTls { cert: cert?, key: key? })
    }

    /// Whoever only asks a running server may not be allowed to read a token, and most of what there is to ask needs none:
    /// the server says so where it does.
    fn token_if_readable(&self, path: &str) -> Result<Option<String>, String> {
        match self.token(path) {
            Err(_) if self.world.may_lack_files => Ok(None),
            read => read.map(Some),
        }
    }

    /// The token in a file: one line of visible ASCII, as it stands in an HTTP header.
    fn token(&self, path: &str) -> Result<String, String> {
        let path = self.base.find_file(path)?;
        self.secrets.borrow_mut().push(path.clone());
        let octets = read_bounded(&path, TOKEN_BYTES_MAX)?;
        match std::str::from_utf8(&octets).map(str::trim) {
            Ok(token) if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) => Err(no_token(&path)),
            Ok(token) if token.len() < TOKEN_BYTES_MIN => Err(format!(
                "{0} holds a token of {1} signs, which can be guessed; it needs at least {TOKEN_BYTES_MIN}: remove the \
                 file, and have `cleandns admin token new {0}` make one",
                path.display(),
                token.len()
            )),
            Ok(token) => Ok(token.to_owned()),
            Err(_) => Err(no_token(&path)),
        }
    }
}

/// The networks of proxies that are believed.
fn trusted_proxies(table: &Table<'_>, is_guarded: bool) -> Vec<IpNet> {
    let Some(value) = table.value("trusted_proxies") else { return Vec::new() };
    if !is_guarded && !value.is_empty_list() {
        value.problem(UNGUARDED_BEHIND_PROXY);
    }
    proxies(&value)
}

/// Why proxies are believed only where a token or a user is asked for: through them, requests of others come from this
/// machine.
const UNGUARDED_BEHIND_PROXY: &str = "requests of others come through a proxy, and anybody could use these pages; set \
                                      token_file or users_file";

fn no_token(path: &Path) -> String {
    format!(
        "{} holds no token; write one line of letters and digits into it, such as `openssl rand -hex 32` prints",
        path.display()
    )
}

/// What to do where anybody could use it.
fn unguarded(listen: SocketAddr) -> String {
    format!(
        "{listen} can be reached from other machines, and anybody there could use it; set token_file to a file that \
         `cleandns admin token new FILE` makes, or users_file to one that `cleandns admin user add NAME --file FILE` \
         makes, or write listen = \"127.0.0.1:{}\"",
        listen.port()
    )
}

/// A host name as browsers send it: letters, digits, hyphens and dots.
fn host_name(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_plain)
    };
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    match name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label) {
        true => Ok(name),
        false => Err(format!("`{text}` is no host name; write it as in a browser, without scheme and port")),
    }
}
