//! `cleandns cache`: what answers the running server keeps.

use super::{Outcome, ask_server, fetch, say, say_json};
use crate::{
    admin::{CacheView, FlushAsked, Flushed},
    config::Config,
};

/// Tells how much is kept, and how often it was of use.
pub fn stats(config: &Config, json: bool) -> Outcome {
    let view: CacheView = fetch(config, "/api/v1/cache", &[])?;
    if json {
        return say_json(&view);
    }
    let CacheView { entries, bytes, size, stored, flushed, hits, stale, misses } = view;
    let asked = hits + stale + misses;
    let share = |part: u64| if asked == 0 { 0.0 } else { 100.0 * part as f64 / asked as f64 };
    say(format!(
        "{entries} answers kept, {:.1} of {:.1} MiB\n\
         {asked} questions looked for: {hits} found ({:.1} %), {stale} found past their time, {misses} resolved\n\
         {stored} answers stored since the start, {flushed} flushed\n",
        mebibytes(bytes),
        mebibytes(size),
        share(hits + stale),
    ));
    Ok(())
}

/// Has the server forget a name, a name and all below it, or everything.
pub fn flush(config: &Config, name: Option<String>, subtree: bool, json: bool) -> Outcome {
    let what = match (&name, subtree) {
        (None, _) => "everything".to_owned(),
        (Some(name), true) => format!("{name} and all names below it"),
        (Some(name), false) => name.clone(),
    };
    let flushed: Flushed = ask_server(config, "/api/v1/cache/flush", &[], Some(&FlushAsked { name, subtree }))?;
    if json {
        return say_json(&flushed);
    }
    say(format!("forgot {what}: {} answers\n", flushed.answers));
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
