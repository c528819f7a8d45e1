//! What is wrong with a setting: where it stands, why it cannot stay, what to write instead.
//!
//! 1. Every fault is found before the first one is reported: an operator corrects a file once.
//! 2. A fault is one line, whatever a file or a variable holds: control characters are escaped.
//! 3. A fault never repeats a value that may be secret.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of a file; 0 means the file as a whole.
    File {
        /// The path as it was given.
        path: Arc<str>,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Env(&'static str),
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
    /// Nobody said anything.
    Default,
}

/// One wrong setting, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting, like `listen.hosts`.
    pub setting: String,
    /// Where its value came from.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0 } => write_escaped(f, path),
            Self::File { path, line } => {
                write_escaped(f, path)?;
                write!(f, ":{line}")
            }
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = format!("{}: ", self.place);
        if !self.setting.is_empty() {
            write!(line, "{}: ", self.setting)?;
        }
        write!(line, "{}; {}", self.problem, self.cure)?;
        write_escaped(f, &line)
    }
}

/// All faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
    /// Settings that somebody tried to give, so that none of them is called missing on top.
    tried: Vec<String>,
}

impl Faults {
    pub(super) fn add(&mut self, setting: &str, place: Place, problem: impl Into<String>, cure: impl Into<String>) {
        self.found.push(Fault { setting: setting.to_owned(), place, problem: problem.into(), cure: cure.into() });
    }

    /// Notes that this setting was given, though not in a form that can be used.
    pub(super) fn tried(&mut self, setting: String) {
        self.tried.push(setting);
    }

    /// Whether this setting, or one below it, was given in an unusable form.
    pub(super) fn was_tried(&self, setting: &str) -> bool {
        self.tried.iter().any(|tried| {
            tried.strip_prefix(setting).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Keeps what concerns keys and their store. The rest may need files and variables that only the gateway has.
    pub(super) fn keep_those_of_keys(&mut self) {
        let ours = ["store.", "audit.dir", "auth.key_"];
        self.found.retain(|fault| {
            !fault.setting.contains('.') || ours.iter().any(|setting| fault.setting.starts_with(setting))
        });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order in which an operator meets them: by file and line, then variables, flags, defaults.
    pub(super) fn into_sorted(mut self) -> Vec<Fault> {
        self.found.sort_by(|one, other| match one.place.cmp(&other.place) {
            Ordering::Equal => one.setting.cmp(&other.setting),
            order => order,
        });
        self.found.dedup();
        self.found
    }
}

/// Text from outside, on one line and without terminal control sequences.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|letter| {
        // Zero-width and bidirectional marks hide or reorder what an operator reads.
        let hidden = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || hidden { write!(f, "{}", letter.escape_unicode()) } else { f.write_char(letter) }
    })
}
