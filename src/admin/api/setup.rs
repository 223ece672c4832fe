//! Whether the device that asks has this server for its resolver.

use super::super::{
    AdminState,
    serve::{Peer, Reached},
    view::{
        seen::{SeenAsked, SeenView, seen as view},
        setup::setup,
    },
};
use super::{
    asked::Query,
    openapi::{Operation, get},
};
use axum::{Extension, Json, extract::State};

/// What the document says of it.
pub const OPERATIONS: &[Operation] =
    &[get("/api/v1/setup/seen", "Whether the device that asks has this server for its resolver")
        .asks::<SeenAsked>()
        .gives::<SeenView>(200, "What is known of it.")];

/// `GET /api/v1/setup/seen?nonce`
pub async fn seen(
    State(state): State<AdminState>,
    Extension(Peer(client)): Extension<Peer>,
    Extension(Reached(reached)): Extension<Reached>,
    Query(asked): Query<SeenAsked>,
) -> Json<SeenView> {
    let setup = setup(&state).await;
    Json(view(&state, client, Some(reached), &asked, &setup).await)
}
