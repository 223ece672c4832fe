//! See `cleandns_fuzz::rpz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cleandns_fuzz::rpz(data));
