//! By what name this server is asked. A web page in a browser on this machine could ask it by a name of its own making
//! that leads here (DNS rebinding), so only requests that name an address, `localhost` or a name of the configuration are
//! heard. By the names with which devices find out whether they ask here there is one thing to be had, which tells nothing.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc};

/// Tells whether a name is one of this server's; which they are may change.
pub type IsName = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The names by which this server is asked, besides addresses and `localhost`.
pub struct Hosts {
    /// Those of the configuration.
    pub is_name: IsName,
    /// The zone with the names by which devices find out whether they ask here.
    pub check_zone: &'static str,
}

/// By what name a request asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Own,
    Check,
    Other,
}

/// What there is by the names of checks, whoever asks. Any page may read it.
const SEEN: ([(HeaderName, &str); 1], &str) = ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], "yes\n");

/// Lets a request through that names this server plainly.
pub async fn by_name(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() == "/seen";
    match asked_by(request.headers(), &hosts) {
        Some(By::Own) => next.run(request).await,
        Some(By::Check) if is_look => SEEN.into_response(),
        Some(By::Check | By::Other) => {
            let advice = "ask by address or as localhost, or write the name into [admin] names\n";
            (StatusCode::MISDIRECTED_REQUEST, advice).into_response()
        }
        None => {
            (StatusCode::BAD_REQUEST, "say by what name you ask, in one header Host (RFC 9112 §3.2)\n").into_response()
        }
    }
}

/// What the Host header names; `None` if there isn't one.
fn asked_by(headers: &HeaderMap, Hosts { is_name, check_zone }: &Hosts) -> Option<By> {
    let mut all = headers.get_all(header::HOST).into_iter();
    let (Some(host), None) = (all.next(), all.next()) else { return None };
    let host = host.to_str().unwrap_or("?");
    let bare = host_alone(host);
    let is_named = bare.eq_ignore_ascii_case("localhost") || is_name(bare);
    if is_named || bare.parse::<IpAddr>().is_ok() {
        return Some(By::Own);
    }
    let bare = bare.trim_end_matches('.').to_ascii_lowercase();
    let is_check = bare.strip_suffix(check_zone).is_some_and(|below| below.ends_with('.'));
    Some(if is_check { By::Check } else { By::Other })
}

/// A Host header's name or address, without its port.
pub fn host_alone(host: &str) -> &str {
    let without_port = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => host,
    };
    without_port.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        let is_name = Arc::new(|name: &str| name.eq_ignore_ascii_case("dns.corp.example"));
        Hosts { is_name, check_zone: "check.home.arpa" }
    }

    fn host_header(host: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, host.parse().unwrap())])
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
            let expected = if expected { By::Own } else { By::Other };
            assert_eq!(asked_by(&host_header(host), &hosts()), Some(expected), "{host}");
        }
        assert_eq!(asked_by(&HeaderMap::new(), &hosts()), None);
        let mut twice = HeaderMap::new();
        twice.append(header::HOST, "localhost".parse().unwrap());
        twice.append(header::HOST, "evil.example".parse().unwrap());
        assert_eq!(asked_by(&twice, &hosts()), None);
    }

    #[test]
    fn names_of_checks_are_told_apart() {
        for (host, expected) in [
            ("t-1.check.home.arpa", By::Check),
            ("T-1.Check.home.arpa.:8053", By::Check),
            ("x.t-1.check.home.arpa:80", By::Check),
            ("check.home.arpa", By::Other),
            ("xcheck.home.arpa", By::Other),
            ("t-1.check.home.arpa.evil.example", By::Other),
            ("t-1.check.home.arpa:80@evil.example", By::Other),
        ] {
            assert_eq!(asked_by(&host_header(host), &hosts()), Some(expected), "{host}");
        }
    }
}
