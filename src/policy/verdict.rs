//! What the policy says of a query, with everything needed to explain it. Plain, without allocation.

use super::{
    places::RuleRef,
    rule::{Effect, Scope},
};
use crate::dns::Name;
use smallvec::SmallVec;
use std::net::IpAddr;

/// What about a query a rule matched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trigger {
    /// The client's address.
    Client,
    /// The name asked.
    Qname,
    /// The target of a CNAME record in the answer.
    Cname,
    /// The target of a CNAME record that a DNAME record gave rise to.
    Dname,
    /// The TargetName of an HTTPS or SVCB record.
    SvcbTarget,
    /// An address in the answer.
    Address,
    /// An address in a hint of an HTTPS or SVCB record.
    Hint,
    /// The name of a name server of a zone that the answer came from.
    NsName,
    /// The address of such a name server.
    NsAddress,
}

impl Trigger {
    pub const ALL: [Self; 9] = [
        Self::Client,
        Self::Qname,
        Self::Cname,
        Self::Dname,
        Self::SvcbTarget,
        Self::Address,
        Self::Hint,
        Self::NsName,
        Self::NsAddress,
    ];

    /// The word used in logs, labels and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Qname => "qname",
            Self::Cname => "cname",
            Self::Dname => "dname",
            Self::SvcbTarget => "svcb-target",
            Self::Address => "address",
            Self::Hint => "address-hint",
            Self::NsName => "ns-name",
            Self::NsAddress => "ns-address",
        }
    }

    /// True if the same name would not be matched for every query type: then NXDOMAIN, which is cached for all types
    /// (RFC 2308 §5), would be wrong.
    pub fn depends_on_type(self) -> bool {
        matches!(self, Self::SvcbTarget | Self::Address | Self::Hint)
    }

    /// True for what is known before anything is resolved.
    pub fn is_of_question(self) -> bool {
        matches!(self, Self::Client | Self::Qname)
    }

    /// The order in which a response policy zone looks at its triggers.
    pub(super) fn rpz_rank(self) -> u8 {
        match self {
            Self::Client => 4,
            Self::Qname | Self::Cname | Self::Dname | Self::SvcbTarget => 3,
            Self::Address | Self::Hint => 2,
            Self::NsName => 1,
            Self::NsAddress => 0,
        }
    }
}

/// Something that an answer leads to, and that rules look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    pub what: Reached,
    pub trigger: Trigger,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "an answer leads to a handful of them, and they are copied")]
pub enum Reached {
    Name(Name),
    Address(IpAddr),
}

impl Link {
    pub fn name(name: Name, trigger: Trigger) -> Self {
        Self { what: Reached::Name(name), trigger }
    }

    pub fn address(address: IpAddr, trigger: Trigger) -> Self {
        Self { what: Reached::Address(address), trigger }
    }
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The rule that decided, and what it matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cause {
    pub rule: RuleRef,
    /// Line in that list, from 1.
    pub line: u32,
    pub effect: Effect,
    pub important: bool,
    pub scope: Scope,
    /// Labels of the rule's own name: that many rightmost labels of the matched name. 0 for rules on anything else.
    pub labels: u8,
    pub trigger: Trigger,
    /// What matched: 0 the question, n the n-th link of the answer.
    pub link: u8,
    /// The rule, or what it matched, holds for some query types only.
    pub by_type: bool,
    /// The rule looks at who asks: whoever knows it knows something of the client.
    pub by_client: bool,
    pub(super) specificity: u16,
}

impl Cause {
    /// Index into the policy's lists.
    pub fn list(&self) -> usize {
        usize::from(self.rule.list)
    }
}

/// What one program says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramVerdict {
    /// Index into the policy's programs.
    pub program: u8,
    pub outcome: Outcome,
    pub cause: Cause,
}

/// How a program's rules came out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// It enforces, and a rule blocks.
    Block,
    /// A rule would block, if it were enforced.
    WouldBlock,
    /// An exception lets pass what a rule would otherwise have blocked, or would if there were one.
    Except,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Block, Self::WouldBlock, Self::Except];

    /// The word used in logs, labels and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::WouldBlock => "would-block",
            Self::Except => "except",
        }
    }
}

/// An exception of the owner's that matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnerPass {
    /// Index into the policy's.
    pub exception: u16,
    /// True if it passes the answer whatever any program says; false if it is limited to some programs.
    pub whole: bool,
}

/// The whole decision on a query.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// The owner's own exception that matched, if one did.
    pub owner: Option<OwnerPass>,
    /// What each program with something to say said, in the order of configuration. Four fit without allocation;
    /// more programs than that hardly ever match one name.
    pub programs: SmallVec<[ProgramVerdict; 4]>,
    /// What was weighed against that and lost, one of a program: what an exception lets pass that would be blocked but for
    /// it, else an exception that something is stronger than. Of the owner's exceptions for all nothing is asked of name
    /// servers, so what rules on those would have said isn't in it. Empty where no exception matched; as many as of
    /// `programs` fit without allocation.
    pub overruled: SmallVec<[ProgramVerdict; 4]>,
    /// The client's group: 0 for those in none, n for the n-th of the configuration.
    pub group: u16,
    /// The answer was looked at. False for a question that was blocked or answered without one: what rules on answers
    /// would have said was not seen.
    pub answer_seen: bool,
    /// A rule of the program that watches for ways round this resolver matched, in whatever mode.
    pub bypass: bool,
    /// For `on_answer`: programs whose exceptions on the name asked pass all that follows, by level.
    pub(super) passed: Passed,
}

/// Bit sets of programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Passed {
    /// As far as enforcing rules go.
    pub enforce: u32,
    /// As far as all rules go.
    pub all: u32,
}

impl Passed {
    /// These programs too, at both levels.
    pub fn and(self, programs: u32) -> Self {
        Self { enforce: self.enforce | programs, all: self.all | programs }
    }
}

impl Verdict {
    /// On a question that nothing was asked of, from a client of a group: what its answer leads to is judged for that.
    pub fn of_group(group: u16) -> Self {
        Self { group, ..Self::default() }
    }

    /// True if the owner passed the whole answer.
    pub fn is_owners(&self) -> bool {
        self.owner.is_some_and(|pass| pass.whole)
    }

    /// The program verdict that sets the action: the first in order of configuration that blocks.
    pub fn block(&self) -> Option<&ProgramVerdict> {
        self.programs.iter().find(|program| program.outcome == Outcome::Block)
    }

    /// True if nobody blocks it, in shadow or not, and somebody would but for an exception.
    pub fn needs_exception(&self) -> bool {
        let blocks = |said: &ProgramVerdict| said.outcome != Outcome::Except;
        self.overruled.iter().any(blocks) && !self.programs.iter().any(blocks)
    }

    /// True if nothing was said.
    pub fn is_pass(&self) -> bool {
        self.owner.is_none() && self.programs.is_empty()
    }
}
