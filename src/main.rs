//! Reads the command line, runs it, and leaves with the code that says how it went.

use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cleandns::cli::run(std::env::args_os())
}
