//! HTTP: an API, health, metrics. No other module names the web framework.
//!
//! ```text
//! serve: connections, bounded
//!   guard: headers · Host · token · body        problem: errors as RFC 9457
//!     api: JSON → view: what stands now, as data → live: the last hours, without a database
//! ```
//!
//! It listens on loopback unless told otherwise, and then asks for a token.

mod api;
mod gauges;
mod guard;
mod live;
mod problem;
mod process;
mod serve;
mod view;

pub use api::control::{CacheView, FlushAsked, Flushed, PauseAsked, PausesView, UpdateView};
pub use live::Minutes;
pub use view::{
    explain::{Explained, Rule, explained},
    lists::{ListView, ListsView},
};

use crate::{config::Admin, health::Health, lists::Control, query::Pipeline, telemetry::Telemetry};
use axum::{
    Router,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// How often the counters are looked at: a query is told in the minute it came in, or at most this much later.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the pages are made from.
#[derive(Clone)]
pub struct AdminState {
    pub pipeline: Arc<Pipeline>,
    pub telemetry: Arc<Telemetry>,
    pub health: Health,
    pub lists: Control,
    /// Queries of the last hours.
    pub minutes: Arc<Minutes>,
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
    stopping: watch::Receiver<bool>,
) -> std::io::Result<SocketAddr> {
    let listener = serve::listen(config.listen, shared)?;
    let address = listener.local_addr()?;
    tokio::spawn(follow(state.clone(), stopping.clone()));
    let app = app(state, config.token.clone().map(Arc::from));
    tokio::spawn(serve::accept(listener, app, stopping));
    Ok(address)
}

/// All routes behind what guards them. A layer sees a request before those above it.
fn app(state: AdminState, token: Option<Arc<str>>) -> Router {
    let guarded = api::routes()
        .fallback(async || (StatusCode::NOT_FOUND, "nothing is at this address\n"))
        .layer(from_fn(guard::bounded))
        .layer(from_fn_with_state(token, guard::with_token));
    let named = guarded.layer(from_fn(guard::by_address)).layer(from_fn(problem::as_problems));
    api::open().merge(named).layer(from_fn(guard::with_headers)).with_state(state)
}

/// Looks at the counters now and then, until told to stop.
async fn follow(state: AdminState, mut stopping: watch::Receiver<bool>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looking = async {
        loop {
            ticks.tick().await;
            view::overview::look(&state);
        }
    };
    tokio::select! {
        () = looking => {}
        _ = stopping.wait_for(|&stopping| stopping) => {}
    }
}
