//! HTTP: pages and an API for people and programs, health, metrics. No other module names the web framework.
//!
//! ```text
//! serve: connections, bounded
//!   guard: headers · Host · body                problem: errors as RFC 9457
//!   forwarded: whom a proxy asks for
//!   admit → auth: who it is, was it meant, may they
//!     pages: templates ─┬→ view: what stands now, as data → live: the last hours, counted, recorded or happening
//!     api: JSON ────────┴→ change: what is done, by whom
//! ```
//!
//! It listens on loopback unless told otherwise, and then asks for a token or a user's password.

mod address;
mod admit;
mod api;
mod asked;
mod audit;
mod auth;
mod change;
mod door;
mod forwarded;
mod gauges;
mod guard;
mod live;
mod pages;
mod problem;
mod process;
mod serve;
mod tls;
mod view;

pub use address::encoded;
pub use api::control::CacheView;
pub use audit::{Audit, FILE_NAME as AUDIT_FILE_NAME};
pub use auth::{
    Auth, Role, token,
    users::{self, Users},
};
pub use change::{
    Changes, Desk, Done, ReleaseAsked, RollbackAsked,
    cache::{FlushAsked, Flushed},
    lists::UpdateView,
    pauses::{PauseAsked, PausesView},
};
pub use door::Door;
pub use live::{Minutes, Names, Recorded, Tails};
pub use serve::Leaving;
pub use tls::Tls;
pub use view::{
    called::names,
    explain::{Explained, explained},
    list::{VersionView, WholeList},
    lists::{ListView, ListsView, PinnedView, lists},
    tried::Tried,
    weighed::Rule,
};

use crate::{
    config::Admin,
    health::{Code, Concern, Health},
    lists::Control,
    policy::Zone,
    query::{CHECK_ZONE, Pipeline},
    report::Moment,
    settings::Settings,
    telemetry::Telemetry,
};
use arc_swap::ArcSwapOption;
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// How often the counters are looked at: a query is told in the minute it came in, or at most this much later.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Said where it can be reached over a network without TLS.
const IN_THE_CLEAR: &str = "passwords and tokens cross the network in the clear: [admin] listens without TLS";
const IN_THE_CLEAR_TO_DO: &str = "set [admin] tls_cert and tls_key, or insecure = true if something before it has TLS";

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
    /// What others call clients.
    pub names: Names,
    /// Removes the answers that an earlier process left for the next start.
    pub forget_saved: Arc<dyn Fn() + Send + Sync>,
    /// Who may.
    pub auth: Arc<Auth>,
    /// Nothing: plain HTTP.
    pub tls: Arc<ArcSwapOption<Tls>>,
    /// What is changed, and by whom.
    pub changes: Arc<Changes>,
    /// Where what lasts is changed.
    pub desk: Arc<Desk>,
    /// Packets that the kernel dropped before they were read.
    pub packets_lost: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl AdminState {
    /// Of times that are written without an offset.
    fn zone(&self) -> Zone {
        self.settings.config().policy.time_zone.clone()
    }

    /// What is worth knowing of this side of the server.
    fn notes(&self) -> Vec<Concern> {
        let clear =
            self.auth.warns().then(|| Concern::worth_knowing(Code::InTheClear, IN_THE_CLEAR, IN_THE_CLEAR_TO_DO));
        let users = self
            .auth
            .trouble()
            .map(|why| Concern::worth_knowing(Code::Users, why, "The users as they were before stay in force."));
        let tls = self.tls.load().as_ref().and_then(|tls| tls.trouble()).map(|why| {
            Concern::worth_knowing(Code::Certificate, why, "The certificate as it was before stays in use.")
        });
        clear.into_iter().chain(users).chain(tls).collect()
    }

    /// When this process began to count.
    fn started(&self) -> Moment {
        let age = i64::try_from(self.health.started.elapsed().as_secs()).unwrap_or(i64::MAX);
        Moment(self.pipeline.now().saturating_sub(age).saturating_mul(1_000_000))
    }
}

/// Serves until told to stop, on a socket that was passed or else one of its own; returns the address bound. `shared`:
/// another process may have it yet. Returns what ends once nobody is answered any more, too.
pub async fn serve(
    config: &Admin,
    passed: Option<std::net::TcpListener>,
    state: AdminState,
    shared: bool,
    leaving: Leaving,
) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let is_passed = passed.is_some();
    let listener = match passed {
        Some(passed) => serve::adopt(passed)?,
        None => serve::listen(config.listen, shared)?,
    };
    let address = listener.local_addr()?;
    view::overview::recall(&state).await;
    tokio::spawn(follow(state.clone(), leaving.stopping.clone()));
    let (tls, is_proxy) = (state.tls.clone(), is_proxy(&state));
    if state.auth.warns() {
        tracing::warn!("{IN_THE_CLEAR}; {IN_THE_CLEAR_TO_DO}");
    }
    let app = app(state);
    Ok((address, tokio::spawn(serve::accept(listener, app, tls, is_proxy, is_passed, leaving))))
}

/// All routes behind what guards them. A layer sees a request before those above it.
fn app(state: AdminState) -> Router {
    let hosts = Arc::new(guard::Hosts { is_name: is_name(&state), check_zone: CHECK_ZONE });
    let routes = api::routes().merge(pages::routes()).fallback(pages::no_such_page).with_state(state.clone());
    // A layer of a router wraps each of its handlers by itself; `admit` has to have all of them before it, to ask which
    // methods there are.
    let guarded = Router::new()
        .fallback_service(routes)
        .layer(from_fn_with_state(state.clone(), admit::permitted))
        .layer(from_fn(guard::bounded))
        .layer(from_fn_with_state(state.clone(), admit::known))
        .layer(from_fn_with_state(is_proxy(&state), forwarded::behind_proxies));
    // Assets say nothing of this server, and the page where one signs in needs them.
    let named = guarded
        .merge(pages::assets())
        .layer(from_fn_with_state(hosts, guard::by_name))
        .layer(from_fn_with_state(state.clone(), admit::staying))
        .layer(from_fn_with_state(state.clone(), pages::as_pages))
        .layer(from_fn(problem::as_problems));
    let tls = state.tls.clone();
    let is_tls: guard::IsTls = Arc::new(move || tls.load().is_some());
    api::open().merge(named).layer(from_fn_with_state(is_tls, guard::with_headers)).with_state(state)
}

/// Whether a name is one by which this server is asked, as it is configured now.
fn is_name(state: &AdminState) -> guard::IsName {
    let settings = state.settings.clone();
    Arc::new(move |asked| {
        let config = settings.config();
        let mut names = config.admin.iter().flat_map(|admin| &admin.names);
        names.any(|name| asked.eq_ignore_ascii_case(name))
    })
}

/// Whether an address is that of a proxy that is trusted, as it is configured now.
fn is_proxy(state: &AdminState) -> serve::IsProxy {
    let settings = state.settings.clone();
    Arc::new(move |address| {
        let config = settings.config();
        let mut networks = config.admin.iter().flat_map(|admin| &admin.trusted_proxies);
        networks.any(|network| network.contains(&address))
    })
}

/// Looks at the counters now and then, until told to stop.
async fn follow(state: AdminState, mut stopping: watch::Receiver<bool>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looking = async {
        loop {
            ticks.tick().await;
            view::overview::look(&state);
            let work = state.clone();
            // Files that people write while it runs.
            let _ = tokio::task::spawn_blocking(move || {
                work.auth.look();
                work.tls.load().iter().for_each(|tls| tls.look());
            })
            .await;
        }
    };
    let following = async { tokio::join!(looking, state.desk.clone().follow()) };
    tokio::select! {
        _ = following => {}
        _ = stopping.wait_for(|&stopping| stopping) => {}
    }
}
