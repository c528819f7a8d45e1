//! Every door, with every client certificate that is none.

use std::sync::Arc;

use rustls::ClientConfig;

use super::certificates::{RULES, Yard};
use super::{Authority, NO_KEY, Of};
use crate::closed::{CALL, METHODS, PATHS, a_session_is_its_owners, every_door};
use crate::gate::Answer;
use crate::upstream::Upstream;

/// Nobody waits and nobody is turned away for asking often.
const LIMITS: &str = "penalty = \"off\"\nper_address_per_minute = 1000000\n";

/// B9, P-A16: without a certificate, or with one that no rule knows, every path answers 401 to every method; with one of
/// another authority, expired or revoked nobody gets as far as to ask; another holder's session is not there.
#[test]
fn no_door_opens_for_a_wrong_certificate() {
    let (yard, upstream) = (Yard::new(), Upstream::echo());
    let others = "[[auth.certificates]]\nname = \"others\"\nsan_uri = \"spiffe://example.com/partners/*\"\nservers = [\"one\"]\n";
    let site = format!("url = \"{}\"", upstream.url());
    let gate = yard.start_with("optional", &format!("{RULES}{others}"), &site, LIMITS);
    let agent = |serial, lasts, authority: &Authority| {
        let uri = Some("spiffe://example.com/agents/7");
        authority.issue(&Of { serial, uri, lasts, ..Of::default() })
    };
    let ask = |config: &Arc<ClientConfig>, method, path, headers: &[(&str, &str)], body: &[u8]| {
        gate.ask(config, &gate.request(method, path, headers, body))
    };
    for (what, config) in [("none", yard.without()), ("one without a rule", yard.with(&yard.stranger))] {
        every_door(what, |method, path| ask(&config, method, path, NO_KEY, CALL).unwrap());
    }
    let (foreign, expired) = (agent(2, None, &Authority::new("others")), agent(6, Some(-2), &yard.authority));
    for (what, own) in [("another authority's", &foreign), ("expired", &expired), ("revoked", &yard.revoked)] {
        let config = yard.with(own);
        for (path, method) in PATHS.into_iter().zip(METHODS.into_iter().cycle()) {
            assert!(ask(&config, method, path, NO_KEY, CALL).is_none(), "{method} {path} with one that is {what}");
        }
    }
    assert!(upstream.requests().is_empty(), "nothing went on");
    let partner =
        yard.authority.issue(&Of { serial: 9, uri: Some("spiffe://example.com/partners/1"), ..Of::default() });
    let [owner, other] = [yard.with(&yard.agent), yard.with(&partner)];
    let send = |config: &Arc<ClientConfig>, method: &'static str, session: &str, body: &[u8]| -> Answer {
        ask(config, method, "/mcp/one", &[("Authorization", ""), ("Mcp-Session-Id", session)], body).unwrap()
    };
    a_session_is_its_owners(
        &upstream,
        |method, session, body| send(&owner, method, session, body),
        |method, session, body| send(&other, method, session, body),
    );
}
