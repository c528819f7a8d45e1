//! `text_tools`: small changes to a text, and counting.
//!
//! A text has at most 10,000 characters; the largest growth (upper case) is three times that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, characters_between};

/// What to do with which text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// What to do with the text.
    pub(super) operation: Operation,
    /// The text.
    #[schemars(length(max = 10000))]
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Upper,
    Lower,
    Title,
    Reverse,
    Trim,
    Squeeze,
    SortLines,
    Count,
}

/// The changed text, or its measures.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Worked {
    /// The text after the operation.
    Changed {
        /// The text after the operation.
        text: String,
    },
    /// The measures of the text.
    Counted {
        /// Unicode characters (code points).
        characters: usize,
        /// Bytes in UTF-8.
        bytes: usize,
        /// Runs of anything but white space.
        words: usize,
        /// Lines; a last line needs no line break.
        lines: usize,
    },
}

/// Does the operation.
pub(crate) fn apply(arguments: &Arguments) -> Result<Worked, Refusal> {
    let text = arguments.text.as_str();
    let characters = characters_between("text", text, 0, LONGEST_TEXT)?;
    let text = match arguments.operation {
        Operation::Upper => text.to_uppercase(),
        Operation::Lower => text.to_lowercase(),
        Operation::Title => title(text),
        // By code point: an accent that is a character of its own changes its letter.
        Operation::Reverse => text.chars().rev().collect(),
        Operation::Trim => text.trim().to_owned(),
        Operation::Squeeze => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Operation::SortLines => sorted_lines(text),
        Operation::Count => {
            let (words, lines) = (text.split_whitespace().count(), text.lines().count());
            return Ok(Worked::Counted { characters, bytes: text.len(), words, lines });
        }
    };
    Ok(Worked::Changed { text })
}

/// Upper case for the first letter of each word, lower case for the rest.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut in_word = false;
    for letter in text.chars() {
        if in_word {
            titled.extend(letter.to_lowercase());
        } else {
            titled.extend(letter.to_uppercase());
        }
        in_word = letter.is_alphanumeric() || (in_word && letter == '\'');
    }
    titled
}

fn sorted_lines(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

const LONGEST_TEXT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(operation: Operation, text: &str) -> String {
        match apply(&Arguments { operation, text: text.to_owned() }).unwrap() {
            Worked::Changed { text } => text,
            counted @ Worked::Counted { .. } => panic!("not a text: {counted:?}"),
        }
    }

    /// K1: each operation does what its name says, beyond ASCII too.
    #[test]
    fn changes_texts() {
        assert_eq!(changed(Operation::Upper, "straße"), "STRASSE");
        assert_eq!(changed(Operation::Lower, "ÄÖÜ"), "äöü");
        assert_eq!(changed(Operation::Title, "it's a gATE"), "It's A Gate");
        assert_eq!(changed(Operation::Reverse, "añb"), "bña");
        assert_eq!(changed(Operation::Trim, "  a b \n"), "a b");
        assert_eq!(changed(Operation::Squeeze, " a \n\t b "), "a b");
        assert_eq!(changed(Operation::SortLines, "b\na\r\nc"), "a\nb\nc");
    }

    /// K1: counts are in characters, bytes, words and lines.
    #[test]
    fn counts() {
        let counted = apply(&Arguments { operation: Operation::Count, text: "ä b\nc".to_owned() }).unwrap();
        assert_eq!(counted, Worked::Counted { characters: 5, bytes: 6, words: 3, lines: 2 });
    }

    /// E3: 10,000 characters are allowed, one more is not.
    #[test]
    fn length_is_bounded() {
        assert_eq!(changed(Operation::Trim, &"ä".repeat(10_000)).chars().count(), 10_000);
        let refusal = apply(&Arguments { operation: Operation::Trim, text: "a".repeat(10_001) }).unwrap_err();
        assert_eq!(refusal.message, "text: must have 0 to 10000 characters, has 10001");
    }
}
