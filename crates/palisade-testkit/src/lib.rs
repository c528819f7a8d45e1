//! Test fixtures: [`fixture`] is the server that the official conformance suite is run against.

pub mod fixture;
