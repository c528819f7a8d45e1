//! What a caller may do.
//!
//! 1. A key with a list of servers calls those servers only; to it, others do not exist.
//! 2. A key with an IP list works from those addresses only.
//! 3. Everything else that reached this stage is a method the revision knows: unknown ones were refused when the
//!    message was parsed.

use std::net::IpAddr;
use std::sync::Arc;

use crate::authenticate::Principal;
use crate::refusal::{Reason, Refusal};

/// Proof that a rule allowed this caller on this server. Made only by [`call`].
#[derive(Debug)]
pub struct Permit {
    rule: &'static str,
}

impl Permit {
    /// The rule that decided, as records name it.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}

/// Decides whether `caller` may reach `server` from `address`.
pub fn call(caller: &Principal, address: IpAddr, server: &Arc<str>) -> Result<Permit, Refusal> {
    let Some(key) = caller.key() else {
        return Ok(Permit { rule: "mode-none" });
    };
    key.lists.judge(address).map_err(|refusal| refusal.because("the key's IP list"))?;
    match &key.servers {
        None => Ok(Permit { rule: "key" }),
        Some(servers) if servers.contains(server) => Ok(Permit { rule: "key-servers" }),
        Some(_) => Err(Refusal::new(Reason::UnknownPath).because("the key's list of servers")),
    }
}

/// Whether `caller` may know that `server` exists: the same decision, for lists.
pub fn may_see(caller: &Principal, server: &Arc<str>) -> bool {
    let servers = caller.key().and_then(|key| key.servers.as_ref());
    servers.is_none_or(|servers| servers.contains(server))
}

#[cfg(test)]
mod tests {
    use super::{call, may_see};
    use crate::authenticate::{Config, Key, Keys, Principal, caller};
    use crate::identify::IpLists;
    use crate::refusal::Reason;
    use std::sync::Arc;

    fn principal(servers: Option<Vec<Arc<str>>>, lists: IpLists) -> Principal {
        let digest = Keys::digest(b"k");
        let keys = Keys::new([Key { id: Arc::from("key:k"), digest, servers, lists, limit: None }]);
        let mut headers = http::HeaderMap::new();
        headers.insert("x-api-key", http::HeaderValue::from_static("k"));
        caller(&Config::Keys(keys), &headers).unwrap()
    }

    /// A10: a key's IP list and server list hold; a server that is not listed does not exist.
    #[test]
    fn a_key_reaches_what_it_lists() {
        let (files, search) = (Arc::from("files"), Arc::from("search"));
        let key = principal(Some(vec![Arc::clone(&files)]), IpLists::default());
        let home = "10.0.0.1".parse().unwrap();
        assert!(call(&key, home, &files).is_ok() && may_see(&key, &files));
        assert_eq!(call(&key, home, &search).unwrap_err().reason(), Reason::UnknownPath);
        assert!(!may_see(&key, &search));

        let lists = IpLists { allow: vec!["10.0.0.0/8".parse().unwrap()], deny: Vec::new() };
        let key = principal(None, lists);
        assert!(call(&key, home, &search).is_ok());
        assert_eq!(call(&key, "192.0.2.1".parse().unwrap(), &search).unwrap_err().reason(), Reason::AddressRefused);
    }
}
