//! A token, or a set of keys, that a stranger sent: no token passes but the one that was signed, in its one spelling.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::token::hold(input));
