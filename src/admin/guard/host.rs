//! By what name this server is asked. A web page in a browser on this machine could ask it by a name of its own making
//! that leads here (DNS rebinding), so only requests that name an address or `localhost` are heard.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::net::IpAddr;

/// Lets a request through that names this server plainly.
pub async fn by_address(request: Request, next: Next) -> Response {
    if !names_an_address(request.headers()) {
        return (StatusCode::MISDIRECTED_REQUEST, "ask by address or as localhost\n").into_response();
    }
    next.run(request).await
}

/// True if the Host header is an address, `localhost`, or missing.
fn names_an_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or("?");
    let without_port = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => host,
    };
    let bare = without_port.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(names_an_address(&headers), expected, "{host}");
        }
    }
}
