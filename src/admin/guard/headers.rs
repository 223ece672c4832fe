//! What every response tells a browser.

use super::host::host_alone;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use std::{net::IpAddr, sync::Arc};

/// Tells whether pages are served over TLS, which may change.
pub type IsTls = Arc<dyn Fn() -> bool + Send + Sync>;

/// Nothing but our own style, script and pictures is loaded, none of it stands in a page, nobody frames one, and scripts
/// and forms ask here alone.
const CONTENT: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                       form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers and their values. The referrer isn't withheld altogether: browsers then send forms with `Origin: null`.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// No page of others keeps a hold on one of ours. Browsers heed it of servers they trust, over TLS or on this machine, and
/// complain of it elsewhere.
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Where else the script of one page may ask: a host, with a port or `*`.
#[derive(Clone)]
pub struct AlsoAsks(pub String);

/// Adds them, whatever the response is. What says nothing of it is not kept by anybody.
pub async fn with_headers(State(is_tls): State<IsTls>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    // Where a proxy has the certificate, browsers tell by this that they trust it.
    let is_trusted = is_tls() || headers.contains_key("sec-fetch-site") || names_this_machine(headers);
    let mut response = next.run(request).await;
    if is_trusted {
        response.headers_mut().insert(OPENER, HeaderValue::from_static("same-origin"));
    }
    let also = response.extensions_mut().remove::<AlsoAsks>();
    add(response.headers_mut());
    if let Some(AlsoAsks(host)) = also {
        let own = "connect-src 'self'";
        // What is no header's value adds nothing.
        if let Ok(wider) = HeaderValue::try_from(CONTENT.replacen(own, &format!("{own} {host}"), 1)) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, wider);
        }
    }
    response
}

/// Whether the Host header is one of those that browsers trust though there is no TLS.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host_alone(host);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn add(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
