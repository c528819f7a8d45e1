//! What a message may be, case by case.

mod agreement;
mod documents;
mod envelopes;
