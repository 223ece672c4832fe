//! The API's description by OpenAPI 3.1, made from the types that are read and written and from the operations that stand
//! beside the routes. It is made for whoever asks, and not kept.

mod document;
mod operation;
mod schemas;

pub use document::document;
pub use operation::{Operation, Who, change, get};

use super::{
    super::AdminState,
    asked::{Nothing, Query},
};
use axum::{Json, extract::State};
use serde_json::Value;

/// What the document says of itself.
pub const OPERATIONS: &[Operation] = &[get("/api/v1/openapi.json", "This document.")
    .asks::<Nothing>()
    .gives::<serde_json::Map<String, Value>>(200, "The API as OpenAPI 3.1 describes it.")];

/// `GET /api/v1/openapi.json`
pub async fn openapi(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<Value> {
    Json(document(state.auth.is_tls()))
}
