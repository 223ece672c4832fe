//! Who is let in, and to do what: between the guard, which asks nobody, and the routes. Closed by default: a route that
//! isn't named here asks for a reader, and to change something for an operator.

use super::{
    AdminState,
    address::encoded,
    auth::{BadToken, Reader, Role, by, csrf},
    change::{at_leisure, note_refusal, note_wrong_token},
    guard::BODY_BYTES_MAX,
    problem::{Kind, Refusal, is_of_api},
    serve::{Peer, Place},
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use std::net::IpAddr;

/// What is there for those who aren't known yet: to sign in.
const TO_SIGN_IN: [(Method, &str); 4] = [
    (Method::GET, "/sign-in"),
    (Method::HEAD, "/sign-in"),
    (Method::POST, "/do/sign-in"),
    (Method::POST, "/api/v1/session"),
];
/// What changes nothing but one's own session.
const TO_SIGN_OUT: [(Method, &str); 2] = [(Method::POST, "/do/sign-out"), (Method::DELETE, "/api/v1/session")];

fn is_among(all: &[(Method, &str)], method: &Method, path: &str) -> bool {
    all.iter().any(|(own, at)| own == method && *at == path)
}

/// Turns everybody away who comes once it is time to leave: what they change would be lost, and a session end at once.
pub async fn staying(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if *state.health.stopping.borrow() {
        return Refusal::new(Kind::NotYet, "This server is leaving. Ask again once the next one is there.")
            .into_response();
    }
    next.run(request).await
}

/// Tells who asks, and turns away who isn't known. Handlers find it as [`Reader`].
pub async fn known(State(state): State<AdminState>, mut request: Request, next: Next) -> Response {
    let Some(Peer(from)) = request.extensions().get::<Peer>().copied() else {
        return Refusal::new(Kind::Fault, "nobody told where the request comes from").into_response();
    };
    let is_to_sign_in = is_among(&TO_SIGN_IN, request.method(), request.uri().path());
    match state.auth.recognise(request.headers(), from, state.pipeline.now()) {
        Ok(Some(mut reader)) => {
            reader.done = done(request.uri().query().unwrap_or_default());
            request.extensions_mut().insert(reader);
        }
        Ok(None) | Err(_) if is_to_sign_in => {}
        Ok(None) => return turned_away(&request),
        Err(bad) => return wrong_token(&state, bad, request.headers(), from).await,
    }
    next.run(request).await
}

/// Says that a token is wrong. The first of late from an address is written down.
async fn wrong_token(state: &AdminState, bad: BadToken, headers: &HeaderMap, from: IpAddr) -> Response {
    match bad {
        BadToken::TooMany(seconds) => {
            let refusal = Refusal::new(Kind::TooMany, "There were too many wrong tokens. Send the right one.");
            let mut response = refusal.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            return response;
        }
        BadToken::First => {
            let by = by(headers);
            let noting = move |state: &AdminState| {
                note_wrong_token(state, by, from);
                Ok(())
            };
            let _ = at_leisure(state, noting).await;
        }
        BadToken::Again => {}
    }
    unauthorized("send `Authorization: Bearer` with the token of this server\n")
}

/// The change that a page is told to tell of.
fn done(query: &str) -> Option<u64> {
    query.split('&').find_map(|field| field.strip_prefix("done="))?.parse().ok()
}

/// Browsers are sent to where one signs in, and from there back.
fn turned_away(request: &Request) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    let path = request.uri().path();
    if !is_browser || is_of_api(path) || path == "/metrics" {
        return unauthorized("send `Authorization: Bearer` with the token, or sign in at /sign-in\n");
    }
    // A form that was sent can't be sent again from there.
    let back = request.uri().path_and_query().filter(|_| !is_changing(request.method()));
    let back = back.map(|back| encoded(back.as_str())).filter(|back| back != "%2F");
    Redirect::to(&back.map_or("/sign-in".to_owned(), |back| format!("/sign-in?back={back}"))).into_response()
}

fn unauthorized(text: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
}

fn is_changing(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Lets a change through that was meant, by somebody who may. The body has been read already.
pub async fn permitted(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if !is_changing(request.method()) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let (path, reader) = (head.uri.path(), head.extensions.get::<Reader>());
    let is_to_sign_in = is_among(&TO_SIGN_IN, &head.method, path);
    let expected = match reader {
        Some(reader) if !is_to_sign_in => reader.csrf.to_string(),
        _ => state.auth.sign_in_token(),
    };
    let meant = is_meant(&state, &head.headers, &body, &expected);
    let may = || match reader {
        _ if is_to_sign_in || is_among(&TO_SIGN_OUT, &head.method, path) => Ok(()),
        Some(reader) if reader.who.role == Role::Operator => Ok(()),
        Some(reader) => Err(Refusal::read_only(&reader.who.name)),
        None => Err(Refusal::new(Kind::NotSignedIn, "sign in first")),
    };
    let Err(refusal) = meant.and_then(|()| may()) else {
        let request = Request::from_parts(head, Body::from(body));
        // To sign in changes nothing, and isn't gone on with for those who don't wait for it.
        return if is_to_sign_in { next.run(request).await } else { to_its_end(request, next).await };
    };
    refused(&state, head, refusal, next).await
}

/// Makes a change to its end, though whoever asked for it hangs up meanwhile: it has been begun to be written, noted and put
/// in force, and none of that is of use without the rest. It counts as their connection for as long.
async fn to_its_end(request: Request, next: Next) -> Response {
    let place = request.extensions().get::<Place>().cloned();
    let changing = tokio::spawn(async move {
        let response = next.run(request).await;
        drop(place);
        response
    });
    changing.await.unwrap_or_else(|error| Refusal::new(Kind::Fault, error.to_string()).into_response())
}

/// Whether it was meant: a page of ours sent it and shows the token that it was given, or a program, whose JSON no page of
/// others can send.
fn is_meant(state: &AdminState, headers: &HeaderMap, body: &Bytes, expected: &str) -> Result<(), Refusal> {
    let auth = &state.auth;
    if !csrf::is_of_browser(headers) {
        let advice = "send the body as JSON, with `Content-Type: application/json`";
        return csrf::is_json(headers).then_some(()).ok_or_else(|| Refusal::new(Kind::NotJson, advice));
    }
    if !csrf::is_of_own_page(headers, auth.is_tls()) {
        let detail = match csrf::tells_where_from(headers) {
            true => "A page of another server sent this. Use the pages of this one.",
            false => {
                "Nothing tells which page sent this. A program that comes with a session's cookie sends `Origin`, the \
                 scheme and host that it asks, or shows a token instead of the cookie."
            }
        };
        return Err(Refusal::new(Kind::Csrf, detail));
    }
    let is_shown = auth.shows_token(expected, headers, body);
    // Tokens end with the process, as sessions do; the script takes one anew before a form is sent.
    let again = "The page is of another session, or from before this server was started anew. Go back, load the page \
                 again, and send it once more.";
    is_shown.then_some(()).ok_or_else(|| Refusal::new(Kind::Csrf, again))
}

/// Says why not; but that there is no such thing, or that it can't be done to it, is said first.
async fn refused(state: &AdminState, head: axum::http::request::Parts, refusal: Refusal, next: Next) -> Response {
    let method = head.method.clone();
    // No route takes this method, so none does anything; the answer names the methods that there are.
    let mut probe = Request::new(Body::empty());
    *probe.method_mut() = Method::OPTIONS;
    *probe.uri_mut() = head.uri.clone();
    let answer = next.run(probe).await;
    let allowed = answer.headers().get(header::ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !allowed.split(',').any(|own| own.trim() == method.as_str()) {
        return answer;
    }
    if let (Kind::ReadOnly, Some(reader)) = (refusal.kind, head.extensions.get::<Reader>()) {
        let (who, what) = (reader.who.clone(), format!("{method} {}", head.uri.path()));
        let _ = at_leisure(state, move |state| {
            note_refusal(state, &who, &what);
            Ok(())
        })
        .await;
    }
    refusal.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_change_is_to_be_told() {
        assert_eq!((done("a=1&done=39"), done("done=x"), done("")), (Some(39), None, None));
    }
}
