//! `[admin]`: the pages and the API, and who may use them.

use super::token::Known;
use ipnet::IpNet;
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

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
    /// Why whoever asks a running server doesn't know the token, though something is where it should be.
    pub token_unread: Option<String>,
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
            token_unread: None,
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

    /// With what is known of the token.
    pub fn with_token(self, known: Known) -> Self {
        Self { token: known.token, token_file: known.file, token_unread: known.unread, ..self }
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
            .field("token_unread", &self.token_unread)
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
