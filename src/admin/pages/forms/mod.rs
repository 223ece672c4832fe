//! What forms ask for: `POST /do/<verb>`, urlencoded, with the field `csrf`. Afterwards 303 to the page in the field `back`
//! with `?done=<change>`, which the page tells of; or the page again with the problem and what was typed, status 422.
//!
//! They call what the API calls, and have no logic of their own.

mod changes;
mod control;
mod lists;
mod session;

pub use session::sign_in_page;

use super::{super::AdminState, assets};
use axum::{
    Form, Router,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::post,
};

/// Octets of a path to go back to.
const BACK_BYTES_MAX: usize = 2048;

/// All of them.
pub fn routes() -> Router<AdminState> {
    Router::new()
        .route("/do/sign-in", post(session::sign_in))
        .route("/do/sign-out", post(session::sign_out))
        .route("/do/mode", post(changes::mode))
        .route("/do/except", post(changes::except))
        .route("/do/block", post(changes::block))
        .route("/do/schedule", post(changes::schedule))
        .route("/do/undo", post(changes::undo_change))
        .route("/do/rollback", post(lists::roll_list_back))
        .route("/do/release", post(lists::release_list))
        .route("/do/let-through", post(lists::let_rules_through))
        .route("/do/pause", post(control::set_pause))
        .route("/do/update", post(control::update_lists))
        .route("/do/flush", post(control::flush_cache))
}

/// The fields of a form as they were typed, in order.
pub struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Form::<Vec<(String, String)>>::from_request(request, state).await {
            Ok(Form(fields)) => Ok(Self(fields)),
            Err(error) => Err((StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()),
        }
    }
}

impl Fields {
    /// A field without the space around it; empty if it isn't there.
    pub fn one<'f>(&'f self, name: &'f str) -> &'f str {
        self.all(name).next().unwrap_or_default()
    }

    /// The fields of that name that aren't empty.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let own = self.0.iter().filter(move |(own, _)| own == name);
        own.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A field exactly as it was typed: a password may end in a space.
    pub fn exact(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The page to go back to.
    pub fn back(&self) -> &str {
        own_path(self.one("back"))
    }
}

/// A path of this server; `/` instead of anything that could lead elsewhere.
pub fn own_path(path: &str) -> &str {
    let leads_elsewhere =
        path.starts_with("//") || path.contains('\\') || path.contains(|sign: char| sign.is_control());
    match path.starts_with('/') && !leads_elsewhere && path.len() <= BACK_BYTES_MAX && path.is_ascii() {
        true => path,
        false => "/",
    }
}

/// Goes back to a page, which tells of the change.
pub fn done(back: &str, change: Option<u64>) -> Response {
    let (page, place) = back.split_once('#').map_or((back, None), |(page, place)| (page, Some(place)));
    // An earlier change is no longer told of.
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let kept = query.split('&').filter(|field| !field.is_empty() && !field.starts_with("done="));
    let fields: Vec<String> = kept.map(str::to_owned).chain(change.map(|change| format!("done={change}"))).collect();
    let place = place.map(|place| format!("#{place}")).unwrap_or_default();
    let query = if fields.is_empty() { String::new() } else { format!("?{}", fields.join("&")) };
    Redirect::to(&format!("{path}{query}{place}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for path in ["/", "/log?name=a&from=1#x", "/lists/p/a%20b.list"] {
            assert_eq!(own_path(path), path);
        }
        for path in ["", "x", "//evil.example", "/\\evil.example", "https://evil.example/", "/a\nb", "/ä", "\\/x"] {
            assert_eq!(own_path(path), "/", "{path:?}");
        }
        assert_eq!(own_path(&format!("/{}", "x".repeat(BACK_BYTES_MAX))), "/");
    }

    #[test]
    fn a_page_is_told_of_the_last_change() {
        let location = |back| done(back, Some(39)).headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(location("/"), "/?done=39");
        assert_eq!(location("/programs?group=kids&done=38#p"), "/programs?group=kids&done=39#p");
    }
}
