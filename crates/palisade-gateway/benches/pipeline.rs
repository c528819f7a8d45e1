//! Instructions of a whole call: `cargo bench -p palisade-gateway --bench pipeline`.
//!
//! One client keeps one connection and calls a tool a thousand times: once through the gateway, with key, limits, strict
//! parsing and journal, and once past it. What the gateway costs is the difference; divided by a thousand, that is one
//! call. Client, gateway and upstream share one thread, so that nothing is counted but their own work, and nothing of it
//! is missed; only syncing the journal happens elsewhere.
//!
//! Counted by valgrind's callgrind, driven by gungraun: `apt install valgrind` and
//! `cargo install gungraun-runner --version 0.20.0`, the version of the library. The kernel's share is not counted,
//! and hashing counts several times what it costs: valgrind hides a processor's instructions for SHA-256.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up ends")]

mod parts;

use std::hint::black_box;

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use parts::World;

#[library_benchmark]
#[bench::past_the_gateway(World::past_the_gateway())]
#[bench::through_the_gateway(World::through_the_gateway())]
fn thousand_calls(mut world: World) -> World {
    black_box(&mut world).call(1000);
    world
}

library_benchmark_group!(name = calls, benchmarks = [thousand_calls]);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::default().format([EventKind::Ir])),
    library_benchmark_groups = [calls]
);
