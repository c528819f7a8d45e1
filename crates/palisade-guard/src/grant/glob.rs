//! Names with `*` in them.

/// Whether `name` is what `pattern` describes: each `*` stands for any run of bytes, none included, and every other byte
/// for itself. At most `pattern.len() * name.len()` steps.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on when what follows the last `*` does not fit: after that `*`, one byte of the name later.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', [])), _) | (None, None) => return true,
            (Some((b'*', rest)), _) => {
                again = Some((rest, name));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((byte, later))) if wanted == byte => (pattern, name) = (rest, later),
            _ => {
                let Some((rest, [_, later @ ..])) = again else { return false };
                again = Some((rest, later));
                (pattern, name) = (rest, later);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    /// C1: a star is any run of bytes, and nothing else is special.
    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name) in
            [("", ""), ("*", ""), ("*", "a/b"), ("read_*", "read_"), ("a*b*c", "a-b-b-c"), ("**", "x")]
        {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("a", ""), ("read_*", "read"), ("a*b", "a-b-c"), ("?", "a"), ("a.c", "abc"), ("A", "a")]
        {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    /// The obvious definition.
    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|at| plain(rest, &name[at..])),
            Some((wanted, rest)) => {
                name.split_first().is_some_and(|(byte, later)| byte == wanted && plain(rest, later))
            }
        }
    }

    proptest! {
        /// C1: one backtrack is as good as all of them.
        #[test]
        fn it_is_what_the_definition_says(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), plain(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
