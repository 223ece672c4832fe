//! Groups with their schedules, and clients that asked of late.

use super::super::{
    AdminState,
    auth::Reader,
    problem::Refusal,
    view::clients::{ClientsAsked, ClientsView, GroupView, clients, groups},
};
use super::{
    Shell, show,
    words::{ago, count},
};
use crate::report::Moment;
use askama::Template;
use axum::{
    extract::{Query, State},
    response::{IntoResponse, Response},
};

#[derive(Template)]
#[template(path = "clients.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: ClientsView,
    groups: Vec<GroupView>,
    /// There is a place where changes are kept.
    can_keep: bool,
    now: Moment,
    zone: String,
    /// What was typed for a group, and why it isn't done.
    refused: Option<(String, String, Refusal)>,
}

/// `GET /clients?hours`
pub async fn page(State(state): State<AdminState>, reader: Reader, Query(asked): Query<ClientsAsked>) -> Response {
    shown(&state, reader, asked, None).await
}

/// The page again, with the schedule that was typed and what is wrong with it.
pub async fn again(state: &AdminState, reader: Reader, group: String, typed: String, refusal: Refusal) -> Response {
    let status = refusal.kind.status();
    (status, shown(state, reader, ClientsAsked::default(), Some((group, typed, refusal))).await).into_response()
}

async fn shown(
    state: &AdminState,
    reader: Reader,
    asked: ClientsAsked,
    refused: Option<(String, String, Refusal)>,
) -> Response {
    let page = Page {
        shell: Shell::new(state, reader, "/clients", "Clients"),
        view: clients(state, asked).await,
        groups: groups(state),
        can_keep: state.desk.can_keep(),
        now: Moment(state.pipeline.now().saturating_mul(1_000_000)),
        zone: state.settings.config().policy.time_zone.name().to_owned(),
        refused,
    };
    show(page)
}

impl Page {
    /// What stands in the field of a group's schedule.
    fn typed(&self, group: &GroupView) -> String {
        match &self.refused {
            Some((name, typed, _)) if *name == group.name => typed.clone(),
            _ => group.schedule.as_ref().map(|schedule| schedule.text.clone()).unwrap_or_default(),
        }
    }

    fn problem(&self, group: &GroupView) -> Option<&str> {
        self.refused.as_ref().filter(|(name, ..)| *name == group.name).map(|(.., refusal)| refusal.detail.as_str())
    }
}
