//! To pause, to have lists read again, to have answers forgotten.

use super::super::{
    super::{
        AdminState,
        auth::{Operator, Reader},
        change::{
            at_leisure,
            cache::{FlushAsked, flush},
            lists::update,
            pauses::{PauseAsked, pause},
        },
        problem::Refusal,
    },
    clients, overview,
    pause::{PauseCard, Typed},
};
use super::{Fields, done};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

/// `POST /do/pause`
pub async fn set_pause(
    State(state): State<AdminState>,
    reader: Reader,
    Operator(who): Operator,
    fields: Fields,
) -> Response {
    let given = |name| Some(fields.one(name)).filter(|text| !text.is_empty()).map(str::to_owned);
    let whom =
        PauseAsked { group: given("group"), client: given("client"), reason: given("reason"), ..PauseAsked::default() };
    let seconds = given("seconds").map(|seconds| seconds.parse::<u64>());
    let asked = match seconds.transpose() {
        Err(_) => Err(Refusal::field("seconds", "write a number of seconds")),
        Ok(None) if given("until").is_none() => Err(Refusal::field("until", "say until when")),
        // The moment that a script made of it, by the clock of whoever typed it; without one it is of the policy's zone.
        Ok(None) => Ok(PauseAsked { until: given("at").or(given("until")), ..whom }),
        Ok(seconds) => Ok(PauseAsked { seconds, ..whom }),
    };
    let set = match asked {
        Ok(asked) => at_leisure(&state, move |state| pause(state, &who, &asked, false)).await,
        Err(refusal) => Err(refusal),
    };
    match set {
        Ok(view) => done(fields.back(), view.change),
        Err(refusal) => {
            let typed = ["group", "client", "until", "reason"].map(|name| fields.one(name).to_owned());
            let [group, client, until, reason] = typed;
            let typed = Typed { group, client, until, reason };
            let status = refusal.kind.status();
            let again = match fields.back().starts_with(clients::PATH) {
                true => clients::show_with(&state, reader, typed, Some(refusal.detail)).await,
                false => overview::show_with(&state, reader, PauseCard::new(&state, typed, Some(refusal.detail))).await,
            };
            (status, again).into_response()
        }
    }
}

/// `POST /do/update`
pub async fn update_lists(
    State(state): State<AdminState>,
    Operator(who): Operator,
    fields: Fields,
) -> Result<Response, Refusal> {
    let view = at_leisure(&state, move |state| update(state, &who, false)).await?;
    Ok(done(fields.back(), view.change))
}

/// `POST /do/flush`
pub async fn flush_cache(
    State(state): State<AdminState>,
    Operator(who): Operator,
    fields: Fields,
) -> Result<Response, Refusal> {
    let flushed = at_leisure(&state, move |state| flush(state, &who, &FlushAsked::default(), false)).await?;
    Ok(done(fields.back(), flushed.change))
}
