//! Tests of the table of refusals.

use super::{Code, Reason, Refusal};
use std::time::Duration;

/// E9: our own JSON-RPC codes lie outside the reserved range and follow `1000 + n`.
#[test]
fn every_number_is_the_protocols_or_ours() {
    const PROTOCOL: [i32; 8] = [-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022];
    for reason in Reason::ALL {
        let row = reason.row();
        let number: i32 = row.code.names().0.trim_start_matches("MCP-").parse().unwrap();
        assert!(PROTOCOL.contains(&row.json_rpc) || row.json_rpc == 1000 + number, "{}", row.name);
    }
}

/// E9: the code names are unique.
#[test]
fn codes_are_unique() {
    let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.names().0).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

/// D1: Retry-After is a whole second, at least 1.
#[test]
fn retry_after_is_rounded_up() {
    let seconds = |ms| Refusal::new(Reason::RateLimited).retry_after(Duration::from_millis(ms)).retry_after_seconds();
    assert_eq!([seconds(0), seconds(1), seconds(1000), seconds(1001)], [Some(1), Some(1), Some(1), Some(2)]);
}
