//! System calls that a server has no need of, refused by a filter (seccomp).
//!
//! The filter names what is refused, and what it doesn't name passes. A list of what is allowed would be stronger, and would
//! be wrong sooner or later: which calls memory, threads, timers and the database take differs by processor, C library and
//! version, and a call that was forgotten is an outage. For the same reason a refused call fails (EPERM) and doesn't end the
//! process. So the filter takes what an intruder would go on with: programs to start, other processes, kernel interfaces
//! that have a history, mounts and namespaces, code made in memory.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod filter;

use std::fmt;

/// What came of it.
#[derive(Debug)]
pub enum Held {
    /// So many calls are refused, always or in some forms.
    Held(usize),
    Not(String),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(count) => write!(f, "{count} system calls are refused (seccomp)"),
            Self::Not(why) => write!(f, "no system calls are refused (seccomp: {why})"),
        }
    }
}

/// Refuses them from now on, in this thread and those it starts.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub(super) fn restrict() -> Held {
    match filter::apply() {
        Ok(count) => Held::Held(count),
        Err(why) => Held::Not(why),
    }
}

/// There is no filter for this processor.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub(super) fn restrict() -> Held {
    Held::Not(format!("not for processors of the kind {}", std::env::consts::ARCH))
}
