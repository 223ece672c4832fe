//! Makes resolvers from the configuration, at the start and when it is another one, and finds hosts by them.

use super::{AppError, Outside, RESOLVER_SHARE};
use crate::{
    config::Config,
    dns::{Name, Rcode, Record, RrType},
    lists::LookUpHost,
    resolve::{
        Clock, Hints, NameServersWanted, PortMap, Resolution, Resolve, Resolver, ResolverSetup, Security,
        TrustAnchorText, UpstreamCounters, Upstreams, Wanted, Watch,
    },
    settings::Settings,
    uptime::Uptime,
};
use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

/// How long a look-up for a download may take: the resolver gives up before that.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(6);

/// What a resolver is made from besides the configuration.
pub(super) struct Resolving {
    clock: Clock,
    uptime: Uptime,
    ports: Option<Arc<PortMap>>,
    built_at: u64,
    pub(super) counters: Arc<UpstreamCounters>,
    upstreams: Arc<Upstreams>,
    /// Sees all messages to and from other servers, if that is wanted.
    watch: Option<Watch>,
}

/// Whether messages to and from other servers are told.
pub(super) fn is_watched(config: &Config) -> bool {
    config.query_log.dnstap.as_ref().is_some_and(|dnstap| dnstap.resolver)
}

impl Resolving {
    /// `upstreams` tells what their numbers mean; `watch` sees all messages to and from other servers, where the
    /// configuration has them told.
    pub(super) fn new(outside: &Outside, upstreams: Arc<Upstreams>, watch: Option<Watch>) -> Self {
        let (clock, uptime) = (outside.clock.clone(), outside.uptime.clone());
        let (ports, built_at) = (outside.ports.clone(), outside.built_at);
        Self { clock, uptime, ports, built_at, counters: Arc::default(), upstreams, watch }
    }

    /// A resolver by this configuration. It reads files.
    pub(super) fn resolver(&self, config: &Config) -> Result<Resolver, AppError> {
        let settings = config.resolve.clone();
        let hints = match &settings.root_hints {
            None => Hints::built_in(),
            Some(path) => Hints::read(&text_of(path, "resolve.root_hints")?).map_err(|error| at_fault(path, error))?,
        };
        let anchors = match &settings.trust_anchors {
            None => TrustAnchorText::built_in(),
            Some(path) => TrustAnchorText::read(&text_of(path, "resolve.trust_anchors")?)
                .map_err(|error| at_fault(path, error))?,
        };
        let setup = ResolverSetup {
            config: settings,
            cache_bytes: config.cache.bytes / RESOLVER_SHARE,
            hints,
            anchors,
            built_at: self.built_at,
            clock: self.clock.clone(),
            uptime: self.uptime.clone(),
            ports: self.ports.clone(),
            counters: self.counters.clone(),
            upstreams: self.upstreams.clone(),
            // To watch is to copy every question: it isn't done for nobody.
            watch: self.watch.clone().filter(|_| is_watched(config)),
        };
        Ok(Resolver::new(setup)?)
    }
}

fn text_of(path: &Path, option: &str) -> Result<String, AppError> {
    std::fs::read_to_string(path)
        .map_err(|error| AppError::Configuration(format!("{option}: {} can't be read: {error}", path.display())))
}

fn at_fault(path: &Path, error: impl std::fmt::Display) -> AppError {
    AppError::Configuration(format!("{}:{error}", path.display()))
}

/// Finds a host's addresses by our own resolver, past the policy: a list that blocks the host it comes from would never
/// be mended otherwise.
pub(super) fn look_up_host(settings: &Arc<Settings>, resolver: &Resolver) -> LookUpHost {
    let (settings, resolver, runtime) = (settings.clone(), resolver.clone(), tokio::runtime::Handle::current());
    Arc::new(move |host| {
        let name: Name = host.parse().map_err(|error| format!("{host} is no host name: {error}"))?;
        let config = settings.config();
        let families = [(config.resolve.ipv4, RrType::A), (config.resolve.ipv6, RrType::AAAA)];
        let types = families.into_iter().filter_map(|(is_on, rr_type)| is_on.then_some(rr_type));
        let answers = types.map(|rr_type| {
            let (resolver, (sender, received)) = (resolver.clone(), std::sync::mpsc::channel());
            runtime.spawn(async move {
                let wanted = Wanted { validated: true, name_servers: NameServersWanted::No, afresh: false };
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
