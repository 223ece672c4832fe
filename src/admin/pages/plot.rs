//! The time line as SVG: numbers alone, so that nothing foreign is in it. It stretches; the words beside it don't.

use super::words::stamp;
use crate::report::{
    Moment, count,
    form::{Bucket, TimeLine},
    round_up,
};
use std::fmt::Write as _;

/// Height of a drawing in its own units.
const HEIGHT: f64 = 100.0;
/// Steps that are told together when pointed at: an hour.
const TOLD_SECONDS: u64 = 3600;

/// All queries, and at a scale of their own those of which something was said.
pub struct Plot {
    pub all: String,
    pub all_top: u64,
    pub said: String,
    pub said_top: u64,
    /// Times below, from left to right.
    pub times: Vec<Moment>,
}

/// How many of a step belong to each area, lowest first, and its class.
type Areas<'a> = &'a [(&'a str, fn(&Bucket) -> u64)];

const SAID: Areas<'_> = &[("b", |at| at.blocked), ("w", |at| at.would_block), ("e", |at| at.excepted)];
const ALL: Areas<'_> = &[
    ("p", |at| at.passed),
    ("r", |at| at.refused),
    ("b", |at| at.blocked),
    ("w", |at| at.would_block),
    ("e", |at| at.excepted),
];

/// Draws it.
pub fn plot(line: &TimeLine) -> Plot {
    let most = |areas: Areas<'_>| {
        let sum = |at: &Bucket| areas.iter().map(|(_, of)| of(at)).sum::<u64>();
        // Two at least, so that the middle is a number.
        round_up(line.buckets.iter().map(sum).max().unwrap_or(0).max(2))
    };
    let (all_top, said_top) = (most(ALL), most(SAID));
    let ticks = line.buckets.iter().step_by(line.buckets.len().div_ceil(4).max(1));
    Plot {
        all: drawing(line, ALL, all_top),
        all_top,
        said: drawing(line, SAID, said_top),
        said_top,
        times: ticks.map(|at| at.start).collect(),
    }
}

/// What goes into an `svg` whose viewBox is a unit wide for each step and 100 high.
fn drawing(line: &TimeLine, areas: Areas<'_>, top: u64) -> String {
    let width = line.buckets.len();
    let mut svg = String::new();
    for y in [0, 50] {
        let _ = write!(svg, "<line x2=\"{width}\" y1=\"{y}\" y2=\"{y}\"/>");
    }
    let height = |number: u64| (HEIGHT - HEIGHT * number as f64 / top.max(1) as f64) * 10.0;
    let height = |number: u64| height(number).round() / 10.0;
    let mut base = vec![0; width];
    for (class, of) in areas {
        let upper: Vec<u64> = base.iter().zip(&line.buckets).map(|(base, at)| base + of(at)).collect();
        if upper != base {
            let _ = write!(svg, "<path class=\"{class}\" d=\"{}\"/>", outline(&base, &upper, height));
        }
        base = upper;
    }
    let together = (TOLD_SECONDS / line.bucket_seconds.max(1)).max(1) as usize;
    for (index, steps) in line.buckets.chunks(together).enumerate() {
        let sum = |of: fn(&Bucket) -> u64| steps.iter().map(of).sum::<u64>();
        let said = [sum(|at| at.blocked), sum(|at| at.would_block), sum(|at| at.excepted)];
        let refused = sum(|at| at.refused);
        let all = said.iter().sum::<u64>() + sum(|at| at.passed) + refused;
        if all > 0 {
            let [blocked, would, excepted] = said.map(count);
            let _ = write!(
                svg,
                "<g data-from=\"{}\"><title>{}: {} queries; {blocked} blocked, \
                 {would} would be, {excepted} excepted, {} refused</title><rect class=\"hour\" x=\"{}\" width=\"{}\" \
                 height=\"100\"/></g>",
                stamp(steps[0].start),
                steps[0].start.shown("%H:%M"),
                count(all),
                count(refused),
                index * together,
                steps.len()
            );
        }
    }
    svg
}

/// The ways round the parts of an area, in steps: along the upper side, and back along the lower one. Steps of which there
/// is nothing are left out, since an outline without an area would be drawn as a line.
fn outline(base: &[u64], upper: &[u64], height: impl Fn(u64) -> f64) -> String {
    let mut way = String::new();
    let mut start = 0;
    for part in base.iter().zip(upper).collect::<Vec<_>>().chunk_by(|a, b| (a.0 == a.1) == (b.0 == b.1)) {
        let end = start + part.len();
        if part[0].0 != part[0].1 {
            let _ = write!(way, "M{start} {}", height(*part[0].0));
            for (index, (_, upper)) in (start..end).zip(part) {
                let _ = write!(way, "V{}H{}", height(**upper), index + 1);
            }
            for (index, (base, _)) in (start..end).zip(part).rev() {
                let _ = write!(way, "V{}H{index}", height(**base));
            }
            way.push('z');
        }
        start = end;
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Moment;

    #[test]
    fn areas_lie_on_each_other() {
        let at = |minute: i64, blocked, passed| Bucket {
            start: Moment(minute * 60_000_000),
            blocked,
            would_block: 0,
            excepted: 0,
            passed,
            refused: blocked / 2,
        };
        let line = TimeLine { bucket_seconds: 60, buckets: vec![at(0, 1, 3), at(1, 0, 0), at(2, 2, 0)] };
        let plot = plot(&line);
        assert_eq!((plot.all_top, plot.said_top), (4, 2));
        assert!(plot.all.contains("<path class=\"r\" d=\"M2 100V75H3V100H2z\"/>"), "{}", plot.all);
        assert!(plot.said.contains("<path class=\"b\" d=\"M0 100V50H1V100H0zM2 100V0H3V100H2z\"/>"), "{}", plot.said);
        assert!(!plot.said.contains("class=\"w\"") && !plot.said.contains("class=\"p\""), "{}", plot.said);
        assert!(plot.all.contains("<path class=\"p\" d=\"M0 100V25H1V100H0z\"/>"), "{}", plot.all);
        assert!(plot.all.contains("<path class=\"b\" d=\"M0 25V0H1V25H0zM2 75V25H3V75H2z\"/>"), "{}", plot.all);
        assert!(plot.all.contains("00:00: 7 queries; 3 blocked, 0 would be, 0 excepted, 1 refused"), "{}", plot.all);
        assert!(plot.all.contains("<g data-from=\"1970-01-01T00:00:00Z\"><title>"), "{}", plot.all);
        assert_eq!(plot.times, [0, 60, 120].map(|second| Moment(second * 1_000_000)));
        assert_eq!(super::plot(&TimeLine { bucket_seconds: 60, buckets: vec![] }).times, []);
    }
}
