//! Who is known, by what they show: a token, or a session that a password or a token began. Knows no page and no route;
//! time is an argument.
//!
//! `token`, `users` and `sessions` are what can be shown, `csrf` whether it was meant, `limits` how often one may try,
//! `who` what handlers learn of it.

pub mod csrf;
mod limits;
pub mod sessions;
pub mod token;
pub mod users;
pub mod who;

pub use who::{By, Operator, Reader, Role, Who};

use crate::config::Admin;
use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use csrf::Csrf;
use limits::Limits;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use sessions::{Found, Sessions};
use std::{fmt::Write, io, net::IpAddr, sync::Arc, time::Duration};
use token::Tokens;
use tokio::sync::Semaphore;
use users::{UsersError, UsersFile};

/// Passwords compared at once: each takes 19 MiB and a processor for some hundredths of a second.
const COMPARISONS_MAX: usize = 2;
/// How long one waits for one's turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// What stands for a session in the tokens of those who have none.
const LOCAL: &str = "local";
/// The same for who isn't signed in yet.
const SIGN_IN: &str = "sign-in";
/// The same for who shows a token with each request.
const BEARER: &str = "bearer";

/// Everything that tells who asks.
pub struct Auth {
    secrets: ArcSwap<Secrets>,
    sessions: Sessions,
    csrf: Csrf,
    limits: Limits,
    comparing: Semaphore,
}

/// What has to be shown, and over what: as it is configured now.
pub struct Secrets {
    /// Nobody has to show anything: it listens on loopback, and no secret is configured.
    is_open: bool,
    is_tls: bool,
    /// Secrets cross a network in the clear, and nobody said that this is known.
    warns: bool,
    tokens: Tokens,
    users: Option<Arc<UsersFile>>,
    /// Which sessions end with those that they take the place of.
    ends_tokens: bool,
    ends_users: bool,
}

/// Why somebody isn't signed in.
#[derive(PartialEq, Eq, Debug)]
pub enum SignInError {
    /// No such user, or another password: which of them isn't told.
    Wrong,
    /// There were too many tries; so many seconds are to be waited.
    TooMany(i64),
    /// Too many others are at it.
    Busy,
    Fault(String),
}

/// Who has just signed in.
pub struct SignedIn {
    pub who: Who,
    /// What the cookie holds.
    pub id: String,
    pub session: Found,
    pub csrf: String,
}

/// A token was shown, and isn't one of ours.
pub struct BadToken;

impl Auth {
    /// By the configuration; its file of users is read.
    pub fn new(admin: &Admin) -> Result<Self, UsersError> {
        let users = admin.users_file.as_deref().map(UsersFile::read).transpose()?.map(Arc::new);
        Ok(Self {
            secrets: ArcSwap::from_pointee(Secrets::new(admin, users)?),
            sessions: Sessions::default(),
            csrf: Csrf::new(key()?),
            limits: Limits::default(),
            comparing: Semaphore::new(COMPARISONS_MAX),
        })
    }

    /// What has to be shown by another configuration. A file of users that stays is as it was last looked at.
    pub fn prepare(&self, running: &Admin, next: &Admin) -> Result<Secrets, UsersError> {
        let ends_users = running.users_file != next.users_file;
        let users = match ends_users {
            true => next.users_file.as_deref().map(UsersFile::read).transpose()?.map(Arc::new),
            false => self.secrets.load().users.clone(),
        };
        let ends_tokens = (&running.token, &running.read_token) != (&next.token, &next.read_token);
        Ok(Secrets { ends_tokens, ends_users, ..Secrets::new(next, users)? })
    }

    /// Asks for these from now on. Sessions end that began by others.
    pub fn put_in_force(&self, secrets: Secrets) {
        let Secrets { ends_tokens, ends_users, .. } = secrets;
        self.secrets.store(Arc::new(secrets));
        if ends_tokens {
            self.sessions.end_of_tokens();
        }
        if ends_users {
            self.sessions.end_of_users();
        }
    }

    /// Whether it is asked over TLS.
    pub fn is_tls(&self) -> bool {
        self.secrets.load().is_tls
    }

    /// Whether one can sign in at all, and whether by a name.
    pub fn has_users(&self) -> bool {
        self.secrets.load().users.is_some()
    }

    /// Whether secrets cross a network in the clear, and nobody said that this is known.
    pub fn warns(&self) -> bool {
        self.secrets.load().warns
    }

    /// Tells who sends a request; `None`: nobody that is known.
    pub fn recognise(&self, headers: &HeaderMap, from: IpAddr, now: i64) -> Result<Option<Reader>, BadToken> {
        let (by, secrets) = (by(headers), self.secrets.load());
        let reader = |name: &str, role, context: &str, session| {
            let who = Who { name: name.to_owned(), role, by, from: Some(from) };
            Ok(Some(Reader { who, csrf: self.csrf.token(context).into(), session, done: None }))
        };
        if let Some(shown) = token::shown(headers).filter(|_| !secrets.is_open) {
            let role = secrets.tokens.role_of(shown).ok_or(BadToken)?;
            return reader(token_name(role), role, BEARER, None);
        }
        let cookie = sessions::in_cookie(headers, secrets.is_tls);
        if let Some((id, found)) = cookie.and_then(|id| Some((id, self.sessions.find(id, now)?))) {
            return reader(&found.name.clone(), found.role, id, Some(found));
        }
        match secrets.is_open {
            true => reader(LOCAL, Role::Operator, LOCAL, None),
            false => Ok(None),
        }
    }

    /// The token of forms of a page that anybody sees: to sign in.
    pub fn sign_in_token(&self) -> String {
        self.csrf.token(SIGN_IN)
    }

    /// Whether a request shows the token that its sender was given with a page.
    pub fn shows_token(&self, expected: &str, headers: &HeaderMap, body: &[u8]) -> bool {
        self.csrf.is_shown(expected, headers, body)
    }

    /// Begins a session by a user's password, or by a token if no user is named.
    pub async fn sign_in(
        self: &Arc<Self>,
        user: &str,
        password: &str,
        headers: &HeaderMap,
        from: IpAddr,
        now: i64,
    ) -> Result<SignedIn, SignInError> {
        self.limits.begin(from, user, now).map_err(SignInError::TooMany)?;
        let role = match user.is_empty() {
            true => self.secrets.load().tokens.role_of(password).ok_or(SignInError::Wrong)?,
            false => self.compare(user, password).await?,
        };
        self.limits.forgive(from, user, now);
        let name = if user.is_empty() { token_name(role) } else { user };
        let octets = random().map_err(|error| SignInError::Fault(error.to_string()))?;
        let id = self.sessions.begin(octets, name, role, !user.is_empty(), now);
        let session = self.sessions.find(&id, now).ok_or_else(|| SignInError::Fault("the session is gone".into()))?;
        let who = Who { name: name.to_owned(), role, by: by(headers), from: Some(from) };
        Ok(SignedIn { who, csrf: self.csrf.token(&id), session, id })
    }

    /// Compares a password, as few at once as there is room for.
    async fn compare(self: &Arc<Self>, user: &str, password: &str) -> Result<Role, SignInError> {
        let turn = tokio::time::timeout(TURN_WITHIN, self.comparing.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(SignInError::Busy) };
        let (own, user, password) = (self.clone(), user.to_owned(), password.to_owned());
        let comparing = tokio::task::spawn_blocking(move || {
            // Whoever was added just now can sign in at once, and whoever was removed can't.
            own.look();
            let users = own.secrets.load().users.as_ref().map(|file| file.users()).unwrap_or_default();
            users.verify(&user, &password)
        });
        comparing.await.map_err(|error| SignInError::Fault(error.to_string()))?.ok_or(SignInError::Wrong)
    }

    pub fn sign_out(&self, session: &Found) {
        self.sessions.end(session);
    }

    /// The header that sets the cookie, or has the browser forget it.
    pub fn set_cookie(&self, id: Option<&str>) -> String {
        sessions::set_cookie(id, self.is_tls())
    }

    /// Looks whether the file of users has changed, which ends their sessions. It waits for the disk.
    pub fn look(&self) {
        if self.secrets.load().users.as_ref().is_some_and(|file| file.look()) {
            self.sessions.end_of_users();
        }
    }

    /// Why users as they are written aren't in force.
    pub fn trouble(&self) -> Option<String> {
        self.secrets.load().users.as_ref().and_then(|file| file.trouble())
    }
}

impl Secrets {
    fn new(admin: &Admin, users: Option<Arc<UsersFile>>) -> Result<Self, UsersError> {
        let tokens = Tokens::new(key()?, admin.token.as_deref(), admin.read_token.as_deref());
        Ok(Self {
            is_open: !tokens.is_any() && users.is_none() && admin.listen.ip().to_canonical().is_loopback(),
            is_tls: admin.tls.is_some(),
            warns: admin.is_in_the_clear() && !admin.insecure,
            tokens,
            users,
            ends_tokens: false,
            ends_users: false,
        })
    }
}

/// A key that nobody else has.
fn key() -> Result<hmac::Key, UsersError> {
    let octets: [u8; 32] = random().map_err(|error| UsersError::Unreadable { path: "/dev/urandom".into(), error })?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &octets))
}

/// What those are called who show a token.
fn token_name(role: Role) -> &'static str {
    match role {
        Role::Operator => "token",
        Role::ReadOnly => "read-token",
    }
}

/// By what way a request comes, as far as it says so.
pub fn by(headers: &HeaderMap) -> By {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (csrf::is_of_browser(headers), agent.starts_with("cleandns/")) {
        (true, _) => By::Page,
        (false, true) => By::Cli,
        (false, false) => By::Api,
    }
}

/// So many octets that nobody can foresee, as text.
pub fn word<const N: usize>() -> io::Result<String> {
    random::<N>().map(|octets| hex(&octets))
}

/// Octets that nobody can foresee.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).map_err(|_| io::Error::other("the system gives no random octets"))?;
    Ok(octets)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
