//! Whether the device that asks has this server for its resolver.

use super::super::{
    AdminState,
    serve::{Peer, Reached},
    view::seen::{SeenAsked, SeenView, seen as view},
};
use axum::{
    Extension, Json,
    extract::{Query, State},
};

/// `GET /api/v1/setup/seen?nonce`
pub async fn seen(
    State(state): State<AdminState>,
    Extension(Peer(client)): Extension<Peer>,
    Extension(Reached(reached)): Extension<Reached>,
    Query(asked): Query<SeenAsked>,
) -> Json<SeenView> {
    Json(view(&state, client, Some(reached), &asked).await)
}
