//! Every judgement Palisade makes about an MCP call.
//!
//! The crate decides and touches nothing: no socket, file, environment, clock or randomness of its own.
//! What a judgement needs to know of the world is handed in; what it finds is a value or a [`refusal::Refusal`].
//!
//! * Words, what the stages talk about: [`arrival`], [`breaker`], [`certificate`], [`clock`], [`digest`], [`framing`], [`grant`],
//!   [`login`], [`message`], [`naming`], [`refusal`], [`seal`], [`sign`], [`token`].
//! * Stages, in the order of a call: [`edge`], [`identify`], [`limit`], [`authenticate`], [`authorize`],
//!   [`validate`], [`idempotency`], [`audit`].

pub mod arrival;
pub mod audit;
pub mod authenticate;
pub mod authorize;
pub mod breaker;
pub mod certificate;
pub mod clock;
pub mod digest;
pub mod edge;
pub mod framing;
pub mod grant;
pub mod host;
pub mod idempotency;
pub mod identify;
pub mod limit;
pub mod login;
pub mod message;
pub mod naming;
pub mod refusal;
pub mod seal;
pub mod sign;
pub mod token;
pub mod validate;
