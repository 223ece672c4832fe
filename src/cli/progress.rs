//! How far long work is: a line that is written again and again, for a person who waits at a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often it is shown.
const EVERY: Duration = Duration::from_millis(200);
/// Queries between looks at the clock.
const TICKS: u32 = 1024;

/// The line.
pub struct Progress<W = io::Stderr> {
    out: W,
    started: Instant,
    shown: Option<Instant>,
    every: Duration,
    ticks: u32,
    is_on: bool,
}

impl Progress {
    /// On standard error, if a person sees that.
    pub fn of_this_terminal() -> Self {
        let is_on = io::stderr().is_terminal();
        Self { out: io::stderr(), started: Instant::now(), shown: None, every: EVERY, ticks: 0, is_on }
    }
}

impl<W: Write> Progress<W> {
    /// Another query, of so many; `share`: how much is done, if that is known.
    pub fn tick(&mut self, queries: u64, share: impl FnOnce() -> Option<f64>) {
        self.ticks = self.ticks.wrapping_add(1);
        if self.is_on && self.ticks.is_multiple_of(TICKS) {
            let share = share().map_or_else(String::new, |share| format!("{:>3.0} % ", share * 100.0));
            self.show(queries, &share);
        }
    }

    /// Shows how many queries there were and how fast they came, after a text, if it is time.
    pub fn show(&mut self, queries: u64, before: &str) {
        let since = self.shown.unwrap_or(self.started);
        if !self.is_on || since.elapsed() < self.every {
            return;
        }
        self.shown = Some(Instant::now());
        let rate = queries as f64 / self.started.elapsed().as_secs_f64();
        let _ = write!(self.out, "\r\x1b[K{before}{queries} queries, {rate:.0} a second");
        let _ = self.out.flush();
    }

    /// Takes the line away: what follows stands where it was.
    pub fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(self.out, "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(out: &mut Vec<u8>, is_on: bool) -> Progress<&mut Vec<u8>> {
        Progress { out, started: Instant::now(), shown: None, every: Duration::ZERO, ticks: 0, is_on }
    }

    #[test]
    fn a_line_is_written_over_itself_and_taken_away() {
        let mut out = Vec::new();
        let mut line = progress(&mut out, true);
        line.clear();
        (1..=u64::from(TICKS) * 2).for_each(|queries| line.tick(queries, || Some(queries as f64 / 4096.0)));
        line.clear();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.split("\r\x1b[K").collect();
        assert!(lines[0].is_empty() && lines[1].starts_with(" 25 % 1024 queries, "), "{text:?}");
        assert!(lines[2].starts_with(" 50 % 2048 queries, "), "{text:?}");
        assert_eq!(lines[3..], [""], "nothing is left of it");
    }

    #[test]
    fn where_nobody_looks_nothing_is_written() {
        let mut out = Vec::new();
        let mut line = progress(&mut out, false);
        (0..10_000).for_each(|queries| line.tick(queries, || None));
        line.show(10_000, "");
        line.clear();
        assert!(out.is_empty());
    }
}
