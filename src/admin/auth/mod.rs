//! Who is known, by what they show: a token, or a session that a password or a token began. Knows no page and no route;
//! time is an argument.
//!
//! `token`, `users` and `sessions` are what can be shown, `csrf` whether it was meant, `limits` how often one may try,
//! `comparing` how many at once, `who` what handlers learn of it.

mod comparing;
pub mod csrf;
mod limits;
mod role;
pub mod sessions;
pub mod token;
pub mod users;
pub mod who;

pub use limits::network;
pub use role::Role;
pub use who::{By, Operator, Reader, Who};

use crate::config::Admin;
use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use comparing::{Comparing, NotCompared};
use csrf::Csrf;
use limits::Limits;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use sessions::{Began, Begun, Found, InForce, Sessions};
use std::{
    fmt::Write,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use token::Tokens;
use users::{UsersError, UsersFile};

/// Octets of a user's name that somebody typed, as it is kept and written down: none of ours is longer.
const TYPED_BYTES_MAX: usize = users::NAME_BYTES_MAX;
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
    comparing: Comparing,
}

/// What has to be shown, and over what: as it is configured now.
pub struct Secrets {
    /// Nobody has to show anything: it listens on loopback, and no secret is configured.
    is_open: bool,
    is_tls: bool,
    /// Secrets cross a network in the clear, and nobody said that this is known.
    warns: bool,
    tokens: Tokens,
    /// Tells these tokens from all others that this process has known.
    tokens_number: u64,
    users: Option<Arc<UsersFile>>,
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

/// Somebody who is who they say.
struct Verified {
    role: Role,
    /// By what that was found.
    by: Began,
}

/// A token was shown, and isn't one of ours.
#[derive(PartialEq, Eq, Debug)]
pub enum BadToken {
    /// The first of late from there.
    First,
    Again,
    /// There were too many; so many seconds are to be waited.
    TooMany(i64),
}

impl Auth {
    /// By the configuration; its file of users is read.
    pub fn new(admin: &Admin) -> Result<Self, UsersError> {
        let users = UsersFile::read(admin)?.map(Arc::new);
        Ok(Self {
            secrets: ArcSwap::from_pointee(Secrets::new(admin, users)?),
            sessions: Sessions::default(),
            csrf: Csrf::new(key()?),
            limits: Limits::default(),
            comparing: Comparing::default(),
        })
    }

    /// What has to be shown by another configuration. A file of users that stays is as it was last looked at.
    pub fn prepare(&self, running: &Admin, next: &Admin) -> Result<Secrets, UsersError> {
        let users = match running.users_file != next.users_file {
            true => UsersFile::read(next)?.map(Arc::new),
            false => self.secrets.load().users.clone(),
        };
        let mut secrets = Secrets::new(next, users)?;
        if (&running.token, &running.read_token) == (&next.token, &next.read_token) {
            secrets.tokens_number = self.secrets.load().tokens_number;
        }
        Ok(secrets)
    }

    /// Asks for these from now on. Sessions end that began by others.
    pub fn put_in_force(&self, secrets: Secrets) {
        self.secrets.store(Arc::new(secrets));
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
            // Whoever has the right one is never slowed down, whatever others of that address send.
            let role = secrets.tokens.role_of(shown).ok_or_else(|| self.wrong_token(from, now))?;
            return reader(token_name(role), role, BEARER, None);
        }
        let cookie = sessions::in_cookie(headers, secrets.is_tls);
        if let Some((id, found)) = cookie.and_then(|id| Some((id, self.sessions.find(id, self.in_force(), now)?))) {
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
        let name = typed(user);
        let wait = self.limits.begin(from, name, now).map_err(SignInError::TooMany)?;
        tokio::time::sleep(wait).await;
        let verified = match user.is_empty() {
            true => {
                let secrets = self.secrets.load();
                let role = secrets.tokens.role_of(password).ok_or(SignInError::Wrong)?;
                Verified { role, by: Began::Token(secrets.tokens_number) }
            }
            false => self.compare(user, password).await?,
        };
        self.limits.forgive(from, name, now);
        let name = if user.is_empty() { token_name(verified.role) } else { user };
        let (id, session) = self.begin(name, &verified, now)?;
        let who = Who { name: name.to_owned(), role: verified.role, by: by(headers), from: Some(from) };
        Ok(SignedIn { who, csrf: self.csrf.token(&id), session, id })
    }

    /// Begins a session of somebody who is who they say.
    fn begin(&self, name: &str, verified: &Verified, now: i64) -> Result<(String, Found), SignInError> {
        let octets = random().map_err(|error| SignInError::Fault(error.to_string()))?;
        let begun = Begun { name, role: verified.role, by: verified.by };
        let id = self.sessions.begin(octets, begun, now);
        // Users and tokens may have changed meanwhile; then what was shown is to be compared with theirs.
        let session = self.sessions.find(&id, self.in_force(), now).ok_or(SignInError::Busy)?;
        Ok((id, session))
    }

    /// Compares a password, as few at once as there is room for.
    async fn compare(self: &Arc<Self>, user: &str, password: &str) -> Result<Verified, SignInError> {
        let (own, user, password) = (self.clone(), user.to_owned(), password.to_owned());
        let compared = self.comparing.run(move || {
            // Whoever was added just now can sign in at once, and whoever was removed can't.
            own.look();
            let in_force = own.secrets.load().users.as_ref()?.in_force();
            let role = in_force.users.verify(&user, &password)?;
            Some(Verified { role, by: Began::Password(in_force.number) })
        });
        match compared.await {
            Ok(verified) => verified.ok_or(SignInError::Wrong),
            Err(NotCompared::Busy) => Err(SignInError::Busy),
            Err(NotCompared::Fault(why)) => Err(SignInError::Fault(why)),
        }
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
        if let Some(users) = &self.secrets.load().users {
            users.look();
        }
    }

    /// The numbers of the tokens and users in force.
    fn in_force(&self) -> InForce {
        let secrets = self.secrets.load();
        let users = secrets.users.as_ref().map_or(0, |users| users.in_force().number);
        InForce { tokens: secrets.tokens_number, users }
    }

    fn wrong_token(&self, from: IpAddr, now: i64) -> BadToken {
        match self.limits.wrong_token(from, now) {
            Ok(true) => BadToken::First,
            Ok(false) => BadToken::Again,
            Err(seconds) => BadToken::TooMany(seconds),
        }
    }

    /// Why users as they are written aren't in force.
    pub fn trouble(&self) -> Option<String> {
        self.secrets.load().users.as_ref().and_then(|file| file.trouble())
    }
}

/// How many sets of tokens there were.
static TOKENS_KNOWN: AtomicU64 = AtomicU64::new(0);

impl Secrets {
    fn new(admin: &Admin, users: Option<Arc<UsersFile>>) -> Result<Self, UsersError> {
        let tokens = Tokens::new(key()?, admin.token.as_deref(), admin.read_token.as_deref());
        // A token that isn't there lets nobody in, rather than everybody.
        let is_asked = admin.token_file.is_some() || tokens.is_any() || users.is_some();
        Ok(Self {
            is_open: !is_asked && admin.listen.ip().to_canonical().is_loopback(),
            is_tls: admin.tls.is_some(),
            warns: admin.is_in_the_clear() && !admin.insecure,
            tokens,
            tokens_number: TOKENS_KNOWN.fetch_add(1, Relaxed),
            users,
        })
    }
}

/// A key that nobody else has.
fn key() -> Result<hmac::Key, UsersError> {
    let octets: [u8; 32] = random().map_err(|error| UsersError::Unreadable { path: "/dev/urandom".into(), error })?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &octets))
}

/// A name that somebody typed, as far as it is kept.
pub fn typed(user: &str) -> &str {
    &user[..user.floor_char_boundary(TYPED_BYTES_MAX)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn write(path: &Path, password: &str) {
        let mut all = users::Users::default();
        all.set("anna", Role::Operator, password).unwrap();
        all.write(path, None).unwrap();
    }

    fn with_users(path: &Path) -> Arc<Auth> {
        let admin = Admin { users_file: Some(path.to_owned()), ..Admin::plain("127.0.0.1:0".parse().unwrap()) };
        Arc::new(Auth::new(&admin).unwrap())
    }

    /// A password was right, and is no longer when the session begins.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_session_that_begins_while_users_change_ends_with_the_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        write(&path, "correct horse");
        let auth = with_users(&path);
        let verified = auth.compare("anna", "correct horse").await.unwrap_or_else(|error| panic!("{error:?}"));
        write(&path, "battery staple");
        auth.look();
        assert_eq!(auth.begin("anna", &verified, 1).map(|_| ()), Err(SignInError::Busy));
        let verified = auth.compare("anna", "battery staple").await.unwrap_or_else(|error| panic!("{error:?}"));
        let (id, _) = auth.begin("anna", &verified, 1).unwrap();
        assert!(auth.sessions.find(&id, auth.in_force(), 2).is_some());
        let by_token = Verified { role: Role::Operator, by: Began::Token(auth.in_force().tokens) };
        let (token, _) = auth.begin("token", &by_token, 1).unwrap();
        write(&path, "something else");
        auth.look();
        assert!(auth.sessions.find(&id, auth.in_force(), 2).is_none());
        assert!(auth.sessions.find(&token, auth.in_force(), 2).is_some(), "tokens are no users");
    }

    #[test]
    fn what_is_typed_is_kept_in_part() {
        assert_eq!((typed("anna"), typed(&"x".repeat(65)).len()), ("anna", 64));
        assert_eq!(typed(&"ä".repeat(100)), "ä".repeat(32), "octets, and whole signs");
        assert_eq!(typed(&format!("x{}", "ä".repeat(100))).len(), 63);
    }
}
