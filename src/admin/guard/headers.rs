//! What every response tells a browser.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// Nothing but our own style, script and pictures is loaded, none of it stands in a page, nobody frames one, and scripts
/// and forms ask here alone.
const CONTENT: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                       form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers and their values. The referrer isn't withheld altogether: browsers then send forms with `Origin: null`.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Where else the script of one page may ask: a host, with a port or `*`.
#[derive(Clone)]
pub struct AlsoAsks(pub String);

/// Adds them, whatever the response is. What says nothing of it is not kept by anybody.
pub async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
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

fn add(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
