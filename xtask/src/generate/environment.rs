//! The page of environment variables, from the table in `palisade_gateway::config::env`.

use palisade_gateway::config::env::{Row, Sets, TABLE};

use super::NOTE;
use super::table::{code, table};

pub(super) fn page() -> String {
    let now = TABLE.iter().filter(|row| !is_later(row)).map(|row| [code(row.name), does(row), secret(row)]);
    let later = TABLE.iter().filter(|row| is_later(row)).map(|row| {
        let default = if let Sets::Later { default, .. } = row.sets { default } else { "" };
        [code(row.name), does(row), code(default), secret(row)]
    });
    format!(
        "{NOTE}\n\n# Environment variables\n\n{INTRODUCTION}\n{}\n## Checked, not used yet\n\n{LATER}\n{}",
        table(["variable", "what it sets", "secret"], now),
        table(["variable", "if it is set", "default", "secret"], later)
    )
}

const fn is_later(row: &Row) -> bool {
    matches!(row.sets, Sets::Later { .. })
}

fn secret(row: &Row) -> String {
    if row.secret { "yes".to_owned() } else { String::new() }
}

fn does(row: &Row) -> String {
    match row.sets {
        Sets::Setting(path) => format!("[`{path}`](config.md)"),
        Sets::Port => "the port of [`listen.address`](config.md)".to_owned(),
        Sets::Keys => "keys, separated by commas, each with or without `NAME=` in front".to_owned(),
        Sets::Key(name) => format!("one key, whose holder is called `{name}`"),
        Sets::KeyHashes => "SHA-256 of keys, separated by commas".to_owned(),
        Sets::ClientSecret => "the secret of a client that signs, with the key id `default`".to_owned(),
        Sets::DisableAuth => "`true` is `auth.mode = \"none\"`; production refuses it".to_owned(),
        Sets::ServerMode => "`http`; `stdio` for `palisade stdio` alone".to_owned(),
        Sets::Later { lacks, .. } => format!("this version {lacks}"),
    }
}

const INTRODUCTION: &str = "\
Flags win over the environment, the environment wins over `palisade.toml`. A list replaces the one in the file; keys add
up. A variable that is set to nothing is a fault. `palisade config show` prints each effective value and where it came
from; secrets are masked there, and no child process inherits one.
";

const LATER: &str = "\
These belong to features that come later. Their form is checked and a warning says what follows from their absence, so
that nothing is ignored silently.
";

#[cfg(test)]
mod tests {
    use super::page;
    use palisade_gateway::config::env::TABLE;

    #[test]
    fn every_variable_is_there_once() {
        let page = page();
        for row in TABLE {
            assert_eq!(page.matches(&format!("| `{}` |", row.name)).count(), 1, "{}", row.name);
        }
    }
}
