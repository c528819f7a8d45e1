//! Each fuzz target on its seeds and on thousands of changed ones, the same every time. `fuzz/README.md` says how to look
//! further.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use std::path::Path;

use palisade_testkit::fuzzed::{ALL, Target};

/// E1, A8, I2, G1: what must hold of readers of strangers' bytes holds for every seed and what becomes of it.
#[test]
fn targets_hold_near_their_seeds() {
    for (name, target) in ALL {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        // A configuration is written to a file and read with all that it names.
        let runs = if name == "config_toml" { 1_000 } else { 20_000 };
        feed(target, &seeds, runs);
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn feed(target: Target, seeds: &[Vec<u8>], runs: usize) {
    for seed in seeds {
        target(seed);
    }
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..runs {
        let mut input = seeds[chance.below(seeds.len())].clone();
        for _ in 0..=chance.below(6) {
            change(&mut input, seeds, &mut chance);
        }
        input.truncate(4096);
        target(&input);
    }
}

/// One change: a byte, a piece taken out, a piece repeated, a piece of another seed put in.
fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    const TELLING: &[u8] = b"\"\\{}[]:,\n\r\0 |;=./-0e\xff\xed\xc3";
    let at = chance.below(input.len() + 1);
    let end = (at + chance.below(16)).min(input.len());
    match chance.below(5) {
        0 if at < input.len() => input[at] = TELLING[chance.below(TELLING.len())],
        1 if at < input.len() => input[at] ^= 1 << chance.below(8),
        2 => drop(input.drain(at..end)),
        3 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let other = &seeds[chance.below(seeds.len())];
            let from = chance.below(other.len() + 1);
            let piece = other[from..(from + chance.below(24)).min(other.len())].to_vec();
            input.splice(at..at, piece);
        }
    }
}

/// Numbers that look like chance and are the same every time (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}
