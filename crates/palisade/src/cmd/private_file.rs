//! A secret from a file that nobody else may read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The largest file that is read.
const LARGEST: u64 = 64 * 1024;

/// A name, where one stands before it, and a secret.
pub(crate) struct Named {
    /// What stands before the secret.
    pub(crate) name: Option<String>,
    /// The secret.
    pub(crate) secret: String,
}

/// The one line of a file: `SECRET`, or `NAME SECRET`.
pub(crate) fn read(path: &Path) -> Result<Named, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("{shown} cannot be read ({error})");
    // What is judged is what is read: the file is opened once.
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if about.mode() & 0o077 != 0 {
        return Err(format!("others may use {shown}: chmod 600 {shown}"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (line, more) = (lines.next(), lines.next());
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    match (words.as_slice(), more) {
        ([secret], None) => Ok(Named { name: None, secret: (*secret).to_owned() }),
        ([name, secret], None) => Ok(Named { name: Some((*name).to_owned()), secret: (*secret).to_owned() }),
        _ => Err(format!("{shown} has not one line with SECRET, or NAME SECRET")),
    }
}
