//! What aliases lead to, the owner's and those that lists give, as far as it is known at once.

use super::{
    Pipeline,
    answering::{Answering, Now},
    later::{Later, behind, conclude},
    links::name_servers_wanted,
    local::LocalAnswer,
    own::Own,
    sought::{Elsewhere, Found, Sought},
    turn::Turn,
};
use crate::{
    dns::{Name, Question, Rcode, Record, RrType},
    policy::{Asking, Policy, Verdict},
    resolve::Resolution,
    response,
};
use std::sync::Arc;

impl Pipeline {
    /// What a list's own alias leads to, if the owner or this machine has it; else what is to be looked for.
    pub(super) fn look_for_target(
        &self,
        turn: &Turn,
        target: Name,
        rr_type: RrType,
    ) -> Result<Resolution, Box<Elsewhere>> {
        turn.terms.target(target, rr_type).map_err(|elsewhere| {
            let (aliases, sought) = *elsewhere;
            Box::new(Elsewhere { aliases, looked: self.finder.look(sought) })
        })
    }

    /// What was kept of that; `at_any_age`, for want of a better one too.
    pub(super) fn kept_elsewhere(
        &self,
        elsewhere: &Elsewhere,
        turn: &Turn,
        at_any_age: bool,
    ) -> Option<Arc<Resolution>> {
        let found = self.finder.kept(&elsewhere.looked, turn.seconds, at_any_age)?;
        Some(behind(&elsewhere.aliases, found.resolution))
    }

    /// What a list's own alias leads to, as far as it is known.
    pub(super) fn target_now(
        &self,
        turn: &Turn,
        target: Name,
        rr_type: RrType,
        at_any_age: bool,
    ) -> Option<Arc<Resolution>> {
        match self.look_for_target(turn, target, rr_type) {
            Ok(own) => Some(Arc::new(own)),
            Err(elsewhere) => self.kept_elsewhere(&elsewhere, turn, at_any_age),
        }
    }

    /// Answers from the owner's own records. Where their aliases lead to other names, those are looked for, and what
    /// they lead to is judged by the policy like any alias.
    pub(super) fn answer_local<'q>(&self, mut answering: Answering<'q, '_>, local: LocalAnswer) -> Now {
        let Answering { turn, query, ref reply, ref mut out, .. } = answering;
        let (rcode, records, denied) = match turn.terms.own(local, query.question.rr_type) {
            Own::Answer(rcode, records, denied) => (rcode, records, denied),
            // Without recursion, this is all there is.
            Own::Leads(records, _) if !query.rd => (Rcode::NOERROR, records, None),
            Own::Leads(aliases, name) => match turn.policy.as_ref() {
                None => (Rcode::NOERROR, aliases, None),
                Some(policy) => return self.answer_behind(answering, policy, aliases, name),
            },
        };
        response::local(reply, rcode, &records, denied, out);
        answering.end(rcode, None)
    }

    /// Answers a question whose aliases of the owner's lead to a name that is looked for.
    fn answer_behind<'q>(
        &self,
        mut answering: Answering<'q, '_>,
        policy: &'q Arc<Policy>,
        aliases: Vec<Record>,
        name: Name,
    ) -> Now {
        let Answering { turn, query, ref record, .. } = answering;
        let client = self.client(record.client, record.transport, policy, turn);
        // What its answer leads to is judged for the client's group.
        let verdict = Verdict::of_group(policy.group_of(&client));
        let Question { name: asked, rr_type, .. } = &query.question;
        let asking = Asking { name: asked, rr_type: *rr_type, client, now: turn.now, pauses: &turn.pauses };
        let sought = Sought::by(query, name, name_servers_wanted(policy.needs_for(&verdict)));
        let elsewhere = Elsewhere { aliases, looked: self.finder.look(sought) };
        let give = |answering: &mut Answering<'q, '_>, at_any_age| {
            let found = self.finder.kept(&elsewhere.looked, turn.seconds, at_any_age)?;
            let found = Found { resolution: behind(&elsewhere.aliases, found.resolution), ..found };
            let Answering { reply, record, out, .. } = answering;
            match conclude(reply, query, policy, &asking, verdict.clone(), &found, record, out) {
                None if record.dropped => Some(Now::Dropped),
                None => Some(Now::Answered),
                Some(target) => {
                    let target = self.target_now(turn, *target, *rr_type, at_any_age)?;
                    Some(answering.followed(&found.resolution.answer, &target))
                }
            }
        };
        if let Some(now) = give(&mut answering, false) {
            return now;
        }
        let Some(permit) = self.permit(&answering, &elsewhere.looked.sought) else {
            return give(&mut answering, true).unwrap_or_else(|| {
                answering.record.decided(policy, verdict, Vec::new());
                answering.refuse_one_more()
            });
        };
        answering.later(policy, Later::new(turn, verdict, None, elsewhere, client), permit)
    }
}
