//! What a running program takes of a new configuration, and what waits for a restart.

use super::{Config, reach::open_to_the_internet};

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
        // Networks that were meant for another address are not answered at this one.
        if !self.open && open_to_the_internet(&self.listen.do53, &self.access).is_some() {
            kept.value("access.allow", &mut self.access, &running.access);
        }
        self.keep_admin(running, &mut kept);
        self.keep_query_log(running, &mut kept);
        kept.value("log.json", &mut self.log.json, &running.log.json);
        Following { config: self, waiting: kept.0 }
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

#[cfg(test)]
mod tests {
    use super::super::{ClickHouse, Dnstap, DnstapTarget, Embedded, JsonLines, JsonTarget, Privacy, World};
    use super::*;
    use crate::policy::Mode;
    use std::time::Duration;

    type Change = fn(&mut Config);

    fn config() -> Config {
        let embedded = Embedded { read: &|_| None, paths: &Vec::new };
        let world = World { current_folder: "/".into(), ..World::of_process(embedded).unwrap() };
        Config { state_dir: None, ..Config::default_for(&world) }
    }

    /// Whatever a restart changes alone keeps its value and is told by its name.
    #[test]
    fn what_waits_for_a_restart_keeps_its_value() {
        let cases: [(&str, Change); 19] = [
            ("listen.do53", |config| config.listen.do53.clear()),
            ("listen.workers", |config| config.listen.workers = 9),
            ("cache.size", |config| config.cache.bytes = 9),
            ("cache.stale", |config| config.cache.stale = Duration::from_secs(9)),
            ("cache.prefetch", |config| config.cache.prefetch ^= true),
            ("cache.save", |config| config.cache.save ^= true),
            ("state.dir", |config| config.state_dir = Some("/x".into())),
            ("admin.listen", |config| config.admin = None),
            ("admin.token_file", |config| {
                config.admin.as_mut().unwrap().token = Some("x".into());
            }),
            ("query_log.path", |config| config.query_log.database = Some("/x".into())),
            ("query_log.keep", |config| config.query_log.keep = Duration::from_secs(9)),
            ("query_log.keep_sums", |config| config.query_log.keep_sums = Duration::from_secs(9)),
            ("query_log.size", |config| config.query_log.bytes = 9),
            ("query_log.privacy", |config| config.query_log.privacy = Privacy::None),
            ("query_log.answers", |config| config.query_log.answers ^= true),
            ("query_log.instance", |config| config.query_log.instance = "x".into()),
            ("query_log.json", |config| {
                config.query_log.json = Some(JsonLines { to: JsonTarget::Stdout, bytes: 1, files: 1 });
            }),
            ("query_log.dnstap", |config| {
                let to = DnstapTarget::File("/x".into());
                config.query_log.dnstap = Some(Dnstap { to, bytes: 1, files: 1, client: true, resolver: true });
            }),
            ("query_log.clickhouse", |config| {
                let text = String::new;
                let (url, database, user, password) = (text(), text(), text(), text());
                config.query_log.clickhouse = Some(ClickHouse { url, database, user, password, spill_bytes: 1 });
            }),
        ];
        let running = config();
        for (option, change) in cases {
            let mut next = config();
            change(&mut next);
            assert_ne!(next, running, "{option}");
            assert_eq!(next.following(&running), Following { config: config(), waiting: vec![option] }, "{option}");
        }
    }

    /// Who may be answered at an inner address is not answered at a public one that only a restart takes away.
    #[test]
    fn no_server_is_opened_by_an_address_that_waits() {
        let mut running = config();
        running.listen.do53 = vec!["0.0.0.0:53".parse().unwrap()];
        let mut next = config();
        next.access = vec!["0.0.0.0/0".parse().unwrap()];
        let following = next.clone().following(&running);
        assert_eq!(following.waiting, ["listen.do53", "access.allow"]);
        assert_eq!(following.config.access, running.access);
        next.open = true;
        assert_eq!(next.following(&running).config.access, ["0.0.0.0/0".parse().unwrap()]);
    }

    #[test]
    fn what_can_change_does() {
        let cases: [Change; 9] = [
            |config| config.access.clear(),
            |config| config.local.hosts.push("/x".into()),
            |config| config.resolve.validate ^= true,
            |config| config.resolve.root_hints = Some("/x".into()),
            |config| config.policy.mode = Mode::Shadow,
            |config| config.policy.asn_db = Some("/x".into()),
            |config| config.programs.clear(),
            |config| config.log.queries ^= true,
            |config| config.log.filter = "warn".into(),
        ];
        for change in cases {
            let (running, mut next) = (config(), config());
            change(&mut next);
            assert_ne!(next, running);
            assert_eq!(next.clone().following(&running), Following { config: next, waiting: vec![] });
        }
    }
}
