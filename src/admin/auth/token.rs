//! Tokens: secrets in files, shown as `Authorization: Bearer`. They are compared in a time that tells nothing of them.

use super::{Role, hex, random};
use crate::whole::{PRIVATE, Whole};
use axum::http::{HeaderMap, header};
use ring::hmac;
use std::{
    io::{self, Write},
    path::Path,
};

/// Octets of a token of our own making.
const TOKEN_BYTES: usize = 32;

/// The tokens there are, as what a key of this process makes of them.
pub struct Tokens {
    key: hmac::Key,
    operator: Option<hmac::Tag>,
    read_only: Option<hmac::Tag>,
}

impl Tokens {
    pub fn new(key: hmac::Key, operator: Option<&str>, read_only: Option<&str>) -> Self {
        let tag = |token: &str| hmac::sign(&key, &message(token));
        let (operator, read_only) = (operator.map(tag), read_only.map(tag));
        Self { key, operator, read_only }
    }

    /// Whether there are any.
    pub fn is_any(&self) -> bool {
        self.operator.is_some() || self.read_only.is_some()
    }

    /// What the holder of a token may, if it is one of ours.
    pub fn role_of(&self, shown: &str) -> Option<Role> {
        let is = |tag: &Option<hmac::Tag>| {
            tag.is_some_and(|tag| hmac::verify(&self.key, &message(shown), tag.as_ref()).is_ok())
        };
        match (is(&self.operator), is(&self.read_only)) {
            (true, _) => Some(Role::Operator),
            (false, true) => Some(Role::ReadOnly),
            (false, false) => None,
        }
    }
}

/// The key has other uses; nothing else begins so.
fn message(token: &str) -> Vec<u8> {
    [b"token:", token.as_bytes()].concat()
}

/// The token that a request shows, if it shows any; an empty one if it shows something else.
pub fn shown(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    // The scheme's name is written in any case (RFC 9110 §11.1).
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    Some(if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" })
}

/// Writes a new token into a file that isn't there yet, for its owner alone to read: `owner`, user and group, or else
/// whoever this is. Returns the token.
pub fn write_new(path: &Path, owner: Option<(u32, u32)>) -> io::Result<String> {
    let token = hex(&random::<TOKEN_BYTES>()?);
    let mut file = Whole::begin(path, PRIVATE)?;
    owner.map_or(Ok(()), |owner| file.give_to(owner))?;
    writeln!(file, "{token}")?;
    file.finish_new()?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_one() {
        let key = || hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let tokens = Tokens::new(key(), Some("s3cret"), Some("look"));
        for (shown, role) in [
            ("s3cret", Some(Role::Operator)),
            ("look", Some(Role::ReadOnly)),
            ("s3cre", None),
            ("s3crets", None),
            ("S3cret", None),
            ("", None),
        ] {
            assert_eq!(tokens.role_of(shown), role, "{shown}");
        }
        let none = Tokens::new(key(), None, None);
        assert_eq!((none.is_any(), none.role_of("")), (false, None));
    }

    #[test]
    fn a_new_token_is_for_its_owner_alone_and_replaces_none() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = write_new(&path, None).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim(), token);
        assert!(text.len() == 65 && text.trim().bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_new(&path, None).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
