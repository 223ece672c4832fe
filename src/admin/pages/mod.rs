//! Pages for people, made here from the views that the API gives as JSON. What a link or a form asks for is in the address,
//! and the answer is a whole page; the script only adds to it. What changes something is a form that is posted: `forms`.
//!
//! A file a page: its data as the template shows it. `templates/` is what it looks like, `escape` how foreign text gets
//! into it, `plot` draws, `words` writes numbers.

mod assets;
mod changes;
mod clients;
mod errors;
mod escape;
mod exceptions;
mod explain;
mod forms;
mod lists;
mod log;
mod overview;
mod pause;
mod plot;
mod preview;
mod programs;
mod setup;
mod tops;
mod why;
mod words;

pub use assets::assets;
pub use errors::{as_pages, no_such_page};

use super::{
    AdminState,
    auth::Reader,
    view::changes::{Change, one as one_change},
};
use askama::Template;
use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};

/// All pages that there are.
pub fn routes() -> Router<AdminState> {
    Router::new()
        .route("/", get(overview::page))
        .route("/programs", get(programs::page))
        .route("/programs/preview", get(preview::page))
        .route("/except", get(exceptions::page))
        .route("/log", get(log::page))
        .route("/log/why", get(log::seen))
        .route("/log/{id}", get(why::page))
        .route("/explain", get(explain::page))
        .route("/lists", get(lists::page))
        .route("/lists/{program}/{list}", get(lists::one))
        .route("/clients", get(clients::page))
        .route("/setup", get(setup::page))
        .route("/changes", get(changes::page))
        .route("/sign-in", get(forms::sign_in_page))
        .merge(forms::routes())
}

/// The pages in the menu.
const MENU: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/programs", "Programs"),
    ("/log", "Log"),
    ("/explain", "Explain"),
    ("/except", "Exceptions"),
    ("/lists", "Lists"),
    ("/clients", "Clients"),
    ("/setup", "Setup"),
    ("/changes", "Changes"),
];

/// What is around every page.
struct Shell {
    /// The page's path in the menu.
    current: &'static str,
    title: String,
    /// What stands by the menu: the state in words, and whether it is as it should be.
    state: String,
    is_well: bool,
    epoch: u64,
    reader: Reader,
    /// The change that the page was asked to tell of.
    done: Option<Change>,
}

impl Shell {
    fn new(state: &AdminState, reader: Reader, current: &'static str, title: impl Into<String>) -> Self {
        let (readiness, concerns) = state.health.look();
        let told = match concerns.len() {
            0 => "all well".to_owned(),
            1 => "1 thing to look at".to_owned(),
            count => format!("{count} things to look at"),
        };
        Self {
            current,
            title: title.into(),
            state: if readiness.serves() { told } else { readiness.word().to_owned() },
            is_well: concerns.is_empty(),
            epoch: state.health.published.status.load().epoch,
            done: reader.done.and_then(|change| one_change(state, change)),
            reader,
        }
    }

    /// Whether forms that change something are shown.
    fn may_change(&self) -> bool {
        self.reader.may_change()
    }

    /// What every such form shows, in its field `csrf`.
    fn csrf(&self) -> &str {
        &self.reader.csrf
    }

    /// Who is signed in, with what they may; `None` where nobody has to.
    fn user(&self) -> Option<(&str, &'static str)> {
        let is_signed_in = self.reader.session.is_some();
        is_signed_in.then(|| (self.reader.who.name.as_str(), self.reader.who.role.word()))
    }

    fn menu(&self) -> &'static [(&'static str, &'static str)] {
        MENU
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    fn style(&self) -> &'static str {
        &assets::STYLE.address
    }

    fn script(&self) -> &'static str {
        &assets::SCRIPT.address
    }

    fn icon(&self) -> &'static str {
        &assets::ICON.address
    }
}

/// A page as a response.
fn show(page: impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
