//! What a running program takes of a new configuration, and what waits for a restart.

use super::Config;

/// A new configuration as far as a program that runs can go by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Following {
    /// With the running program's own values where only a restart can change them.
    pub config: Config,
    /// The options that are written otherwise, by their names.
    pub waiting: Vec<&'static str>,
}

impl Config {
    /// What a program that goes by `running` makes of this configuration.
    pub fn following(mut self, running: &Self) -> Following {
        let mut kept = Kept(Vec::new());
        let (listen, cache) = (&running.listen, &running.cache);
        kept.value("listen.do53", &mut self.listen.do53, &listen.do53);
        kept.value("listen.workers", &mut self.listen.workers, &listen.workers);
        kept.value("cache.size", &mut self.cache.bytes, &cache.bytes);
        kept.value("cache.stale", &mut self.cache.stale, &cache.stale);
        kept.value("cache.prefetch", &mut self.cache.prefetch, &cache.prefetch);
        kept.value("cache.save", &mut self.cache.save, &cache.save);
        kept.value("state.dir", &mut self.state_dir, &running.state_dir);
        kept.value("process", &mut self.process, &running.process);
        self.keep_resolve(running, &mut kept);
        self.keep_admin(running, &mut kept);
        self.keep_query_log(running, &mut kept);
        kept.value("log.filter", &mut self.log.filter, &running.log.filter);
        kept.value("log.json", &mut self.log.json, &running.log.json);
        kept.value("log.queries", &mut self.log.queries, &running.log.queries);
        Following { config: self, waiting: kept.0 }
    }

    fn keep_resolve(&mut self, running: &Self, kept: &mut Kept) {
        let (own, running) = (&mut self.resolve, &running.resolve);
        kept.value("resolve.root_hints", &mut own.root_hints, &running.root_hints);
        kept.value("resolve.trust_anchors", &mut own.trust_anchors, &running.trust_anchors);
        kept.value("resolve.validate", &mut own.validate, &running.validate);
        kept.value("resolve.ipv4", &mut own.ipv4, &running.ipv4);
        kept.value("resolve.ipv6", &mut own.ipv6, &running.ipv6);
        kept.value("resolve.do_not_query", &mut own.do_not_query, &running.do_not_query);
        kept.value("resolve.forward", &mut own.forwards, &running.forwards);
    }

    /// All or nothing of it: an address that is kept and a token that goes would open the door to everybody.
    fn keep_admin(&mut self, running: &Self, kept: &mut Kept) {
        let name = match (&self.admin, &running.admin) {
            (Some(own), Some(running)) => own.differs_in(running),
            _ => "admin.listen",
        };
        kept.value(name, &mut self.admin, &running.admin);
    }

    fn keep_query_log(&mut self, running: &Self, kept: &mut Kept) {
        let (own, running) = (&mut self.query_log, &running.query_log);
        kept.value("query_log.path", &mut own.database, &running.database);
        kept.value("query_log.keep", &mut own.keep, &running.keep);
        kept.value("query_log.keep_sums", &mut own.keep_sums, &running.keep_sums);
        kept.value("query_log.size", &mut own.bytes, &running.bytes);
        kept.value("query_log.privacy", &mut own.privacy, &running.privacy);
        kept.value("query_log.answers", &mut own.answers, &running.answers);
        kept.value("query_log.instance", &mut own.instance, &running.instance);
        kept.value("query_log.json", &mut own.json, &running.json);
        kept.value("query_log.dnstap", &mut own.dnstap, &running.dnstap);
        kept.value("query_log.clickhouse", &mut own.clickhouse, &running.clickhouse);
    }
}

/// Options whose new values wait.
struct Kept(Vec<&'static str>);

impl Kept {
    /// Has the running value stay, and notes that another is written.
    fn value<T: Clone + PartialEq>(&mut self, option: &'static str, own: &mut T, running: &T) {
        if own != running {
            own.clone_from(running);
            self.0.push(option);
        }
    }
}
