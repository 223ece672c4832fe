//! Pages for people, made here from the views that the API gives as JSON. What a link or a form asks for is in the address,
//! and the answer is a whole page; the script only adds to it.
//!
//! A file a page: its data as the template shows it. `templates/` is what it looks like, `escape` how foreign text gets
//! into it, `plot` draws, `words` writes numbers.

mod assets;
mod errors;
mod escape;
mod explain;
mod lists;
mod log;
mod overview;
mod plot;
mod programs;
mod setup;
mod tops;
mod why;
mod words;

pub use assets::assets;
pub use errors::{as_pages, no_such_page};

use super::AdminState;
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
        .route("/log", get(log::page))
        .route("/log/why", get(log::seen))
        .route("/log/{id}", get(why::page))
        .route("/explain", get(explain::page))
        .route("/lists", get(lists::page))
        .route("/lists/{program}/{list}", get(lists::one))
        .route("/setup", get(setup::page))
}

/// The pages in the menu.
const MENU: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/programs", "Programs"),
    ("/log", "Log"),
    ("/explain", "Explain"),
    ("/lists", "Lists"),
    ("/setup", "Setup"),
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
}

impl Shell {
    fn new(state: &AdminState, current: &'static str, title: impl Into<String>) -> Self {
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
        }
    }

    fn menu(&self) -> [(&'static str, &'static str); 6] {
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
