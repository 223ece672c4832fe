//! Groups with their schedules, and clients that asked of late.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    problem::Refusal,
    view::clients::{ClientView, ClientsAsked, ClientsView, GroupView, clients, groups},
};
use super::{
    Shell,
    pause::{PauseCard, Typed},
    show,
    words::{ago, count, stamp},
};
use crate::report::Moment;
use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::net::IpAddr;

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
    pause: PauseCard,
    /// What was typed for a group, and why it isn't done.
    refused: Option<(String, String, Refusal)>,
}

/// Where it is.
pub const PATH: &str = "/clients";

/// What is looked at, and whom somebody wants to pause.
#[derive(Deserialize, Default)]
pub struct Wanted {
    #[serde(default)]
    hours: Option<u32>,
    #[serde(default)]
    pause: String,
}

/// `GET /clients?hours&pause`
pub async fn page(State(state): State<AdminState>, reader: Reader, Query(wanted): Query<Wanted>) -> Response {
    let Wanted { hours, pause } = wanted;
    let pause = PauseCard::new(&state, Typed { client: pause, ..Typed::default() }, None);
    shown(&state, reader, ClientsAsked { hours }, pause, None).await
}

/// The page again, with a pause that was typed and what is wrong with it.
pub async fn show_with(state: &AdminState, reader: Reader, typed: Typed, problem: Option<String>) -> Response {
    let pause = PauseCard::new(state, typed, problem);
    shown(state, reader, ClientsAsked::default(), pause, None).await
}

/// The page again, with the schedule that was typed and what is wrong with it.
pub async fn again(state: &AdminState, reader: Reader, group: String, typed: String, refusal: Refusal) -> Response {
    let status = refusal.kind.status();
    let pause = PauseCard::new(state, Typed::default(), None);
    let refused = Some((group, typed, refusal));
    (status, shown(state, reader, ClientsAsked::default(), pause, refused).await).into_response()
}

async fn shown(
    state: &AdminState,
    reader: Reader,
    asked: ClientsAsked,
    pause: PauseCard,
    refused: Option<(String, String, Refusal)>,
) -> Response {
    let page = Page {
        shell: Shell::new(state, reader, PATH, "Clients"),
        view: clients(state, asked).await,
        groups: groups(state),
        can_keep: state.desk.can_keep(),
        now: Moment(state.pipeline.now().saturating_mul(1_000_000)),
        zone: state.settings.config().policy.time_zone.name().to_owned(),
        pause: PauseCard { back: PATH, ..pause },
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

/// Whom to pause for a client to be paused: its hardware address, if that is known, so that all of its addresses are.
fn to_pause(client: &ClientView) -> Option<String> {
    let by_mac = client.called.mac.as_ref().map(|mac| format!("mac:{mac}"));
    by_mac.or_else(|| client.client.parse::<IpAddr>().ok().map(|address| address.to_string()))
}
