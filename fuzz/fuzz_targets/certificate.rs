//! A client's certificate: what is read of one has one meaning, and nothing hides behind it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::certificate::hold(input));
