//! To sign in and out.

use super::super::{
    super::{
        AdminState,
        asked::Query,
        auth::{Reader, SignInError},
        change::sessions::{self, refusal},
        serve::Peer,
    },
    show,
};
use super::{Fields, assets, own_path};
use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "sign-in.html", config = "src/admin/pages/askama.toml")]
struct Page {
    style: &'static str,
    icon: &'static str,
    csrf: String,
    /// Where to go afterwards.
    back: String,
    /// What was typed.
    user: String,
    /// One signs in by a name; else by the token alone.
    has_users: bool,
    problem: Option<String>,
}

impl Page {
    fn new(state: &AdminState, back: &str, user: &str, problem: Option<String>) -> Self {
        Self {
            style: &assets::STYLE.address,
            icon: &assets::ICON.address,
            csrf: state.auth.sign_in_token(),
            back: back.to_owned(),
            user: user.to_owned(),
            has_users: state.auth.has_users(),
            problem,
        }
    }
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    back: String,
}

/// `GET /sign-in`
pub async fn sign_in_page(
    State(state): State<AdminState>,
    reader: Option<Extension<Reader>>,
    Query(asked): Query<Asked>,
) -> Response {
    let back = own_path(&asked.back);
    // Whoever is known already, or needn't be, has nothing to do here.
    match reader {
        Some(_) => Redirect::to(back).into_response(),
        None => show(Page::new(&state, back, "", None)),
    }
}

/// `POST /do/sign-in`
pub async fn sign_in(
    State(state): State<AdminState>,
    Extension(Peer(from)): Extension<Peer>,
    headers: HeaderMap,
    fields: Fields,
) -> Response {
    let (user, password) = (fields.one("user"), fields.exact("password"));
    match sessions::sign_in(&state, user, password, &headers, from).await {
        Ok(signed_in) => {
            let cookie = [(header::SET_COOKIE, state.auth.set_cookie(Some(&signed_in.id)))];
            (cookie, Redirect::to(fields.back())).into_response()
        }
        Err(error) => {
            let refusal = refusal(&error);
            let page = Page::new(&state, fields.back(), user, Some(refusal.detail.clone()));
            let mut response = (refusal.kind.status(), show(page)).into_response();
            if let SignInError::TooMany(seconds) = error {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
    }
}

/// `POST /do/sign-out`
pub async fn sign_out(State(state): State<AdminState>, reader: Reader) -> Response {
    sessions::sign_out(&state, &reader).await;
    ([(header::SET_COOKIE, state.auth.set_cookie(None))], Redirect::to("/sign-in")).into_response()
}
