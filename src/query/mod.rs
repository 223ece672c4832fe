//! The flow of a query, top to bottom, in two speeds.
//!
//! `answer_now` is synchronous and awaits nothing: it reads the query, decides on the question, and writes the
//! response if it can. What it can't finish goes to `answer` with the policy and the question's verdict, so that a
//! query is decided by one policy and counted once.

mod access;
mod hosts;
mod links;
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
    pause::Pauses,
    policy::{Asking, Client, Link, Needs, Pause, Policy, Trigger, Verdict},
    resolve::{NameServersWanted, Resolution, Resolve, Security, Wanted},
    response::{self, Blocked, Reply, UDP_PAYLOAD_BYTES},
};
use arc_swap::ArcSwapOption;
use links::{links, name_servers_wanted};
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

/// Answers queries. Shared by all listeners.
pub struct Pipeline {
    /// `None` until the first policy is in force.
    policy: Arc<ArcSwapOption<Policy>>,
    access: AccessList,
    local: LocalData,
    special: SpecialNames,
    resolver: Arc<dyn Resolve>,
    misses: Arc<Semaphore>,
    pauses: Arc<Pauses>,
    surroundings: Surroundings,
}

/// What the flow asks of the world for each query.
pub struct Surroundings {
    /// Seconds since 1970 (UTC).
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// The hardware address behind a client's address, if this machine knows it. Asked only where a group is told by
    /// one.
    pub mac: Arc<dyn Fn(IpAddr) -> Option<[u8; 6]> + Send + Sync>,
}

/// What became of a packet at once.
pub enum Now {
    /// It is no query, and gets no answer.
    Silent,
    /// It gets no answer because a program says so.
    Dropped(Box<QueryRecord>),
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
    later: Later,
    transport: Transport,
    received: Instant,
    /// Held until the resolution ends, even if its client was answered before.
    permit: OwnedSemaphorePermit,
}

/// What was decided at once, for the half that comes later.
struct Later {
    verdict: Verdict,
    /// What the list's own answer leads to, if the question is blocked by one.
    follow: Option<Name>,
    /// The owner's own aliases that lead from the question to the name that is looked for.
    aliases: Vec<Record>,
    client: Client<'static>,
    /// Seconds since 1970 (UTC), as the question was decided.
    now: i64,
    pauses: Arc<Vec<Pause>>,
}

/// What this resolver says by itself, and what it must look for.
enum Own {
    /// Code and records; the name or zone that is denied, if one is.
    Answer(Rcode, Vec<Record>, Option<Name>),
    /// Aliases, and the name that they lead to.
    Leads(Vec<Record>, Name),
}

/// What would become of a question, and why; for people who ask.
pub struct Explanation {
    pub policy: Arc<Policy>,
    pub verdict: Verdict,
    /// The name asked, then each thing that its answer leads to.
    pub links: Vec<Link>,
    /// The client's hardware address, as far as it told the group.
    pub mac: Option<[u8; 6]>,
    /// Seconds since 1970 (UTC) at which it was decided.
    pub now: i64,
    pub pauses: Arc<Vec<Pause>>,
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
        pauses: Arc<Pauses>,
        surroundings: Surroundings,
    ) -> Self {
        let misses = Arc::new(Semaphore::new(MISSES_MAX));
        Self { policy, access, local, special, resolver, misses, pauses, surroundings }
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
        record.bypass = special::asks_for_a_way_round(&query.question.name);
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
        let (now, pauses) = ((self.surroundings.now)(), self.pauses.current());
        let client = self.client(client, transport, policy);
        let Question { name, rr_type, .. } = &query.question;
        let verdict = policy.on_question(&Asking { name, rr_type: *rr_type, client, now, pauses: &pauses });
        let mut follow = None;
        match response::blocked(&reply, &query, policy, &verdict, &[], out) {
            None => {}
            Some(Blocked::Written(rcode, ede)) => {
                record.decided(policy, verdict, Vec::new());
                record.ede = Some(ede);
                return record.answered(rcode, None);
            }
            Some(Blocked::Dropped) => {
                record.decided(policy, verdict, Vec::new());
                return Now::Dropped(record.dropped());
            }
            Some(Blocked::Follow(target)) => follow = Some(target),
        }
        if query.question.rr_type == RrType::ANY && follow.is_none() {
            record.decided(policy, verdict, Vec::new());
            answer_any(&reply, &query, out);
            return record.answered(Rcode::NOERROR, None);
        }
        if !query.rd {
            record.decided(policy, verdict, Vec::new());
            let ede = ExtendedError::new(ExtendedError::NOT_AUTHORITATIVE, "recursion was not desired");
            return refuse(record, Rcode::REFUSED, ede, out);
        }
        let later = Later { verdict, follow, aliases: Vec::new(), client, now, pauses: Arc::clone(&pauses) };
        self.answer_later(&reply, query, packet, policy, later, record, out)
    }

    /// Looks for the answer that `answer_now` had not, writes it, and returns what happened; nothing is written for a
    /// query that gets no answer. Takes no longer than `ANSWER_WITHIN` from when the query came in.
    pub async fn answer(&self, pending: Pending, out: &mut Vec<u8>) -> Box<QueryRecord> {
        let Pending { query, header_and_question, policy, later, transport, received, permit } = pending;
        let Later { verdict, follow, aliases, client, now, pauses } = later;
        let mut record = QueryRecord::new(client.address, transport, received);
        record.question = Some(query.question);
        record.bypass = special::asks_for_a_way_round(&query.question.name);
        let reply = Reply::to(&query, &header_and_question, response_bytes_max(transport, query.udp_size()));
        let deadline = received + ANSWER_WITHIN;
        if let Some(target) = follow {
            record.decided(&policy, verdict, Vec::new());
            return self.answer_followed(&reply, &query, &[], target, deadline, Some(permit), record, out).await;
        }
        let Question { name, rr_type, .. } = &query.question;
        let asking = Asking { name, rr_type: *rr_type, client, now, pauses: &pauses };
        let needs = policy.needs_for(&verdict);
        let wanted = Wanted { validated: !query.cd, name_servers: name_servers_wanted(needs) };
        let sought = aliases.last().and_then(Record::target).unwrap_or(*name);
        let resolution = behind(aliases, self.find(sought, *rr_type, wanted, deadline, Some(permit)).await);
        record.security = Some(resolution.security);
        let (links, verdict) = judge(&policy, &asking, verdict, &resolution, needs, query.cd);
        record.decided(&policy, verdict, links);
        match response::blocked(&reply, &query, &policy, &record.verdict, &resolution.answer, out) {
            None => {}
            Some(Blocked::Written(rcode, ede)) => {
                record.ede = Some(ede);
                return record.finished(rcode);
            }
            Some(Blocked::Dropped) => {
                out.clear();
                return record.dropped();
            }
            Some(Blocked::Follow(target)) => {
                let chain = &resolution.answer;
                return self.answer_followed(&reply, &query, chain, target, deadline, None, record, out).await;
            }
        }
        let rcode = response::resolved(&reply, &query, &resolution, out);
        record.ede = resolution.ede.map(|ede| ede.code);
        record.finished(rcode)
    }

    /// Writes the answer that a list gives in the form of an alias: what the alias leads to is looked for, and given as
    /// it is, for the list has had its word.
    #[expect(clippy::too_many_arguments, reason = "what a query on its way consists of")]
    async fn answer_followed(
        &self,
        reply: &Reply<'_>,
        query: &Query,
        chain: &[Record],
        target: Name,
        deadline: Instant,
        permit: Option<OwnedSemaphorePermit>,
        mut record: QueryRecord,
        out: &mut Vec<u8>,
    ) -> Box<QueryRecord> {
        let found = self.find_target(target, query.question.rr_type, deadline, permit).await;
        let is_of_use = found.rcode != Rcode::SERVFAIL && found.security != Security::Bogus;
        let policy = record.policy.clone();
        let written = policy
            .filter(|_| is_of_use)
            .and_then(|policy| response::followed(reply, query, &policy, &record.verdict, chain, &found, out));
        match written {
            Some((rcode, ede)) => {
                record.ede = Some(ede);
                record.finished(rcode)
            }
            None => {
                record.ede = found.ede.as_ref().map(|ede| ede.code);
                reply.bare(Rcode::SERVFAIL, found.ede.as_ref(), out);
                record.finished(Rcode::SERVFAIL)
            }
        }
    }

    /// What would become of a question from a client, by the very steps that an answer takes.
    pub async fn explain(&self, name: Name, rr_type: RrType, client: Client<'_>) -> Option<Explanation> {
        let (own_aliases, explanation) = self.explain_question(name, rr_type, client)?;
        if explanation.own_answer.is_some() || explanation.verdict.block().is_some() {
            return Some(explanation);
        }
        let Explanation { policy, verdict, mut links, mac, now, pauses, .. } = explanation;
        let asking = Asking { name: &name, rr_type, client: Client { mac, ..client }, now, pauses: &pauses };
        let needs = policy.needs_for(&verdict);
        let wanted = Wanted { validated: true, name_servers: name_servers_wanted(needs) };
        let sought = own_aliases.last().and_then(Record::target).unwrap_or(name);
        let found = self.find(sought, rr_type, wanted, Instant::now() + ANSWER_WITHIN, None).await;
        let resolution = behind(own_aliases, found);
        let (of_answer, verdict) = judge(&policy, &asking, verdict, &resolution, needs, false);
        links.extend(of_answer);
        let resolution = Some(resolution);
        Some(Explanation { policy, verdict, links, mac, now, pauses, resolution, own_answer: None })
    }

    /// The part of an explanation that takes no resolution, and the owner's aliases that lead from the name asked to
    /// the one that would be resolved.
    pub fn explain_question(
        &self,
        name: Name,
        rr_type: RrType,
        client: Client<'_>,
    ) -> Option<(Vec<Record>, Explanation)> {
        let policy = self.policy.load_full()?;
        let (now, pauses) = ((self.surroundings.now)(), self.pauses.current().clone());
        let mac = client.mac.or_else(|| self.mac(client.address, &policy));
        let asking = Asking { name: &name, rr_type, client: Client { mac, ..client }, now, pauses: &pauses };
        let local = self.local.find(&name, rr_type);
        let (is_local, is_special) = (local.is_some(), local.is_none() && self.special.find(&name).is_some());
        let leads_on =
            |local: &LocalAnswer| local.end == LocalEnd::Elsewhere && self.special.find(&local.name).is_none();
        let own_aliases = local.filter(leads_on).map_or(Vec::new(), |local| local.records);
        let verdict = if is_local || is_special { Verdict::default() } else { policy.on_question(&asking) };
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
        let links = vec![Link::name(name, Trigger::Qname)];
        Some((own_aliases, Explanation { policy, verdict, links, mac, now, pauses, resolution: None, own_answer }))
    }

    fn client(&self, address: IpAddr, transport: Transport, policy: &Policy) -> Client<'static> {
        Client { address, id: None, mac: self.mac(address, policy), tcp: transport == Transport::Tcp }
    }

    fn mac(&self, address: IpAddr, policy: &Policy) -> Option<[u8; 6]> {
        if policy.needs_mac() { (self.surroundings.mac)(address) } else { None }
    }

    /// The pauses there are.
    pub fn pauses(&self) -> &Arc<Pauses> {
        &self.pauses
    }

    /// Seconds since 1970 (UTC), by the clock that decisions go by.
    pub fn now(&self) -> i64 {
        (self.surroundings.now)()
    }

    /// Whether clients at this address are answered.
    pub fn admits(&self, client: IpAddr) -> bool {
        self.access.allows(client.to_canonical())
    }

    /// How many more resolutions may start now.
    pub fn misses_free(&self) -> usize {
        self.misses.available_permits()
    }

    /// Leaves a query to the slow half, if there is room. The name after the aliases is looked for.
    #[expect(clippy::too_many_arguments, reason = "everything that is known of the query by then")]
    fn answer_later(
        &self,
        reply: &Reply<'_>,
        query: Query,
        packet: &[u8],
        policy: &Arc<Policy>,
        later: Later,
        mut record: QueryRecord,
        out: &mut Vec<u8>,
    ) -> Now {
        let Ok(permit) = self.misses.clone().try_acquire_owned() else {
            record.decided(policy, later.verdict, Vec::new());
            let ede = ExtendedError::new(0, "too many questions are being resolved");
            reply.bare(Rcode::SERVFAIL, Some(&ede), out);
            return record.answered(Rcode::SERVFAIL, Some(ede));
        };
        Now::Later(Box::new(Pending {
            query,
            header_and_question: packet[..HEADER_BYTES + query.question_bytes].into(),
            policy: policy.clone(),
            later,
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
        let (rcode, records, denied) = match self.own(local, query.question.rr_type) {
            Own::Answer(rcode, records, denied) => (rcode, records, denied),
            // Without recursion, this is all there is.
            Own::Leads(records, _) if !query.rd => (Rcode::NOERROR, records, None),
            Own::Leads(aliases, _) => {
                let guard = self.policy.load();
                let Some(policy) = guard.as_ref() else {
                    response::local(reply, Rcode::NOERROR, &aliases, None, out);
                    return record.answered(Rcode::NOERROR, None);
                };
                let later = Later {
                    verdict: Verdict::default(),
                    follow: None,
                    aliases,
                    client: self.client(record.client, record.transport, policy),
                    now: (self.surroundings.now)(),
                    pauses: self.pauses.current().clone(),
                };
                return self.answer_later(reply, query, packet, policy, later, record, out);
            }
        };
        response::local(reply, rcode, &records, denied, out);
        record.answered(rcode, None)
    }

    /// How local data goes on where it leads elsewhere: to a special-use name, or to one to be looked for.
    fn own(&self, local: LocalAnswer, rr_type: RrType) -> Own {
        let LocalAnswer { mut records, name, end } = local;
        match (end, self.special.find(&name)) {
            (LocalEnd::Data, _) => Own::Answer(Rcode::NOERROR, records, None),
            (LocalEnd::NoData, _) => Own::Answer(Rcode::NOERROR, records, Some(name)),
            (LocalEnd::Elsewhere, Some(special)) => {
                let (rcode, data) = special.answer(&name, rr_type);
                let denied = data.is_none().then(|| special.zone());
                records.extend(data.map(|data| response::own_record(name, rr_type, data)));
                Own::Answer(rcode, records, denied)
            }
            (LocalEnd::Elsewhere, None) => Own::Leads(records, name),
        }
    }

    /// What the name that a list's own alias leads to has: the owner's names and special-use names stand before any
    /// resolution, here as in a question.
    async fn find_target(
        &self,
        target: Name,
        rr_type: RrType,
        deadline: Instant,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Resolution {
        let elsewhere = || LocalAnswer { records: Vec::new(), name: target, end: LocalEnd::Elsewhere };
        match self.own(self.local.find(&target, rr_type).unwrap_or_else(elsewhere), rr_type) {
            Own::Answer(rcode, answer, denied) => Resolution {
                rcode,
                answer,
                authority: denied.map(response::local_denial).into_iter().collect(),
                security: Security::Insecure,
                ede: None,
                delegations: Vec::new(),
            },
            Own::Leads(aliases, name) => {
                let wanted = Wanted { validated: true, name_servers: NameServersWanted::No };
                behind(aliases, self.find(name, rr_type, wanted, deadline, permit).await)
            }
        }
    }

    /// Answers what by convention never leaves this resolver (RFC 6761, RFC 6303).
    fn answer_special(&self, reply: &Reply<'_>, query: &Query, out: &mut Vec<u8>) -> Option<Rcode> {
        let Question { name, rr_type, .. } = query.question;
        let special = self.special.find(&name)?;
        // RFC 6303 §3: each of these zones has a SOA record.
        if rr_type == RrType::SOA && name == special.zone() {
            response::local(reply, Rcode::NOERROR, &[response::conventional_soa(name)], None, out);
            return Some(Rcode::NOERROR);
        }
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

/// The verdict on what an answer leads to, and that. One that breaks DNSSEC leads nowhere, unless the client wants it all
/// the same (`cd`).
fn judge(
    policy: &Policy,
    asking: &Asking<'_>,
    verdict: Verdict,
    resolution: &Resolution,
    needs: Needs,
    cd: bool,
) -> (Vec<Link>, Verdict) {
    if resolution.security == Security::Bogus && !cd {
        return (Vec::new(), verdict);
    }
    let links = links(asking.name, asking.rr_type, resolution, needs);
    let verdict = policy.on_answer(&verdict, asking, &links);
    (links, verdict)
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
