//! See `cleandns_fuzz::text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cleandns_fuzz::text(data));
