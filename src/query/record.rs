//! What is known of a query once it is answered: the one thing that logs, metrics and measurement are made from.

use crate::{
    cache::Life,
    dns::{Question, Rcode, Transport},
    policy::{Link, Policy, Verdict},
    resolve::{Resolution, Security},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// One query and its outcome, written after the answer and never in its way.
pub struct QueryRecord<'q> {
    pub client: IpAddr,
    pub transport: Transport,
    /// `None` if it couldn't be read.
    pub question: Option<&'q Question>,
    pub rcode: Rcode,
    /// Extended DNS Error code given, if any.
    pub ede: Option<u16>,
    pub received: Instant,
    /// From reception to the finished response.
    pub latency: Duration,
    /// `None` if nothing was resolved.
    pub security: Option<Security>,
    /// `None` if no answer was looked for.
    pub cache: Option<CacheUse>,
    /// Who was asked, as `Resolve::upstream` numbers them; `None` if nobody was.
    pub upstream: Option<u8>,
    /// The server that gave the last link of the answer, if anybody was asked and that is known.
    pub server: Option<SocketAddr>,
    /// What was found, if it was resolved for this query.
    pub answer: Option<Arc<Resolution>>,
    pub verdict: Verdict,
    /// The policy that decided, if it had anything to say or has the client in a group: its indexes are the verdict's.
    pub policy: Option<&'q Arc<Policy>>,
    /// What the answer led to.
    pub links: Vec<Link>,
    /// The client looks for a way round this resolver, or uses one.
    pub bypass: bool,
    /// It got no answer, because a program says so.
    pub dropped: bool,
    /// This machine asked whether it is answered: it is counted, and recorded nowhere.
    pub is_probe: bool,
}

/// What the cache had to say to a query.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CacheUse {
    /// It had the answer.
    Hit,
    /// It had one past its time, and there was no better.
    Stale,
    /// The answer was resolved.
    Miss,
}

impl CacheUse {
    pub const ALL: [Self; 3] = [Self::Hit, Self::Stale, Self::Miss];

    /// Of an answer that was kept.
    pub fn of(life: Life) -> Self {
        if matches!(life, Life::Fresh { .. }) { Self::Hit } else { Self::Stale }
    }

    /// The word used in logs and labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
        }
    }
}

impl<'q> QueryRecord<'q> {
    pub fn new(client: IpAddr, transport: Transport, received: Instant) -> Self {
        Self {
            client,
            transport,
            question: None,
            rcode: Rcode::SERVFAIL,
            ede: None,
            received,
            latency: Duration::ZERO,
            security: None,
            cache: None,
            upstream: None,
            server: None,
            answer: None,
            verdict: Verdict::default(),
            policy: None,
            links: Vec::new(),
            bypass: false,
            dropped: false,
            is_probe: false,
        }
    }

    /// Notes the verdict.
    pub(super) fn decided(&mut self, policy: &'q Arc<Policy>, verdict: Verdict, links: Vec<Link>) {
        (self.verdict, self.links) = (verdict, links);
        self.is_decided(policy);
    }

    /// Notes who gave the verdict; the policy is kept only if it said something, or has the client in a group.
    #[inline]
    pub(super) fn is_decided(&mut self, policy: &'q Arc<Policy>) {
        if !self.verdict.is_pass() || self.verdict.group != 0 {
            self.policy = Some(policy);
        }
        self.bypass |= self.verdict.bypass;
    }

    /// Notes how it was answered.
    pub(super) fn answered(&mut self, rcode: Rcode, ede: Option<u16>) {
        self.rcode = rcode;
        self.ede = ede.or(self.ede);
    }

    /// Notes that it got no answer.
    pub(super) fn dropped(&mut self) {
        self.dropped = true;
        self.rcode = Rcode::NOERROR;
    }
}
