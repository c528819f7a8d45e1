//! What the tests share: [`fixture`] is the server that the official conformance suite is run against, [`fuzzed`] is
//! what must hold of readers whatever they are fed with.

pub mod fixture;
pub mod fuzzed;
