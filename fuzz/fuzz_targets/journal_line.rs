//! A journal that somebody changed: no line passes but the one that was written, and what is read never lies.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::journal_line::hold(input));
