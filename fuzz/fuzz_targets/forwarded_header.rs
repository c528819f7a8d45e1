//! What proxies and strangers write about where a call comes from: what our own proxy adds decides, or nothing does.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::forwarded_header::hold(input));
