//! One rule of a set: its flags in an octet, where it lies, and what it says.

use super::{Extra, OtherMatcher, PREFIX_BYTES};
use crate::{
    dns::{Name, Rcode},
    policy::rule::{Action, Effect, Matcher, Rule, Scope},
};
use foldhash::fast::FixedState;
use std::{
    fmt::{self, Write},
    hash::BuildHasher,
};

/// Octets of a rule that records tell: none on a name or a place has as many.
const TOLD_BYTES_MAX: usize = 255;

/// Effect, scope, importance and the common actions in one octet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flags(pub(super) u8);

impl Flags {
    pub(super) const EXCEPT: u8 = 1;
    const IMPORTANT: u8 = 1 << 3;
    pub(super) const EXTRA: u8 = 1 << 7;

    pub(super) fn new(effect: Effect, scope: Scope, important: bool, action: &Action) -> Self {
        let code = match action {
            Action::Given => 0,
            Action::Code(Rcode::NXDOMAIN) => 1,
            Action::NoData => 2,
            Action::Drop => 3,
            Action::TcpOnly => 4,
            Action::Code(Rcode::REFUSED) => 5,
            Action::Code(_) => 6,
            Action::Rewrite(_) => 7,
        };
        let except = if effect == Effect::Except { Self::EXCEPT } else { 0 };
        let important = if important { Self::IMPORTANT } else { 0 };
        Self(except | (scope as u8) << 1 | important | code << 4)
    }

    pub fn effect(self) -> Effect {
        if self.0 & Self::EXCEPT == 0 { Effect::Block } else { Effect::Except }
    }

    pub fn scope(self) -> Scope {
        match self.0 >> 1 & 3 {
            0 => Scope::Exact,
            1 => Scope::Subtree,
            _ => Scope::Below,
        }
    }

    pub fn is_important(self) -> bool {
        self.0 & Self::IMPORTANT != 0
    }

    /// True if the rule has more than its flags say.
    pub fn has_extra(self) -> bool {
        self.0 & Self::EXTRA != 0
    }

    /// True if the rule lets only TCP through.
    pub fn is_tcp_only(self) -> bool {
        self.0 >> 4 & 7 == 4
    }

    fn action(self, extra: Option<&Extra>) -> Action {
        match self.0 >> 4 & 7 {
            0 => Action::Given,
            1 => Action::Code(Rcode::NXDOMAIN),
            2 => Action::NoData,
            3 => Action::Drop,
            4 => Action::TcpOnly,
            5 => Action::Code(Rcode::REFUSED),
            6 => Action::Code(extra.and_then(|extra| extra.code).unwrap_or(Rcode::REFUSED)),
            _ => match extra.and_then(|extra| extra.rewrite.clone()) {
                Some(data) => Action::Rewrite(data),
                None => Action::NoData,
            },
        }
    }

    /// What tells one rule from another; not where more is found.
    pub(super) fn identity(self) -> u8 {
        self.0 & !Self::EXTRA
    }
}

/// A rule on a name where it lies.
#[derive(Clone, Copy, Debug)]
pub struct PackedRule<'a> {
    pub(super) head: [u8; PREFIX_BYTES],
    /// The wire form of the rule's name.
    pub name: &'a [u8],
}

impl PackedRule<'_> {
    pub fn flags(&self) -> Flags {
        Flags(self.head[0])
    }

    pub fn line(&self) -> u32 {
        u32::from_le_bytes(self.head) >> 8
    }
}

/// Any rule where it lies.
#[derive(Clone, Copy, Debug)]
pub struct RuleView<'a> {
    pub head: RuleHead<'a>,
    pub what: What<'a>,
}

/// What a rule says, without what it looks at.
#[derive(Clone, Copy, Debug)]
pub struct RuleHead<'a> {
    pub flags: Flags,
    pub line: u32,
    pub extra: Option<&'a Extra>,
}

/// What a rule looks at.
#[derive(Clone, Copy, PartialEq, Hash, Debug)]
pub enum What<'a> {
    /// A name in wire form.
    Name(&'a [u8]),
    Other(&'a OtherMatcher),
}

impl RuleView<'_> {
    /// A hash of what the rule says, not of where: equal rules have equal ones.
    pub fn identity(&self) -> u64 {
        state().hash_one((self.head.flags.identity(), self.what, self.head.extra))
    }

    /// What the rule looks at, as records tell it: `=example.com`, `192.0.2.0/24`, `AS4134`, `ns:example.net`.
    pub fn told(&self) -> String {
        let mut text = Vec::new();
        self.tell(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Appends the same: whole characters in 255 octets, with spaces written as DNS writes them.
    pub fn tell(&self, out: &mut Vec<u8>) {
        let out = &mut Told { room: TOLD_BYTES_MAX, out };
        // What has no room is left out.
        let _ = match self.what {
            What::Name(wire) => {
                let name = Name::from_wire(wire).expect("only whole names are packed");
                write!(out, "{}{name}", self.head.flags.scope().prefix())
            }
            What::Other(OtherMatcher::NsName(scope, name)) => write!(out, "ns:{}{name}", scope.prefix()),
            What::Other(OtherMatcher::Address(place)) => write!(out, "{place}"),
            What::Other(OtherMatcher::NsAddress(place)) => write!(out, "ns:{place}"),
            What::Other(OtherMatcher::Client(net)) => write!(out, "client:{net}"),
            What::Other(OtherMatcher::Pattern(pattern)) => write!(out, "{}", pattern.pattern()),
        };
    }

    /// True if the rule looks at who asks.
    pub fn is_by_client(&self) -> bool {
        matches!(self.what, What::Other(OtherMatcher::Client(_))) || self.head.is_by_client()
    }

    /// The rule by itself.
    pub fn unpack(&self) -> Rule {
        let matcher = match self.what {
            What::Name(wire) => Matcher::Name {
                scope: self.head.flags.scope(),
                name: Name::from_wire(wire).expect("only whole names are packed"),
            },
            What::Other(OtherMatcher::Pattern(pattern)) => Matcher::Pattern(pattern.pattern().clone()),
            What::Other(OtherMatcher::Address(place)) => Matcher::Address(place.clone()),
            What::Other(OtherMatcher::NsName(scope, name)) => Matcher::NsName { scope: *scope, name: name.clone() },
            What::Other(OtherMatcher::NsAddress(place)) => Matcher::NsAddress(place.clone()),
            What::Other(OtherMatcher::Client(net)) => Matcher::Client(*net),
        };
        Rule {
            effect: self.head.flags.effect(),
            important: self.head.flags.is_important(),
            action: self.head.flags.action(self.head.extra),
            matcher,
            conditions: self.head.extra.and_then(|extra| extra.conditions.clone()),
            line: self.head.line,
        }
    }
}

/// What a record tells of a rule, as far as there is room.
struct Told<'o> {
    room: usize,
    out: &'o mut Vec<u8>,
}

impl fmt::Write for Told<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|letter| self.write_char(letter))
    }

    fn write_char(&mut self, letter: char) -> fmt::Result {
        let mut octets = [0; 4];
        let text = if letter == ' ' { "\\032" } else { letter.encode_utf8(&mut octets) };
        self.room = self.room.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl RuleHead<'_> {
    /// True if it holds for some clients only.
    pub fn is_by_client(&self) -> bool {
        let conditions = self.extra.and_then(|extra| extra.conditions.as_ref());
        conditions.is_some_and(|own| !own.clients.is_empty() || !own.tags.is_empty())
    }

    /// What becomes of a question that the rule blocks.
    pub fn action(&self) -> Action {
        self.flags.action(self.extra)
    }
}

/// Fixed, so that identities of different lists and runs can be compared.
pub fn state() -> FixedState {
    FixedState::with_seed(0)
}

#[cfg(test)]
mod tests {
    use crate::policy::parse::{Options, parse};

    #[test]
    fn rules_are_told_as_they_stand_in_lists() {
        let rules = [
            "example.com",
            "=example.com",
            "*.example.com",
            "192.0.2.0/24",
            "2001:db8::/32",
            "AS4134",
            "country:CN",
            "!country:US,CA",
            "ns:example.net",
            "ns:*.example.net",
            "ns:192.0.2.0/24",
            "/^ads[0-9]+/",
        ];
        let text = format!("#! cleandns\n{}\n@except.example\n", rules.join("\n"));
        let set = parse(text.as_bytes(), &Options::default()).unwrap().rules;
        let mut told: Vec<(u32, String)> = set.iter().map(|(_, rule)| (rule.head.line, rule.told())).collect();
        told.sort();
        let told: Vec<&str> = told.iter().map(|(_, rule)| rule.as_str()).collect();
        // What a rule does is told beside it.
        assert_eq!(told, [&rules[..], &["except.example"]].concat());
        let long = format!("#! cleandns\n/{}/\n/a b/\n", "x".repeat(400));
        let set = parse(long.as_bytes(), &Options::default()).unwrap().rules;
        let told: Vec<String> = set.iter().map(|(_, rule)| rule.told()).collect();
        assert!(told.iter().all(|rule| rule.len() <= 255 && !rule.contains(' ')), "{told:?}");
    }
}
