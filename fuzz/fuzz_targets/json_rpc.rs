//! What a caller sends: whatever passes is the message that an independent reader sees, byte for byte.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::json_rpc::hold(input));
