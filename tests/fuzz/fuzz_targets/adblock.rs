//! See `cleandns_fuzz::adblock`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cleandns_fuzz::adblock(data));
