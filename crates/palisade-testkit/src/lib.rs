//! What the tests share: [`fixture`] is the server that the official conformance suite is run against, [`fuzzed`] is
//! what must hold of readers whatever they are fed with, [`store_contract`] what every kind of store must do,
//! [`postgres`] a server for the stores that need one.

pub mod fixture;
pub mod fuzzed;
pub mod postgres;
pub mod redis;
pub mod store_contract;
