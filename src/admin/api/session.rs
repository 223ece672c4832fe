//! `/api/v1/session`: who one is, and to sign in and out.

use super::super::{
    AdminState,
    auth::{Reader, Role, SignInError},
    change::sessions::{self, refusal},
    problem::Kind,
    serve::Peer,
};
use super::{
    asked::{Body, Nothing, Query},
    openapi::{Operation, Who, change, get},
};
use crate::report::Moment;
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who asks.
#[derive(Serialize, JsonSchema, Debug)]
pub struct SessionView {
    pub user: String,
    pub role: Role,
    /// What a browser's script shows as `X-CSRF-Token` with every change.
    pub csrf: String,
    /// When the session ends if nothing is asked meanwhile; there is none without a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
}

/// A password, or a token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Empty: the password is a token.
    #[serde(default)]
    user: String,
    password: String,
}

/// What the document says of them.
pub const OPERATIONS: &[Operation] = &[
    get("/api/v1/session", "Who one is").asks::<Nothing>().gives::<SessionView>(200, "Who asks, and what they may."),
    change("post", "/api/v1/session", "Sign in")
        .more("By a user's password, or by a token if no user is named. The cookie of the response is the session.")
        .by(Who::Newcomer)
        .asks::<Nothing>()
        .takes::<SignIn>()
        .gives::<SessionView>(200, "One is signed in.")
        .refuses(&[Kind::TooMany, Kind::NotYet]),
    change("delete", "/api/v1/session", "Sign out")
        .by(Who::Reader)
        .asks::<Nothing>()
        .gives_nothing(204, "The session has ended, if there was one."),
];

fn moment(seconds: i64) -> Moment {
    Moment(seconds.saturating_mul(1_000_000))
}

/// `GET`
pub async fn session(reader: Reader, Query(Nothing {}): Query<Nothing>) -> Json<SessionView> {
    let expires = reader.session.as_ref().map(|session| moment(session.expires));
    Json(SessionView { user: reader.who.name, role: reader.who.role, csrf: reader.csrf.to_string(), expires })
}

/// `POST`
pub async fn sign_in(
    State(state): State<AdminState>,
    Extension(Peer(from)): Extension<Peer>,
    headers: HeaderMap,
    Query(Nothing {}): Query<Nothing>,
    Body(asked): Body<SignIn>,
) -> Response {
    match sessions::sign_in(&state, &asked.user, &asked.password, &headers, from).await {
        Ok(signed_in) => {
            let cookie = [(header::SET_COOKIE, state.auth.set_cookie(Some(&signed_in.id)))];
            let (user, role) = (signed_in.who.name, signed_in.who.role);
            let expires = Some(moment(signed_in.session.expires));
            (cookie, Json(SessionView { user, role, csrf: signed_in.csrf, expires })).into_response()
        }
        Err(error) => {
            let mut response = refusal(&error).into_response();
            if let SignInError::TooMany(seconds) = error {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
    }
}

/// `DELETE`
pub async fn sign_out(State(state): State<AdminState>, reader: Reader, Query(Nothing {}): Query<Nothing>) -> Response {
    sessions::sign_out(&state, &reader).await;
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, state.auth.set_cookie(None))]).into_response()
}
