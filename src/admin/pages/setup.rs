//! How to have others ask this server.

use super::super::{
    AdminState,
    auth::Reader,
    view::setup::{Setup, setup},
};
use super::{Shell, show};
use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

#[derive(Template)]
#[template(path = "setup.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: Setup,
}

pub async fn page(State(state): State<AdminState>, reader: Reader) -> Response {
    let work = state.clone();
    // The system is asked for this machine's addresses.
    match tokio::task::spawn_blocking(move || setup(&work)).await {
        Ok(view) => show(Page { shell: Shell::new(&state, reader, "/setup", "Setup"), view }),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
