//! `cleandns serve`: starts, tells a person how to try it, and waits for signals.

mod first_token;
mod status_line;

use super::{Failure, Outcome, check};
use crate::{
    app::{self, AppError, BindError, FollowLog, Held, Obstacles, Outside, Passed, Running, Start},
    config::{Config, JsonTarget, Loaded, Log, Origin},
    confine::{become_user, confine},
    health::{Health, UPSTREAM_SILENT},
    lists::{ListPath, ListStatus},
    policy::Mode,
    settings::ReadAgain,
    systemd,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use status_line::StatusLine;
use std::{collections::BTreeMap, fmt::Write, io::Write as _, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{interval, timeout},
};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// Open files that are enough for everything at its bound: three sockets for each question in work, and connections.
const FILES_WANTED: u64 = 16_384;
/// Log lines that may wait to be written; what comes beyond them is dropped, so that a slow terminal or disk never
/// holds up an answer. Each has a place of 32 octets from the start, waiting or not.
const LOG_LINES_MAX: usize = 16_384;

/// How often a start that takes long says so, and how many times: one that hangs is ended at last.
const START_TOLD_EVERY: Duration = Duration::from_secs(10);
const START_TOLD_MAX: u32 = 60;
/// How often the service manager's line on this server is looked over.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How long threads that still wait for something are waited for at the end.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// Runs until a signal ends it.
pub fn serve(mut loaded: Loaded, read_again: ReadAgain, take_over: bool) -> Outcome {
    // Both before there is another thread: one takes what was passed from the surroundings, and what the other does holds
    // for threads that come later.
    let passed = Passed::take().map_err(|error| Failure::Configuration(error.to_string()))?;
    let problems = check::problems(&loaded.config);
    if !problems.is_empty() {
        return Err(Failure::Configuration(problems.join("\n")));
    }
    refuse_obstacles(&loaded.config, &passed, take_over)?;
    let became = become_user(&loaded.config).map_err(|error| Failure::Configuration(error.to_string()))?;
    // By whoever reads it later, and before the folder that it is in may not be written to any more.
    let made = first_token::make(&mut loaded.config)?;
    let confined = confine(&loaded.config, became);
    let (_flushed_at_the_end, follow_log) = start_log(&loaded.config.log)?;
    tracing::info!("{confined}");
    confined.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(file) = made {
        let file = file.display();
        tracing::info!(%file, "made a token, which pages and API ask for; {}", first_token::how_to_see(&loaded.config));
    }
    raise_file_limit();
    let start = if take_over { Start::TakeOver } else { Start::Alone };
    let reach = Arc::new(move |config: &Config| confined.reaches(config));
    let read_again = Some(read_again);
    let outside = Outside { start, passed, reach, read_again, follow_log, ..Outside::real() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("the runtime can't be started: {error}")))?;
    let outcome = runtime.block_on(run(loaded.config, outside));
    // What waits for a disk or a reader that is gone is not waited for.
    runtime.shutdown_timeout(LEAVE_WITHIN);
    outcome
}

/// Ends what can't have its addresses, before anything else is done: later it might not be allowed to look at who has them.
fn refuse_obstacles(config: &Config, passed: &Passed, take_over: bool) -> Outcome {
    let Obstacles { in_the_way, own, .. } = app::obstacles(config, passed);
    let told: Vec<String> = match take_over {
        false => in_the_way.iter().chain(&own).map(ToString::to_string).collect(),
        true => {
            let of_another = app::http_of_another(config, passed).map(|obstacle| obstacle.to_string());
            in_the_way.iter().filter_map(refused_to_take_over).chain(of_another).collect()
        }
    };
    if told.is_empty() { Ok(()) } else { Err(Failure::Configuration(told.join("\n"))) }
}

/// Why an address can't be taken over, unless that is still to be seen: in a container the old one is out of sight.
fn refused_to_take_over(obstacle: &BindError) -> Option<String> {
    match obstacle.held {
        Some(Held::BySomebody | Held::ByCleandns) => None,
        Some(Held::ByAnother) => {
            Some(format!("{obstacle}; --take-over is for a cleandns that has it, and for no other"))
        }
        None => Some(obstacle.to_string()),
    }
}

async fn run(config: Config, outside: Outside) -> Outcome {
    let failed = |error: std::io::Error| Failure::Other(format!("signals can't be handled: {error}"));
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let running = told_of(app::start(config, outside)).await.map_err(|error| match error {
        AppError::Configuration(text) => Failure::Configuration(text),
        AppError::Other(error) => Failure::Other(format!("{error:#}")),
    })?;
    let signs = running.signs_of_life();
    let watchdog = systemd::watch_over(move |within| signs.look(within)).map_err(failed)?;
    let mut state = StatusLine::default();
    systemd::ready(state.now(&running));
    tell(told_to(&running), greeting(&running));
    let mut tell_of_silence = std::pin::pin!(wait_for_silence(running.health.clone()));
    let mut told = false;
    let mut reload = None;
    let mut ticks = interval(TELL_EVERY);
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                systemd::reloading();
                // Of several reloads the last tells when all are done.
                reload = Some(running.reloaded());
            }
            () = ended(&mut reload) => {
                reload = None;
                systemd::ready(state.now(&running));
            }
            _ = ticks.tick(), if systemd::is_told() => if let Some(news) = state.news(&running) {
                systemd::status(news);
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = &mut tell_of_silence, if !told => {
                told = true;
                tell(told_to(&running), format!("\n! {}\n", UPSTREAM_SILENT));
            }
        }
    }
    tracing::info!("stopping");
    systemd::stopping();
    drop(watchdog);
    running.stop().await;
    Ok(())
}

/// Ends when the reload does, if there is one.
async fn ended(reload: &mut Option<oneshot::Receiver<()>>) {
    match reload {
        // It is dropped, not sent to.
        Some(reload) => drop(reload.await),
        None => std::future::pending().await,
    }
}

/// Tells the service manager, while something starts, that it needs more time: lists may have to be downloaded.
async fn told_of<T>(starting: impl Future<Output = T>) -> T {
    let mut starting = std::pin::pin!(starting);
    for _ in 0..START_TOLD_MAX {
        systemd::starting(2 * START_TOLD_EVERY);
        if let Ok(started) = timeout(START_TOLD_EVERY, &mut starting).await {
            return started;
        }
    }
    starting.await
}

/// Where a person is told something.
#[derive(Clone, Copy)]
enum Told {
    Stdout,
    Stderr,
}

/// Where lines of JSON go to standard output, nothing else does.
fn told_to(running: &Running) -> Told {
    match running.settings.config().query_log.json.as_ref().map(|json| &json.to) {
        Some(JsonTarget::Stdout) => Told::Stderr,
        _ => Told::Stdout,
    }
}

/// Says something without waiting for who reads it: signals are to be heard though nobody reads.
fn tell(to: Told, text: String) {
    tokio::task::spawn_blocking(move || match to {
        // A server serves whether or not anybody reads this.
        Told::Stdout => drop(std::io::stdout().write_all(text.as_bytes())),
        Told::Stderr => drop(std::io::stderr().write_all(text.as_bytes())),
    });
}

/// Raises the soft limit on open files as far as is of use. The default of 1024 is an old one, kept for programs that
/// can't count further; questions in work need up to three sockets each, connections one.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = FILES_WANTED.min(hard);
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit on open files could not be raised");
    }
}

/// Ends when it is clear that no name server can be reached; never, if one can.
async fn wait_for_silence(health: Health) {
    loop {
        if health.upstream_is_silent() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What the log tells, as it is configured.
fn filter(log: &Log) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&log.filter).map_err(|error| format!("`{}` can't be read: {error}", log.filter))
}

/// Sends the log to standard error through a bounded queue. What comes back besides has it follow the configuration.
fn start_log(log: &Log) -> Result<(WorkerGuard, FollowLog), Failure> {
    let filter = filter(log).map_err(|error| Failure::Configuration(format!("log.filter: {error}")))?;
    let (writer, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LOG_LINES_MAX)
        .finish(std::io::stderr());
    let (lines, form) = reload::Layer::new(lines(log, writer.clone()));
    let (filter, told) = reload::Layer::new(filter);
    // A test or an embedding program may have set a subscriber of its own, which then serves.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
    let follow: FollowLog = Arc::new(move |log| {
        let _ = form.reload(self::lines(log, writer.clone()));
        drop(self::filter(log).map(|filter| told.reload(filter)));
    });
    Ok((guard, follow))
}

/// What writes the log's lines.
type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// As text or as JSON.
fn lines(log: &Log, writer: NonBlocking) -> Lines {
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    if log.json { layer.json().boxed() } else { layer.boxed() }
}

/// What a person sees when the program is ready.
fn greeting(running: &Running) -> String {
    // With what lies upon the files.
    let (config, mut text) = (running.settings.config(), String::new());
    let addresses: Vec<String> = running.dns.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "cleandns {} is ready.\n", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(text, "  answers      {} (UDP and TCP)", addresses.join(", "));
    if let (Some(address), Some(admin)) = (running.admin, &config.admin) {
        let scheme = if admin.tls.is_some() { "https" } else { "http" };
        let _ = writeln!(text, "  web          {scheme}://{address}");
        let by_name = if admin.users_file.is_some() { "by name and password, or " } else { "" };
        if admin.token_file.is_some() {
            let how = first_token::how_to_see(&config);
            let _ = writeln!(text, "  sign in      {by_name}with a token; {how}");
        } else if admin.users_file.is_some() {
            let _ = writeln!(text, "  sign in      by name and password");
        }
    }
    let _ = match &config.origin {
        Origin::File(path) => writeln!(text, "  config       {}", path.display()),
        Origin::Embedded => writeln!(text, "  config       built in: no file was found"),
    };
    let changed = running.health.overlay.overlay().entries().count();
    if changed > 0 {
        let _ = writeln!(text, "  changed      by pages or API, in {changed} places: overlay.toml lies upon it");
    }
    let status = running.published.status.load();
    if status.lists.iter().any(|list| matches!(list.path, ListPath::Embedded(_))) {
        let _ = writeln!(text, "  lists        built in: no folder blocklists was found");
    }
    let _ = writeln!(text, "\nPrograms:");
    for (index, program) in config.programs.iter().enumerate() {
        let mode = running.published.policy.load().as_ref().map_or(Mode::Off, |policy| policy.program_mode(index));
        let _ = writeln!(text, "  {:<12} {:<8} {}", program.name, mode.word(), rules_by_mode(&status, &program.name));
    }
    for reason in running.health.pauses_told() {
        let _ = writeln!(text, "  ! {reason}");
    }
    for list in status.lists.iter().filter(|list| list.is_held()) {
        let why = list.trouble.as_deref().unwrap_or_default();
        let _ = writeln!(text, "  ! {}/{}: {}: {why}", list.program, list.service, list.path);
    }
    if let Some(address) = running.dns.first() {
        let address = app::reachable(*address);
        let at = format!("@{} -p {}", address.ip(), address.port());
        let _ = writeln!(text, "\nTry it:\n  dig {at} www.tiktok.com\n  dig {at} example.com");
        let _ = writeln!(text, "  cleandns explain www.tiktok.com\n");
    }
    text
}

/// `263 rules in 5 lists enforced, 12 lists switched off`.
fn rules_by_mode(status: &ListStatus, program: &str) -> String {
    let mut by_mode: BTreeMap<Mode, (usize, usize)> = BTreeMap::new();
    let own = || status.lists.iter().filter(|list| list.program == program);
    // What never came is told of by itself.
    for list in own().filter(|list| list.since.is_some()) {
        let (rules, lists) = by_mode.entry(list.mode).or_default();
        *rules += list.rules - list.exceptions;
        *lists += 1;
    }
    let part = |(mode, (rules, lists)): (&Mode, &(usize, usize))| match mode {
        Mode::Off => format!("{lists} lists switched off"),
        Mode::Shadow => format!("{rules} rules in {lists} lists watched"),
        Mode::Enforce => format!("{rules} rules in {lists} lists enforced"),
    };
    let parts: Vec<String> = by_mode.iter().rev().map(part).collect();
    match (parts.is_empty(), own().next()) {
        (false, _) => parts.join(", "),
        (true, Some(_)) => "none of its lists is in force".to_owned(),
        (true, None) => "no list".to_owned(),
    }
}
