//! What aliases lead to, the owner's and those that lists give, as far as it is known at once.

use super::{
    Pipeline, TOO_MANY,
    finder::Found,
    later::{Later, behind, conclude, write_followed},
    links::name_servers_wanted,
    local::LocalAnswer,
    now::{Answering, Now, sought},
    own::Own,
};
use crate::{
    dns::{ExtendedError, Name, Question, Rcode, Record},
    policy::{Asking, Policy, Verdict},
    resolve::Resolution,
    response,
};
use std::sync::Arc;

impl Pipeline {
    /// Writes the answer that a list gives in the form of an alias, if it is known what that leads to; `at_any_age`, for
    /// want of a better one too.
    pub(super) fn follow_now(
        &self,
        answering: &mut Answering<'_, '_>,
        target: &Name,
        chain: &[Record],
        at_any_age: bool,
    ) -> Option<Now> {
        let found = self.target_now(answering, target, at_any_age)?;
        let Answering { query, reply, record, out, .. } = answering;
        write_followed(reply, query, chain, &found, record, out);
        Some(Now::Answered)
    }

    /// What the name that a list's own alias leads to has, as far as it is known.
    pub(super) fn target_now(
        &self,
        answering: &Answering<'_, '_>,
        target: &Name,
        at_any_age: bool,
    ) -> Option<Resolution> {
        let Answering { turn, query, .. } = answering;
        match turn.terms.target(*target, query.question.rr_type) {
            Ok(own) => Some(own),
            Err(elsewhere) => {
                let (aliases, sought) = *elsewhere;
                let found = self.finder.kept(&sought, turn.seconds, at_any_age)?;
                Some(Resolution::clone(&behind(&aliases, found.resolution)))
            }
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
        let client = self.client(record.client, record.transport, policy, &turn.pauses);
        // What its answer leads to is judged for the client's group.
        let verdict = Verdict::of_group(policy.group_of(&client));
        let Question { name: asked, rr_type, .. } = &query.question;
        let asking = Asking { name: asked, rr_type: *rr_type, client, now: turn.now, pauses: &turn.pauses };
        let sought = sought(query, name, name_servers_wanted(policy.needs_for(&verdict)));
        let give = |answering: &mut Answering<'q, '_>, at_any_age| {
            let found = self.finder.kept(&sought, turn.seconds, at_any_age)?;
            let found = Found { resolution: behind(&aliases, found.resolution), ..found };
            let Answering { reply, record, out, .. } = answering;
            match conclude(reply, query, policy, &asking, verdict.clone(), &found, record, out) {
                None if record.dropped => Some(Now::Dropped),
                None => Some(Now::Answered),
                Some(target) => self.follow_now(answering, &target, &found.resolution.answer, at_any_age),
            }
        };
        if let Some(now) = give(&mut answering, false) {
            return now;
        }
        let Some(permit) = self.permit(Some(sought)) else {
            return give(&mut answering, true).unwrap_or_else(|| {
                answering.record.decided(policy, verdict, Vec::new());
                answering.refuse(Rcode::SERVFAIL, &ExtendedError::new(0, TOO_MANY))
            });
        };
        let pauses = Arc::clone(&turn.pauses);
        let later = Later { verdict, follow: None, aliases, client, now: turn.now, pauses };
        answering.later(policy, later, permit)
    }
}
