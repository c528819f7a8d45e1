//! Tokens of others: real clients log in at a real authorization server; and every way in which a token can be wrong.

mod connect;
mod desk;
mod flow;
mod hostile;
pub(crate) mod issuer;
mod wrong;
