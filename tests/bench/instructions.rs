//! Instructions that a stage of a bench takes, counted by valgrind: the same at each run, however busy the machine.
//!
//! The bench starts itself under `callgrind`, twice, with the same stage run another number of times; all else that it does
//! is in both counts.

use std::process::Command;

const STAGE: &str = "CLEANDNS_BENCH_STAGE";
const ROUNDS: &str = "CLEANDNS_BENCH_ROUNDS";

/// Which stage this process is to run and how often, if it was started for that.
pub fn asked() -> Option<(String, usize)> {
    Some((std::env::var(STAGE).ok()?, std::env::var(ROUNDS).ok()?.parse().ok()?))
}

/// Instructions for each of the `asked` things that one round of the stage does; or why that isn't known.
pub fn of(stage: &str, asked: usize) -> Result<f64, String> {
    // The first round of all makes ready what later ones use.
    let (few, many) = (1, 5);
    let more = total(stage, many)? as f64 - total(stage, few)? as f64;
    Ok(more / (many - few) as f64 / asked as f64)
}

fn total(stage: &str, rounds: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .env(STAGE, stage)
        .env(ROUNDS, rounds.to_string())
        .output()
        .map_err(|error| format!("valgrind can't be started (Debian: apt install valgrind): {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind counted nothing: {said}"))
}
