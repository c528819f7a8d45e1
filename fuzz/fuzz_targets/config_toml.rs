//! The configuration file: whatever it holds, it is a configuration or a list of faults, each one readable line.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_testkit::fuzzed::config_toml::hold(input));
