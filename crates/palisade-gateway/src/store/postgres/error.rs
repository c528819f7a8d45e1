//! What went wrong with the server, in words that hold nothing of anybody.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use super::super::Error;

/// The server's own words may quote a value where a statement failed for its values (classes 22 and 23): of these the code
/// alone is told.
fn failed(error: &tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        return down(
            format!("does not answer ({error}{cause})"),
            "is it running, and does the network let it through?",
        );
    };
    let code = said.code();
    let told = match code.code() {
        quotes if quotes.starts_with("22") || quotes.starts_with("23") => {
            format!("cannot take what it is given (SQLSTATE {quotes})")
        }
        other => format!("says: {} (SQLSTATE {other})", said.message()),
    };
    let cure = match code {
        code if *code == SqlState::INVALID_PASSWORD => "check the user of store.url, and store.password",
        code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "check the user of store.url, and pg_hba.conf"
        }
        code if *code == SqlState::UNDEFINED_DATABASE => "make the database, or name another one in store.url",
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            "let the user make a schema in the database (GRANT CREATE), or run `palisade store migrate` as one who may"
        }
        code if *code == SqlState::TOO_MANY_CONNECTIONS => {
            "raise max_connections there, or lower store.connections here"
        }
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => "name the server that takes writes in store.url",
        code if *code == SqlState::UNDEFINED_TABLE => "run `palisade store migrate`",
        _ => "ask its log for more",
    };
    // What is wrong with who we are, or where we go, is not better in a moment.
    match code.code().get(..2) {
        Some("28" | "3D" | "42") => Error::Setting(told, cure),
        _ => down(told, cure),
    }
}

/// A store that cannot be used now.
pub(super) fn down(problem: impl Into<String>, cure: &'static str) -> Error {
    Error::Server(problem.into(), cure)
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        failed(&error)
    }
}
