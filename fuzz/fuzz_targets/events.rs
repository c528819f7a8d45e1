//! Server-sent events of an upstream: read the same however they are cut, and written so that nothing is added.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::events::hold(input));
