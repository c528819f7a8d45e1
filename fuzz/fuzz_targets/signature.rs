//! Signed requests: only what was signed holds, and in one spelling.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::signature::hold(input));
