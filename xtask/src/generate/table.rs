//! Tables in Markdown.

/// A table: its head and its rows.
pub(super) fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut text = line(&head.map(str::to_owned));
    text += &line(&[const { "---" }; COLUMNS].map(str::to_owned));
    for row in rows {
        text += &line(&row.map(|cell| cell.replace('|', "\\|").replace('\n', " ")));
    }
    text
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Text in a monospaced face; nothing for nothing.
pub(super) fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

#[cfg(test)]
mod tests {
    use super::{code, table};

    #[test]
    fn a_cell_cannot_break_its_row() {
        let text = table(["a", "b"], [[code("x|y"), "one\ntwo".to_owned()]]);
        assert_eq!(text, "| a | b |\n| --- | --- |\n| `x\\|y` | one two |\n");
    }
}
