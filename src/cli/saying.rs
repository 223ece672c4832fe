//! Standard output: what a command prints there is there, or the command fails.

use super::{Failure, Outcome};
use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

/// The first reason why something could not be printed. A command goes on all the same, and fails at its end.
static UNSAID: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints.
pub(super) fn say(text: impl AsRef<str>) {
    let printed = io::stdout().write_all(text.as_ref().as_bytes());
    if let Err(error) = printed {
        UNSAID.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Has everything printed, and tells whether all of it was.
pub(super) fn finish_saying() -> Outcome {
    let flushed = io::stdout().flush();
    let unsaid = UNSAID.lock().unwrap_or_else(PoisonError::into_inner).take();
    said(unsaid.map_or(flushed, Err))
}

/// What becomes of a command by what became of its text: a full disk is told, a reader who has seen enough is not.
pub(super) fn said(printed: io::Result<()>) -> Outcome {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("standard output can't be written to: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says to a person what is not as it should be, beside what is asked for.
pub(super) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}

/// Says something as JSON, for programs.
pub(super) fn say_json(what: &impl serde::Serialize) -> Outcome {
    let json = serde_json::to_string_pretty(what).map_err(|error| Failure::Other(error.to_string()))?;
    say(json + "\n");
    Ok(())
}
