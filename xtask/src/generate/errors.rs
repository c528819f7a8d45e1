//! The page of errors, from the table in `palisade_guard::refusal`.

use palisade_guard::refusal::{Code, Reason};

use super::NOTE;
use super::table::{code, table};

pub(super) fn page() -> String {
    let reasons = Reason::ALL.iter().map(|reason| {
        let row = reason.row();
        let event = row.event.map_or_else(String::new, |event| code(event.names().0));
        [
            code(row.name),
            code(row.code.names().0),
            row.json_rpc.to_string(),
            row.http.modern.to_string(),
            row.http.legacy.to_string(),
            row.http.rest.to_string(),
            event,
            row.words.to_owned(),
        ]
    });
    let head = ["reason", "code", "JSON-RPC", "2026-07-28", "earlier", "not MCP", "security event", "words"];
    let codes = Code::ALL.iter().map(|each| {
        let (number, name) = each.names();
        let used = Reason::ALL.iter().filter(|reason| reason.row().code == *each).count();
        let used = if used == 0 { "not yet" } else { "yes" };
        [code(number), code(name), used.to_owned()]
    });
    format!(
        "{NOTE}\n\n# Errors\n\n{INTRODUCTION}\n{}\n## Codes\n\n{CODES}\n{}",
        table(head, reasons),
        table(["code", "name", "used by the gateway"], codes)
    )
}

const INTRODUCTION: &str = "\
Every reason a call is turned away. `code` is stable: build on it, not on the words.

An MCP call is answered with a JSON-RPC error whose `data` holds `code`, `name`, `message`, `details` (a pointer to the
field at fault, the limit and the value where there are some), `timestamp`, `security_event` and `correlation_id`. What
is not MCP is answered with that same object as plain JSON.

The three columns after `JSON-RPC` are HTTP statuses: for a caller that speaks 2026-07-28, for one that speaks an
earlier revision, and on every path that is not MCP. 200 stands only where an error answers a request. A notification
or a response that is refused the same way has the status of the last of the three columns, but an earlier revision
never hears a 404 that is not about its session: 400 stands in its place.

JSON-RPC numbers from 1001 on are ours: 1000 and the number of the code. All others are those of the protocol.
";

const CODES: &str = "\
Every code there is. Those that are not used yet belong to protections that come later, or to tools: the demo servers
use `MCP-010` to `MCP-015`.
";

#[cfg(test)]
mod tests {
    use super::page;
    use palisade_guard::refusal::{Code, Reason};

    #[test]
    fn every_reason_and_code_is_there() {
        let page = page();
        for reason in Reason::ALL {
            assert!(page.contains(&format!("| `{}` |", reason.row().name)), "{reason:?}");
        }
        for code in Code::ALL {
            assert!(page.contains(&format!("| `{}` | `{}` |", code.names().0, code.names().1)), "{code:?}");
        }
    }
}
