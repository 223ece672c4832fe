//! HTTP: health, metrics, questions about verdicts and lists, pauses. No other module names the web framework.
//!
//! It listens on loopback unless told otherwise, and then asks for a token. A web page in a browser on this machine
//! could still ask it by another name (DNS rebinding), so only requests that name an address or `localhost` are heard.

mod control;
mod explain;
mod process;
mod state;

pub use control::{CacheView, FlushAsked, Flushed, PauseAsked, PausesView, UpdateView};
pub use explain::{Explained, Rule, explained};
pub use state::{ListView, ListsView};

use crate::{
    config::Admin,
    health::{Health, Readiness},
    lists::Control,
    policy::{Client, ClientKey},
    query::Pipeline,
    telemetry::{Telemetry, render},
};
use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// What the pages are made from.
#[derive(Clone)]
pub struct AdminState {
    pub pipeline: Arc<Pipeline>,
    pub telemetry: Arc<Telemetry>,
    pub health: Health,
    pub lists: Control,
    /// Removes the answers that an earlier process left for the next start.
    pub forget_saved: Arc<dyn Fn() + Send + Sync>,
    /// Packets that the kernel dropped before they were read.
    pub packets_lost: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Serves until told to stop; returns the address bound. `shared`: another process may have it yet.
pub async fn serve(
    config: &Admin,
    state: AdminState,
    shared: bool,
    mut stopping: watch::Receiver<bool>,
) -> std::io::Result<SocketAddr> {
    let listener = listen(config.listen, shared)?;
    let address = listener.local_addr()?;
    let token = config.token.clone().map(Arc::from);
    let guarded = Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/api/v1/explain", get(explain_name))
        .route("/api/v1/lists", get(lists))
        .route("/api/v1/lists/update", post(control::update))
        .route("/api/v1/bypass", get(control::bypass))
        .route("/api/v1/cache", get(control::cache))
        .route("/api/v1/cache/flush", post(control::flush))
        .route("/api/v1/pause", get(control::pauses).post(control::pause))
        .layer(from_fn_with_state(token, admit));
    let open = Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz));
    let app = open.merge(guarded).with_state(state);
    tokio::spawn(async move {
        let stop = async move {
            let _ = stopping.wait_for(|&stopping| stopping).await;
        };
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "HTTP ended");
        }
    });
    Ok(address)
}

/// Binds an address so that a new process can take it over; unless `shared`, nobody may have it yet.
fn listen(address: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
    let bind = |address: SocketAddr, shared| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(shared)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let address = if shared { address } else { bind(address, false)?.local_addr()? };
    bind(address, true)
}

/// Lets a request through that names this server plainly and, where one is asked for, shows the token.
async fn admit(State(token): State<Option<Arc<str>>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    if !names_an_address(&headers) {
        return (StatusCode::MISDIRECTED_REQUEST, "ask by address or as localhost\n").into_response();
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The scheme's name is written in any case (RFC 9110 §11.1).
    let of_scheme = |value: &str| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    let shown = shown.and_then(of_scheme).unwrap_or_default();
    match token {
        Some(token) if !equal(&shown, &token) => {
            (StatusCode::UNAUTHORIZED, "send `Authorization: Bearer` with the token\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// True if the Host header is an address, `localhost`, or missing.
fn names_an_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or("?");
    let without_port = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => host,
    };
    let bare = without_port.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok()
}

/// Compares in a time that tells nothing of where they differ.
fn equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

async fn index() -> &'static str {
    "cleandns\n\n/healthz\n/readyz\n/metrics\n/api/v1/explain?name=www.tiktok.com&type=A\n/api/v1/lists\n/api/v1/cache\n/api/v1/pause\n/api/v1/bypass\n"
}

async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct ReadyView {
    status: &'static str,
    reasons: Vec<String>,
}

async fn readyz(State(state): State<AdminState>) -> impl IntoResponse {
    let (readiness, concerns) = state.health.look();
    let status = if readiness.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let reasons = concerns.iter().map(|concern| concern.sentence()).collect();
    (status, Json(ReadyView { status: Readiness::word(readiness), reasons }))
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let text = render(&state.telemetry, &state::gauges(&state));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn lists(State(state): State<AdminState>) -> impl IntoResponse {
    Json(state::lists(&state.health.published.status.load()))
}

#[derive(Deserialize)]
struct ExplainRequest {
    name: String,
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    client: Option<String>,
    /// Hardware address of the client, where a group is told by one.
    #[serde(default)]
    mac: Option<String>,
    /// Id of the client.
    #[serde(default)]
    id: Option<String>,
}

async fn explain_name(State(state): State<AdminState>, Query(request): Query<ExplainRequest>) -> Response {
    let bad = |text: String| (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response();
    let name = match request.name.parse::<crate::dns::Name>() {
        Ok(name) => name,
        Err(error) => return bad(format!("name `{}`: {error}", request.name)),
    };
    let rr_type = match request.r#type.as_deref().unwrap_or("A").parse() {
        Ok(rr_type) => rr_type,
        Err(error) => return bad(format!("type: {error}")),
    };
    let address = match request.client.as_deref().unwrap_or("127.0.0.1").parse::<IpAddr>() {
        Ok(client) => client.to_canonical(),
        Err(error) => return bad(format!("client: {error}")),
    };
    let mac = match request.mac.as_deref().map(mac_of) {
        Some(None) => return bad("mac: write it as aa:bb:cc:dd:ee:ff".to_owned()),
        mac => mac.flatten(),
    };
    let id = request.id.clone();
    let client = Client { address, id: id.as_deref(), mac, tcp: false };
    let Some(explanation) = state.pipeline.explain(name, rr_type, client).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no policy is loaded yet\n").into_response();
    };
    let admitted = state.pipeline.admits(address);
    let published = state.health.published.clone();
    // Rules are read back from their files.
    let view = tokio::task::spawn_blocking(move || {
        let client = Client { address, id: id.as_deref(), mac, tcp: false };
        explained(&explanation, rr_type, client, admitted, &published.status.load())
    });
    match view.await {
        Ok(view) => Json(view).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// A hardware address as people write it.
fn mac_of(text: &str) -> Option<[u8; 6]> {
    match format!("mac:{text}").parse() {
        Ok(ClientKey::Mac(mac)) => Some(mac),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_this_server_are_heard() {
        for (host, expected) in [
            ("127.0.0.1:8053", true),
            ("localhost", true),
            ("localhost:8053", true),
            ("[::1]:8053", true),
            ("[::1]", true),
            ("192.168.1.2", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8053", false),
            ("localhost.evil.example", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(names_an_address(&headers), expected, "{host}");
        }
    }
}
