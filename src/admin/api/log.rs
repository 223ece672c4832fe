//! Routes of the log: what is recorded, and what just happens.

use super::super::{
    AdminState,
    live::{Tail, Told, Unread},
    problem::{Kind, Refusal},
    serve::Lasting,
    view::{
        called::{by_name, called},
        log::{self, ClientNamed, LogError, LogView, WhyView},
        search::Asked,
    },
};
use super::{
    asked::{Nothing, Number, Query},
    openapi::{Operation, get},
};
use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::Frame;
use std::{
    borrow::Cow,
    convert::Infallible,
    fmt::Write as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

/// How often something is said though nothing happens: whoever stands between closes connections that say nothing.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// How often is told what was missed.
const MISSED_EVERY: Duration = Duration::from_secs(1);
/// How long a reader may take for what was written to it.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long one look lasts: who goes on looking asks again, and is asked again who it is.
const TAIL_WITHIN: Duration = Duration::from_secs(3600);
/// Octets that are sent together.
const TOGETHER_BYTES: usize = 16 << 10;
/// What a tail begins with: when to come again, in milliseconds, if it breaks off.
const BEGINNING: &str = "retry: 1000\n: what comes from now on\n\n";

/// What the document says of them.
pub const OPERATIONS: &[Operation] = &[
    get("/api/v1/log", "Recorded queries that are looked for, newest first")
        .asks::<Asked>()
        .gives::<LogView<'static>>(200, "A page of them.")
        .refuses(&[Kind::NoSuchThing, Kind::Invalid]),
    get("/api/v1/log/{row}", "One query, with the lines of lists that said something of it")
        .asks::<Nothing>()
        .gives::<WhyView<'static>>(200, "The query.")
        .refuses(&[Kind::NoSuchThing]),
    get("/api/v1/log/tail", "Queries as they come")
        .more(
            "Server-sent events: `query` is a query as in `GET /api/v1/log` but without `id`; `missed` tells how many `rows` \
             were left out because they came too fast. It ends after an hour.",
        )
        .asks::<Asked>()
        .gives_text("text/event-stream", "The events.")
        .refuses(&[Kind::Invalid, Kind::NotYet]),
];

/// `GET /api/v1/log`
pub async fn search(State(state): State<AdminState>, Query(asked): Query<Asked>) -> Result<Response, Refusal> {
    let asked = known(asked)?;
    let found = log::search(&state, &asked).await.map_err(refused)?;
    Ok(Json(LogView::of(&state, &found)).into_response())
}

/// `GET /api/v1/log/{row}`
pub async fn row(
    State(state): State<AdminState>,
    Number(id): Number<i64>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Refusal> {
    let none = || Refusal::new(Kind::NoSuchThing, "there is no such row, or no longer");
    let why = log::why(&state, id).await.map_err(|error| refused(error.into()))?;
    Ok(Json(why.ok_or_else(none)?.view()).into_response())
}

/// `GET /api/v1/log/tail`: queries as they come, as server-sent events.
pub async fn tail(
    State(state): State<AdminState>,
    Extension(lasting): Extension<Lasting>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let search = known(asked)?.search(state.pipeline.now()).map_err(|error| refused(error.into()))?;
    let search = by_name(&state, search);
    let full = || Refusal::new(Kind::NotYet, "too many look at once already; try again later");
    let tail = state.tails.watch(search).ok_or_else(full)?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(follow(state, tail, sender, lasting));
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((headers, Body::new(Pieces(receiver))).into_response())
}

/// Refuses words that aren't known: who misspells one would see more than what was asked for.
fn known(asked: Asked) -> Result<Asked, Refusal> {
    match asked.unknown() {
        None => Ok(asked),
        Some(word) => Err(Refusal { kind: Kind::BadRequest, ..Refusal::field(word, "there is no such word") }),
    }
}

fn refused(error: LogError) -> Refusal {
    match error {
        LogError::Invalid(invalid) => Refusal::field(invalid.field, invalid.why),
        LogError::Unread(error) => unread(&error),
    }
}

/// What tells of it.
pub fn unread(error: &Unread) -> Refusal {
    let kind = match error {
        Unread::Nowhere | Unread::NotYet => Kind::NoSuchThing,
        Unread::Coming => Kind::NotYet,
        Unread::Fault(_) => Kind::Fault,
    };
    Refusal::new(kind, error.to_string())
}

/// Writes what a tail gives until somebody has had enough of it.
async fn follow(state: AdminState, mut tail: Tail, reader: mpsc::Sender<Bytes>, lasting: Lasting) {
    let (_lasting, mut stopping) = (lasting.hold(), state.health.stopping.clone());
    let mut silent_since = tokio::time::Instant::now();
    let end = silent_since + TAIL_WITHIN;
    let mut look = interval(MISSED_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut text = BEGINNING.to_owned();
    loop {
        if !text.is_empty() {
            silent_since = tokio::time::Instant::now();
            let sent = timeout(READ_WITHIN, reader.send(std::mem::take(&mut text).into())).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        tokio::select! {
            row = tail.next() => match row {
                Some(row) => write(&mut text, "query", &named(&state, &row)),
                None => return,
            },
            now = look.tick() => {
                if now >= end {
                    return;
                }
                match tail.missed() {
                    0 if now.duration_since(silent_since) >= COMMENT_EVERY => text.push_str(": nothing new\n\n"),
                    0 => {}
                    rows => write(&mut text, "missed", &format!("{{\"rows\":{rows}}}")),
                }
            }
            () = reader.closed() => return,
            _ = stopping.wait_for(|&stopping| stopping) => return,
        }
        while text.len() < TOGETHER_BYTES
            && let Some(row) = tail.waiting()
        {
            write(&mut text, "query", &named(&state, &row));
        }
    }
}

/// A query with what its client is called, if that is known.
fn named<'r>(state: &AdminState, row: &'r Told) -> Cow<'r, str> {
    let named = ClientNamed::from(called(state, &row.client));
    let rest = row.json.strip_prefix('{').filter(|_| named.name.is_some());
    match (serde_json::to_string(&named), rest) {
        (Ok(own), Some(rest)) => format!("{},{rest}", own.trim_end_matches('}')).into(),
        _ => row.json.as_str().into(),
    }
}

/// An event; JSON has no line ends in it.
fn write(text: &mut String, event: &str, json: &str) {
    let _ = write!(text, "event: {event}\ndata: {json}\n\n");
}

/// A body that comes piece by piece.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
