//! Plots as inline SVG. They need no script, and take their colours from the page.

use super::{
    form::{Bucket, TimeLine},
    html::escape,
    words::{count, queries},
};
use std::fmt::{Error, Write as _};

/// Size of the time line in its own units, which are pixels on a wide page.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 290.0;
/// Room for the numbers at the left.
const LEFT: f64 = 62.0;
/// Room for half a date at the right.
const RIGHT: f64 = 34.0;
/// Top and height of the two panels: all queries, and those that something was said of, which would be too few to see.
const ALL: (f64, f64) = (22.0, 70.0);
const HIT: (f64, f64) = (126.0, 130.0);
/// Times written below.
const TICKS: usize = 6;

/// How much of a kind there is, and the class that gives its colour.
type Part = (u64, &'static str);

/// The time line: all queries above, and below at a scale of their own those blocked, that would be, and excepted.
pub(super) fn time_line(line: &TimeLine) -> String {
    let mut svg = String::new();
    write_time_line(&mut svg, line).expect("writing to a string doesn't fail");
    svg
}

fn write_time_line(svg: &mut String, line: &TimeLine) -> Result<(), Error> {
    let all = |at: &Bucket| at.blocked + at.would_block + at.excepted + at.passed + at.refused;
    let said = |at: &Bucket| at.blocked + at.would_block + at.excepted;
    let most = |of: &dyn Fn(&Bucket) -> u64| line.buckets.iter().map(of).max().unwrap_or(0);
    let (all_top, said_top) = (round_up(most(&all)), round_up(most(&said)));
    writeln!(
        svg,
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"plot-title plot-text\">\n\
         <title id=\"plot-title\">Queries by time</title>\n<desc id=\"plot-text\">{}</desc>",
        escape(&described(line))
    )?;
    panel(svg, ALL, all_top, "all queries")?;
    panel(svg, HIT, said_top, "blocked, would be blocked, excepted")?;
    let width = (WIDTH - LEFT - RIGHT) / line.buckets.len().max(1) as f64;
    // Bars touch where there are many, so that no stripes come of it.
    let drawn = if width > 6.0 { width - 1.5 } else { width };
    for (index, at) in line.buckets.iter().enumerate().filter(|(_, at)| all(at) > 0) {
        let left = LEFT + width * index as f64;
        write!(
            svg,
            "<g><title>{}: {}; {} blocked, {} would be, {} excepted</title>",
            at.start.minute(),
            queries(all(at)),
            count(at.blocked),
            count(at.would_block),
            count(at.excepted)
        )?;
        let parts = [(at.blocked, "b"), (at.would_block, "w"), (at.excepted, "e")];
        stack(svg, ALL, all_top, (left, drawn), &[(all(at), "p")])?;
        stack(svg, HIT, said_top, (left, drawn), &parts)?;
        svg.push_str("</g>\n");
    }
    ticks(svg, line, width)?;
    svg.push_str("</svg>\n");
    Ok(())
}

/// What a plot shows, for who doesn't see it.
fn described(line: &TimeLine) -> String {
    let peak = line.buckets.iter().max_by_key(|at| (at.blocked + at.would_block, std::cmp::Reverse(at.start)));
    let sum = |of: fn(&Bucket) -> u64| count(line.buckets.iter().map(of).sum());
    let peak = peak.filter(|at| at.blocked + at.would_block > 0).map_or_else(String::new, |at| {
        format!(" Most were hit in the step from {}: {}.", at.start.minute(), count(at.blocked + at.would_block))
    });
    format!(
        "{} steps of {}. In all {} blocked, {} that would be, {} excepted, {} passed, {} refused.{peak}",
        line.buckets.len(),
        super::words::span(line.bucket_seconds as i64 * 1_000_000),
        sum(|at| at.blocked),
        sum(|at| at.would_block),
        sum(|at| at.excepted),
        sum(|at| at.passed),
        sum(|at| at.refused)
    )
}

/// Lines, numbers and title of a panel.
fn panel(svg: &mut String, (top, height): (f64, f64), most: u64, title: &str) -> Result<(), Error> {
    writeln!(svg, "<text class=\"panel\" x=\"{LEFT}\" y=\"{:.1}\">{title}</text>", top - 8.0)?;
    for (part, number) in [(0.0, 0), (0.5, most / 2), (1.0, most)] {
        if part == 0.5 && most % 2 == 1 {
            continue;
        }
        let y = top + height * (1.0 - part);
        writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"axis end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 3.5,
            count(number)
        )?;
    }
    Ok(())
}

/// A bar of parts, one on the other.
fn stack(
    svg: &mut String,
    (top, height): (f64, f64),
    most: u64,
    (left, width): (f64, f64),
    parts: &[Part],
) -> Result<(), Error> {
    let mut bottom = top + height;
    for (number, class) in parts.iter().filter(|(number, _)| *number > 0) {
        // One query among thousands is to be seen still.
        let tall = (height * *number as f64 / most.max(1) as f64).max(0.8);
        bottom -= tall;
        write!(
            svg,
            "<rect class=\"{class}\" x=\"{left:.2}\" y=\"{bottom:.2}\" width=\"{width:.2}\" height=\"{tall:.2}\"/>"
        )?;
    }
    Ok(())
}

/// Dates or times below the panels.
fn ticks(svg: &mut String, line: &TimeLine, width: f64) -> Result<(), Error> {
    const DAY_SECONDS: u64 = 86_400;
    let span = line.bucket_seconds * line.buckets.len() as u64;
    let pattern = match span {
        _ if line.bucket_seconds >= DAY_SECONDS || span > 7 * DAY_SECONDS => "%Y-%m-%d",
        _ if span > DAY_SECONDS => "%m-%d %H:%M",
        _ => "%H:%M",
    };
    let step = line.buckets.len().div_ceil(TICKS).max(1);
    // At whole days where there are some.
    let per_day = (DAY_SECONDS / line.bucket_seconds.max(1)).max(1) as usize;
    let step = if step > per_day { step.div_ceil(per_day) * per_day } else { step };
    let is_midnight = |at: &Bucket| at.start.0.rem_euclid(super::words::DAY) == 0;
    let start = if step >= per_day { line.buckets.iter().position(is_midnight).unwrap_or(0) } else { 0 };
    for (index, at) in line.buckets.iter().enumerate().skip(start).step_by(step) {
        let x = LEFT + width * index as f64;
        let y = HIT.0 + HIT.1;
        writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\"/>\
             <text class=\"axis middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            y + 5.0,
            y + 18.0,
            at.start.shown(pattern)
        )?;
    }
    Ok(())
}

/// The next number that an axis may end with: 1, 2, 4, 5, 6, 8, 10, 20, 40 …
pub fn round_up(number: u64) -> u64 {
    let powers = std::iter::successors(Some(1u64), |power| power.checked_mul(10));
    let steps = powers.flat_map(|power| [1, 2, 4, 5, 6, 8].map(|times| power.saturating_mul(times)));
    steps.into_iter().find(|step| *step >= number).unwrap_or(u64::MAX)
}

/// A bar for a table's row: blocked, would be, excepted, as parts of the longest bar. The numbers stand beside it.
pub(super) fn row_bar(parts: [u64; 3], most: u64) -> String {
    let mut svg =
        String::from("<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    let mut left = 0.0;
    for (number, class) in parts.into_iter().zip(["b", "w", "e"]).filter(|(number, _)| *number > 0) {
        let width = 100.0 * number as f64 / most.max(1) as f64;
        svg += &format!("<rect class=\"{class}\" x=\"{left:.2}\" y=\"0\" width=\"{width:.2}\" height=\"10\"/>");
        left += width;
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_with_a_round_number() {
        for (number, end) in [(0, 1), (1, 1), (3, 4), (7, 8), (9, 10), (11, 20), (412, 500), (34_201, 40_000)] {
            assert_eq!(round_up(number), end);
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }
}
