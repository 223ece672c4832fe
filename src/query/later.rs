//! The slow half of the flow: what must be looked for.

use super::{
    ANSWER_WITHIN, CacheUse, Pipeline, QueryRecord, Terms,
    links::links,
    local::{LocalAnswer, LocalEnd},
    own::Own,
    response_bytes_max,
    sought::{Elsewhere, Found, Sought},
    special,
    turn::Turn,
};
use crate::{
    dns::{Name, Query, Question, Rcode, Record, RrType, Transport},
    policy::{Asking, Client, Link, Needs, Pause, Policy, Verdict},
    resolve::{NameServersWanted, Resolution, Security},
    response::{self, Blocked, Reply},
};
use smallvec::SmallVec;
use std::{sync::Arc, time::Instant};
use tokio::sync::OwnedSemaphorePermit;

/// A query on its way to its answer.
pub struct Pending {
    pub(super) query: Query,
    pub(super) header_and_question: SmallVec<[u8; 64]>,
    pub(super) policy: Arc<Policy>,
    pub(super) later: Later,
    pub(super) transport: Transport,
    pub(super) received: Instant,
    /// Held until its response is sent.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// What was decided at once, for the half that comes later.
pub(super) struct Later {
    pub verdict: Verdict,
    /// What the list's own answer leads to, if the question is blocked by one.
    pub follow: Option<Box<Name>>,
    /// What is looked for, behind which aliases of the owner's: of the question, or of what the list's answer leads to.
    pub elsewhere: Elsewhere,
    /// Those that the question was decided by.
    pub terms: Arc<Terms>,
    pub client: Client<'static>,
    /// Seconds since 1970 (UTC), as the question was decided.
    pub now: i64,
    pub pauses: Arc<Vec<Pause>>,
}

impl Later {
    pub fn new(
        turn: &Turn,
        verdict: Verdict,
        follow: Option<Box<Name>>,
        elsewhere: Elsewhere,
        client: Client<'static>,
    ) -> Self {
        let (terms, pauses) = (Arc::clone(&turn.terms), Arc::clone(&turn.pauses));
        Self { verdict, follow, elsewhere, terms, client, now: turn.now, pauses }
    }
}

impl Pipeline {
    /// Looks for the answer that `answer_now` had not, writes it, and returns what happened; nothing is written for a
    /// query that gets no answer. Takes no longer than `ANSWER_WITHIN` from when the query came in.
    pub async fn answer<'q>(&self, pending: &'q Pending, out: &mut Vec<u8>) -> QueryRecord<'q> {
        let Pending { query, header_and_question, policy, later, transport, received, .. } = pending;
        let Later { verdict, follow, elsewhere: Elsewhere { aliases, looked }, terms, client, now, pauses } = later;
        let verdict = verdict.clone();
        let mut record = QueryRecord::new(client.address, *transport, *received);
        record.question = Some(&query.question);
        record.bypass = special::asks_for_a_way_round(&query.question.name);
        let reply = Reply::to(query, header_and_question, response_bytes_max(*transport, query.udp_size()));
        let deadline = *received + ANSWER_WITHIN;
        let looked = looked.clone();
        if follow.is_some() {
            record.decided(policy, verdict, Vec::new());
            let found = behind(aliases, self.finder.find(looked, deadline).await.resolution);
            write_followed(&reply, query, &[], &found, &mut record, out);
            return record;
        }
        let Question { name, rr_type, .. } = &query.question;
        let asking = Asking { name, rr_type: *rr_type, client: *client, now: *now, pauses };
        let sought = looked.sought.name;
        let found = self.finder.find(looked, deadline).await;
        let found = Found { resolution: behind(aliases, found.resolution), ..found };
        if found.cache == CacheUse::Miss {
            (record.upstream, record.server) = (Some(self.finder.upstream(&sought)), found.resolution.server);
            record.answer = Some(found.resolution.clone());
        }
        if let Some(target) = conclude(&reply, query, policy, &asking, verdict, &found, &mut record, out) {
            let target = self.find_target(terms, *target, *rr_type, deadline).await;
            write_followed(&reply, query, &found.resolution.answer, &target, &mut record, out);
        }
        record
    }

    /// What the name that a list's own alias leads to has: that is given as it is, for the list has had its word.
    async fn find_target(&self, terms: &Terms, target: Name, rr_type: RrType, deadline: Instant) -> Arc<Resolution> {
        match terms.target(target, rr_type) {
            Ok(own) => Arc::new(own),
            Err(elsewhere) => {
                let (aliases, sought) = *elsewhere;
                let found = self.finder.find(self.finder.look(sought), deadline).await;
                behind(&aliases, found.resolution)
            }
        }
    }
}

impl Terms {
    /// What the name that a list's own alias leads to has, or what must be looked for, behind which of the owner's aliases:
    /// the owner's names and special-use names stand before any resolution, here as in a question.
    pub(super) fn target(&self, target: Name, rr_type: RrType) -> Result<Resolution, Box<(Vec<Record>, Sought)>> {
        let elsewhere = || LocalAnswer { records: Vec::new(), name: target, end: LocalEnd::Elsewhere };
        match self.own(self.local.find(&target, rr_type).unwrap_or_else(elsewhere), rr_type) {
            Own::Answer(rcode, answer, denied) => Ok(Resolution {
                rcode,
                answer,
                authority: denied.map(response::local_denial).into_iter().collect(),
                security: Security::Insecure,
                ede: None,
                delegations: Vec::new(),
                unheard: false,
                server: None,
            }),
            Own::Leads(aliases, name) => {
                let name_servers = NameServersWanted::No;
                Err(Box::new((aliases, Sought { name, rr_type, dnssec_ok: false, cd: false, name_servers })))
            }
        }
    }
}

/// Judges what was found, behind the owner's own aliases if there are any, and writes the response. The name given back is
/// the target of a list's own alias: what that has must be known first, and nothing is written.
#[expect(clippy::too_many_arguments, reason = "what a query on its way consists of")]
pub(super) fn conclude<'q>(
    reply: &Reply<'_>,
    query: &Query,
    policy: &'q Arc<Policy>,
    asking: &Asking<'_>,
    verdict: Verdict,
    found: &Found,
    record: &mut QueryRecord<'q>,
    out: &mut Vec<u8>,
) -> Option<Box<Name>> {
    let Found { resolution, cache } = found;
    record.security = Some(resolution.security);
    record.cache = Some(*cache);
    let needs = policy.needs_for(&verdict);
    let (links, verdict) = judge(policy, asking, verdict, resolution, needs, query.cd);
    record.decided(policy, verdict, links);
    match response::blocked(reply, query, policy, &record.verdict, &resolution.answer, out) {
        None => {
            let (rcode, ede) = response::resolved(reply, query, resolution, out);
            record.answered(rcode, ede);
        }
        Some(Blocked::Written(rcode, ede)) => record.answered(rcode, Some(ede)),
        Some(Blocked::Dropped) => {
            out.clear();
            record.dropped();
        }
        Some(Blocked::Follow(target)) => return Some(target),
    }
    None
}

/// Writes the answer that a list gives in the form of an alias, of which it is known what it leads to.
pub(super) fn write_followed(
    reply: &Reply<'_>,
    query: &Query,
    chain: &[Record],
    target: &Resolution,
    record: &mut QueryRecord<'_>,
    out: &mut Vec<u8>,
) {
    let is_of_use = target.rcode != Rcode::SERVFAIL && target.security != Security::Bogus;
    let written = record
        .policy
        .filter(|_| is_of_use)
        .and_then(|policy| response::followed(reply, query, policy, &record.verdict, chain, target, out));
    match written {
        Some((rcode, ede)) => record.answered(rcode, Some(ede)),
        None => {
            reply.bare(Rcode::SERVFAIL, target.ede.as_ref(), out);
            record.answered(Rcode::SERVFAIL, target.ede.as_ref().map(|ede| ede.code));
        }
    }
}

/// The verdict on what an answer leads to, and that. One that breaks DNSSEC leads nowhere, unless the client wants it all
/// the same (`cd`).
pub(super) fn judge(
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
pub(super) fn behind(aliases: &[Record], resolution: Arc<Resolution>) -> Arc<Resolution> {
    if aliases.is_empty() {
        return resolution;
    }
    let mut whole = Resolution::clone(&resolution);
    whole.answer.splice(0..0, aliases.iter().cloned());
    if whole.security == Security::Secure {
        whole.security = Security::Insecure;
    }
    Arc::new(whole)
}
