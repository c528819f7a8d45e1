//! `system_info`: what kind of machine this is.
//!
//! Only what a stranger may know: no host name, user, path, address or environment.

use std::thread::available_parallelism;

use schemars::JsonSchema;
use serde::Serialize;

/// The machine and the program that runs on it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Machine {
    /// The operating system, such as linux.
    operating_system: &'static str,
    /// The processor architecture, such as `x86_64`.
    architecture: &'static str,
    /// How many threads can run at the same moment; absent when the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    processors: Option<usize>,
    /// The width of an address in bits.
    address_bits: u32,
    /// The name of this server.
    server: &'static str,
    /// The version of this server.
    version: &'static str,
}

/// Looks at the machine.
pub(crate) fn look() -> Machine {
    Machine {
        operating_system: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        processors: available_parallelism().ok().map(Into::into),
        address_bits: usize::BITS,
        server: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K1: the facts are those of this machine, and there are no others.
    #[test]
    fn tells_only_what_a_stranger_may_know() {
        let system = serde_json::to_value(look()).unwrap();
        assert_eq!(system["operating_system"], std::env::consts::OS);
        assert!(system["processors"].as_u64().unwrap() >= 1);
        let mut facts: Vec<_> = system.as_object().unwrap().keys().map(String::as_str).collect();
        facts.sort_unstable();
        assert_eq!(facts, ["address_bits", "architecture", "operating_system", "processors", "server", "version"]);
    }
}
