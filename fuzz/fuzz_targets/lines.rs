//! Lines of a child: read the same however they are cut, bounded; and a message on one line is the same message.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::lines::hold(input));
