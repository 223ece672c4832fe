//! How much one may send, for how long, and how many may at once.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Duration;

/// Octets of a body: a form or a small JSON object.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// Octets of a request's line and headers.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long it may take to send a head, and then a body. An idle connection is closed after it too.
pub const SEND_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection takes requests: whoever reads too slowly to ever end doesn't hold it for good.
pub const CONNECTION_WITHIN: Duration = Duration::from_secs(300);
/// Connections at once: more than that are no people and their tools. The others wait to be accepted.
pub const CONNECTIONS_MAX: usize = 128;
/// Of these, from one address (IPv6: one /64): more than a person with some browsers has, and few enough that nobody keeps
/// the others out. Those beyond are closed at once.
pub const CONNECTIONS_OF_ADDRESS_MAX: usize = 32;
/// The same from a trusted proxy, and from this machine, where one may stand: all others come through it.
pub const CONNECTIONS_OF_PROXY_MAX: usize = 96;

/// Reads the body whole before anybody works on the request.
pub async fn bounded(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let declared = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, format!("at most {BODY_BYTES_MAX} octets\n")).into_response();
    if declared.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
        return too_large();
    }
    match tokio::time::timeout(SEND_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok(Err(_)) => too_large(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response(),
    }
}
