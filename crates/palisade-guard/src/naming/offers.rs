//! What one server offers of one kind, or ever did.

use std::collections::HashSet;

/// Names, and templates of names (RFC 6570), that a server has been seen to offer. Nothing is forgotten: a name that
/// left a list must not become another server's.
#[derive(Debug, Clone, Default)]
pub struct Offers {
    names: HashSet<Box<str>>,
    templates: HashSet<Box<str>>,
}

/// Names, and templates, that are kept of one server. One beyond is shown and called with its server in front.
const NAMES: usize = 10_000;
const TEMPLATES: usize = 1_000;
/// A longer name is not kept.
const NAME_BYTES: usize = 8 * 1024;

impl Offers {
    /// Notes a name.
    pub fn add(&mut self, name: &str) {
        if self.names.len() < NAMES && name.len() <= NAME_BYTES {
            self.names.insert(name.into());
        }
    }

    /// Notes a template.
    pub fn add_template(&mut self, template: &str) {
        if self.templates.len() < TEMPLATES && template.len() <= NAME_BYTES {
            self.templates.insert(template.into());
        }
    }

    /// Whether the name is noted, word for word.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether the template is noted, word for word.
    pub fn has_template(&self, template: &str) -> bool {
        self.templates.contains(template)
    }

    /// Whether the name is one of these, or could be made from one of the templates.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        self.has(name) || self.templates.iter().any(|template| could_make(template, name))
    }

    /// Whether something could be made both from `template` and from what is noted here.
    pub(super) fn may_overlap(&self, template: &str) -> bool {
        let start = literal_start(template);
        let touches = |other: &str| other.starts_with(start) || start.starts_with(other);
        self.names.iter().any(|name| name.starts_with(start))
            || self.templates.iter().any(|other| touches(literal_start(other)))
    }
}

/// What stands before the first expression.
fn literal_start(template: &str) -> &str {
    template.split('{').next().unwrap_or_default()
}

/// Whether the template's literal parts stand in the name, in order; expressions could be anything.
fn could_make(template: &str, name: &str) -> bool {
    let mut parts = template.split('{');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut open_end = false;
    for part in parts {
        let literal = part.split_once('}').map_or("", |(_, literal)| literal);
        let Some(at) = rest.find(literal) else { return false };
        rest = rest.get(at + literal.len()..).unwrap_or_default();
        open_end = literal.is_empty();
    }
    // A literal at the end may stand several times; the last one counts.
    let last = template.rsplit('}').next().unwrap_or_default();
    open_end || rest.is_empty() || template.contains('{') && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Offers, could_make};

    /// A3: a template makes what fits around its literal parts.
    #[test]
    fn templates_make_names() {
        for (template, name, makes) in [
            ("file:///{path}", "file:///a/b", true),
            ("file:///{path}", "memo://a", false),
            ("t://{a}/data", "t://7/data", true),
            ("t://{a}/data", "t://x/data/y/data", true),
            ("t://{a}/data", "t://7/other", false),
            ("t://{a}/{b}", "t://7/other", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            ("{+any}", "whatever", true),
        ] {
            assert_eq!(could_make(template, name), makes, "{template} {name}");
        }
    }

    /// D3: what is kept of one server is bounded.
    #[test]
    fn names_are_kept_up_to_a_bound() {
        let mut offers = Offers::default();
        for number in 0..NAMES + 10 {
            offers.add(&format!("t{number}"));
        }
        offers.add(&"x".repeat(10_000));
        assert_eq!(offers.names.len(), NAMES);
        assert!(offers.has("t0") && !offers.has(&format!("t{NAMES}")));
    }
}
