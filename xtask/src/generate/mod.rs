//! `cargo xtask generate`: docs/reference, written from the tables in the code, so that it cannot say anything else.

mod config;
mod environment;
mod errors;
mod json;
mod methods;
mod table;
mod vectors;

use std::fs;
use std::io;
use std::path::Path;

use crate::{err, out};

/// One page and where it stands.
type Page = (&'static str, fn() -> String);

const PAGES: [Page; 7] = [
    ("docs/reference/errors.md", errors::page),
    ("docs/reference/methods.md", methods::page),
    ("docs/reference/config.md", config::page),
    ("docs/reference/palisade.schema.json", palisade_gateway::config::schema),
    ("docs/reference/environment.md", environment::page),
    ("docs/reference/openapi.json", palisade_gateway::openapi),
    ("docs/reference/signature-vectors.json", vectors::page),
];

/// What stands at the top of every page.
const NOTE: &str = "<!-- Written by `cargo xtask generate` from the code. Change the code, not this page. -->";

/// Writes every page.
pub(crate) fn write(root: &Path) -> io::Result<bool> {
    for (path, page) in PAGES {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, page())?;
    }
    out(format_args!("generate: {} pages written", PAGES.len()));
    Ok(true)
}

/// Whether every page is as it would be written.
pub(crate) fn check(root: &Path) -> bool {
    let mut fresh = true;
    for (path, page) in PAGES {
        // A page that is not there differs too.
        let found = fs::read_to_string(root.join(path)).unwrap_or_default();
        if found != page() {
            err(format_args!("{path}: differs from the code; run `cargo xtask generate`"));
            fresh = false;
        }
    }
    if fresh {
        out(format_args!("generate: {} pages are as the code says", PAGES.len()));
    }
    fresh
}

#[cfg(test)]
mod tests {
    use super::{PAGES, check, write};
    use std::fs;

    #[test]
    fn a_page_that_differs_is_found() {
        let root = std::env::temp_dir().join(format!("palisade-xtask-{}", std::process::id()));
        assert!(!check(&root));
        assert!(write(&root).unwrap() && check(&root));
        for (path, _) in PAGES {
            let page = fs::read_to_string(root.join(path)).unwrap();
            fs::write(root.join(path), page.clone() + "x").unwrap();
            assert!(!check(&root), "{path}");
            fs::write(root.join(path), page).unwrap();
        }
        fs::remove_dir_all(root).unwrap();
    }
}
