//! The composition root: builds everything from the configuration, binds, serves, drains. Decides nothing else.

mod alive;
mod hold;
mod offline;
mod others;
mod outside;
mod resolving;
mod running;
mod sockets;
mod whereabouts;

pub use self::{
    alive::SignsOfLife,
    offline::{check_admin, check_resolver, local_data, offline_pipeline},
    outside::{FollowLog, Outside},
    running::Running,
    sockets::{Obstacles, heard, http_of_another, obstacles},
    whereabouts::Whereabouts,
};

use self::{
    hold::Hold,
    others::{Others, audit_file, keeping, query_log},
    resolving::{Resolving, look_up_host},
    whereabouts::Told,
};
use crate::{
    admin::{self, AdminState, Recorded, Tails},
    config::Config,
    dns::{Name, RrType},
    embedded,
    health::{Health, UPSTREAM_SILENT},
    listener::{self, Drops, Service},
    lists::{Downloads, Embedded, Lists, OnPublish, Published, StartError},
    pause::Pauses,
    query::{Pipeline, Surroundings},
    query_log::{Privacy, QueryLog, Shown},
    resolve::{Clock, NameServersWanted, Resolve, Resolver, Upstreams, Wanted, Watch},
    settings::{self, Changing, Files, Fits, Hardware, OverlayFile, Parts, Settings},
    telemetry::{Reload, Telemetry},
    uptime::Uptime,
    warm::Warm,
};
pub use crate::{
    listener::{BindError, FOR_ITSELF, Held, Start, reachable},
    systemd::Passed,
};
use anyhow::Context;
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The part of the cache's memory that is left to resolution: one in so many. What it keeps is mostly about name servers.
const RESOLVER_SHARE: u64 = 8;
/// How often the first contact with name servers is tried until there is one.
const CONTACT_EVERY: Duration = Duration::from_secs(30);

/// Why the program doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Something the owner wrote, or left out, is at fault.
    #[error("{0}")]
    Configuration(String),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<BindError> for AppError {
    fn from(error: BindError) -> Self {
        Self::Configuration(error.to_string())
    }
}

impl From<StartError> for AppError {
    fn from(error: StartError) -> Self {
        Self::Configuration(error.to_string())
    }
}

/// Starts serving. The policy is in force before the first socket is open.
pub async fn start(config: Config, mut outside: Outside) -> Result<Running, AppError> {
    let overlay = Arc::new(OverlayFile::open(config.state_dir.as_deref(), outside.clock.clone()));
    let (config, files) = (Arc::new(overlay.lay_if_possible(&config)), config);
    let started = Instant::now();
    let taken_over = match outside.start {
        Start::Alone => Vec::new(),
        Start::TakeOver => sockets::addresses(&config, &outside.passed)?,
    };
    let hold = Arc::new(Hold::take(config.state_dir.as_deref(), &taken_over));
    hold.shared().iter().for_each(|told| tracing::warn!("{told}; give each a [state] dir of its own"));
    hold.unusable().iter().for_each(|told| tracing::warn!("{told}; nothing is kept that should outlive this process"));
    let (state_shared, state_unusable) = (hold.clone(), hold.unusable());
    let (clock, chance, limits) = (outside.clock.clone(), outside.chance(), outside.fetch.clone());
    let (seed, start_mode, awake) = (outside.seed, outside.start, outside.awake.clone());
    let passed = std::mem::take(&mut outside.passed);
    let fits = fits(&config, &passed, outside.reach.clone())?;
    let privacy = Privacy::new(config.query_log.privacy);
    let tails = Tails::default();
    let shown = config.admin.as_ref().map(|_| {
        let (audience, tails) = (tails.audience(), tails.clone());
        Shown { make: Arc::new(move || tails.sink()), audience }
    });
    let upstreams = Arc::new(Upstreams::default());
    let (query_log, writing) = query_log(&config, &privacy, upstreams.clone(), shown)?;
    let own = query_log.clone();
    let watch: Watch = Arc::new(move |exchange| own.exchanged(exchange));
    let resolving = Arc::new(Resolving::new(&outside, upstreams, Some(watch)));
    let resolver = resolving.resolver(&config)?;
    let settings = Arc::new(Settings::new(config.clone()));
    let telemetry = Arc::new(Telemetry::new(config.log.queries, privacy, Some(query_log.clone())));
    let downloads = Downloads { look_up_host: look_up_host(&settings, &resolver), limits };
    let (own_config, on_publish) = (config.clone(), count_reloads(&telemetry));
    // It waits for disks and downloads, and the resolver that downloads need runs on this runtime.
    let loading = tokio::task::spawn_blocking(move || {
        Lists::load_and_download(own_config, embedded_files(), chance, downloads, on_publish)
    });
    let lists = loading.await.context("reading the lists broke off")??;
    let published = lists.published();
    let ((stop, stopping), (gone, _)) = (watch::channel(false), watch::channel(false));
    let hardware = Arc::new(Hardware::default());
    let given = (resolver.clone(), (clock.clone(), outside.uptime.clone()), seed);
    let (pipeline, warnings) = pipeline(&config, &published, given, hardware.clone())?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let pipeline = Arc::new(pipeline);
    let warm = Warm::new(&config, awake).map(Arc::new);
    let door = config.admin.as_ref().map(|admin| admin::Door::open(admin, audit_file(&config, admin))).transpose();
    let door = door.map_err(AppError::Configuration)?;
    let told = Arc::new(OnceLock::new());
    let others = Others {
        door: door.clone(),
        resolving: resolving.clone(),
        resolver: resolver.clone(),
        pipeline: pipeline.clone(),
        warm: warm.clone(),
        telemetry: telemetry.clone(),
        query_log: query_log.clone(),
        seed,
        follow_log: outside.follow_log,
        told: told.clone(),
    };
    let (own_overlay, kept_overlay) = (overlay.clone(), overlay.clone());
    let parts = Parts {
        settings: settings.clone(),
        lists: lists.control(),
        pipeline: pipeline.clone(),
        hardware,
        on_top: Arc::new(move |files| own_overlay.lay(files)),
        fits,
        others: Arc::new(move |running, next| others.prepare(running, next)),
    };
    let changing = Arc::new(Changing::new(parts, files.clone()));
    let health = Health {
        published: published.clone(),
        counters: resolving.counters.clone(),
        resolver,
        settings: settings.clone(),
        pauses: pipeline.pauses().clone(),
        overlay: overlay.clone(),
        losing: told_of(&query_log, QueryLog::losing),
        file_gone: told_of(&query_log, QueryLog::file_gone),
        state_shared: Arc::new(move || state_shared.shared()),
        state_unusable,
        clock,
        started,
        stopping: stopping.clone(),
    };
    // It may have to ask who has them.
    let own_config = config.clone();
    let opening = tokio::task::spawn_blocking(move || sockets::open(&own_config, passed, start_mode));
    let (sockets, http) = opening.await.context("opening the sockets broke off")??;
    let dns = sockets.addresses.clone();
    let admin = match config.admin.as_ref().zip(door) {
        None => None,
        Some((admin, door)) => {
            let changes = Arc::new(admin::Changes::new(door.audit));
            let state = AdminState {
                pipeline: pipeline.clone(),
                telemetry: telemetry.clone(),
                health: health.clone(),
                lists: lists.control(),
                dns: dns.as_slice().into(),
                settings: settings.clone(),
                recorded: Recorded::new(settings.clone(), health.losing.clone()),
                minutes: Arc::default(),
                tails,
                names: admin::names(&pipeline, &settings),
                desk: Arc::new(admin::Desk::new(overlay, changing.clone(), changes.clone(), published.clone())),
                changes,
                tls: door.tls,
                auth: door.auth,
                forget_saved: {
                    let warm = warm.clone();
                    Arc::new(move || warm.iter().for_each(|warm| warm.forget()))
                },
                packets_lost: Arc::new({
                    let drops = Drops::of(&sockets);
                    move || drops.count()
                }),
            };
            let leaving = admin::Leaving {
                stopping: stopping.clone(),
                gone: gone.subscribe(),
                is_shared: Arc::new(listener::is_shared),
            };
            Some(
                admin::serve(admin, http, state, start_mode == Start::TakeOver, leaving)
                    .await
                    .map_err(|error| AppError::from(BindError::new("admin.listen", admin.listen, "HTTP", &error)))?,
            )
        }
    };
    let (admin, accepting) = admin.unzip();
    // Not before: who can't start takes nothing from who comes next.
    let warming = (warm.clone(), pipeline.clone());
    let warming = tokio::task::spawn_blocking(move || warming.0.inspect(|warm| warm.load(warming.1.finder())));
    warming.await.context("reading kept answers broke off")?;
    writing.begin();
    let service = Service {
        pipeline: pipeline.clone(),
        telemetry,
        stopping,
        lifetime: listener::LIFETIME,
        proxies: listener::Proxies::new(config.listen.proxies.clone()).map(Arc::new),
    };
    let serving = listener::serve(sockets, &service).context("could not start serving")?;
    let watched = outside.read_again.map(|read| {
        let (changing, settings, lists) = (changing.clone(), settings.clone(), lists.control());
        Files::watch(settings::Wanted { read, changing, settings, lists, said: files })
    });
    let files = watched.transpose().context("could not start the thread that watches the configuration")?;
    let watching = lists.watch().context("could not start the thread that watches the lists")?;
    // What has come into force so far is good enough for the next start.
    if let Some(folder) = config.state_dir.clone() {
        let _ = told.set(Told::new(Whereabouts::new(&config, &dns, admin), folder));
    }
    let telling = told.clone();
    let lasting = move || {
        kept_overlay.keep();
        telling.get().into_iter().for_each(Told::tell);
    };
    let _ = tokio::task::spawn_blocking(lasting).await;
    let upkeep = [tokio::spawn(make_contact(health.clone())), tokio::spawn(whereabouts::keep(told.clone()))];
    Ok(Running {
        dns,
        admin,
        published,
        health,
        pipeline,
        changing,
        settings,
        files,
        warm,
        told,
        watching,
        stop,
        gone,
        accepting,
        serving,
        upkeep,
        writing,
        hold,
    })
}

/// Whether later configurations fit this process: its addresses stay those it has now.
fn fits(config: &Config, passed: &Passed, reach: Fits) -> Result<Fits, AppError> {
    let listen = sockets::addresses(config, passed)?;
    let http = sockets::http_address(passed)?;
    Ok(Arc::new(move |config| {
        sockets::stay_closed(config, &listen)?;
        http.map_or(Ok(()), |http| sockets::may_serve_http(config, http))?;
        reach(config)
    }))
}

/// The flow of queries with all it takes, and what in the owner's hosts files can't be used.
fn pipeline(
    config: &Config,
    published: &Published,
    (resolver, (clock, uptime), seed): (Resolver, (Clock, Uptime), u64),
    hardware: Arc<Hardware>,
) -> Result<(Pipeline, Vec<String>), AppError> {
    let now = clock() as i64;
    let pauses = Arc::new(Pauses::load(config.state_dir.as_deref(), now));
    hardware.begin_if_wanted(config, pauses.need_mac(now));
    let knows_macs = hardware.clone();
    let (terms, warnings) = settings::terms(config).map_err(AppError::Configuration)?;
    let pipeline = Pipeline::new(
        published.policy.clone(),
        terms,
        Arc::new(resolver),
        keeping(config, seed),
        pauses,
        Surroundings {
            now: Arc::new(move || clock() as i64),
            uptime,
            mac: Arc::new(move |client| hardware.mac(client)),
            knows_macs: Arc::new(move || knows_macs.is_known()),
        },
    );
    Ok((pipeline, warnings))
}

/// The files inside the binary.
pub fn embedded_files() -> Embedded {
    Embedded { read: embedded::read, paths: embedded::paths }
}

/// What the query log says of its sinks.
fn told_of(
    log: &Arc<QueryLog>,
    tell: fn(&QueryLog) -> Vec<&'static str>,
) -> Arc<dyn Fn() -> Vec<&'static str> + Send + Sync> {
    let log = log.clone();
    Arc::new(move || tell(&log))
}

fn count_reloads(telemetry: &Arc<Telemetry>) -> OnPublish {
    let telemetry = telemetry.clone();
    Box::new(move |policy, held| {
        telemetry.policy_comes(policy);
        telemetry.reloaded(if held { Reload::Held } else { Reload::Clean });
    })
}

/// Asks for the root until a name server answers, so that trouble shows before the first client meets it.
async fn make_contact(health: Health) {
    let mut said = false;
    loop {
        let wanted = Wanted { validated: false, name_servers: NameServersWanted::No, afresh: false };
        let resolving = health.resolver.resolve(Name::ROOT, RrType::NS, wanted);
        let _ = tokio::time::timeout(Duration::from_secs(6), resolving).await;
        if health.counters.answered.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            if said {
                tracing::info!("a name server answered: recursion works");
            }
            return;
        }
        if !std::mem::replace(&mut said, true) {
            tracing::error!("{UPSTREAM_SILENT}");
        }
        tokio::time::sleep(CONTACT_EVERY).await;
    }
}
