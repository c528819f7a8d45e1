//! Tokens: vectors of others (by `PALISADE_CORPORA`) and our own, in every malformed form.

mod claims;
mod published;
mod wycheproof;
