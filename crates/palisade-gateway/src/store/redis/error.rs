//! What went wrong with Redis, in words that hold nothing of anybody.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why Redis cannot be used.
#[derive(Debug, Clone)]
pub struct Error {
    problem: String,
    cure: &'static str,
    /// Whether it is not better in a moment: somebody has to change a setting, here or there.
    pub(super) lasts: bool,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis {}; {}", self.problem, self.cure)
    }
}

impl Error {
    /// What passes.
    pub(super) fn down(problem: impl Into<String>, cure: &'static str) -> Self {
        Self { problem: problem.into(), cure, lasts: false }
    }

    /// What stays until somebody changes it.
    pub(super) fn setting(problem: impl Into<String>, cure: &'static str) -> Self {
        Self { problem: problem.into(), cure, lasts: true }
    }

    /// It took longer than anybody waits.
    pub(super) fn late() -> Self {
        Self::down("did not answer in time", UNREACHABLE)
    }
}

pub(super) const UNREACHABLE: &str = "is it running, and does the network let it through?";

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        let code = error.code().unwrap_or_default().to_owned();
        match (error.kind(), code.as_str()) {
            (ErrorKind::AuthenticationFailed, _) | (_, "WRONGPASS" | "NOAUTH") => {
                Self::setting("does not know us", "check the user of redis.url, and redis.password")
            }
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) | (_, "NOPERM") => {
                Self::setting("does not let its user do what is needed", "give it the rights that the manual lists")
            }
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
                Self::down("is a replica, which takes no writes", "name the one that takes writes, or its Sentinels")
            }
            (_, "OOM") => Self::down("is full", "give it more memory (maxmemory)"),
            (_, "MISCONF") => Self::down("cannot save its data", "look at its disk"),
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => Self::down("is reading its data", "wait"),
            (ErrorKind::Server(_), code) => Self::down(format!("says {code}"), "ask its log for more"),
            (ErrorKind::Io, _) if error.is_timeout() => Self::late(),
            _ => Self::down(format!("does not answer ({error})"), UNREACHABLE),
        }
    }
}
