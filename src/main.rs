//! Reads the command line, runs it, and leaves with the code that says how it went.

use std::process::ExitCode;

fn main() -> ExitCode {
    cleandns::cli::run(std::env::args_os())
}
