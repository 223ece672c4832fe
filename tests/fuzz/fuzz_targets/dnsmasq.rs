//! See `cleandns_fuzz::dnsmasq`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cleandns_fuzz::dnsmasq(data));
