//! The first page: what is wrong, how many, how fast.

use super::super::{
    AdminState,
    auth::Reader,
    view::{
        overview::{ByCache, Overview, STEP_SECONDS, overview, time_line},
        tops::counts,
    },
};
use super::{
    Shell,
    pause::{PauseCard, Typed},
    plot::{Plot, plot},
    show,
    tops::Tables,
    words::{ago, count, counted, octets, rate, stamp, took},
};
use crate::report::{Moment, form::TimeLine};
use askama::Template;
use axum::{extract::State, response::Response};

const DAY_MICROS: i64 = 86_400_000_000;

#[derive(Template)]
#[template(path = "overview.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: Overview,
    plot: Plot,
    /// Steps of the plot.
    steps: usize,
    hours: Vec<Hour>,
    pause: PauseCard,
    tops: Tables,
    /// Whether counts go on over a start.
    is_recorded: bool,
}

/// Hours that are told of.
const HOURS: u32 = 24;

/// A row of the numbers below the plot.
struct Hour {
    from: Moment,
    /// All, blocked, would be blocked, excepted, refused.
    counts: [u64; 5],
}

pub async fn page(State(state): State<AdminState>, reader: Reader) -> Response {
    let pause = PauseCard::new(&state, Typed::default(), None);
    show_with(&state, reader, pause).await
}

/// The page with a form as it was sent.
pub async fn show_with(state: &AdminState, reader: Reader, pause: PauseCard) -> Response {
    let view = overview(state);
    let line = time_line(state, None, None, STEP_SECONDS);
    let shell = Shell::new(state, reader, "/", "Overview");
    show(Page {
        shell,
        plot: plot(&line),
        steps: line.buckets.len(),
        hours: by_hour(&line),
        tops: Tables::of(state, counts(state, HOURS).await),
        is_recorded: state.recorded.is_somewhere(),
        view,
        pause,
    })
}

/// Hours with queries, the latest first.
fn by_hour(line: &TimeLine) -> Vec<Hour> {
    let hour_of = |at: Moment| at.0.div_euclid(3_600_000_000);
    let mut hours: Vec<(i64, Hour)> = Vec::new();
    for at in &line.buckets {
        let said = [at.blocked, at.would_block, at.excepted];
        let all = said.iter().sum::<u64>() + at.passed + at.refused;
        if hours.last().is_none_or(|(hour, _)| *hour != hour_of(at.start)) {
            let from = Moment(hour_of(at.start) * 3_600_000_000);
            hours.push((hour_of(at.start), Hour { from, counts: [0; 5] }));
        }
        if let Some((_, hour)) = hours.last_mut() {
            let more = [all, said[0], said[1], said[2], at.refused];
            hour.counts.iter_mut().zip(more).for_each(|(own, more)| *own += more);
        }
    }
    hours.into_iter().rev().map(|(_, hour)| hour).filter(|hour| hour.counts[0] > 0).collect()
}

impl Page {
    /// What time the counts are of.
    fn heading(&self) -> String {
        let (since, now) = (self.view.totals.since, self.view.now.time);
        if now.0.saturating_sub(since.0) >= DAY_MICROS {
            "Last 24 hours".to_owned()
        } else {
            if self.is_recorded { "What is recorded so far" } else { "Since this process started" }.to_owned()
        }
    }

    /// `None` for a whole day.
    fn started(&self) -> Option<String> {
        let (since, now) = (self.view.totals.since, self.view.now.time);
        (now.0.saturating_sub(since.0) < DAY_MICROS).then(|| ago(since, now))
    }

    /// How long ago a server said of each downloaded list that it is what it is; none: nothing is downloaded.
    fn oldest(&self) -> Option<String> {
        self.view.lists.oldest_seconds.map(|seconds| self.ago(seconds))
    }

    /// How long ago the content of any list last changed.
    fn changed(&self) -> Option<String> {
        self.view.lists.newest_change_seconds.map(|seconds| self.ago(seconds))
    }

    fn ago(&self, seconds: u64) -> String {
        let now = self.view.now.time;
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        ago(Moment(now.0.saturating_sub(micros)), now)
    }

    fn speed(&self) -> impl Iterator<Item = (&'static str, &ByCache)> {
        let words = ["from memory", "past their time", "resolved", "blocked, refused, your own"];
        words.into_iter().zip(&self.view.latency.by_cache).filter(|(_, own)| own.share.part > 0)
    }
}
