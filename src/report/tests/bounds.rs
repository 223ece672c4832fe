//! Much of everything: fast, and told where it doesn't fit.

use super::made::{context, tally, traffic};
use crate::{
    query_log::Seen,
    report::{Filter, Tally},
};
use std::time::Instant;

/// Time for a million rows; run with `--release --ignored --nocapture` to see it.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement")]
fn a_million_rows() {
    let rows = traffic(61, 1_000_000, 200);
    let start = Instant::now();
    let tally = tally(&rows, Filter::default());
    let counted = start.elapsed();
    let report = tally.finish(&context());
    eprintln!("{} rows: counted in {counted:?}, finished in {:?}", report.totals.queries, start.elapsed() - counted);
}

#[test]
fn numbers_of_any_size_do_no_harm() {
    let rows = traffic(67, 50, 3);
    let mut tally = Tally::new(Filter::default());
    for (row, (first, last)) in
        rows.iter().zip([(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, 0), (-1, 1)].iter().cycle())
    {
        tally.add(&Seen { row, count: u64::MAX / 100, first: *first, last: *last });
    }
    let report = tally.finish(&context());
    assert_eq!(report.totals.queries, 50 * (u64::MAX / 100));
    let _ = (crate::report::text(&report), crate::report::html(&report), crate::report::csv(&report));
    let _ = tally.export(&context(), 5).jsonl();
}
