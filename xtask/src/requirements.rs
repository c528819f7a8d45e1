//! The requirements, by id: what tests name. An id never changes.

use Since::{Later, Now};

/// Whether this version claims it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// It does, so a test must show it.
    Now,
    /// It does not, or not in every part.
    Later,
}

/// Whether and since when there is a requirement of this id.
pub(crate) fn since(id: &str) -> Option<Since> {
    LIST.iter().find(|row| row.0 == id).map(|row| row.2)
}

/// Id, what it asks for, whether this version claims it.
pub(crate) const LIST: [(&str, &str, Since); 100] = [
    ("A1", "MCP over Streamable HTTP in every live revision", Now),
    ("A2", "MCP over stdio in front", Now),
    ("A3", "upstreams: child processes and Streamable HTTP servers", Now),
    ("A4", "TLS on the listener", Now),
    ("A5", "CORS and origins", Now),
    ("A6", "trusted hosts", Now),
    ("A7", "security headers on every answer", Now),
    ("A8", "size limits, counted on bytes read", Now),
    ("A9", "client address behind trusted proxies", Now),
    ("A10", "IP allow and deny lists", Now),
    ("A11", "what is public without authentication", Now),
    ("A12", "tools, status and marketplace for callers", Now),
    ("A13", "environment variables beside the file", Now),
    ("B1", "mode none", Now),
    ("B2", "static keys", Now),
    ("B3", "managed API keys", Now),
    ("B4", "signed requests", Now),
    ("B5", "JWT", Now),
    ("B6", "OAuth 2.1 resource server", Now),
    ("B7", "people", Later),
    ("B8", "sessions of people", Later),
    ("B9", "client certificates", Now),
    ("C1", "roles and scopes", Now),
    ("C2", "resource-level policy", Now),
    ("C3", "lists show only what may be called", Now),
    ("C4", "explain and replay", Later),
    ("C5", "upstream credentials", Later),
    ("D1", "per-client sliding window", Now),
    ("D2", "per-tool limits", Later),
    ("D3", "bounded memory of limits", Now),
    ("D4", "limits shared across replicas", Later),
    ("D5", "idempotency", Now),
    ("D6", "concurrency and budgets", Later),
    ("E1", "strict JSON-RPC", Now),
    ("E2", "arguments against the tool's schema", Later),
    ("E3", "field guards", Later),
    ("E4", "injection detectors", Later),
    ("E5", "outputs against their schema", Later),
    ("E6", "answers inspected", Later),
    ("E7", "tool pinning", Later),
    ("E8", "SSRF guard", Later),
    ("E9", "the error surface", Now),
    ("F1", "secrets encrypted at rest", Later),
    ("F2", "where secrets come from", Later),
    ("F3", "secrets never shown", Later),
    ("F4", "key generation", Later),
    ("G1", "a record of every call", Now),
    ("G2", "classes and retention", Later),
    ("G3", "tamper evidence with signed checkpoints", Later),
    ("G4", "nothing acknowledged is lost", Now),
    ("G5", "query and export", Later),
    ("G6", "security events", Later),
    ("H1", "metrics", Later),
    ("H2", "traces", Later),
    ("H3", "anomaly detection", Later),
    ("H4", "dashboard", Later),
    ("H5", "logs with the correlation id", Now),
    ("I1", "one command", Now),
    ("I2", "configuration that explains its faults", Now),
    ("I3", "stores", Later),
    ("I4", "probe", Later),
    ("I5", "deploy", Later),
    ("I6", "container", Later),
    ("I7", "graceful stop; children never outlive the gateway", Now),
    ("I8", "clients", Later),
    ("J1", "tower layers", Later),
    ("J2", "parts on their own", Later),
    ("K1", "six everyday demo tools", Now),
    ("K2", "trading desk demo", Now),
    ("L1", "lock file of upstreams' tools", Later),
    ("L2", "off, observe and enforce for each protection", Later),
    ("L3", "policy tests", Later),
    ("L4", "step-up and grants", Later),
    ("L5", "every handle sealed", Later),
    ("L6", "information-flow rules", Later),
    ("L7", "decoys and canaries", Later),
    ("L8", "upstream identity pinned, children confined", Later),
    ("L9", "evidence bundle", Later),
    ("L10", "era bridge", Later),
    ("L11", "the cost of each protection on this machine", Later),
    ("L12", "token exchange and per-user credentials", Later),
    ("L13", "OpenAPI to MCP", Later),
    ("R1", "clients that send and read slowly", Now),
    ("R2", "floods of connections", Now),
    ("R3", "abuse of HTTP/2", Now),
    ("R4", "thousands of idle streams whose clients vanish", Now),
    ("R5", "upstreams that hang, lie, cut and flood", Now),
    ("R6", "cancelled requests and batches", Now),
    ("R7", "children that crash, hang, flood and lie", Now),
    ("R8", "Redis that fails", Later),
    ("R9", "PostgreSQL that fails", Later),
    ("R10", "a journal's disk that fails", Later),
    ("R11", "kill -9 while something is written", Later),
    ("R14", "clocks that jump", Later),
    ("R15", "configurations that change under load", Now),
    ("R16", "an orderly end", Now),
    ("R17", "no descriptors left", Now),
    ("R20", "stdout and stderr closed or full", Now),
    ("R21", "millions of names", Now),
    ("R24", "two gateways on one store", Now),
];

#[cfg(test)]
mod tests {
    use super::LIST;

    #[test]
    fn ids_are_unique() {
        let ids: std::collections::BTreeSet<_> = LIST.iter().map(|row| row.0).collect();
        assert_eq!(ids.len(), LIST.len());
    }
}
