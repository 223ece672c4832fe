//! Sessions begin and end. They are written down; yet where that can't be, one can sign in all the same, to see what is
//! wrong: it changes nothing.

use super::{
    super::{
        AdminState,
        audit::{Entry, Outcome},
        auth::{Reader, Role, SignInError, SignedIn, Who, by, typed},
        problem::{Kind, Refusal},
    },
    at_leisure, note,
};
use axum::http::HeaderMap;
use std::net::IpAddr;

/// Signs somebody in by a user's password, or by a token if no user is named.
pub async fn sign_in(
    state: &AdminState,
    user: &str,
    password: &str,
    headers: &HeaderMap,
    from: IpAddr,
) -> Result<SignedIn, SignInError> {
    let signed_in = state.auth.sign_in(user, password, headers, from, state.pipeline.now()).await;
    let entry = match &signed_in {
        Ok(signed_in) => Some(Entry::new(&signed_in.who, "sign-in", "session")),
        Err(SignInError::Wrong) => {
            let who = Who { name: typed(user).to_owned(), role: Role::ReadOnly, by: by(headers), from: Some(from) };
            Some(Entry { is_known: false, outcome: Outcome::Refused, ..Entry::new(&who, "sign-in", "session") })
        }
        // Each of them follows on those that are written.
        Err(_) => None,
    };
    if let Some(entry) = entry {
        written(state, entry).await;
    }
    signed_in
}

/// Ends the session that a request came with, if it came with one.
pub async fn sign_out(state: &AdminState, reader: &Reader) {
    if let Some(session) = &reader.session {
        state.auth.sign_out(session);
        written(state, Entry::new(&reader.who, "sign-out", "session")).await;
    }
}

async fn written(state: &AdminState, entry: Entry) {
    let what = entry.what;
    if let Err(refusal) = at_leisure(state, move |state| note(state, entry)).await {
        tracing::warn!(what, why = refusal.detail, "not written down");
    }
}

/// Why somebody isn't signed in, in words.
pub fn refusal(error: &SignInError) -> Refusal {
    match error {
        SignInError::Wrong => Refusal::new(Kind::NotSignedIn, "That isn't right. Mind capital letters."),
        SignInError::TooMany(seconds) => {
            let minutes = (seconds + 59) / 60;
            let wait = if minutes == 1 { "a minute".to_owned() } else { format!("{minutes} minutes") };
            Refusal::new(Kind::TooMany, format!("There were too many wrong tries. Try again in {wait}."))
        }
        SignInError::Busy => Refusal::new(Kind::NotYet, "Too many are signing in right now. Try again in a moment."),
        SignInError::Fault(why) => Refusal::new(Kind::Fault, why.clone()),
    }
}
