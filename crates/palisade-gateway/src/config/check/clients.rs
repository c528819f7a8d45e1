//! The clients that sign: read, weighed, and no two alike.
//!
//! 1. A name, a key id and a secret stand in exactly one place, or records would lie about who called.
//! 2. A secret has at least 32 bytes and is no word or pattern, on a developer's desk too: whoever has it can make
//!    signatures without ever asking us.

use std::collections::BTreeSet;
use std::sync::Arc;

use palisade_guard::digest::sha256;
use palisade_guard::grant::Grant;
use palisade_guard::sign::{DEFAULT_KEY_ID, Secrets};

use super::grant::Rights;
use super::keys::{NAME_CURE, is_name};
use super::{Check, grant, server, strength};
use crate::config::checked::SigningClient;
use crate::config::env::{self, Sets, TABLE};
use crate::config::fault::Place;
use crate::config::raw;
use crate::config::secret::Secret;

/// What to do without a client.
pub(super) const CURE: &str = "add [[auth.clients]], or set API_KEY_HMAC_SECRET";
const MAKE_ONE: &str = "make one with `palisade keys generate`";

/// Every client there is.
pub(super) fn all(raw: &raw::Auth, servers: &[Arc<str>], check: &mut Check<'_>) -> Vec<SigningClient> {
    let mut ring = Ring::default();
    for (index, client) in raw.clients.iter().enumerate() {
        configured(&format!("auth.clients[{index}]"), client, servers, check, &mut ring);
    }
    for row in TABLE.iter().filter(|row| matches!(row.sets, Sets::ClientSecret)) {
        let Some(secret) = env::text(row, check.vars, check.faults) else { continue };
        let name = DEFAULT_KEY_ID;
        let client = Given { name, key_id: name, secrets: &[secret], grant: Grant::default() };
        ring.add(client, &Place::Env(row.name), check);
    }
    ring.clients
}

/// A client before it is weighed.
struct Given<'g> {
    name: &'g str,
    key_id: &'g str,
    secrets: &'g [Secret],
    grant: Grant,
}

#[derive(Default)]
struct Ring {
    clients: Vec<SigningClient>,
    secrets: BTreeSet<[u8; 32]>,
}

impl Ring {
    fn add(&mut self, client: Given<'_>, place: &Place, check: &mut Check<'_>) {
        let Given { name, key_id, secrets: texts, grant } = client;
        let mut fault = |problem: String, cure: &str| check.faults.add("auth.clients", place.clone(), problem, cure);
        if self.clients.iter().any(|other| &*other.name == name || &*other.key_id == key_id) {
            fault(format!("two clients have the name or the key id of {name}"), "give each its own");
            return;
        }
        for text in texts {
            if let Err(problem) = strength::judge(text.reveal(), true) {
                fault(format!("{name}: {}", problem.replace("a key", "a secret")), MAKE_ONE);
                return;
            }
            if !self.secrets.insert(sha256(text.reveal().as_bytes())) {
                let cure = "give each client its own: records could not tell who signed";
                fault(format!("{name} has a secret that stands elsewhere too"), cure);
                return;
            }
        }
        let secret = |at: usize| texts.get(at).map(|text| text.reveal().as_bytes());
        match Secrets::new(secret(0).unwrap_or_default(), secret(1)) {
            Ok(secrets) if texts.len() <= 2 => {
                self.clients.push(SigningClient { name: Arc::from(name), key_id: Arc::from(key_id), secrets, grant });
            }
            _ => fault(format!("{name} has not one secret, or two"), MAKE_ONE),
        }
    }
}

fn configured(at: &str, raw: &raw::Client, servers: &[Arc<str>], check: &mut Check<'_>, ring: &mut Ring) {
    let grant = grant::read(at, &Rights::from(raw), servers, check);
    let secrets: Option<Vec<Secret>> = raw
        .secrets
        .iter()
        .enumerate()
        .map(|(index, text)| server::resolve_own(&format!("{at}.secrets[{index}]"), text, check))
        .collect();
    if !is_name(&raw.name) {
        check.fault(&format!("{at}.name"), format!("{:?} is not a name for a client", raw.name), NAME_CURE);
        return;
    }
    let key_id = raw.key_id.as_deref().unwrap_or(&raw.name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=64).contains(&key_id.len()) || !key_id.bytes().all(plain) {
        let cure = "write 1 to 64 ASCII letters, digits, \".\", \"_\" or \"-\"";
        check.fault(&format!("{at}.key_id"), format!("{key_id:?} is not a key id"), cure);
        return;
    }
    let Some(secrets) = secrets else { return };
    let place = check.layered.place(at);
    ring.add(Given { name: &raw.name, key_id, secrets: &secrets, grant }, &place, check);
}
