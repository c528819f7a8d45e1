//! What both benchmarks measure: for each judgement its input, made beforehand, and the judgement itself.
//!
//! A new case: a file here named after the module it measures, with a function that makes the input and one that
//! judges it; a line in `../judgements.rs` and one in `../wall.rs`.

#![allow(dead_code, reason = "each benchmark uses its own part")]

pub(crate) mod audit;
pub(crate) mod authenticate;
pub(crate) mod limit;
pub(crate) mod message;
pub(crate) mod policy;
pub(crate) mod signed;
pub(crate) mod token;
