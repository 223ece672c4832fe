//! What went wrong, as data that programs can tell apart (RFC 9457).

use axum::{
    Json,
    body::to_bytes,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Before the word that says what kind of problem it is. It is a name, and leads nowhere.
const TYPES: &str = "https://cleandns.invalid/problems/";
/// Octets of a text that becomes a problem's detail: what we say of errors is shorter.
const DETAIL_BYTES_MAX: usize = 16 << 10;

/// The body of an error of the API.
#[derive(Serialize, Debug)]
pub struct Problem {
    pub r#type: String,
    pub title: &'static str,
    pub status: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The path that was asked.
    pub instance: String,
}

impl Problem {
    /// `detail`: one or two sentences for a person.
    pub fn new(status: StatusCode, detail: &str, instance: &str) -> Self {
        let (word, title) = kind(status);
        Self {
            r#type: format!("{TYPES}{word}"),
            title,
            status: status.as_u16(),
            detail: detail.trim().to_owned(),
            instance: instance.to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// The stable word of a status and what it means.
pub fn kind(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("bad_request", "The request can't be read"),
        StatusCode::UNAUTHORIZED => ("not_signed_in", "A token is needed"),
        StatusCode::NOT_FOUND => ("no_such_thing", "There is no such thing"),
        StatusCode::METHOD_NOT_ALLOWED => ("method", "That can't be done to it"),
        StatusCode::REQUEST_TIMEOUT => ("too_slow", "It took too long to send"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("not_json", "The body has to be JSON"),
        StatusCode::MISDIRECTED_REQUEST => ("other_host", "This server isn't known by that name"),
        StatusCode::UNPROCESSABLE_ENTITY => ("invalid", "The values don't fit"),
        StatusCode::SERVICE_UNAVAILABLE => ("not_yet", "It isn't ready for that yet"),
        status if status.is_client_error() => ("bad_request", "The request can't be served"),
        _ => ("fault", "Something is wrong here"),
    }
}

/// True for paths whose every error is a problem.
pub fn is_of_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// Makes every error of the API a problem, also those of the framework; the text it had is the detail.
pub async fn as_problems(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if !is_of_api(&path) || !is_error {
        return response;
    }
    let (head, body) = response.into_parts();
    let text = to_bytes(body, DETAIL_BYTES_MAX).await.unwrap_or_default();
    let mut problem = Problem::new(head.status, &String::from_utf8_lossy(&text), &path).into_response();
    // Which methods there are, how to show a token.
    for name in [header::ALLOW, header::WWW_AUTHENTICATE] {
        if let Some(value) = head.headers.get(&name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}
