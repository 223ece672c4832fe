//! Much of everything: fast, and told where it doesn't fit.

use super::made::{context, traffic};
use crate::{
    query_log::Seen,
    report::{Filter, Tally},
};

#[test]
fn numbers_of_any_size_do_no_harm() {
    let rows = traffic(67, 50, 3);
    let mut tally = Tally::by_day(Filter::default());
    for (row, (first, last)) in
        rows.iter().zip([(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, 0), (-1, 1)].iter().cycle())
    {
        tally.add(&Seen { row, count: u64::MAX / 100, first: *first, last: *last, has_details: true });
    }
    let report = tally.finish(&context());
    assert_eq!(report.totals.queries, 50 * (u64::MAX / 100));
    let _ = (crate::report::text(&report), crate::report::html(&report), crate::report::csv(&report));
    let _ = tally.export(&context(), 5).jsonl();
}
