//! What strangers say while somebody logs in: nobody speaks for another, and nothing in it is more than text.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::login::hold(input));
