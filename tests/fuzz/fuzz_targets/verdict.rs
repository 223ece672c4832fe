//! See `cleandns_fuzz::verdict`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cleandns_fuzz::verdict(data));
