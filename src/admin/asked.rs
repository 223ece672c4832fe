//! What is asked for: queries, bodies and variables of paths, read strictly. What can't be read is refused in words of
//! ours, which name the field.

mod text;

use super::{
    auth::csrf::is_json,
    problem::{Kind, Refusal},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::JsonRejection},
    http::request::Parts,
};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use std::error::Error;

/// The query of an address. Each `Q` refuses words that it doesn't know.
pub struct Query<Q>(pub Q);

/// Nothing is asked for beside the path.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A change can be tried.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// It is checked and told, and nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
}

/// A body of JSON, an object. Each `B` refuses fields that it doesn't know.
pub struct Body<B>(pub B);

/// The same, of which nothing need be said: an empty body is one without fields.
pub struct MayBody<B>(pub B);

/// A number in a path: another word there names nothing.
pub struct Number<N>(pub N);

impl<Q: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<Q> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let read = text::read(parts.uri.query().unwrap_or_default());
        read.map(Self).map_err(|error| unfit(Kind::BadRequest, "the query of the address", error.to_string()))
    }
}

impl<B: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<B> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        read(&octets(request, state).await?).map(Self)
    }
}

impl<B: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MayBody<B> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body = octets(request, state).await?;
        if body.is_empty() { Ok(Self(B::default())) } else { read(&body).map(Self) }
    }
}

/// A body that is said to be JSON.
async fn octets<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refusal> {
    if !is_json(request.headers()) {
        let advice = "send the body as JSON, with `Content-Type: application/json`";
        return Err(Refusal::new(Kind::NotJson, advice));
    }
    let body = Bytes::from_request(request, state).await;
    body.map_err(|error| Refusal::new(Kind::of(error.status()), error.body_text()))
}

/// An object, with the fields of a `B`.
fn read<B: DeserializeOwned>(body: &[u8]) -> Result<B, Refusal> {
    // A list would be read too, as fields in their order, which nobody is to rely on.
    let is_object = body.iter().find(|octet| !octet.is_ascii_whitespace()).is_none_or(|octet| *octet == b'{');
    let no_json =
        |error: &dyn std::fmt::Display| Refusal::new(Kind::BadRequest, format!("the body is no JSON: {error}"));
    if !is_object {
        let is_json = serde_json::from_slice::<serde_json::Value>(body);
        return Err(match is_json {
            Ok(_) => Refusal::new(Kind::Invalid, "the body: write an object, `{...}`"),
            Err(error) => no_json(&error),
        });
    }
    match axum::Json::<B>::from_bytes(body) {
        Ok(axum::Json(body)) => Ok(body),
        Err(JsonRejection::JsonDataError(error)) => Err(unfit(Kind::Invalid, "the body", reason(&error))),
        Err(error) => Err(no_json(&reason(&error))),
    }
}

impl<N: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Number<N> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let number = Path::<N>::from_request_parts(parts, state).await;
        let none = |_| Refusal::new(Kind::NoSuchThing, "there is none of that number");
        number.map(|Path(number)| Self(number)).map_err(none)
    }
}

/// A refusal in the words of the format's reader, of the field that they are about.
fn unfit(kind: Kind, of: &str, said: String) -> Refusal {
    let (field, said) = match said.split_once(": ") {
        // What the reader says itself before a colon is more than one word.
        Some((field, said)) if !field.contains([' ', '`']) => (Some(field.to_owned()), said.to_owned()),
        _ => (named(&said), said),
    };
    match field {
        Some(field) => Refusal { kind, detail: format!("{of}: {field}: {said}"), ..Refusal::field(&field, said) },
        None => Refusal::new(kind, format!("{of}: {said}")),
    }
}

/// What is wrong, without the framework's sentence around it.
fn reason(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The field that is missing, or there twice, or not known.
fn named(said: &str) -> Option<String> {
    let rest = ["missing", "duplicate", "unknown"].iter().find_map(|what| said.strip_prefix(what))?;
    let rest = rest.strip_prefix(" field `")?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
}
