//! Who is signed in. A browser has 32 random octets in a cookie; here is their hash. Sessions end with the process.

use super::{Role, hex};
use axum::http::{HeaderMap, header};
use ring::digest::{SHA256, digest};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

/// Seconds without a request after which a session is over: a working day.
pub const IDLE_SECONDS: i64 = 12 * 3600;
/// Seconds after which a session is over in any case.
pub const AGE_SECONDS: i64 = 7 * 86_400;
/// Sessions at once, more than people who look after one resolver; the oldest goes.
const SESSIONS_MAX: usize = 256;
/// Octets of what the cookie holds.
pub const ID_BYTES: usize = 32;

/// The SHA-256 of what the cookie holds.
type Key = [u8; 32];

/// All sessions.
#[derive(Default)]
pub struct Sessions {
    all: Mutex<HashMap<Key, Session>>,
}

struct Session {
    name: String,
    role: Role,
    by: Began,
    /// Seconds since 1970, as the next.
    began: i64,
    used: i64,
}

/// Whose session begins.
pub struct Begun<'a> {
    pub name: &'a str,
    pub role: Role,
    pub by: Began,
}

/// By what a session began, with the number of what was in force then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Began {
    Token(u64),
    Password(u64),
}

/// The numbers of what is in force.
#[derive(Clone, Copy, Debug)]
pub struct InForce {
    pub tokens: u64,
    pub users: u64,
}

/// A session that holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    key: Key,
    pub name: String,
    pub role: Role,
    /// Seconds since 1970 when it ends if nothing is asked meanwhile.
    pub expires: i64,
}

impl Sessions {
    /// Begins one by octets that nobody can foresee; returns what the cookie holds.
    pub fn begin(&self, octets: [u8; ID_BYTES], Begun { name, role, by }: Begun<'_>, now: i64) -> String {
        let id = hex(&octets);
        let mut all = self.lock();
        all.retain(|_, session| now < session.expires());
        while all.len() >= SESSIONS_MAX {
            let Some(oldest) = all.iter().min_by_key(|(_, session)| session.began).map(|(key, _)| *key) else { break };
            all.remove(&oldest);
        }
        all.insert(key_of(&id), Session { name: name.to_owned(), role, by, began: now, used: now });
        id
    }

    /// The session of a cookie's content, which is used by that. It ends with the tokens or users by
    /// which it began.
    pub fn find(&self, id: &str, in_force: InForce, now: i64) -> Option<Found> {
        let (mut all, key) = (self.lock(), key_of(id));
        let session = all.get_mut(&key)?;
        let holds = match session.by {
            Began::Token(own) => own == in_force.tokens,
            Began::Password(own) => own == in_force.users,
        };
        if session.expires() <= now || !holds {
            all.remove(&key);
            return None;
        }
        session.used = now.max(session.used);
        Some(Found { key, name: session.name.clone(), role: session.role, expires: session.expires() })
    }

    pub fn end(&self, found: &Found) {
        self.lock().remove(&found.key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Session>> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Session {
    fn expires(&self) -> i64 {
        (self.used + IDLE_SECONDS).min(self.began + AGE_SECONDS)
    }
}

fn key_of(id: &str) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    key
}

/// The cookie's name. Browsers take one that begins with `__Host-` from this very server over TLS alone (RFC 6265bis).
pub fn cookie_name(is_tls: bool) -> &'static str {
    if is_tls { "__Host-cleandns" } else { "cleandns" }
}

/// What our cookie holds.
pub fn in_cookie(headers: &HeaderMap, is_tls: bool) -> Option<&str> {
    let name = cookie_name(is_tls);
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// The header that sets the cookie, or has the browser forget it.
pub fn set_cookie(id: Option<&str>, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    let forget = if id.is_none() { "; Max-Age=0" } else { "" };
    format!("{}={}; HttpOnly; SameSite=Strict; Path=/{secure}{forget}", cookie_name(is_tls), id.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(number: usize) -> [u8; ID_BYTES] {
        let mut octets = [0; ID_BYTES];
        octets[..8].copy_from_slice(&number.to_be_bytes());
        octets
    }

    /// These tokens and no others, and some users.
    fn users(users: u64) -> InForce {
        InForce { tokens: 1, users }
    }

    /// By a password, when the users in force were the first.
    fn begin(sessions: &Sessions, number: usize, role: Role, now: i64) -> String {
        sessions.begin(octets(number), Begun { name: "anna", role, by: Began::Password(1) }, now)
    }

    #[test]
    fn sessions_end_when_idle_when_old_and_when_told() {
        let sessions = Sessions::default();
        let id = begin(&sessions, 1, Role::Operator, 0);
        assert_eq!(id.len(), 64);
        assert_eq!(sessions.find("other", users(1), 1), None);
        let found = sessions.find(&id, users(1), IDLE_SECONDS - 1).unwrap();
        assert_eq!((found.name.as_str(), found.role, found.expires), ("anna", Role::Operator, 2 * IDLE_SECONDS - 1));
        assert_eq!(sessions.find(&id, users(1), found.expires), None, "idle");
        assert_eq!(sessions.find(&id, users(1), 1), None, "it doesn't come back");

        let id = begin(&sessions, 2, Role::ReadOnly, 0);
        let mut now = 0;
        while let Some(found) = sessions.find(&id, users(1), now) {
            assert!(found.expires <= AGE_SECONDS);
            now += IDLE_SECONDS / 2;
        }
        assert_eq!(now, AGE_SECONDS);

        let by_token = sessions.begin(octets(3), Begun { name: "token", role: Role::Operator, by: Began::Token(1) }, 0);
        let by_password = begin(&sessions, 4, Role::Operator, 0);
        assert!(sessions.find(&by_password, users(2), 1).is_none(), "there are other users");
        let others = InForce { tokens: 2, users: 1 };
        let by_old_token =
            sessions.begin(octets(5), Begun { name: "token", role: Role::Operator, by: Began::Token(1) }, 0);
        assert!(sessions.find(&by_old_token, others, 1).is_none(), "there are other tokens");
        sessions.end(&sessions.find(&by_token, users(2), 1).unwrap());
        assert!(sessions.find(&by_token, users(2), 1).is_none());
    }

    #[test]
    fn the_oldest_goes() {
        let sessions = Sessions::default();
        let ids: Vec<String> =
            (0..=SESSIONS_MAX).map(|number| begin(&sessions, number, Role::Operator, number as i64)).collect();
        assert!(sessions.find(&ids[0], users(1), 300).is_none());
        assert!(ids[1..].iter().all(|id| sessions.find(id, users(1), 300).is_some()));
    }

    #[test]
    fn cookies_are_for_this_server_alone() {
        assert_eq!(set_cookie(Some("ab"), false), "cleandns=ab; HttpOnly; SameSite=Strict; Path=/");
        assert_eq!(set_cookie(Some("ab"), true), "__Host-cleandns=ab; HttpOnly; SameSite=Strict; Path=/; Secure");
        assert_eq!(set_cookie(None, false), "cleandns=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "x=1; cleandns=ab".parse().unwrap());
        headers.append(header::COOKIE, "__Host-cleandns=cd; y".parse().unwrap());
        assert_eq!((in_cookie(&headers, false), in_cookie(&headers, true)), (Some("ab"), Some("cd")));
        assert_eq!(in_cookie(&HeaderMap::new(), true), None);
    }
}
