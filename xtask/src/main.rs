//! The house rules as a program: `cargo xtask tidy` checks them, `cargo xtask generate` writes docs/reference.
//!
//! A rule that only a person can check is forgotten within a month. What is here is checked by `./test.sh`.

#[cfg(test)]
mod documents;
mod generate;
mod requirements;
mod source;
mod tidy;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy | generate [--check]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tidy"] => tidy::run(&root()),
        ["generate"] => generate::write(&root()),
        ["generate", "--check"] => Ok(generate::check(&root())),
        _ => {
            err(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            err(error);
            ExitCode::FAILURE
        }
    }
}

/// The project's root: this package stands in a folder of it.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// One line on stdout; a closed pipe is no reason to fail.
fn out(line: impl Display) {
    drop(writeln!(io::stdout(), "{line}"));
}

/// One line on stderr.
fn err(line: impl Display) {
    drop(writeln!(io::stderr(), "{line}"));
}
