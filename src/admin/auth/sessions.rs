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
    /// By a password in `users_file`; else by a token.
    by_password: bool,
    /// Seconds since 1970, as the next.
    began: i64,
    used: i64,
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
    pub fn begin(&self, octets: [u8; ID_BYTES], name: &str, role: Role, by_password: bool, now: i64) -> String {
        let id = hex(&octets);
        let mut all = self.lock();
        all.retain(|_, session| now < session.expires());
        while all.len() >= SESSIONS_MAX {
            let Some(oldest) = all.iter().min_by_key(|(_, session)| session.began).map(|(key, _)| *key) else { break };
            all.remove(&oldest);
        }
        all.insert(key_of(&id), Session { name: name.to_owned(), role, by_password, began: now, used: now });
        id
    }

    /// The session of a cookie's content, which is used by that.
    pub fn find(&self, id: &str, now: i64) -> Option<Found> {
        let (mut all, key) = (self.lock(), key_of(id));
        let session = all.get_mut(&key)?;
        if session.expires() <= now {
            all.remove(&key);
            return None;
        }
        session.used = now.max(session.used);
        Some(Found { key, name: session.name.clone(), role: session.role, expires: session.expires() })
    }

    pub fn end(&self, found: &Found) {
        self.lock().remove(&found.key);
    }

    /// Ends those that began by a password: passwords have changed.
    pub fn end_of_users(&self) {
        self.lock().retain(|_, session| !session.by_password);
    }

    /// Ends those that began by a token: tokens have changed.
    pub fn end_of_tokens(&self) {
        self.lock().retain(|_, session| session.by_password);
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

    #[test]
    fn sessions_end_when_idle_when_old_and_when_told() {
        let sessions = Sessions::default();
        let id = sessions.begin(octets(1), "anna", Role::Operator, true, 0);
        assert_eq!(id.len(), 64);
        assert_eq!(sessions.find("other", 1), None);
        let found = sessions.find(&id, IDLE_SECONDS - 1).unwrap();
        assert_eq!((found.name.as_str(), found.role, found.expires), ("anna", Role::Operator, 2 * IDLE_SECONDS - 1));
        assert_eq!(sessions.find(&id, found.expires), None, "idle");
        assert_eq!(sessions.find(&id, 1), None, "it doesn't come back");

        let id = sessions.begin(octets(2), "anna", Role::ReadOnly, true, 0);
        let mut now = 0;
        while let Some(found) = sessions.find(&id, now) {
            assert!(found.expires <= AGE_SECONDS);
            now += IDLE_SECONDS / 2;
        }
        assert_eq!(now, AGE_SECONDS);

        let by_token = sessions.begin(octets(3), "token", Role::Operator, false, 0);
        let by_password = sessions.begin(octets(4), "bob", Role::Operator, true, 0);
        sessions.end_of_users();
        assert!(sessions.find(&by_password, 1).is_none());
        sessions.end(&sessions.find(&by_token, 1).unwrap());
        assert!(sessions.find(&by_token, 1).is_none());
    }

    #[test]
    fn the_oldest_goes() {
        let sessions = Sessions::default();
        let begin = |number: usize| sessions.begin(octets(number), "anna", Role::Operator, true, number as i64);
        let ids: Vec<String> = (0..=SESSIONS_MAX).map(begin).collect();
        assert!(sessions.find(&ids[0], 300).is_none());
        assert!(ids[1..].iter().all(|id| sessions.find(id, 300).is_some()));
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
