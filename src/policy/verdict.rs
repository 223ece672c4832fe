//! What the policy says of a query, with everything needed to explain it. Plain, copyable, without allocation.

use super::rule::{Effect, Scope};
use smallvec::SmallVec;

/// What about a query a rule matched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trigger {
    /// The name asked.
    Qname,
    /// The target of a CNAME record in the answer.
    Cname,
    /// The target of a CNAME record that a DNAME record gave rise to.
    Dname,
    /// The TargetName of an HTTPS or SVCB record.
    SvcbTarget,
}

impl Trigger {
    pub const ALL: [Self; 4] = [Self::Qname, Self::Cname, Self::Dname, Self::SvcbTarget];

    /// The word used in logs, labels and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Qname => "qname",
            Self::Cname => "cname",
            Self::Dname => "dname",
            Self::SvcbTarget => "svcb-target",
        }
    }

    /// True if the same name would not be matched for every query type: then NXDOMAIN, which is cached for all types
    /// (RFC 2308 §5), would be wrong.
    pub fn depends_on_type(self) -> bool {
        self == Self::SvcbTarget
    }
}

/// The rule that decided, and what it matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cause {
    /// Index into the policy's lists.
    pub list: u16,
    /// Line in that list, from 1.
    pub line: u32,
    pub effect: Effect,
    pub scope: Scope,
    /// Labels of the rule's own name: that many rightmost labels of the matched name.
    pub labels: u8,
    pub trigger: Trigger,
    /// Which name matched: 0 the name asked, n the n-th alias.
    pub link: u8,
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
    /// True if the owner passed the whole answer.
    pub fn is_owners(&self) -> bool {
        self.owner.is_some_and(|pass| pass.whole)
    }

    /// The program verdict that sets the action: the first in order of configuration that blocks.
    pub fn block(&self) -> Option<&ProgramVerdict> {
        self.programs.iter().find(|program| program.outcome == Outcome::Block)
    }
}
