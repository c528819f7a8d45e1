//! A journal that somebody changed: no line passes but the one that was written, and what is read never lies.
//!
//! The input is a line that takes the place of one of a sound journal's lines, or the fields of one more that is sealed
//! as its writer would; the first byte says which.

use std::sync::LazyLock;

use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::chain::Chain;
use palisade_guard::audit::record::Record;
use palisade_guard::audit::verify::Verifier;
use palisade_guard::clock::Moment;

const NOW: Moment = Moment { monotonic_ms: 5, unix_ms: 1_785_231_000_123 };

static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (mut chain, mut out) = (Chain::GENESIS, Vec::new());
    chain.begin_segment(1, "n1", [], NOW, &mut out);
    for number in 0..3 {
        let mut record = Record::new(CorrelationId::new(1, number), NOW);
        chain.seal(&mut out, |out| record.write_intent(NOW, out));
        chain.seal(&mut out, |out| record.write_closing(NOW, out));
    }
    out.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
});

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((which, forged)) = input.split_first() else { return };
    let place = usize::from(*which) % (LINES.len() + 1);
    let mut verifier = Verifier::default();
    verifier.begin_segment();
    for (number, line) in (1..).zip(LINES.iter().take(place)) {
        verifier.line("s", number, line).expect("a sound line");
    }
    let before = verifier.report();
    if place == LINES.len() {
        return one_more(verifier, forged);
    }
    let number = u64::try_from(place + 1).expect("a small number");
    match verifier.line("s", number, forged) {
        // A segment's first line may be another one: the journal then begins elsewhere, and its head tells.
        Ok(()) if place > 0 => assert_eq!(forged, LINES[place], "only what was written passes"),
        Ok(()) => assert!(forged.ends_with(b"\"}\n") && verifier.report().lines == 1),
        Err(finding) => {
            assert_eq!((finding.line, &*finding.segment), (number, "s"));
            assert_eq!(finding.to_string().lines().count(), 1);
            assert_eq!(verifier.report().arrivals, before.arrivals, "what is refused is not counted");
            assert!(place == 0 || verifier.report().head == before.head, "what is refused moves nothing");
        }
    }
}

/// Whatever stands in a line that was sealed: it is counted and goes on the chain, or it is refused.
fn one_more(mut verifier: Verifier, fields: &[u8]) {
    let (before, mut chain, mut line) = (verifier.report(), verifier.chain(), Vec::new());
    chain.seal(&mut line, |out| out.extend_from_slice(fields));
    match verifier.line("s", 8, &line) {
        Ok(()) => {
            let after = verifier.report();
            assert_eq!((verifier.chain(), after.lines, after.segments), (chain, before.lines + 1, before.segments));
            // The text of fields that nothing depends on is not read, not even as UTF-8: the hash vouches for it.
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok(), "what passes has the form of JSON");
            assert!(after.arrivals + after.open <= before.arrivals + before.open + 1);
        }
        Err(finding) => assert_eq!(finding.to_string().lines().count(), 1),
    }
}
