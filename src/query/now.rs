//! The fast half of the flow: what is answered at once.

use super::{
    Pipeline, QueryRecord,
    answering::{Answering, Now},
    check,
    later::{Later, judge},
    links::{links, name_servers_wanted},
    response_bytes_max,
    sought::{Elsewhere, Looked, Sought},
    special,
    turn::Turn,
};
use crate::{
    cache::{Entry, Front, Key, Life},
    dns::{ExtendedError, HEADER_BYTES, Name, Query, Question, Rcode, Reject, RrType, Transport},
    policy::{Asking, Foreseen, Needs, Policy},
    resolve::Security,
    response::{self, Age, Blocked, Reply},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};
use tokio::sync::OwnedSemaphorePermit;

/// Packets that are foreseen together at most: what is asked of memory for more falls out of the processor's cache again.
pub const FORESEEN_MAX: usize = 32;

/// A packet that was read: who asks what. A place to be filled again and again.
pub struct Asked {
    client: IpAddr,
    /// The address of this machine that was asked, if that is known.
    at: Option<IpAddr>,
    transport: Transport,
    received: Instant,
    read: Result<(), Reject>,
    /// It gets what there is at once: it may not wait.
    at_once: bool,
    /// Of use if `read` is fine.
    query: Query,
    /// What its answer is found by.
    hash: u64,
    foreseen: Foreseen,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            client: Ipv4Addr::UNSPECIFIED.into(),
            at: None,
            transport: Transport::Udp,
            received: Instant::now(),
            read: Err(Reject::Silent),
            at_once: false,
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

    /// Notes at which address of this machine it was asked.
    pub fn came_to(&mut self, address: IpAddr) {
        self.at = Some(address).filter(|address| !address.is_unspecified());
    }

    /// Notes whether its connection has as many queries waiting as one may have: then it isn't to wait too.
    pub fn at_once(&mut self, at_once: bool) {
        self.at_once = at_once;
    }

    /// Takes the packet for none, after a fault in reading it.
    pub fn discard(&mut self) {
        self.read = Err(Reject::Silent);
    }
}

impl Pipeline {
    /// What one of so many workers keeps for itself, to be handed in with each packet.
    pub fn front(&self, workers: usize) -> Front {
        self.finder.cache.front(workers)
    }

    /// Begins to answer packets that were read, of which `FORESEEN_MAX` at most gain by it.
    pub fn foresee(&self, turn: &Turn, asked: &mut [Asked], mut front: Option<&mut Front>) {
        let cache = &self.finder.cache;
        let Some(policy) = turn.policy.as_ref() else { return };
        if let Some(front) = &mut front {
            front.begin(cache);
        }
        for asked in asked.iter_mut().filter(|asked| asked.read.is_ok()) {
            asked.hash = cache.hash(&key(&asked.query));
            if let Some(front) = &front {
                front.foresee_place(asked.hash);
            }
            policy.foresee(&asked.query.question.name, &mut asked.foreseen);
        }
        for asked in asked.iter_mut().filter(|asked| asked.read.is_ok()) {
            policy.foresee_rules(&mut asked.foreseen);
        }
        if let Some(front) = front {
            asked.iter().for_each(|asked| front.foresee_entry(asked.hash));
            asked.iter().for_each(|asked| front.foresee_octets(asked.hash));
        }
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
        let Asked { client, at, transport, read, at_once, query, hash, foreseen, .. } = asked;
        match read {
            Ok(()) => {}
            Err(Reject::Silent) => return Now::Silent,
            Err(Reject::Answer { rcode, id, opcode, rd, cd, question_bytes, edns }) => {
                let question = &packet[HEADER_BYTES..HEADER_BYTES + question_bytes];
                // What the client takes is not known of a query that can't be read.
                let limit = response_bytes_max(*transport, 0);
                let reply = Reply { id: *id, opcode: *opcode, rd: *rd, cd: *cd, question, edns: *edns, limit };
                let refused = (!turn.terms.access.allows(*client)).then(|| access_refusal(*client));
                let rcode = if refused.is_some() { Rcode::REFUSED } else { *rcode };
                reply.bare(rcode, refused.as_ref(), out);
                record.answered(rcode, refused.map(|ede| ede.code));
                return Now::Answered;
            }
        }
        record.question = Some(&query.question);
        let reply = Reply::to(query, packet, response_bytes_max(*transport, query.udp_size()));
        let mut answering = Answering { turn, query, packet, reply, at_once: *at_once, record, out };
        if !turn.terms.access.allows(*client) {
            return answering.refuse(Rcode::REFUSED, &access_refusal(*client));
        }
        answering.record.bypass = special::asks_for_a_way_round(&query.question.name);
        if let Some(local) = turn.terms.local.find(&query.question.name, query.question.rr_type) {
            return self.answer_local(answering, local);
        }
        let at = at.map(|at| at.to_canonical());
        let arrive = |name: &Name| self.checks.arrive(name, *client, at, turn.now);
        if let Some(rcode) = turn.terms.answer_special(&reply, query, arrive, answering.out) {
            answering.record.is_probe = check::is_probe(&query.question.name, *client, at);
            return answering.end(rcode, None);
        }
        let Some(policy) = turn.policy.as_ref() else {
            let ede = ExtendedError::new(ExtendedError::NOT_READY, "no policy is loaded yet");
            return answering.refuse(Rcode::SERVFAIL, &ede);
        };
        let client = self.client(*client, *transport, policy, turn);
        let Question { name, rr_type, .. } = &query.question;
        let asking = Asking { name, rr_type: *rr_type, client, now: turn.now, pauses: &turn.pauses };
        policy.on_question_foreseen(&asking, foreseen, &mut answering.record.verdict);
        answering.record.is_decided(policy);
        let mut follow = None;
        match response::blocked(&reply, query, policy, &answering.record.verdict, &[], answering.out) {
            None => {}
            Some(Blocked::Written(rcode, ede)) => return answering.end(rcode, Some(ede)),
            Some(Blocked::Dropped) => return answering.drop(),
            Some(Blocked::Follow(target)) => follow = Some(target),
        }
        if *rr_type == RrType::ANY && follow.is_none() {
            answer_any(&reply, query, answering.out);
            return answering.end(Rcode::NOERROR, None);
        }
        if !query.rd {
            let ede = ExtendedError::new(ExtendedError::NOT_AUTHORITATIVE, "recursion was not desired");
            return answering.refuse(Rcode::REFUSED, &ede);
        }
        let wanted = name_servers_wanted(policy.needs_for(&answering.record.verdict));
        let elsewhere = if let Some(target) = &follow {
            let elsewhere = match self.look_for_target(turn, **target, *rr_type) {
                Ok(own) => return answering.followed(&[], &own),
                Err(elsewhere) => *elsewhere,
            };
            if let Some(found) = self.kept_elsewhere(&elsewhere, turn, false) {
                return answering.followed(&[], &found);
            }
            elsewhere
        } else {
            let (key, now) = (key(query), turn.seconds);
            let behind;
            let found = match front {
                Some(front) => front.find(&self.finder.cache, *hash, &key, |entry| {
                    matches!(entry.life(now), Life::Fresh { .. }) && self.finder.suffices(entry, wanted, now)
                }),
                None => {
                    behind = self.finder.cache.find(*hash, &key);
                    behind.as_ref()
                }
            };
            if let Some(entry) = found
                && let Some(life) = self.finder.life(entry, wanted, now, false)
                && let Some(now) = self.give(&mut answering, policy, &asking, entry, life, false)
            {
                return now;
            }
            let sought = Sought::by(query, query.question.name, wanted);
            let looked = Looked { sought, entry: found.cloned(), landings: turn.landings };
            Elsewhere { aliases: Vec::new(), looked }
        };
        let looked = &elsewhere.looked;
        let Some(permit) = self.permit(&answering, &looked.sought) else {
            // What is past its time, or leads to what is, is better than nothing (RFC 8767 §5).
            let kept = looked.entry.as_ref();
            let kept = kept.and_then(|entry| Some((entry, self.finder.life(entry, wanted, turn.seconds, true)?)));
            let given = match (&follow, kept) {
                (Some(_), _) => {
                    let found = self.kept_elsewhere(&elsewhere, turn, true);
                    found.map(|found| answering.followed(&[], &found))
                }
                (None, Some((entry, life))) => self.give(&mut answering, policy, &asking, entry, life, true),
                (None, None) => None,
            };
            return given.unwrap_or_else(|| answering.refuse_one_more());
        };
        let verdict = std::mem::take(&mut answering.record.verdict);
        answering.later(policy, Later::new(turn, verdict, follow, elsewhere, client), permit)
    }

    /// Room for a query to wait for what it seeks, if it may: among all, or else among those that wait for what others began
    /// to look for, which costs no further resolution.
    pub(super) fn permit(&self, answering: &Answering<'_, '_>, sought: &Sought) -> Option<OwnedSemaphorePermit> {
        if answering.at_once {
            return None;
        }
        let among_all = self.misses.clone().try_acquire_owned().ok();
        among_all.or_else(|| {
            // Of a flood, next to nobody: it waits for no lock here, and counts nothing up and down.
            if self.finder.is_in_flight(sought) { self.joining.clone().try_acquire_owned().ok() } else { None }
        })
    }

    /// Gives a kept answer: judged by the policy of this turn, for this client, now. `None` leaves the query to the slow
    /// half: what a list's own alias leads to isn't known, or, unless `at_any_age`, is past its time.
    #[inline]
    fn give<'q>(
        &self,
        answering: &mut Answering<'q, '_>,
        policy: &'q Arc<Policy>,
        asking: &Asking<'_>,
        entry: &Arc<Entry>,
        life: Life,
        at_any_age: bool,
    ) -> Option<Now> {
        let Answering { turn, query, reply, record, out, .. } = answering;
        if touches(policy, entry, query) {
            let resolution = response::as_kept(entry, life);
            let needs = policy.needs_for(&record.verdict);
            let (links, verdict) = judge(policy, asking, record.verdict.clone(), &resolution, needs, query.cd);
            let blocked = response::blocked(reply, query, policy, &verdict, &resolution.answer, out);
            if let Some(Blocked::Follow(target)) = blocked {
                let found = self.target_now(turn, *target, asking.rr_type, at_any_age)?;
                answering.record.decided(policy, verdict, links);
                answering.found(entry, life);
                return Some(answering.followed(&resolution.answer, &found));
            }
            record.decided(policy, verdict, links);
            answering.found(entry, life);
            match blocked {
                Some(Blocked::Written(rcode, ede)) => return Some(answering.end(rcode, Some(ede))),
                Some(Blocked::Dropped) => return Some(answering.drop()),
                Some(Blocked::Follow(_)) | None => {}
            }
        } else {
            let leads_on = entry.security() != Security::Bogus || query.cd;
            record.verdict.answer_seen = !record.verdict.is_owners() && leads_on;
            if turn.terms.tells_chains && leads_on {
                let needs = policy.needs_for(&record.verdict);
                record.links = links(asking.name, asking.rr_type, &entry.resolution(|ttl| ttl), needs);
            }
            answering.found(entry, life);
        }
        let age = match life {
            Life::Fresh { age, life } => {
                self.finder.given(entry, age, life);
                Age::Fresh(age)
            }
            Life::Over { .. } => Age::Stale,
        };
        let (rcode, ede) = response::kept(&answering.reply, answering.query, entry, age, answering.out);
        Some(answering.end(rcode, ede))
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

/// What a client is told, behind its address, that isn't let in.
pub const NOT_ALLOWED: &str = " is not in [access] allow";

fn access_refusal(client: IpAddr) -> ExtendedError {
    ExtendedError::new(ExtendedError::PROHIBITED, format!("{client}{NOT_ALLOWED}"))
}

/// The minimal answer to type ANY (RFC 8482 §4.2).
fn answer_any(reply: &Reply<'_>, query: &Query, out: &mut Vec<u8>) {
    response::conventional_answer(reply, query.question.name, RrType::HINFO, b"\x07RFC8482\x00", out);
}
