//! Instructions per judgement: `cargo bench -p palisade-guard --bench judgements`.
//!
//! Instructions, because they are the same on every run and on a busy machine; times are not (`wall.rs`). They are
//! counted by valgrind's callgrind, driven by gungraun: `apt install valgrind` and
//! `cargo install gungraun-runner --version 0.20.0`, the version of the library.
//!
//! Valgrind hides a processor's instructions for SHA-256, so what hashes (`key`, `intent`, `closing`) counts several times
//! what it costs; between two versions it compares all the same.
//!
//! Each count is one judgement on an input that was made beforehand. The input is returned, so that dropping it is
//! not counted.

mod cases;

use cases::{audit, authenticate, limit, message, signed, token};
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use palisade_guard::authenticate::{Principal, Verdict};
use palisade_guard::limit::Admission;
use palisade_guard::limit::headers::Quota;
use palisade_guard::message::Message;
use palisade_guard::refusal::Refusal;
use palisade_guard::sign::nonces::Use;
use palisade_guard::token::{Claims, Fault};
use std::hint::black_box;

#[library_benchmark]
#[bench::known(limit::known())]
#[bench::new(limit::new())]
#[bench::used_up(limit::used_up())]
fn admit(input: limit::Input) -> (limit::Input, Result<Admission, Refusal>) {
    let verdict = limit::admit(black_box(&input));
    (input, verdict)
}

#[library_benchmark]
#[bench::known(limit::known())]
#[bench::new(limit::new())]
fn ceiling_and_caller(input: limit::Input) -> (limit::Input, Result<Admission, Refusal>) {
    let verdict = limit::both(black_box(&input));
    (input, verdict)
}

#[library_benchmark]
#[bench::of_an_answer(limit::quota())]
fn fields(quota: Quota) -> [(http::HeaderName, http::HeaderValue); 5] {
    black_box(quota).fields()
}

#[library_benchmark]
#[bench::bytes_120(message::short())]
#[bench::bytes_1024(message::kilobyte())]
fn parse(input: message::Input) -> (message::Input, Result<Message, Refusal>) {
    let verdict = message::parse(black_box(&input));
    (input, verdict)
}

#[library_benchmark]
#[bench::known_of_10000(authenticate::known())]
#[bench::unknown_of_10000(authenticate::unknown())]
#[bench::managed_of_1(authenticate::managed(1))]
#[bench::managed_of_10000(authenticate::managed(10_000))]
#[bench::managed_unknown_of_10000(authenticate::managed_unknown(10_000))]
fn key(input: authenticate::Input) -> (authenticate::Input, Result<Verdict, Refusal>) {
    let verdict = authenticate::find(black_box(&input));
    (input, verdict)
}

#[library_benchmark]
#[bench::by_headers(signed::by_headers())]
#[bench::by_messages(signed::by_messages())]
fn signature(input: signed::Input) -> (signed::Input, Result<(Principal, Use), Refusal>) {
    let verdict = signed::verify(black_box(&input));
    (input, verdict)
}

#[library_benchmark]
#[bench::verified_before(token::remembered())]
fn remembered_token(input: token::Input) -> (token::Input, Result<Verdict, Refusal>) {
    let verdict = token::find(black_box(&input));
    (input, verdict)
}

#[library_benchmark]
#[bench::eddsa(token::remembered())]
fn new_token(input: token::Input) -> (token::Input, Result<Claims, Fault>) {
    let claims = token::verify(black_box(&input));
    (input, claims)
}

#[library_benchmark]
#[bench::of_a_call(audit::answered())]
fn intent(mut input: audit::Input) -> (usize, audit::Input) {
    (audit::intent(black_box(&mut input)), input)
}

#[library_benchmark]
#[bench::of_a_call(audit::answered())]
fn closing(mut input: audit::Input) -> (usize, audit::Input) {
    (audit::closing(black_box(&mut input)), input)
}

library_benchmark_group!(name = messages, benchmarks = [parse]);
library_benchmark_group!(name = keys, benchmarks = [key, signature]);
library_benchmark_group!(name = tokens, benchmarks = [remembered_token, new_token]);
library_benchmark_group!(name = limits, benchmarks = [admit, ceiling_and_caller, fields]);
library_benchmark_group!(name = lines, benchmarks = [intent, closing]);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::default().format([EventKind::Ir])),
    library_benchmark_groups = [messages, keys, tokens, limits, lines]
);
