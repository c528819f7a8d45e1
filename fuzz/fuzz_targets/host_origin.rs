//! Host and Origin: what is refused is served after the line that the refusal names, and a name serves only itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::host_origin::hold(input));
