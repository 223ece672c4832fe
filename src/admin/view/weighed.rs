//! The exceptions that match something of a question, and why each of them counts or doesn't.

use crate::policy::{
    Asking, Cause, Effect, Link, MatchedRule, Mode, Outcome, OwnerException, Policy, ProgramVerdict, Role, Trigger,
    Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule and what it matched.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug)]
pub struct Rule {
    pub program: String,
    pub service: String,
    pub list: String,
    pub path: String,
    pub line: u32,
    /// The line itself, read back from the list; or why it can't be shown.
    pub text: String,
    pub mode: String,
    pub effect: String,
    /// What of the query it matched: qname, cname, dname, svcb-target, address, address-hint, ns-name, ns-address, client.
    pub trigger: String,
    /// The name or address it matched.
    pub matched: String,
    /// The rule in our own format, or AdBlock's where ours can't say it.
    pub name: String,
}

/// An exception that matches something of a question.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug)]
pub struct Weighed {
    #[serde(flatten)]
    pub rule: Rule,
    /// Why the owner made it, if it is one of the owner's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// It holds for this question, needed or not.
    pub counts: bool,
    /// What that comes to, or why it doesn't.
    pub why: String,
}

/// What a question came to.
pub struct Weighing<'a> {
    pub policy: &'a Policy,
    pub asking: &'a Asking<'a>,
    pub verdict: &'a Verdict,
    /// The name asked, and where it leads.
    pub links: &'a [Link],
    /// Every rule that matches any of these, and how it is shown.
    pub matched: &'a [MatchedRule],
    pub considered: &'a [Rule],
    /// Why it is answered without the policy, if it is.
    pub before_policy: Option<&'a str>,
    /// Its answer breaks DNSSEC, so that nobody looks where it leads.
    pub is_bogus: bool,
}

impl Weighing<'_> {
    /// All of them, in the order in which they matched.
    pub fn weighed(&self) -> Vec<Weighed> {
        let is_exception = |matched: &MatchedRule| match self.policy.list_role(matched.cause.list()) {
            Role::Owner(_) => true,
            Role::Program(_) => matched.cause.effect == Effect::Except,
        };
        let exceptions = self.matched.iter().zip(self.considered).filter(|(matched, _)| is_exception(matched));
        let weighed = exceptions.map(|(matched, rule)| {
            let (counts, why) = self.weigh(matched, rule);
            let owners = match self.policy.list_role(matched.cause.list()) {
                Role::Owner(index) => self.policy.owner_exceptions().get(index),
                Role::Program(_) => None,
            };
            let reason = owners.map(|own| own.reason.clone()).unwrap_or_default();
            Weighed { rule: rule.clone(), reason, counts, why }
        });
        weighed.collect()
    }

    fn weigh(&self, matched: &MatchedRule, rule: &Rule) -> (bool, String) {
        let Self { policy, verdict, .. } = self;
        match policy.list_role(matched.cause.list()) {
            Role::Owner(index) => {
                let exception = &policy.owner_exceptions()[index];
                self.overlooked(exception, matched).map_or_else(|| (true, self.of_owner(exception)), |why| (false, why))
            }
            Role::Program(program) => {
                let name = &policy.programs()[program].name;
                if matched.mode == Mode::Off {
                    return (false, format!("{name}/{} is off for this client at this time", rule.service));
                }
                if let Some(why) = self.unseen(matched) {
                    return (false, why);
                }
                if let Some(owner) = self.owner_of(program) {
                    return (false, format!("your exception at {} lets pass whatever {name} says", owner.place));
                }
                match verdict.programs.iter().find(|said| usize::from(said.program) == program) {
                    Some(said) if said.outcome == Outcome::Except => self.beside(said, matched, name),
                    Some(said) => (false, self.lost_to(said, matched, rule)),
                    None => (false, format!("nothing of {name} says anything of it")),
                }
            }
        }
    }

    /// Why one of the owner's doesn't hold.
    fn overlooked(&self, exception: &OwnerException, matched: &MatchedRule) -> Option<String> {
        let Self { policy, asking, verdict, .. } = self;
        if exception.holds(asking.now, verdict.group) {
            // The verdict would tell of it if the policy had been asked.
            let is_own = matched.cause.link == 0 && verdict.owner.is_none();
            let own =
                || is_own.then(|| "the name is one of your own ([local]), and no policy is asked of it".to_owned());
            return self.unseen(matched).or_else(own);
        }
        Some(match exception.until {
            Some(until) if asking.now >= until => "it has ended".to_owned(),
            _ => {
                let groups: Vec<&str> = exception.groups.iter().map(|group| policy.group_name(*group)).collect();
                let own = match verdict.group {
                    0 => "no group".to_owned(),
                    group => policy.group_name(group).to_owned(),
                };
                format!("it is for {}, and this client is in {own}", groups.join(", "))
            }
        })
    }

    /// Why nobody looks at what an exception matches.
    fn unseen(&self, matched: &MatchedRule) -> Option<String> {
        let Self { verdict, before_policy, is_bogus, .. } = self;
        let is_of_answer = matched.cause.link > 0;
        match before_policy {
            Some(why) => Some(format!("no policy is asked: {why}")),
            None if is_of_answer && verdict.block().is_some() && !verdict.answer_seen => {
                Some("the question itself is blocked, so nobody looks where it leads".to_owned())
            }
            None if is_of_answer && *is_bogus => {
                Some("the answer breaks DNSSEC, so nobody looks where it leads".to_owned())
            }
            None => None,
        }
    }

    /// The owner's exception that passes all of a program.
    fn owner_of(&self, program: usize) -> Option<&OwnerException> {
        let mut own = self.matched.iter().filter_map(|matched| match self.policy.list_role(matched.cause.list()) {
            Role::Owner(index) => Some((&self.policy.owner_exceptions()[index], matched)),
            Role::Program(_) => None,
        });
        let is_of = |own: &OwnerException| own.programs.is_empty() || own.programs.contains(&program);
        own.find(|(own, matched)| is_of(own) && self.overlooked(own, matched).is_none()).map(|(own, _)| own)
    }

    /// What one of the owner's comes to that holds.
    fn of_owner(&self, exception: &OwnerException) -> String {
        let is_of = |said: &&ProgramVerdict| {
            exception.programs.is_empty() || exception.programs.contains(&usize::from(said.program))
        };
        let lost = self.verdict.overruled.iter().filter(|said| said.outcome != Outcome::Except).find(is_of);
        let names: Vec<&str> =
            exception.programs.iter().map(|own| self.policy.programs()[*own].name.as_str()).collect();
        let (whole, of_whom) = match names.join(", ").as_str() {
            "" => ("it lets the whole answer pass".to_owned(), String::new()),
            names => (format!("it lets pass whatever {names} says"), format!(" of {names}")),
        };
        let others = self.verdict.programs.iter().filter(|said| said.outcome != Outcome::Except);
        let other = others.map(|said| format!("; it isn't for {}, of which {}", self.program(said), self.does(said)));
        format!("{whole}; {}{}", self.but_for_it(lost, &of_whom), other.take(1).collect::<String>())
    }

    /// What a program's exception comes to where its program says that it passes.
    fn beside(&self, said: &ProgramVerdict, matched: &MatchedRule, name: &str) -> (bool, String) {
        if said.cause.rule != matched.cause.rule {
            return (true, format!("it holds, beside {}, which comes first", self.place(&said.cause)));
        }
        let is_lost = |lost: &&ProgramVerdict| lost.program == said.program && lost.outcome != Outcome::Except;
        let lost = self.verdict.overruled.iter().find(is_lost);
        let others = self.verdict.programs.iter().filter(|other| other.outcome != Outcome::Except);
        let other = others.map(|other| {
            format!("; {} all the same, and an exception of {name} is for no other program", self.does(other))
        });
        let is_shadow = if matched.mode == Mode::Shadow { ", in shadow" } else { "" };
        let but_for_it = self.but_for_it(lost, &format!(" of {name}"));
        (true, format!("{name} lets it pass by this{is_shadow}; {but_for_it}{}", other.take(1).collect::<String>()))
    }

    /// What is stronger than a program's exception.
    fn lost_to(&self, said: &ProgramVerdict, matched: &MatchedRule, rule: &Rule) -> String {
        let (cause, own) = (&said.cause, &matched.cause);
        let does = self.does(said);
        if matched.mode == Mode::Shadow && said.outcome == Outcome::Block {
            return format!("it is in shadow, and lets nothing pass that is enforced: {does}");
        }
        if own.link != cause.link && own.link > 0 {
            return format!("it is for {} alone, and {does} for {}", rule.matched, self.reached(cause));
        }
        if cause.important && !own.important {
            return format!("{does}, and is important: only an important exception is stronger");
        }
        format!("{does}, and is stronger")
    }

    /// `of_whom`: what could have, if not anything.
    fn but_for_it(&self, lost: Option<&ProgramVerdict>, of_whom: &str) -> String {
        match lost {
            None => format!("nothing{of_whom} would block it without this"),
            Some(lost) if lost.outcome == Outcome::Block => {
                format!("but for this, {} would block it", self.place(&lost.cause))
            }
            Some(lost) => format!("but for this, {} would count it as one to block", self.place(&lost.cause)),
        }
    }

    /// `clean-store/tiktok (tiktok.list line 3) blocks it`
    fn does(&self, said: &ProgramVerdict) -> String {
        let does = if said.outcome == Outcome::Block { "blocks it" } else { "would block it" };
        format!("{} {does}", self.place(&said.cause))
    }

    fn program(&self, said: &ProgramVerdict) -> &str {
        &self.policy.programs()[usize::from(said.program)].name
    }

    fn place(&self, cause: &Cause) -> String {
        let list = &self.policy.lists()[cause.list()];
        let program = list.program().map_or("", |program| self.policy.programs()[program].name.as_str());
        format!("{program}/{} ({} line {})", list.service, list.name, cause.line)
    }

    /// What a rule matched.
    fn reached(&self, cause: &Cause) -> String {
        match cause.trigger {
            Trigger::Client => self.asking.client.address.to_string(),
            _ => self.links.get(usize::from(cause.link)).map(|link| link.what.to_string()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::view::explain::explained,
        dns::{Name, RrType},
        lists::ListStatus,
        policy::{
            Client, ListSpec, PolicySpec, ProgramSpec, Scope,
            parse::{Options, parse},
        },
        query::Explanation,
    };
    use std::sync::Arc;

    /// What is said of the exceptions that match `www.a.example`, which leads to `cdn.b.example` and `edge.c.example`, in
    /// order. `p` enforces, `w` is in shadow, `q` enforces; of the owner's is told which group they are for, which program,
    /// and whether they ended.
    fn told(p: &str, w: &str, q: &str, owner: &[(&str, Option<u16>, Option<usize>, bool)]) -> Vec<String> {
        let list = |(program, (service, rules)): (usize, (&str, &str))| {
            let text = format!("#! cleandns\n{}\n", rules.replace(' ', "\n"));
            let rules = parse(text.as_bytes(), &Options::default()).unwrap().rules;
            ListSpec::of_program(program, service, &format!("{service}.list"), rules)
        };
        let lists = [("p", p), ("w", w), ("q", q)].into_iter().enumerate();
        let lists = lists.filter(|(_, (_, rules))| !rules.is_empty()).map(list).collect();
        let shadow = ProgramSpec { mode: Mode::Shadow, ..ProgramSpec::enforced("w") };
        let programs = vec![ProgramSpec::enforced("p"), shadow, ProgramSpec::enforced("q")];
        let exceptions = owner.iter().map(|(name, group, program, ended)| OwnerException {
            names: vec![(name.parse().unwrap(), Scope::Subtree)],
            programs: program.iter().copied().collect(),
            groups: group.iter().copied().collect(),
            until: ended.then_some(50),
            reason: "why".into(),
            place: "here".into(),
        });
        let spec = PolicySpec { owner_exceptions: exceptions.collect(), ..PolicySpec::of(programs, lists) };
        let policy = Arc::new(Policy::build(spec).unwrap());
        let [name, cdn, edge]: [Name; 3] =
            ["www.a.example", "cdn.b.example", "edge.c.example"].map(|name| name.parse().unwrap());
        let led_to = [cdn, edge].map(|alias| Link::name(alias, Trigger::Cname));
        let client = Client { address: [192, 0, 2, 1].into(), id: None, mac: None, tcp: false, group: None };
        let asking = Asking { name: &name, rr_type: RrType::A, client, now: 100, pauses: &[] };
        let question = policy.on_question(&asking);
        let verdict = policy.on_answer(&question, &asking, &led_to);
        let links = [&[Link::name(name, Trigger::Qname)][..], &led_to].concat();
        let (now, pauses) = (100, Arc::default());
        let (resolution, own_answer) = (None, None);
        let explanation = Explanation { policy, verdict, links, mac: None, now, pauses, resolution, own_answer };
        let view = explained(&explanation, RrType::A, client, true, &ListStatus::default());
        let counts = |own: &Weighed| if own.counts { "+" } else { "-" };
        let all = view.exceptions.iter().map(|own| format!("{}{}: {}", counts(own), own.rule.name, own.why));
        let mut all: Vec<String> = all.collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn each_exception_says_why_it_counts_or_does_not() {
        for (p, w, q, owner, expected) in [
            ("a.example", "", "", &[][..], &[][..]),
            (
                "a.example @www.a.example",
                "",
                "",
                &[],
                &["+www.a.example: p lets it pass by this; but for this, p/p (p.list line 2) would block it"],
            ),
            (
                "@www.a.example",
                "",
                "",
                &[],
                &["+www.a.example: p lets it pass by this; nothing of p would block it without this"],
            ),
            // One program's is no other's.
            (
                "@www.a.example",
                "",
                "a.example",
                &[],
                &[
                    "+www.a.example: p lets it pass by this; nothing of p would block it without this; q/q (q.list line 2) \
                     blocks it all the same, and an exception of p is for no other program",
                ],
            ),
            // Of another name in the chain.
            (
                "a.example @cdn.b.example",
                "",
                "",
                &[],
                &["-cdn.b.example: the question itself is blocked, so nobody looks where it leads"],
            ),
            (
                "@www.a.example b.example",
                "",
                "",
                &[],
                &["+www.a.example: p lets it pass by this; but for this, p/p (p.list line 3) would block it"],
            ),
            (
                "@a.example @=www.a.example a.example",
                "",
                "",
                &[],
                &[
                    "+=www.a.example: p lets it pass by this; but for this, p/p (p.list line 4) would block it",
                    "+a.example: it holds, beside p/p (p.list line 3), which comes first",
                ],
            ),
            (
                "@@||a.example^ ||a.example^$important",
                "",
                "",
                &[],
                &[
                    "-a.example: p/p (p.list line 3) blocks it, and is important: only an important exception is stronger",
                ],
            ),
            // One on an alias is for that alone.
            (
                "b.example @cdn.b.example",
                "",
                "",
                &[],
                &["+cdn.b.example: p lets it pass by this; but for this, p/p (p.list line 2) would block it"],
            ),
            (
                "b.example c.example @cdn.b.example",
                "",
                "",
                &[],
                &[
                    "-cdn.b.example: it is for cdn.b.example alone, and p/p (p.list line 3) blocks it for edge.c.example",
                ],
            ),
            // In shadow.
            (
                "",
                "a.example @www.a.example",
                "",
                &[],
                &[
                    "+www.a.example: w lets it pass by this, in shadow; but for this, w/w (w.list line 2) would count it as \
                     one to block",
                ],
            ),
            // The owner's.
            ("a.example", "", "", &[("a.example", None, None, true)], &["-a.example: it has ended"]),
            (
                "a.example",
                "",
                "",
                &[("a.example", None, None, false)],
                &["+a.example: it lets the whole answer pass; but for this, p/p (p.list line 2) would block it"],
            ),
            (
                "a.example @www.a.example",
                "",
                "",
                &[("a.example", None, None, false)],
                &[
                    "+a.example: it lets the whole answer pass; but for this, p/p (p.list line 2) would block it",
                    "-www.a.example: your exception at here lets pass whatever p says",
                ],
            ),
            (
                "a.example",
                "",
                "a.example",
                &[("a.example", None, Some(0), false)],
                &[
                    "+a.example: it lets pass whatever p says; but for this, p/p (p.list line 2) would block it; it isn't for q, of \
                   which q/q (q.list line 2) blocks it",
                ],
            ),
            (
                "b.example",
                "",
                "",
                &[("b.example", None, None, false)],
                &["+b.example: it lets the whole answer pass; but for this, p/p (p.list line 2) would block it"],
            ),
            (
                "a.example",
                "",
                "",
                &[("b.example", None, None, false)],
                &["-b.example: the question itself is blocked, so nobody looks where it leads"],
            ),
            (
                "",
                "",
                "",
                &[("a.example", None, None, false)],
                &["+a.example: it lets the whole answer pass; nothing would block it without this"],
            ),
        ] {
            assert_eq!(told(p, w, q, owner), expected, "{p} | {w} | {q} | {owner:?}");
        }
    }
}
