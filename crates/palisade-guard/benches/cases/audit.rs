//! The journal: the two lines of an allowed tool call, written and sealed into the chain.

use bytes::Bytes;
use http::{Method, Uri};
use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::chain::Chain;
use palisade_guard::audit::record::{Outcome, Record};
use palisade_guard::clock::Moment;

const NOW: Moment = Moment { monotonic_ms: 60_000, unix_ms: 1_785_231_000_123 };

/// A record that is complete, and the chain it goes on.
pub(crate) struct Input {
    record: Record,
    chain: Chain,
    out: Vec<u8>,
}

/// A call of an authenticated caller that was answered.
pub(crate) fn answered() -> Input {
    let mut record = Record::new(CorrelationId::new(0x0123_4567_89ab_cdef, 42), NOW);
    record.set_http(&Method::POST, &Uri::from_static("/mcp"));
    record.set_method("tools/call");
    record.name = Some("echo".into());
    record.client = Some([192, 0, 2, 7].into());
    record.peer = Some([10, 0, 0, 1].into());
    record.principal = Some("key:ci".into());
    record.server = Some("everything".into());
    (record.auth, record.revision, record.rule) = (Some("key"), Some("2026-07-28"), Some("key".into()));
    record.rpc_id = Some(Bytes::from_static(b"\"call-17\""));
    record.args_digest = Some([0xab; 32]);
    record.outcome = Outcome::Answered;
    (record.http_status, record.duration_us, record.bytes_in, record.bytes_out) = (200, 1500, 1024, 512);
    Input { record, chain: Chain::GENESIS, out: Vec::with_capacity(4096) }
}

/// The line before the deed.
pub(crate) fn intent(input: &mut Input) -> usize {
    let Input { record, chain, out } = input;
    out.clear();
    chain.seal(out, |out| record.write_intent(NOW, out));
    out.len()
}

/// The line that closes the arrival.
pub(crate) fn closing(input: &mut Input) -> usize {
    let Input { record, chain, out } = input;
    out.clear();
    chain.seal(out, |out| record.write_closing(NOW, out));
    out.len()
}
