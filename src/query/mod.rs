//! The flow of a query, top to bottom, in two speeds.
//!
//! `answer_now` is synchronous and awaits nothing: it reads the query, decides on the question, and writes the
//! response if it can. What it can't finish goes to `answer` with the policy and the question's verdict, so that a
//! query is decided by one policy and counted once.

mod access;
mod hosts;
mod local;
mod record;
mod special;

pub use access::AccessList;
pub use hosts::{HostsFile, read_hosts};
pub use local::LocalData;
pub use record::QueryRecord;
pub use special::SpecialNames;

use crate::{
    dns::{ExtendedError, HEADER_BYTES, Name, Query, Question, Rcode, Record, Reject, RrType, Transport, parse_query},
    policy::{Alias, Policy, Trigger, Verdict},
    resolve::{Resolution, Resolve, Security, Wanted},
    response::{self, Reply, UDP_PAYLOAD_BYTES},
};
use arc_swap::ArcSwapOption;
use local::{LocalAnswer, LocalEnd};
use smallvec::SmallVec;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When a query is answered at the latest. Stub resolvers ask again after five seconds; what comes after four is late.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(3800);
/// How long a resolution may go on after its client was told that it failed: what it still finds serves the next.
const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
/// Resolutions in flight at most. Each costs a few sockets and tens of kilobytes.
pub const MISSES_MAX: usize = 2048;
/// Octets that every client takes over UDP (RFC 1035 §2.3.4).
const UDP_BYTES_MIN: usize = 512;
/// Aliases that the policy looks at. The chase follows twelve; an answer may hold several SVCB targets besides.
const ALIASES_MAX: usize = 64;

/// Answers queries. Shared by all listeners.
pub struct Pipeline {
    /// `None` until the first policy is in force.
    policy: Arc<ArcSwapOption<Policy>>,
    access: AccessList,
    local: LocalData,
    special: SpecialNames,
    resolver: Arc<dyn Resolve>,
    misses: Arc<Semaphore>,
    /// Days since 1970-01-01 (UTC).
    today: Arc<dyn Fn() -> i64 + Send + Sync>,
}

/// What became of a packet at once.
pub enum Now {
    /// It gets no answer.
    Silent,
    /// The response is in the buffer.
    Answered(Box<QueryRecord>),
    /// The answer must be looked for.
    Later(Box<Pending>),
}

/// A query on its way to its answer.
pub struct Pending {
    query: Query,
    header_and_question: SmallVec<[u8; 64]>,
    policy: Arc<Policy>,
    verdict: Verdict,
    /// The owner's own aliases that lead from the question to the name that is looked for.
    aliases: Vec<Record>,
    client: IpAddr,
    transport: Transport,
    received: Instant,
    /// Held until the resolution ends, even if its client was answered before.
    permit: OwnedSemaphorePermit,
}

/// What would become of a question, and why; for people who ask.
pub struct Explanation {
    pub policy: Arc<Policy>,
    pub verdict: Verdict,
    /// The name asked, then each alias.
    pub chain: Vec<Alias>,
    /// `None`: the question alone decided.
    pub resolution: Option<Resolution>,
    /// Why nothing is resolved although nothing is blocked: this resolver answers such a question by itself.
    pub own_answer: Option<&'static str>,
}

impl Pipeline {
    pub fn new(
        policy: Arc<ArcSwapOption<Policy>>,
        access: AccessList,
        local: LocalData,
        special: SpecialNames,
        resolver: Arc<dyn Resolve>,
        today: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Self {
        Self { policy, access, local, special, resolver, misses: Arc::new(Semaphore::new(MISSES_MAX)), today }
    }

    /// Answers a packet, or says that it takes longer. Never blocks.
    pub fn answer_now(
        &self,
        packet: &[u8],
        client: IpAddr,
        transport: Transport,
        received: Instant,
        out: &mut Vec<u8>,
    ) -> Now {
        if !crate::dns::is_query(packet) {
            return Now::Silent;
        }
        let client = client.to_canonical();
        let mut record = QueryRecord::new(client, transport, received);
        let query = match parse_query(packet) {
            Ok(query) => query,
            Err(Reject::Silent) => return Now::Silent,
            Err(Reject::Answer { rcode, id, opcode, rd, cd, question_bytes, edns }) => {
                let question = &packet[HEADER_BYTES..HEADER_BYTES + question_bytes];
                // What the client takes is not known of a query that can't be read.
                let limit = response_bytes_max(transport, 0);
                let reply = Reply { id, opcode, rd, cd, question, edns, limit };
                let refused = (!self.access.allows(client)).then(|| access_refusal(client));
                let rcode = if refused.is_some() { Rcode::REFUSED } else { rcode };
                reply.bare(rcode, refused.as_ref(), out);
                return record.answered(rcode, refused);
            }
        };
        record.question = Some(query.question);
        let reply = Reply::to(&query, packet, response_bytes_max(transport, query.udp_size()));
        let refuse = |record: QueryRecord, rcode: Rcode, ede: ExtendedError, out: &mut Vec<u8>| {
            reply.bare(rcode, Some(&ede), out);
            record.answered(rcode, Some(ede))
        };
        if !self.access.allows(client) {
            return refuse(record, Rcode::REFUSED, access_refusal(client), out);
        }
        if let Some(local) = self.local.find(&query.question.name, query.question.rr_type) {
            return self.answer_local(&reply, query, packet, local, record, out);
        }
        if let Some(rcode) = self.answer_special(&reply, &query, out) {
            return record.answered(rcode, None);
        }
        let guard = self.policy.load();
        let Some(policy) = guard.as_ref() else {
            let ede = ExtendedError::new(ExtendedError::NOT_READY, "no policy is loaded yet");
            return refuse(record, Rcode::SERVFAIL, ede, out);
        };
        let verdict = policy.on_question(&query.question.name, (self.today)());
        if let Some((rcode, ede)) = response::blocked(&reply, &query, policy, &verdict, out) {
            record.decided(policy, verdict, Vec::new());
            record.ede = Some(ede);
            return record.answered(rcode, None);
        }
        if query.question.rr_type == RrType::ANY {
            record.decided(policy, verdict, Vec::new());
            answer_any(&reply, &query, out);
            return record.answered(Rcode::NOERROR, None);
        }
        if !query.rd {
            record.decided(policy, verdict, Vec::new());
            let ede = ExtendedError::new(ExtendedError::NOT_AUTHORITATIVE, "recursion was not desired");
            return refuse(record, Rcode::REFUSED, ede, out);
        }
        self.answer_later(&reply, query, packet, policy, verdict, Vec::new(), record, out)
    }

    /// Looks for the answer that `answer_now` had not, writes it, and returns what happened. Takes no longer than
    /// `ANSWER_WITHIN` from when the query came in.
    pub async fn answer(&self, pending: Pending, out: &mut Vec<u8>) -> Box<QueryRecord> {
        let Pending { query, header_and_question, policy, verdict, aliases, client, transport, received, permit } =
            pending;
        let mut record = QueryRecord::new(client, transport, received);
        record.question = Some(query.question);
        let reply = Reply::to(&query, &header_and_question, response_bytes_max(transport, query.udp_size()));
        let sought = aliases.last().and_then(Record::target).unwrap_or(query.question.name);
        let resolution = behind(aliases, self.resolve(&query, sought, received + ANSWER_WITHIN, permit).await);
        record.security = Some(resolution.security);
        let Question { name, rr_type, .. } = &query.question;
        let (chain, verdict) = self.judge(&policy, name, *rr_type, verdict, &resolution, query.cd);
        record.decided(&policy, verdict, chain);
        if let Some((rcode, ede)) = response::blocked(&reply, &query, &policy, &record.verdict, out) {
            record.ede = Some(ede);
            return record.finished(rcode);
        }
        let rcode = response::resolved(&reply, &query, &resolution, out);
        record.ede = resolution.ede.map(|ede| ede.code);
        record.finished(rcode)
    }

    /// What would become of a question from `client`, by the very steps that an answer takes.
    pub async fn explain(&self, name: Name, rr_type: RrType) -> Option<Explanation> {
        let policy = self.policy.load_full()?;
        let local = self.local.find(&name, rr_type);
        let (is_local, is_special) = (local.is_some(), local.is_none() && self.special.find(&name).is_some());
        let leads_on =
            |local: &LocalAnswer| local.end == LocalEnd::Elsewhere && self.special.find(&local.name).is_none();
        let own_aliases = local.filter(leads_on).map_or(Vec::new(), |local| local.records);
        let verdict =
            if is_local || is_special { Verdict::default() } else { policy.on_question(&name, (self.today)()) };
        let own_answer = match rr_type {
            _ if verdict.block().is_some() => None,
            _ if is_local && own_aliases.is_empty() => {
                Some("a name of your own ([local]), answered here before any policy")
            }
            _ if is_special => Some("a special-use name, answered here before any policy"),
            RrType::ANY => Some("questions for ANY get the minimal answer of RFC 8482"),
            RrType::AXFR | RrType::IXFR => Some("zone transfers are refused"),
            _ => None,
        };
        if own_answer.is_some() || verdict.block().is_some() {
            let chain = vec![Alias { name, trigger: Trigger::Qname }];
            return Some(Explanation { policy, verdict, chain, resolution: None, own_answer });
        }
        let sought = own_aliases.last().and_then(Record::target).unwrap_or(name);
        let resolution =
            self.find(sought, rr_type, Wanted { validated: true }, Instant::now() + ANSWER_WITHIN, None).await;
        let resolution = behind(own_aliases, resolution);
        let (aliases, verdict) = self.judge(&policy, &name, rr_type, verdict, &resolution, false);
        let chain = std::iter::once(Alias { name, trigger: Trigger::Qname }).chain(aliases).collect();
        Some(Explanation { policy, verdict, chain, resolution: Some(resolution), own_answer: None })
    }

    /// Whether clients at this address are answered.
    pub fn admits(&self, client: IpAddr) -> bool {
        self.access.allows(client.to_canonical())
    }

    /// How many more resolutions may start now.
    pub fn misses_free(&self) -> usize {
        self.misses.available_permits()
    }

    /// The verdict on what an answer leads to. One that breaks DNSSEC leads nowhere, unless the client wants it all
    /// the same (`cd`).
    fn judge(
        &self,
        policy: &Policy,
        name: &Name,
        rr_type: RrType,
        verdict: Verdict,
        resolution: &Resolution,
        cd: bool,
    ) -> (Vec<Alias>, Verdict) {
        if resolution.security == Security::Bogus && !cd {
            return (Vec::new(), verdict);
        }
        let aliases = aliases(name, rr_type, &resolution.answer);
        let verdict = policy.on_answer(&verdict, &aliases, (self.today)());
        (aliases, verdict)
    }

    async fn resolve(&self, query: &Query, name: Name, deadline: Instant, permit: OwnedSemaphorePermit) -> Resolution {
        let wanted = Wanted { validated: !query.cd };
        self.find(name, query.question.rr_type, wanted, deadline, Some(permit)).await
    }

    /// Leaves a query to the slow half, if there is room. The names after `aliases` are looked for.
    #[expect(clippy::too_many_arguments, reason = "everything that is known of the query by then")]
    fn answer_later(
        &self,
        reply: &Reply<'_>,
        query: Query,
        packet: &[u8],
        policy: &Arc<Policy>,
        verdict: Verdict,
        aliases: Vec<Record>,
        mut record: QueryRecord,
        out: &mut Vec<u8>,
    ) -> Now {
        let Ok(permit) = self.misses.clone().try_acquire_owned() else {
            record.decided(policy, verdict, Vec::new());
            let ede = ExtendedError::new(0, "too many questions are being resolved");
            reply.bare(Rcode::SERVFAIL, Some(&ede), out);
            return record.answered(Rcode::SERVFAIL, Some(ede));
        };
        Now::Later(Box::new(Pending {
            query,
            header_and_question: packet[..HEADER_BYTES + query.question_bytes].into(),
            policy: policy.clone(),
            verdict,
            aliases,
            client: record.client,
            transport: record.transport,
            received: record.received,
            permit,
        }))
    }

    /// Answers from the owner's own records. Where their aliases lead to other names, those are looked for, and what
    /// they lead to is judged by the policy like any alias.
    fn answer_local(
        &self,
        reply: &Reply<'_>,
        query: Query,
        packet: &[u8],
        local: LocalAnswer,
        record: QueryRecord,
        out: &mut Vec<u8>,
    ) -> Now {
        let LocalAnswer { mut records, name, end } = local;
        let (mut rcode, mut denied) = (Rcode::NOERROR, None);
        match (end, self.special.find(&name)) {
            (LocalEnd::Data, _) => {}
            (LocalEnd::NoData, _) => denied = Some(name),
            (LocalEnd::Elsewhere, Some(special)) => {
                let rr_type = query.question.rr_type;
                let (code, data) = special.answer(&name, rr_type);
                (rcode, denied) = (code, data.is_none().then(|| special.zone()));
                records.extend(data.map(|data| response::own_record(name, rr_type, data)));
            }
            // Without recursion, this is all there is.
            (LocalEnd::Elsewhere, None) if !query.rd => {}
            (LocalEnd::Elsewhere, None) => {
                if let Some(policy) = self.policy.load().as_ref() {
                    return self.answer_later(reply, query, packet, policy, Verdict::default(), records, record, out);
                }
            }
        }
        response::local(reply, rcode, &records, denied, out);
        record.answered(rcode, None)
    }

    /// Answers what by convention never leaves this resolver (RFC 6761, RFC 6303).
    fn answer_special(&self, reply: &Reply<'_>, query: &Query, out: &mut Vec<u8>) -> Option<Rcode> {
        let Question { name, rr_type, .. } = query.question;
        let special = self.special.find(&name)?;
        let (rcode, data) = special.answer(&name, rr_type);
        match data {
            Some(data) => response::conventional_answer(reply, name, rr_type, &data, out),
            None => response::conventional_denial(reply, rcode, special.zone(), out),
        }
        Some(rcode)
    }

    /// Resolves in a task of its own: a client that goes away, or is told that time is up, stops nothing that another
    /// may be waiting for.
    async fn find(
        &self,
        name: Name,
        rr_type: RrType,
        wanted: Wanted,
        deadline: Instant,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Resolution {
        let resolving = self.resolver.resolve(name, rr_type, wanted);
        let task = tokio::spawn(async move {
            let result = tokio::time::timeout(RESOLVE_WITHIN, resolving).await;
            drop(permit);
            result
        });
        match tokio::time::timeout_at(deadline.into(), task).await {
            Ok(Ok(Ok(resolution))) => resolution,
            Ok(Err(error)) => {
                tracing::error!(%name, %rr_type, %error, "resolution failed unexpectedly");
                Resolution::failed(ExtendedError::new(0, "internal error"))
            }
            Err(_) | Ok(Ok(Err(_))) => Resolution::failed(ExtendedError::new(
                ExtendedError::NO_REACHABLE_AUTHORITY,
                format!("no name server answered for {name} in time"),
            )),
        }
    }
}

/// Octets that a response may have. `udp_size` is what the client says it takes.
fn response_bytes_max(transport: Transport, udp_size: usize) -> usize {
    match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => udp_size.clamp(UDP_BYTES_MIN, UDP_PAYLOAD_BYTES),
    }
}

fn access_refusal(client: IpAddr) -> ExtendedError {
    ExtendedError::new(ExtendedError::PROHIBITED, format!("{client} is not in [access] allow"))
}

/// The minimal answer to type ANY (RFC 8482 §4.2).
fn answer_any(reply: &Reply<'_>, query: &Query, out: &mut Vec<u8>) {
    response::conventional_answer(reply, query.question.name, RrType::HINFO, b"\x07RFC8482\x00", out);
}

/// An answer behind the owner's own aliases, which nobody signed.
fn behind(mut aliases: Vec<Record>, mut resolution: Resolution) -> Resolution {
    if !aliases.is_empty() {
        aliases.append(&mut resolution.answer);
        resolution.answer = aliases;
        if resolution.security == Security::Secure {
            resolution.security = Security::Insecure;
        }
    }
    resolution
}

/// The names that an answer leads to: its alias chain in order, then the targets of HTTPS and SVCB records.
fn aliases(qname: &Name, rr_type: RrType, answer: &[Record]) -> Vec<Alias> {
    let mut aliases: Vec<Alias> = Vec::new();
    let mut name = *qname;
    while aliases.len() < ALIASES_MAX {
        let own = answer.iter().find(|record| record.rr_type == RrType::CNAME && record.owner == name);
        let Some(target) = own.and_then(Record::target) else {
            break;
        };
        let above = |record: &Record| {
            record.rr_type == RrType::DNAME && name != record.owner && name.is_at_or_below(&record.owner)
        };
        let trigger = if answer.iter().any(above) { Trigger::Dname } else { Trigger::Cname };
        aliases.push(Alias { name: target, trigger });
        if rr_type == RrType::CNAME || target == *qname {
            break;
        }
        name = target;
    }
    for target in answer.iter().filter_map(Record::service_target) {
        if aliases.len() < ALIASES_MAX && target != *qname && !aliases.iter().any(|alias| alias.name == target) {
            aliases.push(Alias { name: target, trigger: Trigger::SvcbTarget });
        }
    }
    aliases
}
