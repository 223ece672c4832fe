//! What would become of a question, for people who ask: by the very steps that an answer takes.

use super::{
    ANSWER_WITHIN, Pipeline,
    later::{behind, judge},
    links::name_servers_wanted,
    local::{LocalAnswer, LocalEnd},
    sought::Sought,
};
use crate::{
    dns::{Name, Record, RrType},
    policy::{Asking, Client, Link, Pause, Policy, Trigger, Verdict},
    resolve::Resolution,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Instant,
};

/// Why some names have nothing to do with any policy.
const LOCAL: &str = "a name of your own ([local]), answered here before any policy";
const SPECIAL: &str = "a special-use name, answered here before any policy";

/// A question that was recorded, as far as that is known.
pub struct Recalled<'r> {
    pub name: Name,
    pub rr_type: RrType,
    /// `None`: it wasn't kept.
    pub client: Option<IpAddr>,
    /// What the client's group was called; empty if that wasn't kept.
    pub group: &'r str,
    /// It came over TCP.
    pub tcp: bool,
    /// What its answer led to.
    pub led_to: Vec<Link>,
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
    /// What would become of a question from a client, by the very steps that an answer takes.
    pub async fn explain(&self, name: Name, rr_type: RrType, client: Client<'_>) -> Option<Explanation> {
        let (own_aliases, explanation) = self.explain_question(name, rr_type, client)?;
        if explanation.own_answer.is_some() || explanation.verdict.block().is_some() {
            return Some(explanation);
        }
        let Explanation { policy, verdict, mut links, mac, now, pauses, .. } = explanation;
        let asking = Asking { name: &name, rr_type, client: Client { mac, ..client }, now, pauses: &pauses };
        let needs = policy.needs_for(&verdict);
        let sought = Sought {
            name: own_aliases.last().and_then(Record::target).unwrap_or(name),
            rr_type,
            dnssec_ok: false,
            cd: false,
            name_servers: name_servers_wanted(needs),
        };
        let found = self.finder.find(self.finder.look(sought), Instant::now() + ANSWER_WITHIN).await;
        let resolution = Resolution::clone(&behind(&own_aliases, found.resolution));
        let (of_answer, verdict) = judge(&policy, &asking, verdict, &resolution, needs, false);
        links.extend(of_answer);
        let resolution = Some(resolution);
        Some(Explanation { policy, verdict, links, mac, now, pauses, resolution, own_answer: None })
    }

    /// Why blocks and exceptions change nothing for a name, if they don't: it is answered here before them.
    pub fn answered_before_policy(&self, name: &Name) -> Option<&'static str> {
        let terms = self.terms.load();
        let is_local = terms.local.find(name, RrType::A).is_some();
        let special = || terms.special.find(name).map(|_| SPECIAL);
        if is_local { Some(LOCAL) } else { special() }
    }

    /// The part of an explanation that takes no resolution, and the owner's aliases that lead from the name asked to
    /// the one that would be resolved.
    pub fn explain_question(
        &self,
        name: Name,
        rr_type: RrType,
        client: Client<'_>,
    ) -> Option<(Vec<Record>, Explanation)> {
        Some(self.question_by(self.policy.load_full()?, name, rr_type, client))
    }

    /// What the policy of now says of a question that was recorded, and of what its answer led to then: nothing is
    /// resolved. Who asked is told by the group of then where the address isn't known, or doesn't tell it. With whom it
    /// took for that.
    pub fn explain_again(&self, recalled: Recalled<'_>) -> Option<(Client<'static>, Explanation)> {
        let Recalled { name, rr_type, client, group, tcp, led_to } = recalled;
        let policy = self.policy.load_full()?;
        let told = policy.group_named(group).filter(|group| client.is_none() || policy.is_told_by_more(*group));
        let group = told.or_else(|| client.is_none().then_some(0));
        let address = client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let client = Client { address, id: None, mac: None, tcp, group };
        let (_, mut again) = self.question_by(policy, name, rr_type, client);
        let Explanation { policy, verdict, mac, now, pauses, .. } = &again;
        let asking = Asking { name: &name, rr_type, client: Client { mac: *mac, ..client }, now: *now, pauses };
        // By the same steps: what isn't resolved leads nowhere.
        if again.own_answer.is_none() && verdict.block().is_none() {
            again.verdict = policy.on_answer(verdict, &asking, &led_to);
            again.verdict.answer_seen &= !led_to.is_empty();
        }
        again.links.extend(led_to);
        Some((client, again))
    }

    fn question_by(
        &self,
        policy: Arc<Policy>,
        name: Name,
        rr_type: RrType,
        client: Client<'_>,
    ) -> (Vec<Record>, Explanation) {
        let (now, pauses) = ((self.surroundings.now)(), self.pauses.current().clone());
        let mac = client.mac.or_else(|| self.mac(client.address, &policy, &pauses, now));
        let asking = Asking { name: &name, rr_type, client: Client { mac, ..client }, now, pauses: &pauses };
        let terms = self.terms.load();
        let local = terms.local.find(&name, rr_type);
        let (is_local, is_special) = (local.is_some(), local.is_none() && terms.special.find(&name).is_some());
        let leads_on =
            |local: &LocalAnswer| local.end == LocalEnd::Elsewhere && terms.special.find(&local.name).is_none();
        let own_aliases = local.filter(leads_on).map_or(Vec::new(), |local| local.records);
        let own = || Verdict::of_group(policy.group_of(&asking.client));
        let verdict = if is_local || is_special { own() } else { policy.on_question(&asking) };
        let own_answer = match rr_type {
            _ if verdict.block().is_some() => None,
            _ if is_local && own_aliases.is_empty() => Some(LOCAL),
            _ if is_special => Some(SPECIAL),
            RrType::ANY => Some("questions for ANY get the minimal answer of RFC 8482"),
            RrType::AXFR | RrType::IXFR => Some("zone transfers are refused"),
            _ => None,
        };
        let links = vec![Link::name(name, Trigger::Qname)];
        (own_aliases, Explanation { policy, verdict, links, mac, now, pauses, resolution: None, own_answer })
    }
}
