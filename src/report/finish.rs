//! Makes a report of what was counted.

mod clients;

use super::{
    Context, Moment, Share, Tally, Varying,
    breakdown::{Breakdown, ClientFacts, Group, Grouped},
    collateral::Look,
    form::{
        DomainRow, Hits, Limits, ListRow, ProgramDomain, ProgramRow, Report, RuleRow, SCHEMA, ServiceRow, Top, Totals,
        TriggerRow,
    },
};
use crate::query_log::Fate;
use foldhash::{HashMap, HashSet};

/// Rows of a table at most: what a person may still look through. Exports have all of it.
const ROWS_MAX: usize = 500;
/// Texts that are named of a list: one that is downloaded each hour has thousands.
const VERSIONS_MAX: usize = 20;
/// Registrable domains told of a program.
const PROGRAM_DOMAINS: usize = 5;

impl Tally {
    /// The report on all that was counted.
    pub fn finish(&self, context: &Context) -> Report {
        let all = Breakdown::new(self);
        let maker = Maker { all: &all, context, totals: totals(&all) };
        let look = Look::new(&all);
        let mut report = Report {
            schema: SCHEMA,
            instance: context.instance.clone(),
            source: context.source.clone(),
            privacy: context.privacy.clone(),
            from: Moment(context.from),
            to: Moment(context.to),
            made_at: Moment(context.made_at),
            only_program: None,
            only_client: None,
            held: context.held,
            time_line: self.minutes.buckets(context.from, context.to),
            programs: maker.programs(&look),
            services: maker.services(),
            lists: maker.lists(),
            lists_never_hit: maker.lists_never_hit(),
            rules_never_hit: Vec::new(),
            known_lists: context.lists.iter().filter(|list| list.mode != "off").count() as u64,
            unread: context.unread.clone(),
            kinds: self.kinds.finish(self.sums.queries),
            rules: maker.rules(),
            domains: maker.domains(),
            clients: maker.clients(),
            matrix: maker.matrix(),
            bypass: maker.bypass(),
            exceptions: maker.exceptions(),
            collateral: look.told(maker.totals.clients),
            limits: Limits {
                queries_without_tables: self.beyond.queries,
                queries_without_time: self.minutes.beyond,
                answers_without_look: self.answers.beyond,
                queries_without_retries: self.retries.beyond,
                queries_without_kinds: self.kinds.beyond(),
            },
            totals: maker.totals,
        };
        report.only(&self.filter);
        report
    }
}

fn totals(all: &Breakdown<'_>) -> Totals {
    let sums = &all.tally.sums;
    let of_queries = |part| Share::new(part, sums.queries);
    let [hits, stale, misses] = sums.cache;
    let looked_up = hits + stale + misses;
    let domains = |names: &mut dyn Iterator<Item = u32>| {
        names.map(|name| all.names[name as usize].domain).collect::<HashSet<u32>>().len() as u64
    };
    let names = all.asked().count() as u64;
    let is_known = |text: &&std::sync::Arc<str>| !text.is_empty();
    let clients = all.tally.clients.texts().iter().filter(is_known).count() as u64;
    let clients_with = |has: fn(&ClientFacts) -> bool| {
        let known = (0u32..).zip(&all.clients).filter(|(id, facts)| has(facts) && all.known(*id).is_some());
        Share::new(known.count() as u64, clients)
    };
    let domains_asked = domains(&mut all.asked());
    Totals {
        queries: sums.queries,
        names,
        clients,
        domains: domains_asked,
        blocked: of_queries(sums.fates[Fate::Blocked as usize]),
        would_block: of_queries(sums.fates[Fate::WouldBlock as usize]),
        excepted: of_queries(sums.fates[Fate::Excepted as usize]),
        passed: of_queries(sums.fates[Fate::Passed as usize]),
        refused: of_queries(sums.fates[Fate::Refused as usize]),
        names_hit: Share::new(all.hit().count() as u64, names),
        clients_hit: clients_with(|facts| facts.counts.hits() > 0),
        clients_with_bypass: clients_with(|facts| !facts.bypass.is_empty()),
        domains_hit: Share::new(domains(&mut all.hit()), domains_asked),
        dropped: of_queries(sums.dropped),
        failed: of_queries(sums.failed),
        bypass: of_queries(sums.bypass),
        unreadable: of_queries(sums.unreadable),
        cache_hits: Share::new(hits, looked_up),
        cache_stale: Share::new(stale, looked_up),
    }
}

/// A rule is the same wherever it stands in whichever text of its list: program, service, list, rule. Where its text isn't
/// known, its list's text and its line tell it.
type RuleKey<'t> = (&'t str, &'t str, &'t str, &'t str, Option<(usize, u32)>);

/// What a rule said in all texts, with where it said something last: index of the list's text, and line.
#[derive(Default)]
struct WholeRule {
    list: usize,
    line: u32,
    group: Group,
}

/// What a list said, in all of its texts.
#[derive(Default)]
struct WholeList<'t> {
    group: Group,
    /// When each said something last.
    texts: Vec<(Option<i64>, &'t str)>,
    /// As in [`RuleKey`].
    rules: HashSet<(&'t str, Option<(usize, u32)>)>,
    /// Some rules aren't named.
    has_nameless: bool,
}

/// Makes rows of groups.
struct Maker<'b> {
    all: &'b Breakdown<'b>,
    context: &'b Context,
    totals: Totals,
}

impl Maker<'_> {
    fn hits(&self, group: &Group) -> Hits {
        let [blocked, would_block, excepted] = group.counts.0;
        Hits {
            blocked,
            would_block,
            excepted,
            queries: Share::new(group.counts.hits(), self.totals.queries),
            names: Share::new(group.names.len() as u64, self.totals.names),
            clients: Share::new(group.clients.len() as u64, self.totals.clients),
            first: group.first.map(Moment),
            last: group.last.map(Moment),
        }
    }

    /// A row for each group that anything is in.
    fn rows<K, R>(&self, groups: &Grouped<K>, make: impl Fn(usize, &K, &Group, Hits) -> R) -> Vec<R> {
        let rows = groups.rows.iter().enumerate().filter(|(_, (_, group))| group.first.is_some());
        rows.map(|(at, (key, group))| make(at, key, group, self.hits(group))).collect()
    }

    fn programs(&self, look: &Look<'_>) -> Vec<ProgramRow> {
        let mut rows = self.rows(&self.all.programs, |at, program, group, hits| {
            let (sharing, with_answer, retried) = look.program(at);
            let (until_named, would_block_until_named) = self.until_named(program);
            ProgramRow {
                program: (*program).to_owned(),
                modes: self.modes(program),
                varies_by_group: self.varies(program).by_group,
                varies_by_time: self.varies(program).by_time,
                until_named,
                would_block_until_named,
                domains_hit: Share::new(self.program_domains(at).count() as u64, self.totals.domains),
                triggers: triggers(group),
                domains: self.most_hit_domains(at),
                sharing,
                names_with_answer: Share::new(with_answer, group.names.len() as u64),
                names_retried: retried,
                hits,
            }
        });
        // Programs without a hit stand there too: that nothing would be blocked is a result.
        for list in &self.context.lists {
            let is_asked = self.all.tally.filter.program.as_deref().is_none_or(|only| only == list.program);
            if is_asked && list.mode != "off" && !rows.iter().any(|row| row.program == list.program) {
                rows.push(self.idle(&list.program));
            }
        }
        rows.sort_by(|a, b| order(&a.hits, &b.hits).then_with(|| a.program.cmp(&b.program)));
        rows
    }

    /// A program that had nothing to say.
    fn idle(&self, program: &str) -> ProgramRow {
        ProgramRow {
            program: program.to_owned(),
            modes: self.modes(program),
            varies_by_group: self.varies(program).by_group,
            varies_by_time: self.varies(program).by_time,
            until_named: Vec::new(),
            would_block_until_named: 0,
            hits: self.hits(&Group::default()),
            domains_hit: Share::new(0, self.totals.domains),
            triggers: Vec::new(),
            domains: Vec::new(),
            sharing: Default::default(),
            names_with_answer: Share::default(),
            names_retried: 0,
        }
    }

    /// Modes of a program's lists, the strictest first.
    fn modes(&self, program: &str) -> Vec<String> {
        let has = |mode: &&str| self.context.lists.iter().any(|list| list.program == program && list.mode == **mode);
        ["enforce", "shadow", "off"].into_iter().filter(has).map(str::to_owned).collect()
    }

    fn varies(&self, program: &str) -> Varying {
        self.context.varying.iter().find(|varying| varying.program == program).cloned().unwrap_or_default()
    }

    /// A program's services that would block something only if they were named, and how many queries these would.
    fn until_named(&self, program: &str) -> (Vec<String>, u64) {
        let waits = |service: &str| {
            let mut lists = self.context.lists.iter().filter(|list| list.program == program && list.service == service);
            lists.clone().next().is_some() && lists.all(|list| list.until_named)
        };
        let would = |group: &Group| group.counts.0[1];
        let rows = self.all.services.rows.iter();
        let mut found: Vec<(u64, &str)> = rows
            .filter(|((of, service), group)| *of == program && would(group) > 0 && waits(service))
            .map(|((_, service), group)| (would(group), *service))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        (
            found.iter().map(|(_, service)| (*service).to_owned()).collect(),
            found.iter().map(|(queries, _)| queries).sum(),
        )
    }

    fn program_domains(&self, program: usize) -> impl Iterator<Item = (&str, &Group)> {
        let of_program = self.all.program_domains.rows.iter().filter(move |((of, _), _)| *of == program);
        of_program.map(|((_, domain), group)| (self.all.domain_texts[*domain as usize], group))
    }

    fn most_hit_domains(&self, program: usize) -> Vec<ProgramDomain> {
        let row = |(domain, group): (&str, &Group)| ProgramDomain {
            domain: domain.to_owned(),
            queries: group.counts.hits(),
            names: group.names.len() as u64,
            clients: group.clients.len() as u64,
        };
        let mut rows: Vec<ProgramDomain> = self.program_domains(program).map(row).collect();
        rows.sort_by(|a, b| b.queries.cmp(&a.queries).then_with(|| a.domain.cmp(&b.domain)));
        rows.truncate(PROGRAM_DOMAINS);
        rows
    }

    fn services(&self) -> Vec<ServiceRow> {
        let mut rows = self.rows(&self.all.services, |_, (program, service), _, hits| ServiceRow {
            program: (*program).to_owned(),
            service: (*service).to_owned(),
            hits,
        });
        rows.sort_by(|a, b| {
            order(&a.hits, &b.hits).then_with(|| (&a.program, &a.service).cmp(&(&b.program, &b.service)))
        });
        rows
    }

    /// By list, whatever its text was when it said something: that changes with each download.
    fn lists(&self) -> Vec<ListRow> {
        let mut merged: HashMap<(&str, &str, &str), WholeList<'_>> = HashMap::default();
        for ((program, service, list, version), group) in self.all.lists.told() {
            let whole = merged.entry((*program, *service, *list)).or_default();
            whole.texts.push((group.last, *version));
            whole.group.merge(group);
        }
        for ((at, line, rule), _) in self.all.rules.told() {
            let (program, service, list, _) = self.all.lists.rows[*at].0;
            let whole = merged.entry((program, service, list)).or_default();
            whole.rules.insert((*rule, rule.is_empty().then_some((*at, *line))));
            whole.has_nameless |= *line == 0 || rule.is_empty();
        }
        let mut rows: Vec<ListRow> = merged.into_iter().map(|(key, whole)| self.list(key, whole)).collect();
        let key = |row: &ListRow| (row.program.clone(), row.service.clone(), row.list.clone());
        rows.sort_by(|a, b| order(&a.hits, &b.hits).then_with(|| key(a).cmp(&key(b))));
        rows
    }

    fn list(&self, (program, service, list): (&str, &str, &str), mut whole: WholeList<'_>) -> ListRow {
        whole.texts.sort_unstable_by(|a, b| b.cmp(a));
        let is_known =
            |known: &&super::KnownList| (&*known.program, &*known.service, &*known.list) == (program, service, list);
        let known = self.context.lists.iter().find(is_known);
        let rules_hit = whole.rules.len() as u64;
        // Where rows don't name their rules, several may be one; and a rule of another text may be none of this one.
        let are_of_it = |known: &&super::KnownList| {
            !whole.has_nameless && whole.texts.iter().all(|(_, version)| *version == known.version)
        };
        let versions = whole.texts.iter().take(VERSIONS_MAX).map(|(_, version)| (*version).to_owned()).collect();
        ListRow {
            program: program.to_owned(),
            service: service.to_owned(),
            list: list.to_owned(),
            version: whole.texts.first().map_or("", |(_, version)| *version).to_owned(),
            versions: Top { there_are: whole.texts.len() as u64, rows: versions },
            hits: self.hits(&whole.group),
            triggers: triggers(&whole.group),
            rules_hit,
            rules: known.map(|known| known.rules),
            rules_never_hit: known.filter(are_of_it).map(|known| known.rules.saturating_sub(rules_hit)),
        }
    }

    fn lists_never_hit(&self) -> Vec<super::KnownList> {
        let spoke: HashSet<(&str, &str, &str)> =
            self.all.lists.told().map(|((program, service, list, _), _)| (*program, *service, *list)).collect();
        let only = self.all.tally.filter.program.as_deref();
        let is_silent = |list: &&super::KnownList| {
            list.mode != "off"
                && only.is_none_or(|only| only == list.program)
                && !spoke.contains(&(&*list.program, &*list.service, &*list.list))
        };
        self.context.lists.iter().filter(is_silent).cloned().collect()
    }

    fn rules(&self) -> Top<RuleRow> {
        let mut merged: HashMap<RuleKey<'_>, WholeRule> = HashMap::default();
        for ((list, line, rule), group) in self.all.rules.told() {
            let (list, line, rule) = (*list, *line, *rule);
            let (program, service, name, _) = self.all.lists.rows[list].0;
            let line_alone = rule.is_empty().then_some((list, line));
            let whole = merged.entry((program, service, name, rule, line_alone)).or_default();
            // The newest place is the one shown.
            if group.last >= whole.group.last {
                (whole.list, whole.line) = (list, line);
            }
            whole.group.merge(group);
        }
        let row = |(key, whole): (RuleKey<'_>, WholeRule)| {
            let (program, service, list, rule, _) = key;
            RuleRow {
                program: program.to_owned(),
                service: service.to_owned(),
                list: list.to_owned(),
                version: self.all.lists.rows[whole.list].0.3.to_owned(),
                line: whole.line,
                rule: rule.to_owned(),
                hits: self.hits(&whole.group),
                triggers: triggers(&whole.group),
            }
        };
        let rows: Vec<RuleRow> = merged.into_iter().map(row).collect();
        let key = |row: &RuleRow| {
            (
                row.program.clone(),
                row.service.clone(),
                row.list.clone(),
                row.line,
                row.rule.clone(),
                row.version.clone(),
            )
        };
        top(rows, |a, b| order(&a.hits, &b.hits).then_with(|| key(a).cmp(&key(b))))
    }

    fn domains(&self) -> Top<DomainRow> {
        let none = |(domain, _): &(u32, Group)| (*domain, (0, 0, HashSet::default()));
        let mut asked: HashMap<u32, (u64, u64, HashSet<u32>)> = self.all.domains.rows.iter().map(none).collect();
        for name in self.all.asked() {
            let facts = &self.all.names[name as usize];
            if let Some((queries, names, _)) = asked.get_mut(&facts.domain) {
                *queries += facts.queries;
                *names += 1;
            }
        }
        for (name, client) in self.all.pairs() {
            let domain = self.all.names[name as usize].domain;
            if let (Some((.., clients)), Some(client)) = (asked.get_mut(&domain), self.all.known(client)) {
                clients.insert(client);
            }
        }
        let rows = self.rows(&self.all.domains, |_, domain, _, hits| {
            let (asked_queries, asked_names, clients) = &asked[domain];
            DomainRow {
                domain: self.all.domain_texts[*domain as usize].to_owned(),
                hits,
                asked_queries: *asked_queries,
                asked_names: *asked_names,
                asked_clients: clients.len() as u64,
            }
        });
        top(rows, |a, b| order(&a.hits, &b.hits).then_with(|| a.domain.cmp(&b.domain)))
    }
}

/// What hits most comes first; then what has most exceptions.
fn order(a: &Hits, b: &Hits) -> std::cmp::Ordering {
    (b.queries.part, b.excepted).cmp(&(a.queries.part, a.excepted))
}

/// The first rows in an order.
fn top<R>(mut rows: Vec<R>, order: impl Fn(&R, &R) -> std::cmp::Ordering) -> Top<R> {
    rows.sort_by(order);
    let there_are = rows.len() as u64;
    rows.truncate(ROWS_MAX);
    Top { there_are, rows }
}

fn triggers(group: &Group) -> Vec<TriggerRow> {
    let row = |(outcome, trigger, queries): &(crate::policy::Outcome, crate::policy::Trigger, u64)| TriggerRow {
        outcome: outcome.word(),
        trigger: trigger.word(),
        queries: *queries,
    };
    let mut rows: Vec<TriggerRow> = group.triggers.iter().map(row).collect();
    rows.sort_by(|a, b| (b.queries, a.outcome, a.trigger).cmp(&(a.queries, b.outcome, b.trigger)));
    rows
}
