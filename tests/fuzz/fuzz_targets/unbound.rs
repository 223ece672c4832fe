//! See `cleandns_fuzz::unbound`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cleandns_fuzz::unbound(data));
