//! `[admin]`: where the pages and the API listen, and who may use them.

use super::{
    super::{
        Admin, AdminTls, ClientNames, TOKEN_FILE_NAME,
        reach::covered_by,
        rights,
        token::{self, Known},
    },
    reader::{Table, Value},
    sections::{Reading, proxies},
    text,
    world::is_absence,
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);
/// Octets of a host name (RFC 1035 §2.3.4), and how many this server may have.
const HOST_BYTES_MAX: usize = 253;
const HOSTS_MAX: usize = 64;

impl Reading<'_> {
    /// `state_dir`: where a token is looked for that is needed and that no option names.
    pub(super) fn admin(
        &self,
        table: &Table<'_>,
        do53: &[(Option<Value<'_>>, SocketAddr)],
        state_dir: Option<&Path>,
    ) -> Option<Admin> {
        let file = |key| table.set_text(key, "/etc/cleandns/token");
        let (named, read_token_file, users_file) =
            (file("token_file"), file("read_token_file"), table.set_text("users_file", "/etc/cleandns/users"));
        let value = table.value("listen");
        let listen = match &value {
            None => Some(LISTEN),
            // Nothing written there switches it off.
            Some(value) => {
                let text = value.text("127.0.0.1:8053").filter(|text| !text.is_empty());
                text.and_then(|_| value.parse("", text::listen_address))
            }
        };
        let is_reachable = listen.is_some_and(|listen| !listen.ip().to_canonical().is_loopback());
        let own = state_dir.filter(|_| is_reachable && users_file.is_none()).map(|folder| folder.join(TOKEN_FILE_NAME));
        let known = match &named {
            Some(value) => value.parse("", |path| self.token_or_place(path)),
            None => own.and_then(|file| match self.token_in_state(file) {
                Ok(known) => Some(known),
                Err(why) => {
                    table.missing("token_file", why);
                    None
                }
            }),
        };
        let known = known.unwrap_or_default();
        let read_token =
            read_token_file.as_ref().and_then(|value| value.parse("", |path| self.token_if_readable(path)));
        let read_token = read_token.flatten();
        let users = users_file.as_ref().and_then(|value| value.parse("", |path| self.base.find_file(path)));
        let of_reading = read_token_file.as_ref().and_then(|value| self.base.find_file(value.text("")?).ok());
        let secrets = [
            ("token_file", named.as_ref(), known.file.as_deref()),
            ("read_token_file", read_token_file.as_ref(), of_reading.as_deref()),
            ("users_file", users_file.as_ref(), users.as_deref()),
        ];
        for (key, value, file) in secrets {
            let Some(why) = file.and_then(rights::open_to_all) else { continue };
            match value {
                Some(value) => value.warn(why),
                None => table.warn(key, why),
            }
        }
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
        if let Some(same) = read_token_file.as_ref().filter(|_| known.token.is_some() && known.token == read_token) {
            same.problem("holds the same token as token_file; who shows it could change things too");
        }
        // A file that is named and can't be read is reported already, and so is one in the state folder.
        // Whoever only asks a running server may have no state folder, where that server has one.
        let has_state = state_dir.is_some() || self.world.may_lack_files;
        let is_guarded = named.is_some() || users_file.is_some() || is_reachable && has_state;
        let trusted_proxies = trusted_proxies(table, is_guarded);
        let listen = listen?;
        if let Some(value) = value.as_ref().filter(|_| is_reachable && !is_guarded) {
            value.problem(unguarded(listen));
        }
        let listens: Vec<SocketAddr> = do53.iter().map(|&(_, address)| address).collect();
        // Two can't listen at one place; port 0 is a new place each time.
        if listen.port() != 0
            && let Some((element, _)) = do53.iter().find(|(_, address)| *address == listen)
            && let Some(written) = element.as_ref().or(value.as_ref())
        {
            written.problem(format!("{listen} is both in listen.do53 and admin.listen; give one of them another port"));
        } else if let (Some(value), Some(wide)) = (value.as_ref(), covered_by(listen, &listens)) {
            value.problem(format!("{wide} in listen.do53 covers {listen} already; give one of them another port"));
        }
        let users_file = users;
        let secrets = Admin { read_token, users_file, ..Admin::plain(listen).with_token(known) };
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

    /// The token that `token_file` names, if the file is there: a start makes one that isn't, in a folder that is.
    fn token_or_place(&self, path: &str) -> Result<Known, String> {
        let (file, is_there) = self.base.found_or_made(path)?;
        self.known_token(file, is_there, token::read)
    }

    /// The token in the state folder, if it is there. Whoever asks a running server may be root, and is sent nowhere by what
    /// the server's user puts there.
    fn token_in_state(&self, file: PathBuf) -> Result<Known, String> {
        // Where one may not look, something may be.
        let is_there = file.symlink_metadata().map_or_else(|error| !is_absence(&error), |about| !about.is_dir());
        self.known_token(file, is_there, if self.world.may_lack_files { token::read_in_state } else { token::read })
    }

    fn known_token(
        &self,
        file: PathBuf,
        is_there: bool,
        read: fn(&Path) -> Result<String, String>,
    ) -> Result<Known, String> {
        self.secrets.borrow_mut().push(file.clone());
        match is_there.then(|| read(&file)) {
            None => Ok(Known { file: Some(file), ..Known::default() }),
            Some(Err(why)) if !self.world.may_lack_files => Err(why),
            Some(read) => Ok(Known::new(file, read)),
        }
    }

    /// Whoever only asks a running server may not be allowed to read a token, and most of what there is to ask needs none:
    /// the server says so where it does.
    fn token_if_readable(&self, path: &str) -> Result<Option<String>, String> {
        Ok(self.known_token(self.base.find_file(path)?, true, token::read)?.token)
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

/// What to do where anybody could use it.
fn unguarded(listen: SocketAddr) -> String {
    format!(
        "{listen} can be reached from other machines, and anybody there could use it; set [state] dir, where the start \
         makes a token, or token_file to a file that `cleandns admin token new FILE` makes, or users_file to one that \
         `cleandns admin user add NAME --file FILE` makes, or write listen = \"127.0.0.1:{}\"",
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
