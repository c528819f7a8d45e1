//! What one server offers of one kind, or ever did.
//!
//! Every question takes a few steps however much a server offers, for a list asks one for each of its items.

use std::collections::BTreeSet;
use std::ops::Bound::{Included, Unbounded};

/// Names, and templates of names (RFC 6570), that a server has been seen to offer. Nothing is forgotten: a name that
/// left a list must not become another server's.
#[derive(Debug, Clone, Default)]
pub struct Offers {
    names: BTreeSet<Box<str>>,
    templates: BTreeSet<Box<str>>,
    /// What stands before the first expression of the templates. None begins with another one.
    starts: BTreeSet<Box<str>>,
    bytes: usize,
}

/// Names, and templates, that are kept of one server. One beyond is shown and called with its server in front.
const NAMES: usize = 10_000;
const TEMPLATES: usize = 1_000;
/// A longer name is not kept.
const NAME_BYTES: usize = 8 * 1024;
/// All that is kept of one server.
const BYTES: usize = 2 << 20;

impl Offers {
    /// Notes a name.
    pub fn add(&mut self, name: &str) {
        if self.names.len() < NAMES && self.has_room(name) && self.names.insert(name.into()) {
            self.bytes += name.len();
        }
    }

    /// Notes a template.
    pub fn add_template(&mut self, template: &str) {
        if self.templates.len() < TEMPLATES && self.has_room(template) && self.templates.insert(template.into()) {
            // Its beginning is at most as long again.
            self.bytes += 2 * template.len();
            self.add_start(literal_start(template));
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

    /// Whether the name is one of these, or begins as something made from one of the templates does.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        self.has(name) || self.start_of(name).is_some()
    }

    /// Whether something could be made both from `template` and from what is noted here.
    pub(super) fn may_overlap(&self, template: &str) -> bool {
        let start = literal_start(template);
        begins_one_of(&self.names, start) || begins_one_of(&self.starts, start) || self.start_of(start).is_some()
    }

    fn has_room(&self, name: &str) -> bool {
        name.len() <= NAME_BYTES && self.bytes + name.len() <= BYTES
    }

    fn add_start(&mut self, start: &str) {
        if self.start_of(start).is_none() {
            self.starts.retain(|longer| !longer.starts_with(start));
            self.starts.insert(start.into());
        }
    }

    /// The beginning of a template that is the name's too. None begins with another, so it can only be the last one
    /// before the name.
    fn start_of(&self, name: &str) -> Option<&str> {
        let last = self.starts.range::<str, _>((Unbounded, Included(name))).next_back()?;
        name.starts_with(last.as_ref()).then_some(last)
    }
}

/// Whether one of these begins with `start`: then the first that is not before it does.
fn begins_one_of(names: &BTreeSet<Box<str>>, start: &str) -> bool {
    names.range::<str, _>((Included(start), Unbounded)).next().is_some_and(|name| name.starts_with(start))
}

/// What stands before the first expression.
fn literal_start(template: &str) -> &str {
    template.split('{').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{BYTES, NAME_BYTES, NAMES, Offers, TEMPLATES};

    fn made_from(templates: &[&str]) -> Offers {
        let mut offers = Offers::default();
        for template in templates {
            offers.add_template(template);
        }
        offers
    }

    /// A3: a template may make whatever begins as it does.
    #[test]
    fn templates_make_names() {
        let offers = made_from(&["file:///a/{path}", "file:///{+path}", "t://{a}/data", "plain"]);
        for (name, may) in [
            ("file:///a/b", true),
            ("file:///c", true),
            ("memo://a", false),
            ("t://7/data", true),
            ("t:", false),
            ("plain", true),
            ("plai", false),
            ("", false),
        ] {
            assert_eq!(offers.may_hold(name), may, "{name}");
        }
        assert!(made_from(&["{+any}"]).may_hold("whatever") && !Offers::default().may_hold(""));
        assert!(
            offers.may_overlap("file:///a/b/{c}") && offers.may_overlap("fi{le}") && !offers.may_overlap("memo://{id}")
        );
    }

    /// A3, D3: what is kept of one server is bounded, in number and in bytes; of a thousand templates that begin alike
    /// one beginning is kept, and no name is held against more than one.
    #[test]
    fn what_is_kept_is_bounded() {
        let mut offers = Offers::default();
        for number in 0..NAMES + 10 {
            offers.add(&format!("t{number}"));
        }
        offers.add(&"x".repeat(NAME_BYTES + 1));
        assert_eq!(offers.names.len(), NAMES);
        assert!(offers.has("t0") && !offers.has(&format!("t{NAMES}")));

        let mut hostile = Offers::default();
        for number in 0..TEMPLATES + 10 {
            hostile.add_template(&format!("{}{{a}}{number}{{b}}", "aaaa/".repeat(1 + number % 20)));
        }
        assert_eq!((hostile.templates.len(), hostile.starts.len()), (TEMPLATES, 1));
        assert_eq!(hostile.start_of(&"aaaa/".repeat(500)), Some("aaaa/"));

        let mut large = Offers::default();
        for number in 0..1000 {
            large.add(&format!("{number:04}{}", "x".repeat(NAME_BYTES - 4)));
            large.add_template(&format!("{number:04}{}", "y".repeat(NAME_BYTES - 4)));
        }
        let held = |set: &std::collections::BTreeSet<Box<str>>| set.iter().map(|name| name.len()).sum::<usize>();
        assert!(held(&large.names) + held(&large.templates) + held(&large.starts) <= BYTES + NAME_BYTES);
        assert!(large.bytes > BYTES / 2, "there is room for what is usual");
    }
}
