//! Notes when this was built, so that a clock that stands before it is known to be wrong.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    // Reproducible builds say when (https://reproducible-builds.org/specs/source-date-epoch/).
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=src/build.rs");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let built_at = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()).unwrap_or_else(now);
    println!("cargo::rustc-env=CLEANDNS_BUILT_AT={built_at}");
}
