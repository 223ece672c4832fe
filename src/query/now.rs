//! The fast half of the flow: what is answered at once.

use super::{
    CacheUse, Pipeline, QueryRecord, TOO_MANY,
    later::{Later, Pending, judge},
    links::{links, name_servers_wanted},
    local::LocalAnswer,
    own::Own,
    response_bytes_max, special,
};
use crate::{
    cache::{Entry, Front, Key, Life, Seconds},
    dns::{ExtendedError, HEADER_BYTES, Name, Query, Question, Rcode, Reject, RrType, Transport},
    policy::{Asking, Foreseen, Needs, Pause, Policy, Verdict},
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
    /// What its answer is found by.
    hash: u64,
    foreseen: Foreseen,
}

/// What became of a packet at once.
pub enum Now {
    /// It is no query, and gets no answer.
    Silent,
    /// It gets no answer because a program says so.
    Dropped,
    /// The response is in the buffer.
    Answered,
    /// The answer must be looked for; its record is made then.
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
            hash: 0,
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

    fn halves(&mut self) -> Option<(&Name, &mut Foreseen)> {
        self.read.is_ok().then_some((&self.query.question.name, &mut self.foreseen))
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

    /// What one of so many workers keeps for itself, to be handed in with each packet.
    pub fn front(&self, workers: usize) -> Front {
        self.finder.cache.front(workers)
    }

    /// Begins to answer packets that were read, of which `TURN_PACKETS_MAX` at most gain by it.
    pub fn foresee(&self, turn: &Turn, asked: &mut [Asked], front: Option<&mut Front>) {
        let cache = &self.finder.cache;
        for asked in asked.iter_mut().filter(|asked| asked.read.is_ok()) {
            asked.hash = cache.hash(&key(&asked.query));
        }
        let Some(policy) = turn.policy.as_ref() else { return };
        let Some(front) = front else {
            return policy.foresee(asked.iter_mut().filter_map(Asked::halves));
        };
        front.begin(cache);
        asked.iter().for_each(|asked| front.foresee_place(asked.hash));
        policy.foresee(asked.iter_mut().filter_map(Asked::halves));
        asked.iter().for_each(|asked| front.foresee_entry(asked.hash));
        asked.iter().for_each(|asked| front.foresee_octets(asked.hash));
    }

    /// A record for a packet, to be filled in by `answer_now`.
    pub fn record<'q>(&self, asked: &Asked) -> QueryRecord<'q> {
        QueryRecord::new(asked.client, asked.transport, asked.received)
    }

    /// Answers a packet, or says that it takes longer. Never blocks. `foresee` was told of it, in this turn.
    pub fn answer_now<'q>(
        &self,
        turn: &'q Turn,
        asked: &'q Asked,
        packet: &[u8],
        front: Option<&mut Front>,
        record: &mut QueryRecord<'q>,
        out: &mut Vec<u8>,
    ) -> Now {
        let Asked { client, transport, received, read, query, hash, foreseen } = asked;
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
                record.answered(rcode, refused.map(|ede| ede.code));
                return Now::Answered;
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
            record.answered(rcode, None);
            return Now::Answered;
        }
        let Some(policy) = turn.policy.as_ref() else {
            let ede = ExtendedError::new(ExtendedError::NOT_READY, "no policy is loaded yet");
            return refuse(&reply, record, Rcode::SERVFAIL, &ede, out);
        };
        let client = self.client(*client, *transport, policy);
        let Question { name, rr_type, .. } = &query.question;
        let asking = Asking { name, rr_type: *rr_type, client, now: turn.now, pauses: &turn.pauses };
        record.verdict = policy.on_question_foreseen(&asking, foreseen);
        record.is_decided(policy);
        let mut follow = None;
        match response::blocked(&reply, query, policy, &record.verdict, &[], out) {
            None => {}
            Some(Blocked::Written(rcode, ede)) => {
                record.answered(rcode, Some(ede));
                return Now::Answered;
            }
            Some(Blocked::Dropped) => {
                record.dropped();
                return Now::Dropped;
            }
            Some(Blocked::Follow(target)) => follow = Some(target),
        }
        if *rr_type == RrType::ANY && follow.is_none() {
            answer_any(&reply, query, out);
            record.answered(Rcode::NOERROR, None);
            return Now::Answered;
        }
        if !query.rd {
            let ede = ExtendedError::new(ExtendedError::NOT_AUTHORITATIVE, "recursion was not desired");
            return refuse(&reply, record, Rcode::REFUSED, &ede, out);
        }
        if follow.is_none() {
            let (key, now) = (key(query), self.finder.seconds(*received));
            let wanted = name_servers_wanted(policy.needs_for(&record.verdict));
            let in_front = front.and_then(|front| front.find(&self.finder.cache, *hash, &key, now));
            let given = match in_front.filter(|entry| entry.tells(wanted)) {
                Some(entry) => self.give(&reply, query, policy, &asking, entry, now, record, out),
                // There may be one that tells more.
                None => (self.finder.cache.find(*hash, &key))
                    .and_then(|entry| self.give(&reply, query, policy, &asking, &entry, now, record, out)),
            };
            if let Some(given) = given {
                return given;
            }
        }
        let verdict = std::mem::take(&mut record.verdict);
        let pauses = Arc::clone(&turn.pauses);
        let later = Later { verdict, follow, aliases: Vec::new(), client, now: turn.now, pauses };
        self.answer_later(&reply, query, packet, policy, later, record, out)
    }

    /// Gives a kept answer, if it is of use: judged by the policy of this turn, for this client, now. `None` leaves the
    /// query to the slow half.
    #[expect(clippy::too_many_arguments, reason = "everything that is known of the query by then")]
    #[inline]
    fn give<'q>(
        &self,
        reply: &Reply<'_>,
        query: &Query,
        policy: &'q Arc<Policy>,
        asking: &Asking<'_>,
        entry: &Arc<Entry>,
        now: Seconds,
        record: &mut QueryRecord<'q>,
        out: &mut Vec<u8>,
    ) -> Option<Now> {
        let life = self.finder.usable(entry, now)?;
        let needs = policy.needs_for(&record.verdict);
        if !entry.tells(name_servers_wanted(needs)) {
            return None;
        }
        if touches(policy, entry, query) {
            let resolution = response::as_kept(entry, life);
            let (links, verdict) = judge(policy, asking, record.verdict.clone(), &resolution, needs, query.cd);
            match response::blocked(reply, query, policy, &verdict, &resolution.answer, out) {
                Some(Blocked::Follow(_)) => return None,
                blocked => {
                    record.decided(policy, verdict, links);
                    (record.security, record.cache) = (Some(entry.security()), Some(CacheUse::of(life)));
                    match blocked {
                        None | Some(Blocked::Follow(_)) => {}
                        Some(Blocked::Written(rcode, ede)) => {
                            record.answered(rcode, Some(ede));
                            return Some(Now::Answered);
                        }
                        Some(Blocked::Dropped) => {
                            record.dropped();
                            return Some(Now::Dropped);
                        }
                    }
                }
            }
        } else {
            let is_seen = !record.verdict.is_owners() && (entry.security() != Security::Bogus || query.cd);
            record.verdict.answer_seen = is_seen;
            (record.security, record.cache) = (Some(entry.security()), Some(CacheUse::of(life)));
        }
        let age = match life {
            Life::Fresh { age, life } => {
                self.finder.given(entry, age, life);
                Age::Fresh(age)
            }
            Life::Over { .. } => Age::Stale,
        };
        let (rcode, ede) = response::kept(reply, query, entry, age, out);
        record.answered(rcode, ede);
        Some(Now::Answered)
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
        record: &mut QueryRecord<'q>,
        out: &mut Vec<u8>,
    ) -> Now {
        let Ok(permit) = self.misses.clone().try_acquire_owned() else {
            record.decided(policy, later.verdict, Vec::new());
            let ede = ExtendedError::new(0, TOO_MANY);
            return refuse(reply, record, Rcode::SERVFAIL, &ede, out);
        };
        Now::Later(Box::new(Pending {
            query: *query,
            header_and_question: SmallVec::from_slice(&packet[..HEADER_BYTES + query.question_bytes]),
            policy: policy.clone(),
            later,
            transport: record.transport,
            received: record.received,
            _permit: permit,
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
        record: &mut QueryRecord<'q>,
        out: &mut Vec<u8>,
    ) -> Now {
        let (rcode, records, denied) = match self.own(local, query.question.rr_type) {
            Own::Answer(rcode, records, denied) => (rcode, records, denied),
            // Without recursion, this is all there is.
            Own::Leads(records, _) if !query.rd => (Rcode::NOERROR, records, None),
            Own::Leads(aliases, _) => {
                let Some(policy) = turn.policy.as_ref() else {
                    response::local(reply, Rcode::NOERROR, &aliases, None, out);
                    record.answered(Rcode::NOERROR, None);
                    return Now::Answered;
                };
                let client = self.client(record.client, record.transport, policy);
                let later = Later {
                    // What its answer leads to is judged for the client's group.
                    verdict: Verdict::of_group(policy.group_of(&client)),
                    follow: None,
                    aliases,
                    client,
                    now: turn.now,
                    pauses: Arc::clone(&turn.pauses),
                };
                return self.answer_later(reply, query, packet, policy, later, record, out);
            }
        };
        response::local(reply, rcode, &records, denied, out);
        record.answered(rcode, None);
        Now::Answered
    }
}

/// What a query's answer is kept under.
#[inline]
fn key(query: &Query) -> Key<'_> {
    let Question { name, rr_type, .. } = &query.question;
    Key { name: name.as_wire(), rr_type: *rr_type, dnssec_ok: query.wants_dnssec(), cd: query.cd }
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
    let links = links(&query.question.name, query.question.rr_type, &entry.resolution(|ttl| ttl), everything);
    let touches = links.iter().any(|link| policy.touches(link));
    entry.stamp.store(stamp(touches), Relaxed);
    touches
}

/// Answers with an error alone.
fn refuse(
    reply: &Reply<'_>,
    record: &mut QueryRecord<'_>,
    rcode: Rcode,
    ede: &ExtendedError,
    out: &mut Vec<u8>,
) -> Now {
    reply.bare(rcode, Some(ede), out);
    record.answered(rcode, Some(ede.code));
    Now::Answered
}

fn access_refusal(client: IpAddr) -> ExtendedError {
    ExtendedError::new(ExtendedError::PROHIBITED, format!("{client} is not in [access] allow"))
}

/// The minimal answer to type ANY (RFC 8482 §4.2).
fn answer_any(reply: &Reply<'_>, query: &Query, out: &mut Vec<u8>) {
    response::conventional_answer(reply, query.question.name, RrType::HINFO, b"\x07RFC8482\x00", out);
}
