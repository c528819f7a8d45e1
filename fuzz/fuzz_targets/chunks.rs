//! Bodies in chunks: read the same however they are cut, and never more data than bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::chunks::hold(input));
