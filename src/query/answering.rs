//! A query while it is being answered at once: how its answer can end.

use super::{
    CacheUse, QueryRecord, TOO_MANY, TOO_MANY_OF_ONE,
    later::{Later, Pending, write_followed},
    turn::Turn,
};
use crate::{
    cache::{Entry, Life},
    dns::{ExtendedError, HEADER_BYTES, Query, Rcode, Record},
    policy::Policy,
    resolve::Resolution,
    response::Reply,
};
use smallvec::SmallVec;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A query that is being answered, with what is written on the way.
pub(super) struct Answering<'q, 'a> {
    pub(super) turn: &'q Turn,
    pub(super) query: &'q Query,
    pub(super) packet: &'a [u8],
    pub(super) reply: Reply<'a>,
    /// It may not wait.
    pub(super) at_once: bool,
    pub(super) record: &'a mut QueryRecord<'q>,
    pub(super) out: &'a mut Vec<u8>,
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

impl<'q> Answering<'q, '_> {
    /// Its response is written.
    pub(super) fn end(&mut self, rcode: Rcode, ede: Option<u16>) -> Now {
        self.record.answered(rcode, ede);
        Now::Answered
    }

    /// It gets none.
    pub(super) fn drop(&mut self) -> Now {
        self.record.dropped();
        Now::Dropped
    }

    /// Answers with an error alone.
    pub(super) fn refuse(&mut self, rcode: Rcode, ede: &ExtendedError) -> Now {
        self.reply.bare(rcode, Some(ede), self.out);
        self.end(rcode, Some(ede.code))
    }

    /// Answers that too many wait already.
    pub(super) fn refuse_one_more(&mut self) -> Now {
        let why = if self.at_once { TOO_MANY_OF_ONE } else { TOO_MANY };
        self.refuse(Rcode::SERVFAIL, &ExtendedError::new(0, why))
    }

    /// The answer that a list gives in the form of an alias is written, with what that leads to.
    pub(super) fn followed(&mut self, chain: &[Record], found: &Resolution) -> Now {
        write_followed(&self.reply, self.query, chain, found, self.record, self.out);
        Now::Answered
    }

    /// Leaves it to the slow half. The name after the aliases is looked for.
    pub(super) fn later(&self, policy: &Arc<Policy>, later: Later, permit: OwnedSemaphorePermit) -> Now {
        Now::Later(Box::new(Pending {
            query: *self.query,
            header_and_question: SmallVec::from_slice(&self.packet[..HEADER_BYTES + self.query.question_bytes]),
            policy: policy.clone(),
            later,
            transport: self.record.transport,
            received: self.record.received,
            _permit: permit,
        }))
    }

    /// Notes that its answer was kept.
    pub(super) fn found(&mut self, entry: &Entry, life: Life) {
        (self.record.security, self.record.cache) = (Some(entry.security()), Some(CacheUse::of(life)));
    }
}
