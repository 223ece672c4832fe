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
        let listen = &running.listen;
        kept.value("listen.do53", &mut self.listen.do53, &listen.do53);
        kept.value("listen.workers", &mut self.listen.workers, &listen.workers);
        kept.value("listen.proxy_protocol_from", &mut self.listen.proxies, &listen.proxies);
        kept.value("state.dir", &mut self.state_dir, &running.state_dir);
        let (process, own) = (&running.process, &mut self.process);
        kept.value("process.user", &mut own.user, &process.user);
        kept.value("process.group", &mut own.group, &process.group);
        kept.value("process.sandbox", &mut own.sandbox, &process.sandbox);
        kept.value("process.read", &mut own.read, &process.read);
        // Networks that were meant for another address are not answered at this one.
        if !self.open && open_to_the_internet(&self.listen.do53, &self.access).is_some() {
            kept.value("access.allow", &mut self.access, &running.access);
        }
        self.keep_admin(running, &mut kept);
        Following { config: self, waiting: kept.0 }
    }

    /// The address stays, and so does the token if the file of another isn't there. What was meant for another address, or
    /// another token, must not open this one to everybody, or have passwords cross a network in the clear: then all of it
    /// stays.
    fn keep_admin(&mut self, running: &Self, kept: &mut Kept) {
        let (Some(own), Some(running)) = (&mut self.admin, &running.admin) else {
            return kept.value("admin.listen", &mut self.admin, &running.admin);
        };
        let written = own.clone();
        kept.value("admin.listen", &mut own.listen, &running.listen);
        // Only a start makes a token; until then the one before counts, if there was one.
        let lacks_token = own.token_to_make().is_some();
        if lacks_token {
            kept.0.push("admin.token_file");
            (own.token, own.token_file) = (running.token.clone(), running.token_file.clone());
        }
        let is_meant_for_another = written.listen != own.listen || lacks_token;
        if is_meant_for_another && (own.is_unguarded() || own.is_in_the_clear() && !running.is_in_the_clear()) {
            kept.0.extend(own.differing(running));
            own.clone_from(running);
        }
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
    use super::super::{
        Admin, AdminTls, ClickHouse, Dnstap, DnstapTarget, Embedded, JsonLines, JsonTarget, Privacy, World,
    };
    use super::*;
    use crate::policy::Mode;
    use std::time::Duration;

    type Change = fn(&mut Config);

    fn config() -> Config {
        let embedded = Embedded { read: &|_| None, paths: &Vec::new };
        let world = World { current_folder: "/".into(), ..World::of_process(embedded).unwrap() };
        Config { state_dir: None, ..Config::default_for(&world) }
    }

    fn with_admin(change: fn(&mut Admin)) -> Config {
        let mut config = config();
        change(config.admin.as_mut().unwrap());
        config
    }

    /// Whatever a restart changes alone keeps its value and is told by its name.
    #[test]
    fn what_waits_for_a_restart_keeps_its_value() {
        let cases: [(&str, Change); 10] = [
            ("listen.do53", |config| config.listen.do53.clear()),
            ("listen.workers", |config| config.listen.workers = 9),
            ("listen.proxy_protocol_from", |config| config.listen.proxies.push("192.0.2.1/32".parse().unwrap())),
            ("state.dir", |config| config.state_dir = Some("/x".into())),
            ("process.user", |config| config.process.user = Some("x".into())),
            ("process.group", |config| config.process.group = Some("x".into())),
            ("process.sandbox", |config| config.process.sandbox ^= true),
            ("process.read", |config| config.process.read.push("/x".into())),
            ("admin.listen", |config| config.admin = None),
            ("admin.listen", |config| config.admin.as_mut().unwrap().listen = "127.0.0.1:1".parse().unwrap()),
        ];
        let running = config();
        for (option, change) in cases {
            let mut next = config();
            change(&mut next);
            assert_ne!(next, running, "{option}");
            assert_eq!(next.following(&running), Following { config: config(), waiting: vec![option] }, "{option}");
        }
    }

    /// What is safe at the address that is written may not be so at the one that stays.
    #[test]
    fn no_door_is_opened_by_an_address_that_waits() {
        let running = with_admin(|admin| {
            admin.listen = "0.0.0.0:8053".parse().unwrap();
            admin.token = Some("s3cret".into());
            admin.tls = Some(AdminTls { cert: "/cert".into(), key: "/key".into() });
        });
        let inner = "127.0.0.1:8053".parse().unwrap();
        type OfAdmin = fn(&mut Admin);
        let cases: [(OfAdmin, &[&str]); 3] = [
            // Without a token; without TLS; with all that it takes, and another name.
            (|admin| admin.token = None, &["admin.listen", "admin.token_file"]),
            (|admin| admin.tls = None, &["admin.listen", "admin.tls_cert"]),
            (|admin| admin.names.push("dns.example".into()), &["admin.listen"]),
        ];
        for (change, waiting) in cases {
            let mut next = running.clone();
            let admin = next.admin.as_mut().unwrap();
            admin.listen = inner;
            change(admin);
            let following = next.following(&running);
            assert_eq!(following.waiting, waiting);
            let own = following.config.admin.unwrap();
            assert_eq!(own.listen, running.admin.as_ref().unwrap().listen);
            assert_eq!((own.token.is_some(), own.tls.is_some()), (true, true), "{waiting:?}");
            assert_eq!(own.names.len(), usize::from(waiting.len() == 1));
        }
    }

    /// A token that isn't there is made by a start alone.
    #[test]
    fn a_token_that_is_not_there_takes_nothing_away() {
        type OfAdmin = fn(&mut Admin);
        let lacking: OfAdmin = |admin| {
            admin.listen = "0.0.0.0:8053".parse().unwrap();
            admin.token_file = Some("/none".into());
        };
        let cases: [(OfAdmin, &[&str]); 3] = [
            (
                |admin| (admin.token, admin.token_file) = (Some("s3cret".into()), Some("/token".into())),
                &["admin.token_file"],
            ),
            // What asked for a user's password goes on asking for one.
            (|admin| admin.users_file = Some("/users".into()), &["admin.token_file", "admin.users_file"]),
            (|admin| admin.listen = "127.0.0.1:8053".parse().unwrap(), &["admin.listen", "admin.token_file"]),
        ];
        for (change, waiting) in cases {
            let mut running = with_admin(|admin| admin.listen = "0.0.0.0:8053".parse().unwrap());
            change(running.admin.as_mut().unwrap());
            let following = with_admin(lacking).following(&running);
            assert_eq!((following.waiting, following.config), (waiting.to_vec(), running));
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
        let cases: [Change; 32] = [
            |config| config.access.clear(),
            |config| config.local.hosts.push("/x".into()),
            |config| config.resolve.validate ^= true,
            |config| config.resolve.root_hints = Some("/x".into()),
            |config| config.policy.mode = Mode::Shadow,
            |config| config.policy.asn_db = Some("/x".into()),
            |config| config.programs.clear(),
            |config| config.log.queries ^= true,
            |config| config.log.filter = "warn".into(),
            |config| config.log.json ^= true,
            |config| config.cache.bytes = 9,
            |config| config.cache.stale = Duration::from_secs(9),
            |config| config.cache.prefetch ^= true,
            |config| config.cache.save ^= true,
            |config| config.admin.as_mut().unwrap().token = Some("x".into()),
            |config| config.admin.as_mut().unwrap().read_token = Some("x".into()),
            |config| config.admin.as_mut().unwrap().users_file = Some("/x".into()),
            |config| config.admin.as_mut().unwrap().names.push("x".into()),
            |config| config.admin.as_mut().unwrap().audit = Some("/x".into()),
            |config| config.admin.as_mut().unwrap().insecure ^= true,
            |config| config.admin.as_mut().unwrap().trusted_proxies.push("192.0.2.1/32".parse().unwrap()),
            |config| {
                config.admin.as_mut().unwrap().tls = Some(AdminTls { cert: "/x".into(), key: "/x".into() });
            },
            |config| config.query_log.database = Some("/x".into()),
            |config| config.query_log.keep = Duration::from_secs(9),
            |config| config.query_log.keep_sums = Duration::from_secs(9),
            |config| config.query_log.bytes = 9,
            |config| config.query_log.privacy = Privacy::None,
            |config| config.query_log.answers ^= true,
            |config| config.query_log.instance = "x".into(),
            |config| config.query_log.json = Some(JsonLines { to: JsonTarget::Stdout, bytes: 1, files: 1 }),
            |config| {
                let to = DnstapTarget::File("/x".into());
                config.query_log.dnstap = Some(Dnstap { to, bytes: 1, files: 1, client: true, resolver: true });
            },
            |config| {
                let text = String::new;
                let (url, database, user, password) = (text(), text(), text(), text());
                config.query_log.clickhouse = Some(ClickHouse { url, database, user, password, spill_bytes: 1 });
            },
        ];
        for change in cases {
            let (running, mut next) = (config(), config());
            change(&mut next);
            assert_ne!(next, running);
            assert_eq!(next.clone().following(&running), Following { config: next, waiting: vec![] });
        }
    }
}
