//! What is known of a query once it is answered: the one thing that logs, metrics and measurement are made from.

use super::Now;
use crate::{
    dns::{ExtendedError, Question, Rcode, Transport},
    policy::{Link, Policy, Verdict},
    resolve::Security,
};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// One query and its outcome, written after the answer and never in its way.
pub struct QueryRecord {
    pub client: IpAddr,
    pub transport: Transport,
    /// `None` if it couldn't be read.
    pub question: Option<Question>,
    pub rcode: Rcode,
    /// Extended DNS Error code given, if any.
    pub ede: Option<u16>,
    pub received: Instant,
    /// From reception to the finished response.
    pub latency: Duration,
    /// `None` if nothing was resolved.
    pub security: Option<Security>,
    pub verdict: Verdict,
    /// The policy that decided, if it had anything to say or has the client in a group: its indexes are the verdict's.
    pub policy: Option<Arc<Policy>>,
    /// What the answer led to.
    pub links: Vec<Link>,
    /// The client looks for a way round this resolver, or uses one.
    pub bypass: bool,
    /// It got no answer, because a program says so.
    pub dropped: bool,
}

impl QueryRecord {
    pub(super) fn new(client: IpAddr, transport: Transport, received: Instant) -> Self {
        Self {
            client,
            transport,
            question: None,
            rcode: Rcode::SERVFAIL,
            ede: None,
            received,
            latency: Duration::ZERO,
            security: None,
            verdict: Verdict::default(),
            policy: None,
            links: Vec::new(),
            bypass: false,
            dropped: false,
        }
    }

    /// Notes the verdict; the policy is kept only if it said something, or has the client in a group.
    pub(super) fn decided(&mut self, policy: &Arc<Policy>, verdict: Verdict, links: Vec<Link>) {
        if !verdict.is_pass() || verdict.group != 0 {
            self.policy = Some(policy.clone());
        }
        self.bypass |= verdict.bypass;
        (self.verdict, self.links) = (verdict, links);
    }

    pub(super) fn finished(mut self, rcode: Rcode) -> Box<Self> {
        (self.rcode, self.latency) = (rcode, self.received.elapsed());
        Box::new(self)
    }

    /// Without an answer.
    pub(super) fn dropped(mut self) -> Box<Self> {
        self.dropped = true;
        self.finished(Rcode::NOERROR)
    }

    pub(super) fn answered(mut self, rcode: Rcode, ede: Option<ExtendedError>) -> Now {
        if let Some(ede) = ede {
            self.ede = Some(ede.code);
        }
        Now::Answered(self.finished(rcode))
    }
}
