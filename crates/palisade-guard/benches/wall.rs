//! Nanoseconds per judgement: `cargo bench -p palisade-guard --bench wall`.
//!
//! The best of several rounds, because everything else on a machine only ever makes a round slower. For orientation:
//! whether a change made something slower is told by `judgements.rs`, which needs valgrind; this needs nothing.

mod cases;

use cases::{audit, authenticate, limit, message, policy, signed, token};
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::Instant;

fn main() -> io::Result<()> {
    time("parse, 120 bytes", message::short(), |input| black_box(message::parse(input).is_ok()))?;
    time("parse, 1024 bytes", message::kilobyte(), |input| black_box(message::parse(input).is_ok()))?;
    time("key, known of 10,000", authenticate::known(), |input| black_box(authenticate::find(input).is_ok()))?;
    time("key, unknown of 10,000", authenticate::unknown(), |input| black_box(authenticate::find(input).is_ok()))?;
    time("token, verified before", token::remembered(), |input| black_box(token::find(input).is_ok()))?;
    time("token, EdDSA, new", token::remembered(), |input| black_box(token::verify(input).is_ok()))?;
    for (name, input) in [
        ("managed key, one of 1", authenticate::managed(1)),
        ("managed key, one of 10,000", authenticate::managed(10_000)),
        ("managed key, none of 10,000", authenticate::managed_unknown(10_000)),
    ] {
        time(name, input, |input| black_box(authenticate::find(input).is_ok()))?;
    }
    let (known, used_up, quota) = (limit::known(), limit::used_up(), limit::quota());
    // Every call is counted, so the clock moves on, or the limit would be used up.
    time("limit admit, known", known, |known| {
        known.now_ms += 65;
        black_box(limit::admit(known).is_ok())
    })?;
    time("limit ceiling and caller, known", limit::known(), |known| {
        known.now_ms += 65;
        black_box(limit::both(known).is_ok())
    })?;
    time("limit admit, new", (limit::new(), 0_u32), |(new, n)| {
        *n += 1;
        new.now_ms += 1;
        new.caller = palisade_guard::limit::subject::Subject::address(n.to_be_bytes().into());
        black_box(limit::admit(new).is_ok())
    })?;
    time("limit admit, used up", used_up, |used_up| black_box(limit::admit(used_up).is_ok()))?;
    time("signature, headers of our own", signed::by_headers(), |input| black_box(signed::verify(input).is_ok()))?;
    time("signature, RFC 9421", signed::by_messages(), |input| black_box(signed::verify(input).is_ok()))?;
    time("policy, decided before", policy::rules(), |asked| black_box(policy::known(asked)))?;
    time("policy, one argument, 226 rules", policy::rules(), |asked| black_box(policy::by_argument(asked)))?;
    time("limit fields of an answer", quota, |quota| black_box(quota.fields()))?;
    time("record, line of the intent", audit::answered(), audit::intent)?;
    time("record, closing line", audit::answered(), audit::closing)
}

/// Prints the best mean of all rounds.
fn time<I, O>(name: &str, mut input: I, mut judge: impl FnMut(&mut I) -> O) -> io::Result<()> {
    let mut best = u128::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..JUDGEMENTS {
            black_box(judge(black_box(&mut input)));
        }
        best = best.min(start.elapsed().as_nanos());
    }
    let tenths = best * 10 / u128::from(JUDGEMENTS);
    writeln!(io::stdout(), "{name:<40} {:>6}.{} ns", tenths / 10, tenths % 10)
}

const ROUNDS: u32 = 20;
const JUDGEMENTS: u32 = 20_000;
