//! The commands, one file each.

pub(crate) mod audit;
mod browser;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod demo;
mod dumps;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod policy;
mod private_file;
pub(crate) mod run;
mod serve;
pub(crate) mod sign;
mod signals;
pub(crate) mod stdio;
pub(crate) mod store;
pub(crate) mod tokens;
