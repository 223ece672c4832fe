//! HTTP: pages and an API for people and programs, health, metrics. No other module names the web framework.
//!
//! ```text
//! serve: connections, bounded
//!   guard: headers · Host · token · body        problem: errors as RFC 9457
//!     pages: templates ─┐
//!     api: JSON ────────┴→ view: what stands now, as data → live: the last hours, counted, recorded or happening
//! ```
//!
//! It listens on loopback unless told otherwise, and then asks for a token. Pages only show: nothing can be changed by one.

mod api;
mod gauges;
mod guard;
mod live;
mod pages;
mod problem;
mod process;
mod serve;
mod view;

pub use api::control::{CacheView, FlushAsked, Flushed, PauseAsked, PausesView, UpdateView};
pub use live::{Minutes, Recorded, Tails};
pub use view::{
    explain::{Explained, Rule, explained},
    lists::{ListView, ListsView, lists},
};

use crate::{
    config::Admin, health::Health, lists::Control, query::Pipeline, report::Moment, settings::Settings,
    telemetry::Telemetry,
};
use axum::{
    Router,
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
    /// Addresses bound for DNS.
    pub dns: Arc<[SocketAddr]>,
    /// What is in force of the configuration.
    pub settings: Arc<Settings>,
    /// Queries of the last hours.
    pub minutes: Arc<Minutes>,
    /// Queries that are recorded.
    pub recorded: Recorded,
    /// Those who look at queries as they come.
    pub tails: Tails,
    /// Removes the answers that an earlier process left for the next start.
    pub forget_saved: Arc<dyn Fn() + Send + Sync>,
    /// Packets that the kernel dropped before they were read.
    pub packets_lost: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl AdminState {
    /// When this process began to count.
    fn started(&self) -> Moment {
        let age = i64::try_from(self.health.started.elapsed().as_secs()).unwrap_or(i64::MAX);
        Moment(self.pipeline.now().saturating_sub(age).saturating_mul(1_000_000))
    }
}

/// Serves until told to stop, on a socket that was passed or else one of its own; returns the address bound. `shared`:
/// another process may have it yet.
pub async fn serve(
    config: &Admin,
    passed: Option<std::net::TcpListener>,
    state: AdminState,
    shared: bool,
    stopping: watch::Receiver<bool>,
) -> std::io::Result<SocketAddr> {
    let listener = match passed {
        Some(passed) => serve::adopt(passed)?,
        None => serve::listen(config.listen, shared)?,
    };
    let address = listener.local_addr()?;
    view::overview::recall(&state).await;
    tokio::spawn(follow(state.clone(), stopping.clone()));
    let app = app(state, config.token.clone().map(Arc::from));
    tokio::spawn(serve::accept(listener, app, stopping));
    Ok(address)
}

/// All routes behind what guards them. A layer sees a request before those above it.
fn app(state: AdminState, token: Option<Arc<str>>) -> Router {
    let guarded = api::routes()
        .merge(pages::routes())
        .fallback(pages::no_such_page)
        .layer(from_fn(guard::bounded))
        .layer(from_fn_with_state(token, guard::with_token));
    // Assets say nothing of this server, and the page that asks for a token needs them.
    let named = guarded
        .merge(pages::assets())
        .layer(from_fn(guard::by_address))
        .layer(from_fn_with_state(state.clone(), pages::as_pages))
        .layer(from_fn(problem::as_problems));
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
