//! Reads the command line, runs it, and leaves with the code that says how it went.

use std::process::ExitCode;

/// Answers are kept for hours, and what finding them needs lives for moments: the C library puts both in the same pages, of
/// which it can then give none back. Measured after minutes of questions asked once, what was kept took twice its octets.
#[cfg(target_arch = "x86_64")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How it works, in its own words (jemalloc's manual, TUNING): few arenas, and what is free for half a second goes back to
/// the system. It looks for them at this name before `main` begins.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the name is the allocator's own, so nothing else can have it")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8; 46] = b"narenas:4,dirty_decay_ms:500,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    cleandns::cli::run(std::env::args_os())
}
