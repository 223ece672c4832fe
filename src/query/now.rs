//! The fast half of the flow: what is answered at once.

use super::{
    CacheUse, Pipeline, QueryRecord,
    later::{Later, Pending, judge},
    links::{links, name_servers_wanted},
    local::LocalAnswer,
    own::Own,
    response_bytes_max, special,
};
use crate::{
    cache::{Entry, Key, Life},
    dns::{ExtendedError, HEADER_BYTES, Name, Query, Question, Rcode, Reject, RrType, Transport},
    policy::{Asking, Foreseen, Link, Needs, Pause, Policy, Verdict},
    resolve::Security,
    response::{self, Age, Blocked, Reply},
};
use arc_swap::Guard;
use smallvec::SmallVec;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

/// Packets that are answered in one turn at most: as many as wait for memory together.
pub const TURN_PACKETS_MAX: usize = 32;

/// What holds for all packets that are answered in one go: one policy, one time.
pub struct Turn {
    policy: Guard<Option<Arc<Policy>>>,
    pauses: Guard<Arc<Vec<Pause>>>,
    /// Seconds since 1970 (UTC).
    now: i64,
}

/// A packet that was read: who asks what. A place to be filled again and again.
pub struct Asked {
    client: IpAddr,
    transport: Transport,
    received: Instant,
    read: Result<(), Reject>,
    /// Of use if `read` is fine.
    query: Query,
    foreseen: Foreseen,
}

/// What became of a packet at once.
pub enum Now<'q> {
    /// It is no query, and gets no answer.
    Silent,
    /// It gets no answer because a program says so.
    Dropped(QueryRecord<'q>),
    /// The response is in the buffer.
    Answered(QueryRecord<'q>),
    /// The answer must be looked for.
    Later(Box<Pending>),
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            client: Ipv4Addr::UNSPECIFIED.into(),
            transport: Transport::Udp,
            received: Instant::now(),
            read: Err(Reject::Silent),
            query: Query::BLANK,
            foreseen: Foreseen::NOTHING,
        }
    }
}

impl Asked {
    /// Reads a packet. Whatever its octets are, this says no more than what they are.
    pub fn read(&mut self, packet: &[u8], client: IpAddr, transport: Transport, received: Instant) {
        (self.client, self.transport, self.received) = (client.to_canonical(), transport, received);
        self.read = self.query.read(packet);
    }

    fn halves(&mut self) -> (&Name, &mut Foreseen) {
        (&self.query.question.name, &mut self.foreseen)
    }

    /// Takes the packet for none, after a fault in reading it.
    pub fn discard(&mut self) {
        self.read = Err(Reject::Silent);
    }
}

impl Pipeline {
    /// What holds for packets answered now.
    pub fn turn(&self) -> Turn {
        Turn { policy: self.policy.load(), pauses: self.pauses.current(), now: (self.surroundings.now)() }
    }

    /// Begins to answer packets that were read, of which `TURN_PACKETS_MAX` at most gain by it.
    pub fn foresee(&self, turn: &Turn, asked: &mut [Asked]) {
        let Some(policy) = turn.policy.as_ref() else { return };
        for asked in asked.chunks_mut(TURN_PACKETS_MAX) {
            policy.foresee(asked.iter_mut().filter(|asked| asked.read.is_ok()).map(Asked::halves));
        }
    }

    /// Answers a packet, or says that it takes longer. Never blocks. `foresee` was told of it, in this turn.
    pub fn answer_now<'q>(&self, turn: &'q Turn, asked: &'q Asked, packet: &[u8], out: &mut Vec<u8>) -> Now<'q> {
        let Asked { client, transport, received, read, query, foreseen } = asked;
        let mut record = QueryRecord::new(*client, *transport, *received);
        match read {
            Ok(()) => {}
            Err(Reject::Silent) => return Now::Silent,
            Err(Reject::Answer { rcode, id, opcode, rd, cd, question_bytes, edns }) => {
                let question = &packet[HEADER_BYTES..HEADER_BYTES + question_bytes];
                // What the client takes is not known of a query that can't be read.
                let limit = response_bytes_max(*transport, 0);
                let reply = Reply { id: *id, opcode: *opcode, rd: *rd, cd: *cd, question, edns: *edns, limit };
                let refused = (!self.access.allows(*client)).then(|| access_refusal(*client));
                let rcode = if refused.is_some() { Rcode::REFUSED } else { *rcode };
                reply.bare(rcode, refused.as_ref(), out);
                return Now::Answered(record.answered(rcode, refused.map(|ede| ede.code)));
            }
        }
        record.question = Some(&query.question);
        let reply = Reply::to(query, packet, response_bytes_max(*transport, query.udp_size()));
        if !self.access.allows(*client) {
            return refuse(&reply, record, Rcode::REFUSED, &access_refusal(*client), out);
        }
        record.bypass = special::asks_for_a_way_round(&query.question.name);
        if let Some(local) = self.local.find(&query.question.name, query.question.rr_type) {
            return self.answer_local(turn, &reply, query, packet, local, record, out);
        }
        if let Some(rcode) = self.answer_special(&reply, query, out) {
            return Now::Answered(record.answered(rcode, None));
        }
        let Some(policy) = turn.policy.as_ref() else {
            let ede = ExtendedError::new(ExtendedError::NOT_READY, "no policy is loaded yet");
            return refuse(&reply, record, Rcode::SERVFAIL, &ede, out);
        };
        let client = self.client(*client, *transport, policy);
        let Question { name, rr_type, .. } = &query.question;
        let asking = Asking { name, rr_type: *rr_type, client, now: turn.now, pauses: &turn.pauses };
        let verdict = policy.on_question_foreseen(&asking, foreseen);
        let mut follow = None;
        match response::blocked(&reply, query, policy, &verdict, &[], out) {
            None => {}
            Some(Blocked::Written(rcode, ede)) => {
                record.decided(policy, verdict, Vec::new());
                return Now::Answered(record.answered(rcode, Some(ede)));
            }
            Some(Blocked::Dropped) => {
                record.decided(policy, verdict, Vec::new());
                return Now::Dropped(record.dropped());
            }
            Some(Blocked::Follow(target)) => follow = Some(target),
        }
        if *rr_type == RrType::ANY && follow.is_none() {
            record.decided(policy, verdict, Vec::new());
            answer_any(&reply, query, out);
            return Now::Answered(record.answered(Rcode::NOERROR, None));
        }
        if !query.rd {
            record.decided(policy, verdict, Vec::new());
            let ede = ExtendedError::new(ExtendedError::NOT_AUTHORITATIVE, "recursion was not desired");
            return refuse(&reply, record, Rcode::REFUSED, &ede, out);
        }
        let key = Key { name: name.as_wire(), rr_type: *rr_type, dnssec_ok: query.wants_dnssec(), cd: query.cd };
        if follow.is_none()
            && let Some(entry) = self.finder.cache.find(&key)
            && let Some(given) = self.give(&reply, query, policy, &asking, &verdict, &entry, *received, out)
        {
            record.security = Some(entry.security());
            record.cache = Some(given.cache);
            record.decided(policy, given.verdict, given.links);
            return match given.written {
                Some((rcode, ede)) => Now::Answered(record.answered(rcode, ede)),
                None => Now::Dropped(record.dropped()),
            };
        }
        let pauses = Arc::clone(&turn.pauses);
        let later = Later { verdict, follow, aliases: Vec::new(), client, now: turn.now, pauses };
        self.answer_later(&reply, query, packet, policy, later, record, out)
    }

    /// Gives a kept answer, if it is of use: judged by the policy of this turn, for this client, now. `None` leaves the
    /// query to the slow half.
    #[expect(clippy::too_many_arguments, reason = "everything that is known of the query by then")]
    #[inline]
    fn give(
        &self,
        reply: &Reply<'_>,
        query: &Query,
        policy: &Policy,
        asking: &Asking<'_>,
        verdict: &Verdict,
        entry: &Arc<Entry>,
        received: Instant,
        out: &mut Vec<u8>,
    ) -> Option<Given> {
        let life = self.finder.usable(entry, self.finder.seconds(received))?;
        let needs = policy.needs_for(verdict);
        if !entry.tells(name_servers_wanted(needs)) {
            return None;
        }
        let cache = if matches!(life, Life::Fresh { .. }) { CacheUse::Hit } else { CacheUse::Stale };
        let mut given = Given { verdict: verdict.clone(), links: Vec::new(), written: None, cache };
        if touches(policy, entry, query) {
            let resolution = entry.resolution();
            (given.links, given.verdict) = judge(policy, asking, given.verdict, &resolution, needs, query.cd);
            match response::blocked(reply, query, policy, &given.verdict, &resolution.answer, out) {
                None => {}
                Some(Blocked::Written(rcode, ede)) => {
                    given.written = Some((rcode, Some(ede)));
                    return Some(given);
                }
                Some(Blocked::Dropped) => return Some(given),
                Some(Blocked::Follow(_)) => return None,
            }
        } else {
            given.verdict.answer_seen = !verdict.is_owners() && (entry.security() != Security::Bogus || query.cd);
        }
        let age = match life {
            Life::Fresh { age, life } => {
                self.finder.given(entry, age, life);
                Age::Fresh(age)
            }
            Life::Over { .. } => Age::Stale,
        };
        given.written = Some(response::kept(reply, query, entry, age, out));
        Some(given)
    }

    /// Leaves a query to the slow half, if there is room. The name after the aliases is looked for.
    #[expect(clippy::too_many_arguments, reason = "everything that is known of the query by then")]
    fn answer_later<'q>(
        &self,
        reply: &Reply<'_>,
        query: &Query,
        packet: &[u8],
        policy: &'q Arc<Policy>,
        later: Later,
        mut record: QueryRecord<'q>,
        out: &mut Vec<u8>,
    ) -> Now<'q> {
        let Ok(permit) = self.misses.clone().try_acquire_owned() else {
            record.decided(policy, later.verdict, Vec::new());
            let ede = ExtendedError::new(0, "too many questions are being resolved");
            return refuse(reply, record, Rcode::SERVFAIL, &ede, out);
        };
        Now::Later(Box::new(Pending {
            query: *query,
            header_and_question: SmallVec::from_slice(&packet[..HEADER_BYTES + query.question_bytes]),
            policy: policy.clone(),
            later,
            transport: record.transport,
            received: record.received,
            permit: Some(permit),
        }))
    }

    /// Answers from the owner's own records. Where their aliases lead to other names, those are looked for, and what
    /// they lead to is judged by the policy like any alias.
    #[expect(clippy::too_many_arguments, reason = "everything that is known of the query by then")]
    fn answer_local<'q>(
        &self,
        turn: &'q Turn,
        reply: &Reply<'_>,
        query: &Query,
        packet: &[u8],
        local: LocalAnswer,
        record: QueryRecord<'q>,
        out: &mut Vec<u8>,
    ) -> Now<'q> {
        let (rcode, records, denied) = match self.own(local, query.question.rr_type) {
            Own::Answer(rcode, records, denied) => (rcode, records, denied),
            // Without recursion, this is all there is.
            Own::Leads(records, _) if !query.rd => (Rcode::NOERROR, records, None),
            Own::Leads(aliases, _) => {
                let Some(policy) = turn.policy.as_ref() else {
                    response::local(reply, Rcode::NOERROR, &aliases, None, out);
                    return Now::Answered(record.answered(Rcode::NOERROR, None));
                };
                let later = Later {
                    verdict: Verdict::default(),
                    follow: None,
                    aliases,
                    client: self.client(record.client, record.transport, policy),
                    now: turn.now,
                    pauses: Arc::clone(&turn.pauses),
                };
                return self.answer_later(reply, query, packet, policy, later, record, out);
            }
        };
        response::local(reply, rcode, &records, denied, out);
        Now::Answered(record.answered(rcode, None))
    }
}

/// A kept answer, given.
struct Given {
    verdict: Verdict,
    links: Vec<Link>,
    /// Code, and that of the Extended DNS Error; `None` if a program says that there is no answer.
    written: Option<(Rcode, Option<u16>)>,
    cache: CacheUse,
}

/// Whether any rule of the policy looks at anything that a kept answer leads to. Found out once for each policy: the
/// entry keeps no verdict, for that depends on who asks and when, only whether there is anything to judge.
fn touches(policy: &Policy, entry: &Entry, query: &Query) -> bool {
    // 0: never looked.
    let stamp = |touches: bool| (policy.epoch() + 1) << 1 | u64::from(touches);
    let found = entry.stamp.load(Relaxed);
    if found == stamp(false) || found == stamp(true) {
        return found == stamp(true);
    }
    let everything = Needs { addresses: true, ns_names: true, ns_addresses: true };
    let links = links(&query.question.name, query.question.rr_type, &entry.resolution(), everything);
    let touches = links.iter().any(|link| policy.touches(link));
    entry.stamp.store(stamp(touches), Relaxed);
    touches
}

/// Answers with an error alone.
fn refuse<'q>(
    reply: &Reply<'_>,
    record: QueryRecord<'q>,
    rcode: Rcode,
    ede: &ExtendedError,
    out: &mut Vec<u8>,
) -> Now<'q> {
    reply.bare(rcode, Some(ede), out);
    Now::Answered(record.answered(rcode, Some(ede.code)))
}

fn access_refusal(client: IpAddr) -> ExtendedError {
    ExtendedError::new(ExtendedError::PROHIBITED, format!("{client} is not in [access] allow"))
}

/// The minimal answer to type ANY (RFC 8482 §4.2).
fn answer_any(reply: &Reply<'_>, query: &Query, out: &mut Vec<u8>) {
    response::conventional_answer(reply, query.question.name, RrType::HINFO, b"\x07RFC8482\x00", out);
}
