//! `palisade connect --oauth` in front of servers and authorization servers that lie, and of strangers who answer for them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::desk::{CALL, Desk, INITIALIZE};
use crate::gate::write_private;
use crate::upstream::{Request, Upstream, json as answer, result};

/// A server and its authorization server in one, which say what a test wants them to say.
struct World {
    server: Upstream,
    state: Arc<State>,
}

/// Changes a document, by its path.
type Lie = dyn Fn(&str, &mut Value) + Send + Sync;

struct State {
    /// Changes a document before it is said.
    lie: Box<Lie>,
    /// The number of the token that is good; 0 is none.
    good: AtomicUsize,
    /// The number of the token that was given last.
    given: AtomicUsize,
    /// The scope that is needed.
    scope: Mutex<String>,
}

impl World {
    fn honest() -> Self {
        Self::lying(|_, _| {})
    }

    fn lying(lie: impl Fn(&str, &mut Value) + Send + Sync + 'static) -> Self {
        let state = Arc::new(State {
            lie: Box::new(lie),
            good: AtomicUsize::new(1),
            given: AtomicUsize::default(),
            scope: Mutex::new("a".to_owned()),
        });
        let known = Arc::clone(&state);
        Self { server: Upstream::scripted(Box::new(move |request| known.say(request))), state }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn connect(&self) -> Desk {
        Desk::start(&self.url(), &["--log-format", "json"])
    }

    /// The forms that the token endpoint was sent.
    fn redeemed(&self) -> Vec<String> {
        let forms = self.server.requests().into_iter().filter(|request| request.line == "POST /token");
        forms.map(|request| String::from_utf8(request.body).unwrap()).collect()
    }
}

impl State {
    fn say(&self, request: &Request) -> Vec<u8> {
        let origin = format!("http://{}", request.header("host").unwrap());
        if request.line.ends_with("/mcp") {
            let good = format!("Bearer token-{}", self.good.load(Relaxed));
            if request.header("authorization") == Some(&good) {
                return result(request);
            }
            let scope = self.scope.lock().unwrap();
            let mut place = json!(format!("{origin}/about"));
            (self.lie)("challenge", &mut place);
            let challenge = format!("Bearer resource_metadata={place}, scope=\"{scope}\"");
            return answer("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), "{}");
        }
        let (_, path) = request.line.split_once(' ').unwrap();
        let mut document = match path {
            "/about" => json!({"resource": format!("{origin}/mcp"), "authorization_servers": [origin]}),
            "/.well-known/oauth-authorization-server" => json!({
                "issuer": origin, "authorization_endpoint": format!("{origin}/authorize"),
                "token_endpoint": format!("{origin}/token"), "registration_endpoint": format!("{origin}/register"),
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true,
            }),
            "/register" => json!({"client_id": "somebody", "token_endpoint_auth_method": "none"}),
            "/token" => {
                let number = self.given.fetch_add(1, Relaxed) + 1;
                json!({
                    "access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 600,
                    "refresh_token": format!("refresh-{number}"),
                })
            }
            _ => return answer("404 Not Found", "", "{}"),
        };
        (self.lie)(path, &mut document);
        answer("200 OK", "", &document.to_string())
    }
}

/// B6, P-J7: whoever does not bear the login's own `state` is turned away and the login goes on; whoever does, and is another
/// issuer than the one that was asked, ends it, and his code is never redeemed; the right answer passes.
#[test]
fn only_the_answer_that_was_asked_for_counts() {
    let world = World::honest();
    let origin = world.url().trim_end_matches("/mcp").to_owned();
    let mut desk = world.connect();
    desk.write(INITIALIZE);
    let asked = desk.asked(1);
    assert!(
        asked.address.starts_with(&format!("{origin}/authorize?")) && asked.redirect.starts_with("http://127.0.0.1:")
    );
    for expected in ["code_challenge_method=S256", "scope=a", "resource=http%3A%2F%2F", "response_type=code"] {
        assert!(asked.address.contains(expected), "{expected}: {}", asked.address);
    }
    let state = &asked.state;
    for stranger in [
        "",
        "code=evil",
        "state=&code=evil",
        &format!("state={state}x&code=evil"),
        &format!("state={state}&state=x&code=y"),
    ] {
        assert!(asked.knock(&format!("{stranger}&iss={origin}")).contains("not the login"), "{stranger}");
    }
    assert!(world.redeemed().is_empty());
    assert!(asked.answer(&format!("code=right&iss={origin}")).contains("logged in"));
    assert!(desk.read()["result"].is_object());
    let [form] = &world.redeemed()[..] else { panic!("one code, once") };
    assert!(form.contains("code=right") && form.contains("code_verifier=") && form.contains("resource=http"), "{form}");

    for wrong in ["code=x", "code=x&iss=https%3A%2F%2Fevil.example", "code=x&iss=ORIGIN%2F", "error=x&iss=evil"] {
        let world = World::honest();
        let mut desk = world.connect();
        desk.write(INITIALIZE);
        let origin = world.url().trim_end_matches("/mcp").to_owned();
        assert!(desk.asked(1).answer(&wrong.replace("ORIGIN", &origin)).contains("not succeed"), "{wrong}");
        assert!(desk.read()["error"].is_object(), "{wrong}");
        desk.must_say("another authorization server answered");
        assert!(world.redeemed().is_empty(), "{wrong}");
    }
}

/// B6: a token that is refused is refreshed, with the refresh token that came last, and nobody is asked; a call for more
/// scopes asks once more, for all scopes together; what was asked for and not granted is not asked for again.
#[test]
fn a_refused_token_is_refreshed() {
    let world = World::honest();
    let origin = world.url().trim_end_matches("/mcp").to_owned();
    let mut desk = world.connect();
    desk.write(INITIALIZE);
    desk.asked(1).answer(&format!("code=right&iss={origin}"));
    assert!(desk.read()["result"].is_object());
    for number in 2..=4 {
        world.state.good.store(number, Relaxed);
        assert!(desk.ask(CALL)["result"].is_object(), "{}", desk.errors());
        let form = world.redeemed().pop().unwrap();
        assert!(form.contains(&format!("refresh_token=refresh-{}", number - 1)), "{form}");
    }
    assert_eq!(desk.logins(), 1);
    // Neither the refreshed token nor that of a new login is taken: the person is asked once, not for ever.
    world.state.good.store(0, Relaxed);
    desk.write(CALL);
    desk.asked(2).answer(&format!("code=right&iss={origin}"));
    assert!(desk.read()["error"].is_object());
    for _ in 0..3 {
        assert!(desk.ask(CALL)["error"].is_object());
    }
    assert_eq!(desk.logins(), 2, "{}", desk.errors());
    let secrets = ["token-1", "refresh-1", "right"];
    assert!(!secrets.iter().any(|secret| desk.errors().contains(secret)), "{}", desk.errors());
}

/// What is said where, and what becomes of it.
const LIES: &[(&str, &str, &str, &str)] = &[
    ("challenge", "", "\"http://127.0.0.1:1/about\"", "metadata is at another host"),
    ("challenge", "", "\"http://evil.example/about\"", "is not https"),
    ("/about", "resource", "\"https://bank.example/mcp\"", "about another address"),
    ("/about", "authorization_servers", "[\"http://evil.example\"]", "is not https"),
    ("/about", "authorization_servers", "[\"https://169.254.169.254\"]", "no address that may be reached"),
    ("/about", "authorization_servers", "[\"https://10.0.0.1\"]", "no address that may be reached"),
    ("/about", "authorization_servers", "[]", "names no authorization server"),
    (META, "issuer", "\"https://bank.example\"", "names another issuer"),
    (META, "authorization_endpoint", "\"file:///bin/sh\"", "cannot be read"),
    (META, "authorization_endpoint", "\"javascript:alert(1)\"", "characters"),
    (META, "authorization_endpoint", "\"http://evil.example/authorize\"", "is not https"),
    (META, "authorization_endpoint", "\"https://evil.example/authorize\"", "another host"),
    (META, "authorization_endpoint", "\"https://evil.example/$(id)\"", "characters"),
    (META, "authorization_endpoint", "\"https://evil.example/\\\";id;\\\"\"", "characters"),
    (META, "authorization_endpoint", "\"-psn\"", "is not https"),
    (META, "token_endpoint", "\"https://evil.example/token\"", "another host"),
    (META, "registration_endpoint", "\"https://evil.example/register\"", "another host"),
    (META, "code_challenge_methods_supported", "[\"plain\"]", "PKCE"),
    ("/register", "token_endpoint_auth_method", "\"client_secret_basic\"", "--client-id"),
    ("/register", "client_id", "\"a\\nb\"", "no registration that can be used"),
];
const META: &str = "/.well-known/oauth-authorization-server";

/// B6, P-J7: a server that sends to a stranger, and an authorization server with addresses that it should not have: nobody
/// is sent anywhere, nothing is opened, and the person reads why.
#[test]
fn a_liar_gets_nobody_to_a_browser() {
    for (place, member, said, words) in LIES {
        let said: Value = serde_json::from_str(said).unwrap();
        let world = World::lying(move |path, document| {
            if path == *place {
                match *member {
                    "" => *document = said.clone(),
                    member => document[member] = said.clone(),
                }
            }
        });
        let mut desk = world.connect();
        let told = desk.ask(INITIALIZE);
        assert!(told["error"].is_object(), "{place} {member}: {told}");
        desk.must_say(words);
        assert_eq!((desk.logins(), world.redeemed().len()), (0, 0), "{place} {member}");
    }
}

/// B6: what the token endpoint says is believed only where it is a bearer token that can stand in a header.
#[test]
fn what_is_no_token_is_not_used() {
    for (member, said) in
        [("token_type", json!("DPoP")), ("access_token", json!("a\r\nX-Evil: 1")), ("access_token", json!(""))]
    {
        let world = World::lying(move |path, document| {
            if path == "/token" {
                document[member] = said.clone();
            }
        });
        let mut desk = world.connect();
        desk.write(INITIALIZE);
        let origin = world.url().trim_end_matches("/mcp").to_owned();
        desk.asked(1).answer(&format!("code=right&iss={origin}"));
        assert!(desk.read()["error"].is_object(), "{member}");
        desk.must_say("no token that can be used");
    }
}

/// B6: a person can name the one authorization server to trust, and who to be there; tokens never go out in the clear, and a
/// file that others may read, or that is for another server, is not used.
#[test]
fn what_a_person_names_is_what_counts() {
    let world = World::honest();
    let origin = world.url().trim_end_matches("/mcp").to_owned();
    let mut desk = Desk::start(&world.url(), &["--client-id", "me", "--issuer", &origin]);
    desk.write(INITIALIZE);
    assert!(desk.asked(1).address.contains("client_id=me"));
    assert!(world.server.requests().iter().all(|request| request.line != "POST /register"));
    let mut desk = Desk::start(&world.url(), &["--issuer", "https://login.example"]);
    assert!(desk.ask(INITIALIZE)["error"].is_object());
    desk.must_say("does not name the issuer");

    let folder = tempfile::tempdir().unwrap();
    let (open, other) = (folder.path().join("open"), folder.path().join("other"));
    std::fs::write(&open, "{}").unwrap();
    write_private(&other, r#"{"resource":"https://bank.example/mcp"}"#);
    for (url, more, words) in [
        ("http://mcp.example/mcp", &[][..], "use https"),
        (&world.url(), &["--token-file", open.to_str().unwrap()], "600"),
        (&world.url(), &["--token-file", other.to_str().unwrap()], "another server"),
        (&world.url(), &["--issuer", "http://login.example"], "is not https"),
    ] {
        let (status, told) = Desk::start(url, more).ended();
        assert!(status == Some(78) && told.contains(words), "{url} {more:?}: {status:?} {told}");
    }
}
