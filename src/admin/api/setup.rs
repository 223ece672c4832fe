//! What devices write down to ask this server, and whether the one that asks has it for its resolver.

use super::super::{
    AdminState,
    serve::{Peer, Reached},
    view::{
        seen::{SeenAsked, SeenView, seen as view},
        setup::{Setup, setup},
    },
};
use super::{
    asked::{Nothing, Query},
    openapi::{Operation, get},
};
use axum::{Extension, Json, extract::State};

/// What the document says of it.
pub const OPERATIONS: &[Operation] = &[
    get("/api/v1/setup", "What devices write down to ask this server")
        .more("The address by which the request came is told first, where DNS is served there.")
        .asks::<Nothing>()
        .gives::<Setup>(200, "Addresses, and what has to be changed before others can ask."),
    get("/api/v1/setup/seen", "Whether the device that asks has this server for its resolver")
        .asks::<SeenAsked>()
        .gives::<SeenView>(200, "What is known of it."),
];

/// `GET /api/v1/setup`
pub async fn show(
    State(state): State<AdminState>,
    Extension(Reached(reached)): Extension<Reached>,
    Query(Nothing {}): Query<Nothing>,
) -> Json<Setup> {
    Json(setup(&state, reached).await)
}

/// `GET /api/v1/setup/seen?nonce`
pub async fn seen(
    State(state): State<AdminState>,
    Extension(Peer(client)): Extension<Peer>,
    Extension(Reached(reached)): Extension<Reached>,
    Query(asked): Query<SeenAsked>,
) -> Json<SeenView> {
    let setup = setup(&state, reached).await;
    Json(view(&state, client, Some(reached), &asked, &setup).await)
}
