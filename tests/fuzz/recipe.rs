//! Policies and queries out of octets, over so tiny an alphabet that rules meet each other all the time. The same octets
//! give the same policy; where they end, everything is the simplest there is.

use cleandns::{
    dns::{Name, Rcode, RrType},
    policy::{
        Action, Anchor, Asking, BlockAnswer, Client, ClientIs, ClientKey, Conditions, Effect, Geo, GroupSpec, Link,
        ListSpec, Matcher, Mode, OwnerException, Pattern, Pause, Place, PolicySpec, ProgramSpec, Role, Rule, RuleSet,
        Schedule, Scope, Trigger, Zone,
    },
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

const LABELS: [&str; 5] = ["a", "b", "ab", "aab", "ba"];
const GLOBS: [&str; 10] = ["ab", "a", "b*a", "a.b", "a*", "*b", "ab.a", "aab", "b*a*b", "."];
const REGEXES: [&str; 10] = ["^a", "b$", "a.b", "ab+", "(a|b)\\.a", "^$", "[^a]", "aab", "^(ab|b)", "a\\.b\\.a"];
const ADDRESSES: [&str; 9] = [
    "1.2.3.4",
    "1.2.3.5",
    "1.2.4.4",
    "10.0.0.1",
    "100.64.0.1",
    "2001:db8::1",
    "2001:db8::2",
    "fd00::1",
    "::ffff:1.2.3.4",
];
const SERVICES: [&str; 3] = ["s", "t", "u"];
const TAGS: [&str; 2] = ["kids", "guests"];
/// A Monday and a Tuesday: 1970-01-05 and the day after, at noon.
const TIMES: [i64; 2] = [4 * 86_400 + 43_200, 5 * 86_400 + 43_200];
const LISTS_MAX: usize = 6;
const RULES_MAX: usize = 14;

/// Octets taken as choices; when there are no more, the first of each.
pub struct Choices<'a>(pub &'a [u8]);

/// A question, who asks it, and what its answer leads to.
pub struct Query {
    name: Name,
    rr_type: RrType,
    address: IpAddr,
    id: Option<&'static str>,
    tcp: bool,
    now: i64,
    pauses: Vec<Pause>,
    pub links: Vec<Link>,
}

impl Query {
    pub fn asking(&self) -> Asking<'_> {
        let client = Client { address: self.address, id: self.id, mac: None, tcp: self.tcp, group: None };
        Asking { name: &self.name, rr_type: self.rr_type, client, now: self.now, pauses: &self.pauses }
    }
}

impl Choices<'_> {
    fn below(&mut self, end: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % end
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// True for one of `of` octets.
    fn rarely(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    /// A few of something.
    fn several<T>(&mut self, end: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(end)).map(|_| one(self)).collect()
    }

    pub fn policy(&mut self) -> PolicySpec {
        let programs = 1 + self.below(3);
        let programs: Vec<ProgramSpec> = (0..programs).map(|number| self.program(number)).collect();
        let groups: Vec<GroupSpec> = (0..self.below(3)).map(|number| self.group(number, programs.len())).collect();
        let owner = self.several(3, |choices| choices.exception(programs.len(), groups.len()));
        let lists = self.several(LISTS_MAX, |choices| choices.list(programs.len(), owner.len()));
        PolicySpec {
            epoch: 1,
            mode: self.pick(&[Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Shadow, Mode::Off]),
            block_ttl: Duration::from_secs(30),
            programs,
            lists: with_numbers(lists),
            owner_exceptions: owner,
            groups,
            geo: Geo::default(),
            seed: self.below(3) as u64,
        }
    }

    pub fn query(&mut self) -> Query {
        let links = self.several(5, Self::link);
        Query {
            links,
            name: self.name(),
            rr_type: self.rr_type(),
            address: self.address(),
            id: self.pick(&[None, None, Some("laptop")]),
            tcp: self.rarely(3),
            now: self.pick(&TIMES),
            pauses: self.several(3, |choices| Pause {
                group: choices.pick(&[Some("g0"), Some("default"), Some("g1"), None]).map(Into::into),
                client: None,
                until: choices.pick(&[TIMES[0], TIMES[0] + 1, TIMES[1] + 1]),
            }),
        }
    }

    fn program(&mut self, number: usize) -> ProgramSpec {
        // The one that counts ways round, in some.
        let name = if self.rarely(4) { "bypass".to_owned() } else { format!("p{number}") };
        let services = self.several(3, |choices| (choices.pick(&["s", "t", "u", "*"]).to_owned(), choices.mode()));
        ProgramSpec {
            name,
            mode: self.mode(),
            block: BlockAnswer::NxDomain,
            ede: 15,
            services: services.into_iter().collect(),
            schedule: self.schedule(),
        }
    }

    fn group(&mut self, number: usize, programs: usize) -> GroupSpec {
        let clients = self.several(3, |choices| {
            if choices.rarely(4) { ClientKey::Id("laptop".to_owned()) } else { ClientKey::Net(choices.net()) }
        });
        let modes = self.several(3, |choices| (choices.below(programs), choices.mode()));
        let services =
            self.several(3, |choices| ((choices.below(programs), choices.pick(&SERVICES).to_owned()), choices.mode()));
        GroupSpec {
            name: format!("g{number}"),
            clients,
            tags: self.several(2, |choices| choices.pick(&TAGS).to_owned()),
            programs: modes.into_iter().collect::<BTreeMap<_, _>>(),
            services: services.into_iter().collect::<BTreeMap<_, _>>(),
            schedule: self.schedule(),
        }
    }

    fn exception(&mut self, programs: usize, groups: usize) -> OwnerException {
        OwnerException {
            names: self.several(2, |choices| (choices.name(), choices.scope())),
            programs: self.several(2, |choices| choices.below(programs)),
            groups: self.several(2, |choices| choices.below(groups + 1) as u16),
            until: self.pick(&[None, None, Some(TIMES[0]), Some(TIMES[0] + 1)]),
            reason: String::new(),
            place: String::new(),
        }
    }

    fn list(&mut self, programs: usize, exceptions: usize) -> ListSpec {
        let role = match self.rarely(6) && exceptions > 0 {
            true => Role::Owner(self.below(exceptions)),
            false => Role::Program(self.below(programs)),
        };
        let mut rules = RuleSet::default();
        let own = self.several(RULES_MAX, Self::rule);
        for (at, rule) in own.iter().enumerate() {
            // Some lines hold two rules.
            rules.push(Rule { line: 1 + at as u32 - u32::from(at % 5 == 4), ..rule.clone() }).expect("a small list");
        }
        if self.rarely(4) {
            rules.set_zone(Name::ROOT);
        }
        // Some of its own, and some that another list may have.
        for rule in own.iter().filter(|_| self.rarely(8)) {
            rules.disable(rule.clone());
        }
        self.several(2, Self::plain_rule).into_iter().for_each(|rule| rules.disable(rule));
        ListSpec {
            role,
            service: self.pick(&SERVICES).to_owned(),
            default: self.pick(&[None, None, Some(Mode::Shadow), Some(Mode::Off)]),
            never_acts: self.rarely(8),
            name: String::new(),
            version: 0,
            rules: Arc::new(rules),
        }
    }

    fn rule(&mut self) -> Rule {
        let rule = self.plain_rule();
        Rule {
            important: self.rarely(6),
            action: self.action(),
            conditions: if self.rarely(4) { Some(Box::new(self.conditions())) } else { None },
            ..rule
        }
    }

    fn action(&mut self) -> Action {
        match self.below(7) {
            0 | 1 => Action::Given,
            2 => Action::NoData,
            3 => Action::TcpOnly,
            4 => Action::Code(Rcode::NXDOMAIN),
            5 => Action::Code(Rcode::REFUSED),
            _ => Action::Code(Rcode::SERVFAIL),
        }
    }

    fn plain_rule(&mut self) -> Rule {
        let effect = self.pick(&[Effect::Block, Effect::Block, Effect::Except]);
        let matcher = match self.below(12) {
            0..5 => Matcher::Name { scope: self.scope(), name: self.name() },
            5 => Matcher::Pattern(self.glob()),
            6 => Matcher::Pattern(Pattern::Regex(self.pick(&REGEXES).to_owned())),
            7 => Matcher::Address(Place::Net(self.net())),
            8 => Matcher::Address(self.place()),
            9 => Matcher::NsName { scope: self.scope(), name: Box::new(self.name()) },
            10 => Matcher::NsAddress(self.place()),
            _ => Matcher::Client(self.net()),
        };
        Rule::new(effect, matcher, 1)
    }

    fn conditions(&mut self) -> Conditions {
        let types = |choices: &mut Self| (choices.rarely(2), vec![choices.rr_type()]);
        Conditions {
            types: if self.rarely(2) { Some(types(self)) } else { None },
            clients: self.several(2, |choices| (choices.rarely(2), choices.client_is())),
            tags: self.several(2, |choices| (choices.rarely(2), choices.pick(&TAGS).to_owned())),
            denyallow: self.several(2, Self::name),
        }
    }

    fn client_is(&mut self) -> ClientIs {
        match self.below(3) {
            0 => ClientIs::Net(self.net()),
            1 => ClientIs::Id("laptop".to_owned()),
            _ => ClientIs::Id("g0".to_owned()),
        }
    }

    fn link(&mut self) -> Link {
        use Trigger::{Address, Cname, Dname, Hint, NsAddress, NsName, SvcbTarget};
        match self.pick(&[Cname, Cname, Address, Dname, SvcbTarget, Hint, NsName, NsAddress]) {
            trigger @ (Address | Hint | NsAddress) => Link::address(self.address(), trigger),
            trigger => Link::name(self.name(), trigger),
        }
    }

    fn name(&mut self) -> Name {
        let labels: Vec<&str> = (0..[1, 2, 2, 3, 4, 0][self.below(6)]).map(|_| self.pick(&LABELS)).collect();
        if labels.is_empty() { Name::ROOT } else { labels.join(".").parse().expect("a name") }
    }

    fn scope(&mut self) -> Scope {
        self.pick(&[Scope::Subtree, Scope::Exact, Scope::Below])
    }

    fn glob(&mut self) -> Pattern {
        let start = self.pick(&[Anchor::Label, Anchor::Anywhere, Anchor::Start]);
        Pattern::Glob { start, text: self.pick(&GLOBS).to_owned(), end: self.rarely(2) }
    }

    fn place(&mut self) -> Place {
        match self.below(4) {
            0 | 1 => Place::Net(self.net()),
            2 => Place::Outside(vec![Place::Net(self.net())].into()),
            _ => Place::Outside(vec![Place::Net(self.net()), Place::Country(*b"US")].into()),
        }
    }

    fn address(&mut self) -> IpAddr {
        self.pick(&ADDRESSES).parse().expect("an address")
    }

    fn net(&mut self) -> IpNet {
        let address = self.address().to_canonical();
        let bits = self.pick(if address.is_ipv4() { &[32, 31, 24, 23, 8, 0] } else { &[128, 127, 64, 32, 0] });
        IpNet::new(address, bits).expect("a prefix that fits").trunc()
    }

    fn rr_type(&mut self) -> RrType {
        self.pick(&[RrType::A, RrType::AAAA, RrType::HTTPS])
    }

    fn mode(&mut self) -> Mode {
        self.pick(&[Mode::Enforce, Mode::Shadow, Mode::Off])
    }

    fn schedule(&mut self) -> Option<Schedule> {
        let mondays = self.rarely(4).then(|| Schedule::parse("Mon 00:00-24:00", &Zone::utc()));
        mondays.map(|schedule| schedule.expect("a schedule"))
    }
}

fn with_numbers(lists: Vec<ListSpec>) -> Vec<ListSpec> {
    (0..).zip(lists).map(|(number, list)| ListSpec { name: format!("l{number}"), ..list }).collect()
}
