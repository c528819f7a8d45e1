//! Tests of the record of an arrival and its lines.

use super::{Class, Method, Outcome, Record, Uri};
use crate::arrival::CorrelationId;
use crate::clock::Moment;
use crate::refusal::{Reason, Refusal};

const NOW: Moment = Moment { monotonic_ms: 5, unix_ms: 1_785_231_000_123 };

fn closing(record: &Record) -> serde_json::Value {
    let mut out = b"{".to_vec();
    record.write_closing(NOW, &mut out);
    out.push(b'}');
    serde_json::from_slice(&out).unwrap()
}

/// G1: who, what, whence, how long, how large, what was decided and why.
#[test]
fn a_closing_line_says_everything() {
    let mut record = Record::new(CorrelationId::new(1, 2), NOW);
    record.set_http(&Method::POST, &Uri::from_static("/mcp"));
    record.set_method("tools/call");
    record.name = Some("echo".into());
    record.principal = Some("key:ci".into());
    record.client = Some("192.0.2.7".parse().unwrap());
    record.peer = Some("10.0.0.1".parse().unwrap());
    record.args_digest = Some([0xab; 32]);
    record.rule = Some("key".into());
    record.outcome = Outcome::AnsweredWithError(-32602);
    (record.duration_us, record.bytes_in, record.bytes_out, record.http_status) = (1500, 10, 20, 200);
    let line = closing(&record);
    assert_eq!(line["time"], "2026-07-28T09:30:00.123Z");
    assert_eq!(line["class"], "tool_execution");
    assert_eq!(
        (&line["decision"], &line["outcome"], &line["error"]),
        (&"allowed".into(), &"answered_with_error".into(), &(-32602).into())
    );
    assert_eq!((&line["client"], &line["peer"]), (&"192.0.2.7".into(), &"10.0.0.1".into()));
    assert_eq!(line["args_sha256"], "ab".repeat(32));
    assert_eq!((&line["duration_us"], &line["bytes_in"], &line["bytes_out"]), (&1500.into(), &10.into(), &20.into()));
}

/// G2, G6: the class follows from what was refused; the first refusal counts.
#[test]
fn refusals_are_classed() {
    let mut record = Record::new(CorrelationId::new(1, 2), NOW);
    assert_eq!(record.class(), Class::DataAccess);
    record.refuse("authenticate", &Refusal::new(Reason::Unauthenticated).because("unknown key"));
    record.refuse("reply", &Refusal::new(Reason::Internal));
    let line = closing(&record);
    assert_eq!(
        (&line["class"], &line["stage"], &line["reason"]),
        (&"auth_events".into(), &"authenticate".into(), &"Unauthenticated".into())
    );
    assert_eq!(
        (&line["security_event"], &line["severity"], &line["cause"]),
        (&"auth_failure".into(), &"high".into(), &"unknown key".into())
    );
}

/// G2: a batch is classed by its messages, since nobody refused it as a whole.
#[test]
fn a_batch_is_kept_as_its_refused_messages_are() {
    let mut record = Record::new(CorrelationId::new(1, 2), NOW);
    record.set_method("batch");
    record.element(&Ok(None));
    assert_eq!(record.class(), Class::DataAccess);
    record.element(&Err(Refusal::new(Reason::InvalidParams)));
    assert_eq!(record.class(), Class::SecurityEvents);
}

/// G1: what callers write is bounded.
#[test]
fn long_texts_are_cut() {
    let mut record = Record::new(CorrelationId::new(1, 2), NOW);
    record.set_http(&Method::POST, &format!("/{}", "x".repeat(1000)).parse().unwrap());
    record.set_callers_correlation(&"x".repeat(1000));
    let line = closing(&record);
    assert_eq!(line["path"].as_str().unwrap().len(), 256);
    assert_eq!(line["callers_correlation"].as_str().unwrap().len(), 128);
}

/// G1: the line before the deed and the closing line say the same of the call.
#[test]
fn both_lines_say_the_same_of_a_call() {
    let mut record = Record::new(CorrelationId::new(1, 2), NOW);
    record.set_method("tools/call");
    (record.name, record.client) = (Some("e\"cho".into()), Some("192.0.2.7".parse().unwrap()));
    let anew = closing(&record);
    let mut intent = b"{".to_vec();
    record.write_intent(NOW, &mut intent);
    intent.push(b'}');
    let intent: serde_json::Value = serde_json::from_slice(&intent).unwrap();
    assert_eq!(closing(&record), anew);
    for fact in ["client", "method", "name"] {
        assert_eq!(intent[fact], anew[fact], "{fact}");
    }
}
