//! The resolver that the program runs: routes, chases, validates, and never takes longer than it may.

use super::{
    NameServersWanted, Resolution, Resolve, Security, UpstreamCounters, Wanted,
    afresh::{Afresh, Forgets},
    anchors::{Hints, TrustAnchorText},
    chase::{Source, Stopped, chase},
    cuts::ZoneCuts,
    forwarder::Forwarder,
    link::{Link, LinkResult},
    name_servers::{Search, known},
    observed::{Observed, SharedCuts, Watch},
    recursor::Recursor,
    upstreams::Upstreams,
    validate::{FetchKeys, KeysNotHad, Validator},
    wire::{PortMap, Wire},
};
use crate::{
    config,
    dns::{ExtendedError, Name, Rcode, RrType},
    uptime::{SleepWatch, Uptime},
};
use arc_swap::ArcSwap;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

/// The time of day, in seconds since 1970-01-01 (UTC).
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a resolver is built from.
#[derive(Clone)]
pub struct ResolverSetup {
    pub config: config::Resolve,
    /// Ceiling in octets for everything that is remembered.
    pub cache_bytes: u64,
    pub hints: Hints,
    pub anchors: TrustAnchorText,
    /// Seconds since 1970 when this program was built: a clock before it is wrong, and signatures can't be judged.
    pub built_at: u64,
    pub clock: Clock,
    pub uptime: Uptime,
    /// `None`: servers are where their addresses say.
    pub ports: Option<Arc<PortMap>>,
    pub counters: Arc<UpstreamCounters>,
    pub upstreams: Arc<Upstreams>,
    /// Sees all messages to and from other servers.
    pub watch: Option<Watch>,
}

/// Finds and validates answers. Cheap to clone; all clones go by the same configuration.
#[derive(Clone)]
pub struct Resolver {
    current: Arc<ArcSwap<Current>>,
    built_at: u64,
    clock: Clock,
    clock_was_wrong: Arc<AtomicBool>,
    uptime: Uptime,
    sleep: Arc<SleepWatch>,
}

/// What another configuration has another of, and what is remembered.
struct Current {
    setup: ResolverSetup,
    routes: Arc<Routes>,
    cuts: SharedCuts,
    validator: Option<Arc<Validator>>,
    /// Of each forwarder.
    numbers: Vec<u8>,
}

/// Who is asked for which name.
struct Routes {
    /// Deepest zones first, so that the first that fits is the closest.
    forwarders: Vec<Forwarder>,
    recursor: Recursor,
    validate: bool,
}

impl Resolver {
    pub fn new(setup: ResolverSetup) -> Result<Self, anyhow::Error> {
        let (built_at, clock, uptime) = (setup.built_at, setup.clock.clone(), setup.uptime.clone());
        let awake = Instant::now();
        let sleep = Arc::new(SleepWatch::new(uptime(), awake));
        let current = Arc::new(ArcSwap::from_pointee(Current::new(setup)?));
        Ok(Self { current, built_at, clock, clock_was_wrong: Arc::default(), uptime, sleep })
    }

    /// Goes by what `other` was built from, from the next question on. Those in flight end as they began.
    pub fn become_like(&self, other: &Self) {
        self.current.store(other.current.load_full());
    }

    /// Forgets everything once the machine has slept: of what is remembered here, hickory's part above all, ages are told by
    /// clocks that stood still meanwhile, and on a laptop it may be from another network.
    fn forget_after_sleep(&self) {
        let uptime = (self.uptime)();
        if !self.sleep.has_slept(uptime, Instant::now()) {
            return;
        }
        let before = self.current.load();
        match Current::new(before.setup.clone()) {
            Ok(cold) => {
                tracing::info!("this machine has slept: what was known of name servers is forgotten");
                // Unless there is another configuration meanwhile, which knows nothing yet.
                self.current.compare_and_swap(&before, Arc::new(cold));
            }
            // It was made of the same before.
            Err(error) => tracing::error!(%error, "what resolution keeps could not be forgotten"),
        }
    }

    /// True while the system clock stands before the build date, so that nothing is validated.
    pub fn clock_is_wrong(&self) -> bool {
        self.current.load().validator.is_some() && (self.clock)() < self.built_at
    }

    async fn find(self, name: Name, rr_type: RrType, wanted: Wanted) -> Resolution {
        self.forget_after_sleep();
        let begun = Instant::now();
        let current = self.current.load_full();
        // Whoever is asked for everything tells of nobody's name servers.
        let name_servers = if current.tells_name_servers() { wanted.name_servers } else { NameServersWanted::No };
        let chased = match wanted.afresh {
            false => chase(&*current.routes, &name, rr_type, true).await,
            true => chase(&Afresh::new(&*current.routes), &name, rr_type, true).await,
        };
        let link = match chased {
            Ok(link) => link,
            // How far it came matters: an alias on the way may be blocked, whether or not its target can be reached.
            Err(Stopped { ede, answer }) => {
                let link = Link { rcode: Rcode::SERVFAIL, answer, authority: Vec::new(), server: None };
                let delegations = match name_servers {
                    NameServersWanted::No => Vec::new(),
                    _ => known(&current.cuts, &name, rr_type, &link),
                };
                return Resolution { answer: link.answer, delegations, ..Resolution::failed(ede) };
            }
        };
        let search = Search::new(current.routes.clone(), current.cuts.clone(), begun);
        let (judged, (delegations, unheard)) = tokio::join!(
            self.judge(&current, &name, rr_type, &link, wanted),
            search.find(&name, rr_type, &link, name_servers)
        );
        let (security, ede) = match judged {
            Ok(judged) => judged,
            // An answer that can't be told from a forged one is none: of it nothing is used.
            Err(KeysNotHad(ede)) => return Resolution { delegations, ..Resolution::failed(ede) },
        };
        let Link { rcode, answer, authority, server } = link;
        Resolution { rcode, answer, authority, security, ede, delegations, unheard, server }
    }

    async fn judge(
        &self,
        current: &Current,
        name: &Name,
        rr_type: RrType,
        link: &Link,
        wanted: Wanted,
    ) -> Result<(Security, Option<ExtendedError>), KeysNotHad> {
        let Some(validator) = current.validator.as_ref().filter(|_| wanted.validated) else {
            return Ok((Security::Unchecked, None));
        };
        // An answer is as good as the least of its sources: one that isn't to be validated makes the whole so.
        let owners = std::iter::once(name).chain(link.answer.iter().map(|record| &record.owner));
        if !{ owners }.all(|owner| current.routes.validates(owner)) {
            return Ok((Security::Unchecked, None));
        }
        if self.clock_is_wrong() {
            if !self.clock_was_wrong.swap(true, Relaxed) {
                tracing::error!(
                    "the system clock stands before this program's build date: answers are given without DNSSEC \
                     validation until it is set"
                );
            }
            return Ok((Security::Unchecked, None));
        }
        if self.clock_was_wrong.swap(false, Relaxed) {
            tracing::info!("the system clock is set: answers are validated again");
        }
        validator.judge(name, rr_type, link, (self.clock)()).await
    }
}

impl Current {
    /// Knows nothing yet.
    fn new(setup: ResolverSetup) -> Result<Self, anyhow::Error> {
        let wire = Wire::new(setup.config.ipv4, setup.config.ipv6, setup.ports.clone(), setup.counters.clone());
        let mut forwarders = Vec::new();
        for forward in &setup.config.forwards {
            let share = setup.cache_bytes / (setup.config.forwards.len() as u64 + 1);
            let wire = |is_last: bool| {
                let wire = wire.clone();
                Observed::new(if is_last { wire.patient() } else { wire }, None, setup.watch.clone())
            };
            forwarders.push(Forwarder::new(forward, share, wire)?);
        }
        forwarders.sort_by_key(|forwarder: &Forwarder| deepest_first(&forwarder.zone));
        let cuts = SharedCuts::new(ZoneCuts::new(&setup.hints.0, setup.cache_bytes));
        let observed = Observed::new(wire, Some(cuts.clone()), setup.watch.clone());
        let recursor = Recursor::new(&setup.hints, &setup.config.do_not_query, setup.cache_bytes, observed)?;
        let routes = Arc::new(Routes { forwarders, recursor, validate: setup.config.validate });
        let validates = routes.validate || routes.forwarders.iter().any(|forwarder| forwarder.validate);
        let validator = validates.then(|| {
            let routes = routes.clone();
            let fetch: FetchKeys = Arc::new(move |name, rr_type| {
                let routes = routes.clone();
                Box::pin(async move { chase(&*routes, &name, rr_type, false).await.map_err(|stopped| stopped.ede) })
            });
            Arc::new(Validator::new(&setup.anchors, setup.cache_bytes, fetch))
        });
        let numbers = routes.forwarders.iter().map(|forwarder| setup.upstreams.forward(&forwarder.zone)).collect();
        Ok(Self { setup, routes, cuts, validator, numbers })
    }

    /// Unless every name is forwarded.
    fn tells_name_servers(&self) -> bool {
        self.routes.forwarder(&Name::ROOT).is_none()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name, rr_type: RrType, wanted: Wanted) -> Pin<Box<dyn Future<Output = Resolution> + Send>> {
        Box::pin(self.clone().find(name, rr_type, wanted))
    }

    /// Not before the clock is set: then answers are validated.
    fn answers_last(&self) -> bool {
        !self.clock_is_wrong()
    }

    fn tells_name_servers(&self) -> bool {
        self.current.load().tells_name_servers()
    }

    fn heard(&self) -> u64 {
        self.current.load().setup.counters.answered.load(Relaxed)
    }

    fn upstream(&self, name: &Name) -> u8 {
        let current = self.current.load();
        let forwarder = current.routes.forwarders.iter().position(|forwarder| name.is_at_or_below(&forwarder.zone));
        forwarder.map_or(0, |forwarder| current.numbers[forwarder])
    }

    fn forget(&self) {
        let current = self.current.load();
        current.routes.recursor.forget();
        current.routes.forwarders.iter().for_each(Forwarder::forget);
        current.validator.iter().for_each(|validator| validator.forget());
        *current.cuts.lock() = ZoneCuts::new(&current.setup.hints.0, current.setup.cache_bytes);
    }
}

/// The order in which forwarded zones are looked at.
fn deepest_first(zone: &Name) -> impl Ord + use<> {
    std::cmp::Reverse(zone.label_count())
}

impl Routes {
    /// The forwarder for `name`: that of the closest zone at or above it.
    fn forwarder(&self, name: &Name) -> Option<&Forwarder> {
        self.forwarders.iter().find(|forwarder| name.is_at_or_below(&forwarder.zone))
    }

    /// Who is asked for one name and type, if it is a forwarder. DS records stand in the parent zone, so a forwarded
    /// zone's are asked of whoever has the parent.
    fn forwarder_of(&self, name: &Name, rr_type: RrType) -> Option<&Forwarder> {
        self.forwarder(&if rr_type == RrType::DS { name.ancestor(1) } else { *name })
    }

    fn validates(&self, name: &Name) -> bool {
        self.forwarder(name).map_or(self.validate, |forwarder| forwarder.validate)
    }
}

impl Source for Routes {
    async fn ask(&self, name: &Name, rr_type: RrType) -> LinkResult {
        match self.forwarder_of(name, rr_type) {
            Some(forwarder) => forwarder.ask(name, rr_type).await,
            None => self.recursor.ask(name, rr_type).await,
        }
    }

    fn vouches_for(&self, asked: &Name, name: &Name) -> bool {
        match (self.forwarder(asked), self.forwarder(name)) {
            (Some(asked), Some(named)) => std::ptr::eq(asked, named),
            _ => false,
        }
    }

    fn hides_aliases(&self, name: &Name) -> bool {
        self.forwarder(name).is_none()
    }

    fn forwarded_zone(&self, name: &Name) -> Option<Name> {
        self.forwarder(name).map(|forwarder| forwarder.zone)
    }
}

impl Forgets for Routes {
    fn forget_link(&self, name: &Name, rr_type: RrType) {
        match self.forwarder_of(name, rr_type) {
            Some(forwarder) => forwarder.forget_one(name, rr_type),
            None => self.recursor.suspect(name),
        }
    }

    fn forget_keys(&self, zone: &Name) {
        for rr_type in [RrType::DS, RrType::DNSKEY] {
            match self.forwarder_of(zone, rr_type) {
                Some(forwarder) => forwarder.forget_one(zone, rr_type),
                None => self.recursor.suspect_keys(zone),
            }
        }
    }
}
