//! The token that is asked for where one is set.

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// Lets a request through that shows the token, if there is one.
pub async fn with_token(State(token): State<Option<Arc<str>>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The scheme's name is written in any case (RFC 9110 §11.1).
    let of_scheme = |value: &str| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    let shown = shown.and_then(of_scheme).unwrap_or_default();
    match token {
        Some(token) if !equal(&shown, &token) => {
            let how = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, how, "send `Authorization: Bearer` with the token\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// Compares in a time that tells nothing of where they differ.
fn equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
