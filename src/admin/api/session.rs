//! `/api/v1/session`: who one is, and to sign in and out.

use super::super::{
    AdminState,
    auth::{Reader, Role, SignInError},
    change::sessions::{self, refusal},
    serve::Peer,
};
use crate::report::Moment;
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

/// Who asks.
#[derive(Serialize, Debug)]
pub struct SessionView {
    pub user: String,
    pub role: Role,
    /// What a browser's script shows as `X-CSRF-Token` with every change.
    pub csrf: String,
    /// When the session ends if nothing is asked meanwhile; there is none without a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Empty: the password is a token.
    #[serde(default)]
    user: String,
    password: String,
}

fn moment(seconds: i64) -> Moment {
    Moment(seconds.saturating_mul(1_000_000))
}

/// `GET`
pub async fn session(reader: Reader) -> Json<SessionView> {
    let expires = reader.session.as_ref().map(|session| moment(session.expires));
    Json(SessionView { user: reader.who.name, role: reader.who.role, csrf: reader.csrf.to_string(), expires })
}

/// `POST`
pub async fn sign_in(
    State(state): State<AdminState>,
    Extension(Peer(from)): Extension<Peer>,
    headers: HeaderMap,
    Json(asked): Json<SignIn>,
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
pub async fn sign_out(State(state): State<AdminState>, reader: Reader) -> Response {
    sessions::sign_out(&state, &reader).await;
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, state.auth.set_cookie(None))]).into_response()
}
