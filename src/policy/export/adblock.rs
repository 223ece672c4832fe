//! AdBlock's syntax, as AdGuard Home and its like read it: it has our order of precedence, and says most rules.

use super::{
    ExportError,
    chosen::Chosen,
    names::{
        ADDRESSES, ANSWER, CONDITIONS, ODD_NAME, Place, Rank, Special, Specials, Strength, TAKEN_FROM, has_own_answer,
    },
    networks,
    told::Telling,
};
use crate::policy::{Action, ClientIs, Effect, Matcher, Rule};

/// Why a pattern is left out that can't be compared with names.
const MAY_BE_TAKEN_FROM: &str =
    "an exception that can't be said, or that is no match for an answer of its own, may take from them";

/// Writes the rules, each in a line of its own.
pub fn adblock(chosen: &Chosen<'_>, telling: &mut Telling, put: &mut dyn FnMut(&str)) -> Result<usize, ExportError> {
    let exceptions = Exceptions::new(chosen)?;
    put(&chosen.head("rules", "!"));
    let mut said = 0;
    for (_, rule) in chosen.owners() {
        if let Some(text) = portable(&beating_all(rule)) {
            put(&(text + "\n"));
            said += 1;
        }
    }
    for (order, (list, view)) in (0..).zip(chosen.rules()) {
        let rule = view.unpack();
        let is_block = rule.effect == Effect::Block;
        if !is_of_names(&rule) || is_block && !chosen.is_asked_for(list) {
            continue;
        }
        let text = portable(&rule);
        let why = match &text {
            _ if !is_block => None,
            None => Some(why_not(&rule)),
            Some(_) => exceptions.take_from(&rule, order),
        };
        if let Some(why) = why {
            telling.leave(why, || chosen.place(list, rule.line));
        } else if let Some(text) = text {
            put(&(text + "\n"));
            said += 1;
        }
    }
    networks::leave_all(chosen, ADDRESSES, telling);
    Ok(said)
}

fn is_of_names(rule: &Rule) -> bool {
    matches!(rule.matcher, Matcher::Name { .. } | Matcher::Pattern(_))
}

/// The owner's exception as the strongest that the syntax has.
fn beating_all(rule: Rule) -> Rule {
    Rule { effect: Effect::Except, important: true, action: Action::Given, ..rule }
}

/// The rule's text, if it means the same to others: who has which client's id or tag is known only here.
fn portable(rule: &Rule) -> Option<String> {
    let is_root = matches!(&rule.matcher, Matcher::Name { name, .. } if name.is_root());
    let conditions = rule.conditions.as_deref();
    let is_ours = conditions.is_some_and(|conditions| {
        !conditions.tags.is_empty() || conditions.clients.iter().any(|(_, who)| matches!(who, ClientIs::Id(_)))
    });
    if is_root || is_ours || !is_of_names(rule) { None } else { rule.in_adblock() }
}

fn why_not(rule: &Rule) -> &'static str {
    match (&rule.matcher, &rule.action) {
        _ if rule.conditions.is_some() => CONDITIONS,
        (_, Action::Given) => ODD_NAME,
        _ => ANSWER,
    }
}

/// The program's exceptions, to know what the rules that are written have to stay clear of.
#[derive(Default)]
struct Exceptions {
    /// Those on names that can't be said.
    unsaid: Specials,
    /// All of those on names: to others none of them takes from an answer of its own (`$dnsrewrite`).
    all: Specials,
    has_pattern: bool,
}

impl Exceptions {
    fn new(chosen: &Chosen<'_>) -> Result<Self, ExportError> {
        let mut found = Self::default();
        for (place, rule) in chosen.owners() {
            found.push(&beating_all(rule), Rank::Owner, &place)?;
        }
        for (list, view) in chosen.rules().filter(|(_, view)| view.head.flags.effect() == Effect::Except) {
            let rule = view.unpack();
            found.push(&rule, Rank::of(rule.effect, rule.important), &chosen.place(list, rule.line))?;
        }
        // Where a rule with an answer of its own is left out, what lies around it would block there.
        for (order, (list, view)) in (0..).zip(chosen.rules()).filter(|(_, (_, view))| view.head.extra.is_some()) {
            let rule = view.unpack();
            if rule.effect == Effect::Except || !has_own_answer(&rule.action) {
                continue;
            }
            if portable(&rule).is_none() || found.take_from(&rule, order).is_some() {
                found.push_answer(&rule, order, &chosen.place(list, rule.line))?;
            }
        }
        Ok(found)
    }

    fn push_answer(&mut self, rule: &Rule, order: u64, place: &str) -> Result<(), ExportError> {
        let rank = Rank::of(rule.effect, rule.important);
        match &rule.matcher {
            Matcher::Name { scope, name } => {
                let strength = Strength::new(rank, *scope, name, order);
                let is_whole = rule.conditions.is_none();
                let action = rule.action.clone();
                self.unsaid.push(*name, Special { scope: *scope, rank, strength, is_whole, action });
            }
            // A name beats a pattern, unless that is important.
            Matcher::Pattern(_) if rule.important => return Err(ExportError::Exception(place.to_owned())),
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, rule: &Rule, rank: Rank, place: &str) -> Result<(), ExportError> {
        let is_said = portable(rule).is_some();
        match &rule.matcher {
            Matcher::Name { scope, name } => {
                let strength = Strength::new(rank, *scope, name, 0);
                let is_whole = rule.conditions.is_none();
                let special = Special { scope: *scope, rank, strength, is_whole, action: Action::Given };
                if !is_said {
                    self.unsaid.push(*name, special.clone());
                }
                self.all.push(*name, special);
            }
            Matcher::Pattern(_) if is_said => self.has_pattern = true,
            Matcher::Pattern(_) | Matcher::Client(_) => return Err(ExportError::Exception(place.to_owned())),
            _ => {}
        }
        Ok(())
    }

    /// Why a rule that blocks would block more without what can't be said.
    fn take_from(&self, rule: &Rule, order: u64) -> Option<&'static str> {
        let has_answer = rule.action != Action::Given;
        let against = |table: &Specials| match &rule.matcher {
            Matcher::Name { scope, name } => {
                let own = Strength::new(Rank::of(rule.effect, rule.important), *scope, name, order);
                let is_taken = Place::of(*scope, *name).any(|place| table.takes_from(&place, own));
                is_taken.then_some(TAKEN_FROM)
            }
            _ => (!table.is_empty()).then_some(MAY_BE_TAKEN_FROM),
        };
        let unsaid = against(&self.unsaid);
        let answered = || if self.has_pattern { Some(MAY_BE_TAKEN_FROM) } else { against(&self.all) };
        unsaid.or_else(|| if has_answer { answered() } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Scope;

    #[test]
    fn what_only_this_server_knows_is_not_portable() {
        let rule = |text: &str| {
            let text = format!("[Adblock]\n{text}\n");
            let parsed = crate::policy::parse::parse(text.as_bytes(), &Default::default()).unwrap();
            parsed.rules.iter().next().unwrap().1.unpack()
        };
        for (text, expected) in [
            ("||a.example^", Some("||a.example^")),
            ("|a.example^", Some("|a.example^")),
            ("@@||*.a.example^$important", Some("@@||*.a.example^$important")),
            ("||a.example^$dnstype=A", Some("||a.example^$dnstype=A")),
            ("||a.example^$client=192.0.2.0/24", Some("||a.example^$client=192.0.2.0/24")),
            ("||a.example^$client=laptop", None),
            ("||a.example^$ctag=kids", None),
            ("/^ads[0-9]/", Some("/^ads[0-9]/")),
        ] {
            assert_eq!(portable(&rule(text)).as_deref(), expected, "{text}");
        }
        assert_eq!(portable(&Rule::on_name(Effect::Block, Scope::Subtree, crate::dns::Name::ROOT, 1)), None);
    }
}
