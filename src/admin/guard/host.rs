//! By what name this server is asked. A web page in a browser on this machine could ask it by a name of its own making
//! that leads here (DNS rebinding), so only requests that name an address, `localhost` or a name of the configuration are heard.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc};

/// Tells whether a name is one of this server's; which they are may change.
pub type IsName = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Lets a request through that names this server plainly.
pub async fn by_name(State(is_name): State<IsName>, request: Request, next: Next) -> Response {
    match is_ours(request.headers(), &*is_name) {
        Some(true) => next.run(request).await,
        Some(false) => {
            let advice = "ask by address or as localhost, or write the name into [admin] names\n";
            (StatusCode::MISDIRECTED_REQUEST, advice).into_response()
        }
        None => {
            (StatusCode::BAD_REQUEST, "say by what name you ask, in one header Host (RFC 9112 §3.2)\n").into_response()
        }
    }
}

/// Whether the Host header is an address, `localhost` or a name of this server's; `None` if there isn't one.
fn is_ours(headers: &HeaderMap, is_name: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut all = headers.get_all(header::HOST).into_iter();
    let (Some(host), None) = (all.next(), all.next()) else { return None };
    let host = host.to_str().unwrap_or("?");
    let without_port = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => host,
    };
    let bare = without_port.trim_start_matches('[').trim_end_matches(']');
    let is_named = bare.eq_ignore_ascii_case("localhost") || is_name(bare);
    Some(is_named || bare.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_name(name: &str) -> bool {
        name.eq_ignore_ascii_case("dns.corp.example")
    }

    #[test]
    fn only_plain_names_of_this_server_are_heard() {
        for (host, expected) in [
            ("127.0.0.1:8053", true),
            ("localhost", true),
            ("localhost:8053", true),
            ("[::1]:8053", true),
            ("[::1]", true),
            ("192.168.1.2", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8053", false),
            ("localhost.evil.example", false),
            ("LOCALHOST", true),
            ("dns.corp.example:8053", true),
            ("DNS.corp.example", true),
            ("x.dns.corp.example", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(is_ours(&headers, &is_name), Some(expected), "{host}");
        }
        assert_eq!(is_ours(&HeaderMap::new(), &is_name), None);
        let mut twice = HeaderMap::new();
        twice.append(header::HOST, "localhost".parse().unwrap());
        twice.append(header::HOST, "evil.example".parse().unwrap());
        assert_eq!(is_ours(&twice, &is_name), None);
    }
}
