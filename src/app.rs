//! The composition root: builds everything from the configuration, binds, serves, drains. Decides nothing else.

mod alive;
mod sockets;

pub use self::{alive::SignsOfLife, sockets::obstacles};
use crate::{
    admin::{self, AdminState},
    config::{self, Config},
    dns::{Name, Rcode, Record, RrType},
    embedded,
    health::{Health, UPSTREAM_SILENT},
    listener::{self, BindError, Drops, Service, Serving},
    lists::{Chance, Downloads, Embedded, FetchLimits, Lists, LookUpHost, OnPublish, Published, StartError, Watching},
    pause::Pauses,
    query::{Keeping, LocalData, Pipeline, Surroundings},
    query_log::{Privacy, QueryLog, Writing},
    resolve::{
        Clock, Hints, NameServersWanted, PortMap, Resolution, Resolve, Resolver, ResolverSetup, Security,
        TrustAnchorText, UpstreamCounters, Wanted, Watch,
    },
    settings::{self, Changing, Fits, Hardware, Settings},
    telemetry::{Reload, Telemetry},
    warm::{Awake, AwakeFor, Warm},
};
pub use crate::{listener::Start, systemd::Passed};
use anyhow::Context;
use std::{
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// The part of the cache's memory that is left to resolution: one in so many. What it keeps is mostly about name servers.
const RESOLVER_SHARE: u64 = 8;
/// How long queries in flight are waited for when it is time to leave.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// How long what was recorded is waited for until it is written, when it is time to leave.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// How often the first contact with name servers is tried until there is one.
const CONTACT_EVERY: Duration = Duration::from_secs(30);
/// How long a look-up for a download may take: the resolver gives up before that.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(6);

/// What the program takes from the world besides its configuration.
pub struct Outside {
    pub clock: Clock,
    /// Keys hashes that others must not be able to foresee.
    pub seed: u64,
    /// For tests: where name servers really are.
    pub ports: Option<Arc<PortMap>>,
    /// Seconds since 1970 when this program was built.
    pub built_at: u64,
    pub fetch: FetchLimits,
    /// Whether another process may have the addresses yet.
    pub start: Start,
    /// Sockets that are open already.
    pub passed: Passed,
    /// Whether the process can read what a later configuration names.
    pub reach: Fits,
    pub awake: AwakeFor,
}

impl Outside {
    /// The real one.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())),
            seed: foldhash::fast::RandomState::default().hash_one(Instant::now().elapsed()),
            ports: None,
            built_at: env!("CLEANDNS_BUILT_AT").parse().unwrap_or(0),
            fetch: FetchLimits::default(),
            start: Start::Alone,
            passed: Passed::default(),
            reach: Arc::new(|_| Ok(())),
            awake: Arc::new(Awake::of_machine),
        }
    }

    /// What the lists take of it.
    pub fn chance(&self) -> Chance {
        Chance { seed: self.seed, clock: self.clock.clone() }
    }
}

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

/// A program that serves.
pub struct Running {
    /// Addresses bound for DNS.
    pub dns: Vec<SocketAddr>,
    /// Address bound for HTTP.
    pub admin: Option<SocketAddr>,
    pub published: Arc<Published>,
    pub health: Health,
    pub pipeline: Arc<Pipeline>,
    /// Puts another configuration in force.
    pub changing: Arc<Changing>,
    pub settings: Arc<Settings>,
    warm: Option<Arc<Warm>>,
    watching: Watching,
    stop: watch::Sender<bool>,
    serving: Serving,
    contact: JoinHandle<()>,
    writing: Option<Writing>,
}

/// Starts serving. The policy is in force before the first socket is open.
pub async fn start(config: Config, mut outside: Outside) -> Result<Running, AppError> {
    let config = Arc::new(config);
    let started = Instant::now();
    let counters = Arc::new(UpstreamCounters::default());
    let (clock, chance, limits) = (outside.clock.clone(), outside.chance(), outside.fetch.clone());
    let (seed, start_mode, awake) = (outside.seed, outside.start, outside.awake.clone());
    let passed = std::mem::take(&mut outside.passed);
    let fits = fits(&config, &passed, outside.reach.clone())?;
    let privacy = Privacy::new(config.query_log.privacy);
    let (query_log, writing) = query_log(&config, &privacy)?;
    let watch = query_log.clone().filter(|_| config.query_log.dnstap.as_ref().is_some_and(|dnstap| dnstap.resolver));
    let watch = watch.map(|log| -> Watch { Arc::new(move |exchange| log.exchanged(exchange)) });
    let resolver = resolver(&config, outside, counters.clone(), watch)?;
    let recorded = query_log.clone();
    let telemetry = Arc::new(Telemetry::new(config.log.queries, privacy, query_log));
    let downloads = Downloads { look_up_host: look_up_host(&config, &resolver), limits };
    let (own_config, on_publish) = (config.clone(), count_reloads(&telemetry));
    // It waits for disks and downloads, and the resolver that downloads need runs on this runtime.
    let loading = tokio::task::spawn_blocking(move || {
        Lists::load_and_download(own_config, embedded_files(), chance, downloads, on_publish)
    });
    let lists = loading.await.context("reading the lists broke off")??;
    let published = lists.published();
    let (stop, stopping) = watch::channel(false);
    let hardware = Arc::new(Hardware::default());
    let given = (resolver.clone(), clock.clone(), seed);
    let (pipeline, warnings) = pipeline(&config, &published, given, hardware.clone())?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let pipeline = Arc::new(pipeline);
    let settings = Arc::new(Settings::new(config.clone()));
    let on_top = Arc::new(Ok);
    let files = Config::clone(&config);
    let changing = Changing::new(settings.clone(), lists.control(), pipeline.clone(), hardware, (on_top, fits), files);
    let changing = Arc::new(changing);
    let warm = Warm::new(&config, awake).map(Arc::new);
    let health = Health {
        published: published.clone(),
        counters,
        resolver,
        pauses: pipeline.pauses().clone(),
        losing: told_of(&recorded, QueryLog::losing),
        file_gone: told_of(&recorded, QueryLog::file_gone),
        clock,
        started,
        stopping: stopping.clone(),
    };
    let (sockets, http) = sockets::open(&config, passed, start_mode)?;
    let dns = sockets.addresses.clone();
    let admin = match &config.admin {
        None => None,
        Some(admin) => {
            let state = AdminState {
                pipeline: pipeline.clone(),
                telemetry: telemetry.clone(),
                health: health.clone(),
                lists: lists.control(),
                dns: dns.as_slice().into(),
                settings: settings.clone(),
                minutes: Arc::default(),
                changes: Arc::new(admin::Changes::new(Arc::new(admin::Audit::start(audit_file(&config, admin))))),
                tls: {
                    let tls = admin.tls.as_ref().map(admin::Tls::read).transpose();
                    tls.map_err(|error| AppError::Configuration(error.to_string()))?.map(Arc::new)
                },
                auth: Arc::new(admin::Auth::new(admin).map_err(|error| AppError::Configuration(error.to_string()))?),
                forget_saved: {
                    let warm = warm.clone();
                    Arc::new(move || warm.iter().for_each(|warm| warm.forget()))
                },
                packets_lost: Arc::new({
                    let drops = Drops::of(&sockets);
                    move || drops.count()
                }),
            };
            Some(
                admin::serve(admin, http, state, start_mode == Start::TakeOver, stopping.clone())
                    .await
                    .map_err(|error| AppError::from(BindError::new("admin.listen", admin.listen, "HTTP", &error)))?,
            )
        }
    };
    // Not before: who can't start takes nothing from who comes next.
    let warming = (warm.clone(), pipeline.clone());
    let warming = tokio::task::spawn_blocking(move || warming.0.inspect(|warm| warm.load(warming.1.finder())));
    warming.await.context("reading kept answers broke off")?;
    writing.iter().for_each(Writing::begin);
    let service = Service { pipeline: pipeline.clone(), telemetry, stopping };
    let serving = listener::serve(sockets, &service).context("could not start serving")?;
    let watching = lists.watch().context("could not start the thread that watches the lists")?;
    let contact = tokio::spawn(make_contact(health.clone()));
    Ok(Running {
        dns,
        admin,
        published,
        health,
        pipeline,
        changing,
        settings,
        warm,
        watching,
        stop,
        serving,
        contact,
        writing,
    })
}

/// Where it is written down who changes what, if there is a place for it.
fn audit_file(config: &Config, admin: &config::Admin) -> Option<PathBuf> {
    let in_state = || Some(config.state_dir.as_ref()?.join(admin::AUDIT_FILE_NAME));
    admin.audit.clone().or_else(in_state)
}

/// Whether later configurations fit this process: its addresses stay those it has now.
fn fits(config: &Config, passed: &Passed, reach: Fits) -> Result<Fits, AppError> {
    let listen = sockets::addresses(config, passed)?;
    Ok(Arc::new(move |config| {
        sockets::stay_closed(config, &listen)?;
        reach(config)
    }))
}

/// Where queries are kept, and the threads that write them.
fn query_log(config: &Config, privacy: &Privacy) -> Result<(Option<Arc<QueryLog>>, Option<Writing>), AppError> {
    let upstreams = Resolver::upstreams(&config.resolve).into_iter().map(Arc::from).collect();
    let started = QueryLog::start(&config.query_log, privacy, config.state_dir.as_deref(), upstreams);
    match started.map_err(|error| AppError::Configuration(error.to_string()))? {
        Some((log, writing)) => {
            match &config.query_log.database {
                Some(path) => {
                    let days = config.query_log.keep.as_secs() / 86_400;
                    tracing::info!(file = %path.display(), days, "questions are recorded");
                }
                None => {
                    tracing::info!("there is no database of questions: [query_log] is off, or there is no state folder")
                }
            }
            Ok((Some(log), Some(writing)))
        }
        None => {
            tracing::info!("questions are not recorded: [query_log] is off, or there is no state folder");
            Ok((None, None))
        }
    }
}

/// The flow of queries with all it takes, and what in the owner's hosts files can't be used.
fn pipeline(
    config: &Config,
    published: &Published,
    (resolver, clock, seed): (Resolver, Clock, u64),
    hardware: Arc<Hardware>,
) -> Result<(Pipeline, Vec<String>), AppError> {
    hardware.begin_if_wanted(config);
    let (terms, warnings) = settings::terms(config).map_err(AppError::Configuration)?;
    let keeping = Keeping {
        bytes: config.cache.bytes - config.cache.bytes / RESOLVER_SHARE,
        seed,
        stale: config.cache.stale,
        refresh: config.cache.prefetch,
    };
    let pipeline = Pipeline::new(
        published.policy.clone(),
        terms,
        Arc::new(resolver),
        keeping,
        Arc::new(Pauses::load(config.state_dir.as_deref())),
        Surroundings { now: Arc::new(move || clock() as i64), mac: Arc::new(move |client| hardware.mac(client)) },
    );
    Ok((pipeline, warnings))
}

/// The flow of queries for whoever asks without a server: it decides on questions, and nothing is resolved.
pub fn offline_pipeline(config: &Config, published: &Published) -> Result<Pipeline, AppError> {
    let outside = Outside::real();
    let (clock, seed) = (outside.clock.clone(), outside.seed);
    let resolver = resolver(config, outside, Arc::default(), None)?;
    pipeline(config, published, (resolver, clock, seed), Arc::default()).map(|(pipeline, _)| pipeline)
}

impl Running {
    /// Has all lists read again.
    pub fn reload(&self) {
        self.watching.reload(None);
    }

    /// The same; what is returned ends when it is done.
    pub fn reloaded(&self) -> oneshot::Receiver<()> {
        let (waiting, done) = oneshot::channel();
        self.watching.reload(Some(waiting));
        done
    }

    /// Has all lists with a url downloaded, due or not.
    pub fn update_lists(&self) {
        self.watching.update();
    }

    /// Answers what has come, takes no more, and leaves.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.contact.abort();
        let Serving { workers, streams, .. } = self.serving;
        let watching = self.watching;
        let joined = tokio::task::spawn_blocking(move || {
            watching.stop();
            workers.into_iter().for_each(|worker| drop(worker.join()));
        });
        let drained = async {
            // They end within a fraction of a second, unless a file system keeps one waiting.
            let _ = joined.await;
            while self.pipeline.misses_free() < crate::query::MISSES_MAX {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for stream in streams {
                let _ = stream.await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_WITHIN, drained).await;
        if let Some(writing) = self.writing {
            let written = tokio::task::spawn_blocking(move || writing.stop());
            let _ = tokio::time::timeout(WRITE_WITHIN, written).await;
        }
        if let Some(warm) = self.warm {
            let pipeline = self.pipeline;
            let _ = tokio::task::spawn_blocking(move || warm.save(pipeline.finder())).await;
        }
    }
}

/// Finds a host's addresses by our own resolver, past the policy: a list that blocks the host it comes from would never
/// be mended otherwise.
fn look_up_host(config: &Config, resolver: &Resolver) -> LookUpHost {
    let (resolver, runtime) = (resolver.clone(), tokio::runtime::Handle::current());
    let families = [(config.resolve.ipv4, RrType::A), (config.resolve.ipv6, RrType::AAAA)];
    let types: Vec<RrType> = families.into_iter().filter_map(|(is_on, rr_type)| is_on.then_some(rr_type)).collect();
    Arc::new(move |host| {
        let name: Name = host.parse().map_err(|error| format!("{host} is no host name: {error}"))?;
        let answers = types.iter().map(|&rr_type| {
            let (resolver, (sender, received)) = (resolver.clone(), std::sync::mpsc::channel());
            runtime.spawn(async move {
                let wanted = Wanted { validated: true, name_servers: NameServersWanted::No };
                let resolving = resolver.resolve(name, rr_type, wanted);
                let _ = sender.send(tokio::time::timeout(LOOK_UP_WITHIN, resolving).await.ok());
            });
            received
        });
        // All are asked before the first is waited for.
        let answers: Vec<_> = answers.collect();
        // Without an answer the runtime has ended, or time was up.
        let answers = answers.into_iter().map(|received| received.recv().ok().flatten());
        addresses(host, answers.collect())
    })
}

/// The addresses in some answers, or why there are none.
fn addresses(host: &str, answers: Vec<Option<Resolution>>) -> Result<Vec<IpAddr>, String> {
    let (mut found, mut why) = (Vec::new(), format!("{host} has no address"));
    for answer in answers {
        match answer {
            None => why = format!("{host} could not be resolved in time"),
            Some(answer) if answer.security == Security::Bogus => why = format!("{host}: its answer breaks DNSSEC"),
            Some(answer) if answer.rcode != Rcode::NOERROR => {
                let detail = answer.ede.map(|ede| format!(": {}", ede.text)).unwrap_or_default();
                why = format!("{host} could not be resolved: {}{detail}", answer.rcode);
            }
            Some(answer) => found.extend(answer.answer.iter().filter_map(Record::address)),
        }
    }
    if found.is_empty() { Err(why) } else { Ok(found) }
}

/// The files inside the binary.
pub fn embedded_files() -> Embedded {
    Embedded { read: embedded::read, paths: embedded::paths }
}

/// What the query log says of its sinks; nothing without one.
fn told_of(
    log: &Option<Arc<QueryLog>>,
    tell: fn(&QueryLog) -> Vec<&'static str>,
) -> Arc<dyn Fn() -> Vec<&'static str> + Send + Sync> {
    let log = log.clone();
    Arc::new(move || log.as_deref().map_or_else(Vec::new, tell))
}

fn count_reloads(telemetry: &Arc<Telemetry>) -> OnPublish {
    let telemetry = telemetry.clone();
    Box::new(move |policy, held| {
        telemetry.policy_comes(policy);
        telemetry.reloaded(if held { Reload::Held } else { Reload::Clean });
    })
}

fn resolver(
    config: &Config,
    outside: Outside,
    counters: Arc<UpstreamCounters>,
    watch: Option<Watch>,
) -> Result<Resolver, AppError> {
    let settings = config.resolve.clone();
    let hints = match &settings.root_hints {
        None => Hints::built_in(),
        Some(path) => Hints::read(&text_of(path, "resolve.root_hints")?).map_err(|error| at_fault(path, error))?,
    };
    let anchors = match &settings.trust_anchors {
        None => TrustAnchorText::built_in(),
        Some(path) => {
            TrustAnchorText::read(&text_of(path, "resolve.trust_anchors")?).map_err(|error| at_fault(path, error))?
        }
    };
    let setup = ResolverSetup {
        config: settings,
        cache_bytes: config.cache.bytes / RESOLVER_SHARE,
        hints,
        anchors,
        built_at: outside.built_at,
        clock: outside.clock,
        ports: outside.ports,
        counters,
        watch,
    };
    Ok(Resolver::new(setup)?)
}

/// The owner's own names, from the configuration and hosts files, and what in those files can't be used.
pub fn local_data(config: &Config) -> Result<(LocalData, Vec<String>), AppError> {
    settings::local_data(config).map_err(AppError::Configuration)
}

fn text_of(path: &Path, option: &str) -> Result<String, AppError> {
    std::fs::read_to_string(path)
        .map_err(|error| AppError::Configuration(format!("{option}: {} can't be read: {error}", path.display())))
}

fn at_fault(path: &Path, error: impl std::fmt::Display) -> AppError {
    AppError::Configuration(format!("{}:{error}", path.display()))
}

/// Checks the files that say who may use the pages, and the certificate.
pub fn check_admin(config: &Config) -> Result<(), AppError> {
    let Some(admin) = &config.admin else { return Ok(()) };
    let at_fault = |error: &dyn std::fmt::Display| AppError::Configuration(error.to_string());
    admin.users_file.as_deref().map(admin::Users::read).transpose().map_err(|error| at_fault(&error))?;
    admin.tls.as_ref().map(admin::Tls::read).transpose().map_err(|error| at_fault(&error))?;
    Ok(())
}

/// Checks what `check` can of a configuration's resolver without touching the network.
pub fn check_resolver(config: &Config) -> Result<(), AppError> {
    resolver(config, Outside::real(), Arc::default(), None).map(drop)
}

/// Asks for the root until a name server answers, so that trouble shows before the first client meets it.
async fn make_contact(health: Health) {
    let mut said = false;
    loop {
        let wanted = Wanted { validated: false, name_servers: NameServersWanted::No };
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
