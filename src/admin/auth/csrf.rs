//! Whether a request was meant by whoever's browser sends it: pages of others can have a browser send requests here, but
//! they can neither read a page of ours, where the token stands, nor hide where they come from.

use super::hex;
use axum::http::{HeaderMap, header};
use ring::hmac;

/// The header in which scripts show the token.
const HEADER: &str = "x-csrf-token";
/// Where a browser says what kind of page sends the request.
const SITE: &str = "sec-fetch-site";

/// Tokens for forms and scripts.
pub struct Csrf {
    key: hmac::Key,
}

impl Csrf {
    pub fn new(key: hmac::Key) -> Self {
        Self { key }
    }

    /// The token of a session, or of those who have none.
    pub fn token(&self, session: &str) -> String {
        hex(hmac::sign(&self.key, &message(session)).as_ref())
    }

    /// Whether a request shows the token expected of it: in its header, or in the field of its form.
    pub fn is_shown(&self, expected: &str, headers: &HeaderMap, body: &[u8]) -> bool {
        let in_header = headers.get(HEADER).and_then(|value| value.to_str().ok());
        let shown = in_header.or_else(|| is_form(headers).then(|| field(body)).flatten());
        // Compared as what the key makes of them, in a time that tells nothing of where they differ.
        let expected = hmac::sign(&self.key, expected.as_bytes());
        shown.is_some_and(|shown| hmac::verify(&self.key, shown.as_bytes(), expected.as_ref()).is_ok())
    }
}

/// The key has other uses; nothing else begins so.
fn message(session: &str) -> Vec<u8> {
    [b"csrf:", session.as_bytes()].concat()
}

/// Whether a browser sends it, as against a program of its user's own.
pub fn is_of_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::COOKIE) || headers.contains_key(header::ORIGIN) || headers.contains_key(SITE)
}

/// Whether it says what page sends it.
pub fn tells_where_from(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(SITE)
}

/// Whether the page that sends it is one of ours. Browsers tell the site only to servers they trust (https, loopback), and
/// the origin with every request that isn't GET or HEAD.
pub fn is_of_own_page(headers: &HeaderMap, is_tls: bool) -> bool {
    if let Some(site) = headers.get(SITE) {
        return site == "same-origin";
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if is_tls { "https" } else { "http" };
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")),
        _ => false,
    }
}

/// Whether the body is JSON, which no page of others can send without asking first, and nothing here answers that.
pub fn is_json(headers: &HeaderMap) -> bool {
    is_kind(headers, "application/json")
}

fn is_form(headers: &HeaderMap) -> bool {
    is_kind(headers, "application/x-www-form-urlencoded")
}

fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind)
}

/// The field of a form. It is hexadecimal digits, which are written as they are.
fn field(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    text.split('&').find_map(|field| field.strip_prefix("csrf="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        all.iter().map(header).collect()
    }

    #[test]
    fn only_our_own_pages_are_believed() {
        let host = ("host", "127.0.0.1:8053");
        for (more, is_own) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8053")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "http://127.0.0.1:8053")], true),
            (&[("origin", "https://127.0.0.1:8053")], false),
            (&[("origin", "http://127.0.0.1")], false),
            (&[("origin", "http://127.0.0.1:8053.evil.example")], false),
            (&[("origin", "null")], false),
            (&[("cookie", "cleandns=1")], false),
        ] {
            let all = headers(&[&[host], more].concat());
            assert_eq!((is_of_own_page(&all, false), is_of_browser(&all)), (is_own, true), "{more:?}");
        }
        let tls = headers(&[host, ("origin", "https://127.0.0.1:8053")]);
        assert!(is_of_own_page(&tls, true));
        assert!(!is_of_browser(&headers(&[host])));
    }

    #[test]
    fn a_token_is_of_one_session() {
        let csrf = Csrf::new(hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]));
        let token = csrf.token("a");
        let form = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
        let shown = |session: &str, all: &[(&str, &str)], body: &str| {
            csrf.is_shown(&csrf.token(session), &headers(all), body.as_bytes())
        };
        assert!(shown("a", &[("x-csrf-token", &token)], ""));
        assert!(shown("a", &[form], &format!("group=&csrf={token}&length=300")));
        assert!(!shown("b", &[("x-csrf-token", &token)], ""), "of another session");
        assert!(!shown("a", &[], &format!("csrf={token}")), "in a body that is no form");
        assert!(!shown("a", &[form], &format!("xcsrf={token}")));
        assert!(!shown("a", &[("x-csrf-token", "")], ""));
        assert!(!shown("a", &[("x-csrf-token", &token[1..])], ""));
        let other = Csrf::new(hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]));
        assert_ne!(other.token("a"), token, "of another process");
    }
}
