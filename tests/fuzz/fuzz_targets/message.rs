//! See `cleandns_fuzz::message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cleandns_fuzz::message(data));
