//! Answers of HTTP/1.1: the same head and body however they are cut, and never more of a body than bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::answer::hold(input));
