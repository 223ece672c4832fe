//! The report as data. Its JSON is this, by serde: names stay, and new ones may come.
//!
//! Times are UTC. In every table `blocked`, `would_block` and `excepted` are queries; `queries`, `names` and `clients`
//! are those *hit*, which is blocked or would be, beside what they are a share of. A name is what was asked, a client
//! what privacy left of one.

use super::{Filter, Held, Kinds, KnownList, Moment, NeverHit, Share, Unread};
use schemars::JsonSchema;
use serde::Serialize;

/// Raised when a field changes its meaning or goes.
pub const SCHEMA: &str = "cleandns.report/1";

/// What was and would have been blocked.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    pub instance: String,
    /// What was read.
    pub source: String,
    /// How much of clients was kept, in the order in which it was in force: `full`, `prefix`, `hashed`, `none`. Empty if
    /// that isn't known.
    pub privacy: Vec<String>,
    /// Included.
    pub from: Moment,
    /// Not included.
    pub to: Moment,
    pub made_at: Moment,
    /// The only program, or client, that this is about.
    pub only_program: Option<String>,
    pub only_client: Option<String>,
    pub held: Held,
    pub totals: Totals,
    pub time_line: TimeLine,
    pub programs: Vec<ProgramRow>,
    pub services: Vec<ServiceRow>,
    /// Every text of a list that said something: a list that changed is there once a version.
    pub lists: Vec<ListRow>,
    /// Lists that are not off and of which no rule decided anything.
    pub lists_never_hit: Vec<KnownList>,
    /// Rules that never decided anything, of lists that did and are as they were then. Whoever has the lists fills it in.
    pub rules_never_hit: Vec<NeverHit>,
    /// Lists that these two are about, those that are off not among them.
    pub known_lists: u64,
    /// What neither of these two tells of.
    pub unread: Unread,
    pub kinds: Kinds,
    pub rules: Top<RuleRow>,
    pub domains: Top<DomainRow>,
    pub clients: Top<ClientRow>,
    pub matrix: Matrix,
    pub bypass: Top<BypassRow>,
    /// The owner's exceptions that matched something.
    pub exceptions: Vec<ExceptionRow>,
    pub collateral: Collateral,
    pub limits: Limits,
}

/// The first rows of a table, and how many there are.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Top<T> {
    pub there_are: u64,
    pub rows: Vec<T>,
}

/// Over all queries of the report.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Totals {
    /// The denominator of all shares of queries.
    pub queries: u64,
    /// Distinct names asked: the denominator of all shares of names.
    pub names: u64,
    /// Distinct clients: the denominator of all shares of clients. 0 if clients weren't kept.
    pub clients: u64,
    /// Distinct registrable domains of the names asked: the denominator of all shares of domains.
    pub domains: u64,
    /// These five make up all queries.
    pub blocked: Share,
    pub would_block: Share,
    pub excepted: Share,
    pub passed: Share,
    /// Answered with an error at once: who asked isn't admitted, or the query isn't understood or of a kind that isn't
    /// served. Of those of which only sums are left, recorded by a version that didn't tell them apart, they passed.
    pub refused: Share,
    pub names_hit: Share,
    pub clients_hit: Share,
    /// Clients that look for a way round this resolver.
    pub clients_with_bypass: Share,
    pub domains_hit: Share,
    /// Given no answer, because a program says so: part of the blocked.
    pub dropped: Share,
    /// Answered SERVFAIL.
    pub failed: Share,
    pub bypass: Share,
    /// Queries that weren't understood: they have no name.
    pub unreadable: Share,
    /// Answered from memory, of those that an answer was looked for.
    pub cache_hits: Share,
    /// Likewise, with an answer past its time.
    pub cache_stale: Share,
}

impl Totals {
    /// All shares, each with its field's name, what it is, and what it is of.
    pub(super) fn shares(&self) -> [(&'static str, &'static str, Share, &'static str); 15] {
        [
            ("blocked", "blocked", self.blocked, "queries"),
            ("would_block", "would be blocked", self.would_block, "queries"),
            ("excepted", "excepted", self.excepted, "queries"),
            ("passed", "passed", self.passed, "queries"),
            ("refused", "refused", self.refused, "queries"),
            ("names_hit", "names hit", self.names_hit, "names"),
            ("domains_hit", "registrable domains hit", self.domains_hit, "domains"),
            ("clients_hit", "clients hit", self.clients_hit, "clients"),
            ("bypass", "bypass attempts", self.bypass, "queries"),
            ("clients_with_bypass", "clients with bypass attempts", self.clients_with_bypass, "clients"),
            ("dropped", "left without an answer", self.dropped, "queries"),
            ("failed", "failed (SERVFAIL)", self.failed, "queries"),
            ("unreadable", "not understood", self.unreadable, "queries"),
            ("cache_hits", "answered from memory", self.cache_hits, "looked up"),
            ("cache_stale", "answered past its time", self.cache_stale, "looked up"),
        ]
    }
}

/// Queries in steps of equal length.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct TimeLine {
    pub bucket_seconds: u64,
    pub buckets: Vec<Bucket>,
}

/// Queries of one step.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Bucket {
    pub start: Moment,
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
    pub passed: u64,
    pub refused: u64,
}

/// What something has to answer for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Hits {
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
    /// Blocked, or would be.
    pub queries: Share,
    pub names: Share,
    pub clients: Share,
    /// Of the queries above, exceptions too; `None` if there are none.
    pub first: Option<Moment>,
    pub last: Option<Moment>,
}

/// Queries by what about them a rule matched.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TriggerRow {
    pub outcome: &'static str,
    pub trigger: &'static str,
    pub queries: u64,
}

/// What a program said.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProgramRow {
    pub program: String,
    /// Modes of its lists as they are now, for clients in no group; none if it has none.
    pub modes: Vec<String>,
    /// Some groups have another mode.
    pub varies_by_group: bool,
    /// It has a schedule, outside of which it is off.
    pub varies_by_time: bool,
    #[serde(flatten)]
    pub hits: Hits,
    /// Services that stay in shadow until they are named in the configuration, of those that would block something.
    pub until_named: Vec<String>,
    /// Queries that these would block: to enforce the program alone would not.
    pub would_block_until_named: u64,
    pub domains_hit: Share,
    pub triggers: Vec<TriggerRow>,
    /// The registrable domains it hits most.
    pub domains: Vec<ProgramDomain>,
    pub sharing: Sharing,
    /// Names it hits of which at least one alias or address is known, of all that it hits: only these can be seen to
    /// share anything.
    pub names_with_answer: Share,
    /// Names it blocks, by itself or with others, that a client asked for again and again: see [`RetryRow`].
    pub names_retried: u64,
}

/// A registrable domain that a program hits.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProgramDomain {
    pub domain: String,
    pub queries: u64,
    pub names: u64,
    pub clients: u64,
}

/// What a service's lists said.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ServiceRow {
    pub program: String,
    pub service: String,
    #[serde(flatten)]
    pub hits: Hits,
}

/// What a list said, in whichever texts.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ListRow {
    pub program: String,
    pub service: String,
    pub list: String,
    /// The text that said something last.
    pub version: String,
    /// All that did, from the last.
    pub versions: Top<String>,
    #[serde(flatten)]
    pub hits: Hits,
    pub triggers: Vec<TriggerRow>,
    /// A rule is one in all texts.
    pub rules_hit: u64,
    /// Rules of the text in force; `None` for a list that there isn't any more.
    pub rules: Option<u64>,
    /// Of these; `None` if that isn't known.
    pub rules_never_hit: Option<u64>,
}

/// What a rule said, in whichever texts of its list it stood.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RuleRow {
    pub program: String,
    pub service: String,
    pub list: String,
    /// The text in which it said something last, and its line there.
    pub version: String,
    pub line: u32,
    /// Empty if it wasn't kept.
    pub rule: String,
    #[serde(flatten)]
    pub hits: Hits,
    pub triggers: Vec<TriggerRow>,
}

/// What became of queries below a registrable domain.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DomainRow {
    pub domain: String,
    #[serde(flatten)]
    pub hits: Hits,
    /// All that was asked of it, whatever came of it.
    pub asked_queries: u64,
    pub asked_names: u64,
    pub asked_clients: u64,
}

/// What became of a client's queries.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ClientRow {
    pub client: String,
    /// All it asked.
    pub queries: Share,
    pub names: Share,
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
    /// Blocked or would be, of its own queries.
    pub hit: Share,
    pub bypass: u64,
    /// Of all it asked.
    pub first: Moment,
    pub last: Moment,
}

/// Clients by programs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Matrix {
    pub programs: Vec<String>,
    pub clients: Vec<String>,
    /// Rows there would be, with the clients that didn't fit, and one for those not kept.
    pub clients_there_are: u64,
    /// By client, then by program.
    pub cells: Vec<Vec<MatrixCell>>,
}

/// Queries of one client that one program hits.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct MatrixCell {
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
}

/// A client that looks for a way round this resolver.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BypassRow {
    pub client: String,
    /// Of the client's own queries.
    pub attempts: Share,
    /// Names they were for.
    pub names: u64,
    /// The name asked most for it.
    pub most_asked: String,
}

/// An exception of the owner's.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ExceptionRow {
    /// `file:line`.
    pub place: String,
    /// It matched these, of all queries.
    pub queries: Share,
    pub first: Option<Moment>,
    pub last: Option<Moment>,
}

/// What else the names hit have to do with, as far as this traffic shows.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Collateral {
    pub names: Top<NameRow>,
    /// Seconds within which asking again counts as a retry.
    pub retry_seconds: u64,
    /// Retries from which on a row of them counts.
    pub retries_min: u64,
}

/// A name that is blocked or would be.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NameRow {
    pub name: String,
    pub domain: String,
    pub programs: Vec<String>,
    pub blocked: u64,
    pub would_block: u64,
    /// Queries for it that an exception let pass: at another time, or for other clients.
    pub excepted: u64,
    /// Exceptions that matched names of its registrable domain: somebody wanted these to pass. As `file:line` if they are
    /// the owner's, as `program/service list:line` if they are a list's.
    pub exceptions: Vec<String>,
    pub clients: Share,
    /// Aliases and addresses that it is known to lead to. 0: no answer was seen, so nothing is known of what it shares.
    pub targets: u64,
    /// Names of other registrable domains that share a target with it.
    pub sharing: Sharing,
    /// The same, of its own registrable domain.
    pub own_domain: Sharing,
    /// The most asked of these, other domains first.
    pub neighbours: Vec<Neighbour>,
    pub retries: RetryRow,
}

/// Names that are never hit, and share an alias target or an address with one that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Sharing {
    pub names: u64,
    /// Queries for them.
    pub queries: u64,
    /// Clients that ask for them.
    pub clients: u64,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Neighbour {
    pub name: String,
    /// `alias` or `address`.
    pub via: &'static str,
    /// What they share; one of them if it is more.
    pub target: String,
    pub same_domain: bool,
    pub queries: u64,
    pub clients: u64,
}

/// Rows of retries after a block: a guess at what somebody missed. Programs retry by themselves too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct RetryRow {
    /// Times that a client asked again and again.
    pub rows: u64,
    /// Queries in them, but for the first of each.
    pub queries: u64,
    pub clients: u64,
}

/// What is not in the tables. All 0 if everything is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Limits {
    /// Queries that are in the totals and the time line alone, because there are too many names, clients or rules.
    pub queries_without_tables: u64,
    /// Queries that the time line lacks.
    pub queries_without_time: u64,
    /// Answers that collateral wasn't looked for in.
    pub answers_without_look: u64,
    /// Blocked queries that retries weren't looked for in: of some only sums are left, and of many there is no room.
    pub queries_without_retries: u64,
    /// Queries that the tables by group, type and transport lack, because there are too many of these.
    pub queries_without_kinds: u64,
}

impl Report {
    /// The same with the rules that never hit, which say of lists that had several texts how many these are.
    pub fn with_never_hit(mut self, never_hit: Vec<NeverHit>) -> Self {
        for row in self.lists.iter_mut().filter(|row| row.versions.there_are > 1 && row.rules.is_some()) {
            let is_of_it =
                |of: &&NeverHit| (&of.program, &of.service, &of.list) == (&row.program, &row.service, &row.list);
            let quiet = never_hit.iter().find(is_of_it).map(|quiet| quiet.there_are);
            row.rules_never_hit = row.rules_never_hit.or(quiet);
        }
        Self { rules_never_hit: never_hit, ..self }
    }

    /// Takes over what was filtered by.
    pub(super) fn only(&mut self, filter: &Filter) {
        self.only_program.clone_from(&filter.program);
        self.only_client.clone_from(&filter.client);
    }
}
