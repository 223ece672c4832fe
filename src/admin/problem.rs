//! What went wrong, as data that programs can tell apart (RFC 9457), and as a sentence for people.

use axum::{
    Json,
    body::to_bytes,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Before the word that says what kind of problem it is. It is a name, and leads nowhere.
const TYPES: &str = "https://cleandns.invalid/problems/";
/// Octets of a text that becomes a problem's detail: what we say of errors is shorter.
const DETAIL_BYTES_MAX: usize = 16 << 10;
/// Headers of an error that outlast what becomes of its body: which methods there are, how to show a token, when to come
/// again, and a session that has ended.
const KEPT: [header::HeaderName; 4] =
    [header::ALLOW, header::WWW_AUTHENTICATE, header::RETRY_AFTER, header::SET_COOKIE];

/// The kinds of problems.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    BadRequest,
    NotSignedIn,
    ReadOnly,
    Csrf,
    NoSuchThing,
    Method,
    TooSlow,
    /// What was read before is no longer what is there.
    ChangedSince,
    /// An exception passes what was to be blocked.
    Excepted,
    /// It has to be confirmed.
    Confirm,
    TooLarge,
    NotJson,
    OtherHost,
    Invalid,
    TooMany,
    Fault,
    NotYet,
    /// There is no folder for what lasts.
    NoOverlay,
    /// The audit log can't be written, so nothing is changed.
    NotRecorded,
}

impl Kind {
    /// All of them, in the order of their statuses.
    pub const ALL: [Self; 19] = [
        Self::BadRequest,
        Self::NotSignedIn,
        Self::ReadOnly,
        Self::Csrf,
        Self::NoSuchThing,
        Self::Method,
        Self::TooSlow,
        Self::ChangedSince,
        Self::Excepted,
        Self::Confirm,
        Self::TooLarge,
        Self::NotJson,
        Self::OtherHost,
        Self::Invalid,
        Self::TooMany,
        Self::Fault,
        Self::NotYet,
        Self::NoOverlay,
        Self::NotRecorded,
    ];

    /// Its stable word, its status, and what it means.
    fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST, "The request can't be read"),
            Self::NotSignedIn => ("not_signed_in", StatusCode::UNAUTHORIZED, "Nobody is signed in by that"),
            Self::ReadOnly => ("read_only", StatusCode::FORBIDDEN, "You can look, and change nothing"),
            Self::Csrf => ("csrf", StatusCode::FORBIDDEN, "It doesn't show that you meant it"),
            Self::NoSuchThing => ("no_such_thing", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::Method => ("method", StatusCode::METHOD_NOT_ALLOWED, "That can't be done to it"),
            Self::TooSlow => ("too_slow", StatusCode::REQUEST_TIMEOUT, "It took too long to send"),
            Self::ChangedSince => ("changed_since", StatusCode::CONFLICT, "It was changed in the meantime"),
            Self::Excepted => ("excepted", StatusCode::CONFLICT, "An exception passes it"),
            Self::Confirm => ("confirm", StatusCode::CONFLICT, "It has to be confirmed"),
            Self::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::NotJson => ("not_json", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body has to be JSON"),
            Self::OtherHost => ("other_host", StatusCode::MISDIRECTED_REQUEST, "This server isn't known by that name"),
            Self::Invalid => ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "The values don't fit"),
            Self::TooMany => ("too_many", StatusCode::TOO_MANY_REQUESTS, "That was too often"),
            Self::Fault => ("fault", StatusCode::INTERNAL_SERVER_ERROR, "Something is wrong here"),
            Self::NotYet => ("not_yet", StatusCode::SERVICE_UNAVAILABLE, "It isn't ready for that yet"),
            Self::NoOverlay => ("no_overlay", StatusCode::SERVICE_UNAVAILABLE, "There is no place to keep that"),
            Self::NotRecorded => ("not_recorded", StatusCode::SERVICE_UNAVAILABLE, "It can't be recorded"),
        }
    }

    pub fn status(self) -> StatusCode {
        self.parts().1
    }

    /// Its stable word.
    pub fn word(self) -> &'static str {
        self.parts().0
    }

    /// What a problem of it has as its type.
    pub fn uri(self) -> String {
        format!("{TYPES}{}", self.word())
    }

    /// What it means, for people.
    pub fn title(self) -> &'static str {
        self.parts().2
    }

    /// The kind of an error of which only the status is known.
    pub fn of(status: StatusCode) -> Self {
        const BY_STATUS: [Kind; 13] = [
            Kind::BadRequest,
            Kind::NotSignedIn,
            Kind::ReadOnly,
            Kind::NoSuchThing,
            Kind::Method,
            Kind::TooSlow,
            Kind::ChangedSince,
            Kind::TooLarge,
            Kind::NotJson,
            Kind::OtherHost,
            Kind::Invalid,
            Kind::TooMany,
            Kind::NotYet,
        ];
        let other = if status.is_client_error() { Self::BadRequest } else { Self::Fault };
        BY_STATUS.into_iter().find(|kind| kind.status() == status).unwrap_or(other)
    }
}

/// What is wrong with one value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    pub field: String,
    pub message: String,
}

/// Why something isn't done. The API makes a problem of it, pages a sentence: each by its own layer.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub kind: Kind,
    /// One or two sentences.
    pub detail: String,
    /// By field, where it is about values.
    pub fields: Vec<FieldProblem>,
}

impl Refusal {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), fields: Vec::new() }
    }

    /// A value that doesn't fit.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let fields = vec![FieldProblem { field: field.to_owned(), message: message.clone() }];
        Self { kind: Kind::Invalid, detail: format!("{field}: {message}"), fields }
    }

    /// Somebody wants to change something and may not.
    pub fn read_only(name: &str) -> Self {
        Self::new(Kind::ReadOnly, format!("{name} may look, and change nothing"))
    }

    /// What is wrong with one field, if anything is.
    pub fn of_field(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|own| own.field == field).map(|own| own.message.as_str())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status(), format!("{}\n", self.detail)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The body of an error of the API.
#[derive(Serialize, JsonSchema, Debug)]
pub struct Problem {
    pub r#type: String,
    pub title: &'static str,
    pub status: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The path that was asked.
    pub instance: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
}

impl Problem {
    fn new(refusal: Refusal, status: StatusCode, instance: String) -> Self {
        Self {
            r#type: refusal.kind.uri(),
            title: refusal.kind.title(),
            status: status.as_u16(),
            detail: refusal.detail.trim().to_owned(),
            instance,
            problems: refusal.fields,
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
    let refusal = match head.extensions.get::<Refusal>() {
        Some(refusal) => refusal.clone(),
        None => {
            let text = to_bytes(body, DETAIL_BYTES_MAX).await.unwrap_or_default();
            Refusal::new(Kind::of(head.status), String::from_utf8_lossy(&text))
        }
    };
    let mut problem = Problem::new(refusal, head.status, path).into_response();
    for name in KEPT {
        if let Some(value) = head.headers.get(&name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}
