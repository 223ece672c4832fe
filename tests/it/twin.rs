//! Policies made at random and a scan of all their rules say the same.

use crate::fuzz_corpus::targets;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Owner, outcome of each program, deciding list and line; whatever the order of lines; and from no more of the
    /// answer than the policy says it needs.
    #[test]
    fn the_policy_decides_as_a_scan_does(choices in prop::collection::vec(any::<u8>(), 0..900)) {
        targets::verdict(&choices);
    }
}
