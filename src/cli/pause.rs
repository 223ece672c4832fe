//! `cleandns pause`: everything in shadow for a while, by the running server.

use super::{Failure, Outcome, ask_server, say, say_json};
use crate::{
    admin::{PauseAsked, PausesView},
    config::Config,
    pause::another,
};
use std::time::Duration;

/// What is asked.
pub struct Asked {
    /// `None`: only tell what is paused.
    pub length: Option<Duration>,
    pub group: Option<String>,
    pub client: Option<String>,
    /// End the pause instead.
    pub end: bool,
    pub json: bool,
}

/// Begins or ends a pause, and tells which there are.
pub fn pause(config: &Config, asked: &Asked) -> Outcome {
    let seconds = match (asked.end, asked.length) {
        (true, _) => Some(0),
        (false, length) => length.map(|length| length.as_secs()),
    };
    let body = seconds.map(|seconds| PauseAsked {
        group: asked.group.clone(),
        client: asked.client.clone(),
        seconds: Some(seconds),
        ..PauseAsked::default()
    });
    if body.is_none() && (asked.group.is_some() || asked.client.is_some()) {
        return Err(Failure::Usage("--group and --client need --for or --end".to_owned()));
    }
    let view: PausesView = ask_server(config, "/api/v1/pause", &[], body.as_ref())?;
    if asked.json {
        return say_json(&view);
    }
    if view.pauses.is_empty() {
        say("nothing is paused\n");
    }
    for pause in &view.pauses {
        say(format!("{}: nothing is blocked for {}\n", pause.whom(), another(pause.until, view.now)));
    }
    view.warning.iter().for_each(|warning| say(format!("! {warning}\n")));
    Ok(())
}
