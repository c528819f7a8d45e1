//! Names in the aggregate of several servers: one rule, for tools, prompts and resources.
//!
//! 1. `server.tool` (of a resource, `server+uri`) addresses that server, always: what stands before the first mark is
//!    the name of a server, and server names never hold a mark.
//! 2. A bare name is shown only where no other server offers, or ever offered, the same, and where it cannot be read by
//!    rule 1.
//! 3. A bare name addresses the one server that offers it, or ever did. What several offer addresses none of them, so
//!    that a call never moves from one server to another: not when one is down, not when one comes, not when one
//!    changes its list.

mod offers;

use std::borrow::Cow;

pub use offers::Offers;

/// How names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    mark: char,
    always: bool,
}

impl Style {
    /// Resources: bare unless that could mean another one, for what servers say inside their answers is bare too.
    pub const URIS: Self = Self { mark: '+', always: false };

    /// Tools and prompts: bare unless that could mean another one, or never bare.
    pub const fn names(always: bool) -> Self {
        Self { mark: '.', always }
    }
}

/// One server that a caller may see, and what it offers of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its name.
    pub server: &'a str,
    /// What it offers, or ever did.
    pub offers: &'a Offers,
}

/// What a name addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressed<'n> {
    /// This server's own `name`.
    One {
        /// The server's place among those that are seen.
        server: usize,
        /// The name as that server knows it.
        name: &'n str,
    },
    /// Nothing that is known.
    Nobody,
    /// What these servers all offer; each is reached with its own name in front.
    Several(Vec<usize>),
}

/// What `name` addresses among the servers that a caller sees.
pub fn address<'n>(style: Style, seen: &[Seen<'_>], name: &'n str) -> Addressed<'n> {
    if let Some((server, rest)) = prefixed(style, seen, name) {
        return Addressed::One { server, name: rest };
    }
    if style.always {
        return Addressed::Nobody;
    }
    let offering = seen.iter().enumerate().filter(|(_, other)| other.offers.may_hold(name));
    let offering: Vec<usize> = offering.map(|(place, _)| place).collect();
    match offering.as_slice() {
        [] => Addressed::Nobody,
        [server] => Addressed::One { server: *server, name },
        _ => Addressed::Several(offering),
    }
}

/// How the `name` of the server at this place is shown.
pub fn shown<'n>(style: Style, seen: &[Seen<'_>], server: usize, name: &'n str) -> Cow<'n, str> {
    let bare = matches!(address(style, seen, name), Addressed::One { server: found, name: rest }
        if found == server && rest.len() == name.len());
    if bare { Cow::Borrowed(name) } else { in_full(style, seen, server, name) }
}

/// How a template of the server at this place is shown: bare only where nothing made from it could be another's.
pub fn shown_template<'n>(seen: &[Seen<'_>], server: usize, template: &'n str) -> Cow<'n, str> {
    let style = Style::URIS;
    let shared = seen.iter().enumerate().any(|(place, other)| place != server && other.offers.may_overlap(template));
    let known = seen.get(server).is_some_and(|own| own.offers.has_template(template));
    if shared || !known || prefixed(style, seen, template).is_some() {
        in_full(style, seen, server, template)
    } else {
        Cow::Borrowed(template)
    }
}

fn in_full<'n>(style: Style, seen: &[Seen<'_>], server: usize, name: &'n str) -> Cow<'n, str> {
    seen.get(server).map_or(Cow::Borrowed(name), |own| Cow::Owned(format!("{}{}{name}", own.server, style.mark)))
}

/// The server that a name says it is for, and the rest of the name.
fn prefixed<'n>(style: Style, seen: &[Seen<'_>], name: &'n str) -> Option<(usize, &'n str)> {
    let (server, rest) = name.split_once(style.mark)?;
    let place = seen.iter().position(|other| other.server == server)?;
    (!rest.is_empty()).then_some((place, rest))
}

#[cfg(test)]
mod tests {
    use super::{Addressed, Offers, Seen, Style, address, shown, shown_template};

    fn offers(names: &[&str]) -> Offers {
        let mut offers = Offers::default();
        for name in names {
            offers.add(name);
        }
        offers
    }

    fn one(server: usize, name: &str) -> Addressed<'_> {
        Addressed::One { server, name }
    }

    /// A3: prefixed on conflict, bare where that is one thing only.
    #[test]
    fn names_are_prefixed_where_they_must_be() {
        let (files, search) = (offers(&["read", "write", "search.all"]), offers(&["read", "find"]));
        let seen = [Seen { server: "files", offers: &files }, Seen { server: "search", offers: &search }];
        let style = Style::names(false);
        for (server, name, wanted) in [
            (0, "write", "write"),
            (0, "read", "files.read"),
            (1, "read", "search.read"),
            (0, "search.all", "files.search.all"),
            (1, "unlisted", "search.unlisted"),
        ] {
            assert_eq!(shown(style, &seen, server, name), wanted);
            assert_eq!(address(style, &seen, wanted), one(server, name), "{wanted}");
        }
        assert_eq!(address(style, &seen, "read"), Addressed::Several(vec![0, 1]));
        assert_eq!(address(style, &seen, "search.all"), one(1, "all"));
        assert_eq!(address(style, &seen, "files.anything"), one(0, "anything"));
        for nobody in ["nothing", "files.", "mail.read", ".read", ""] {
            assert_eq!(address(style, &seen, nobody), Addressed::Nobody, "{nobody}");
        }
    }

    /// A3: by choice, nothing is bare, and a bare name is nothing.
    #[test]
    fn names_are_prefixed_by_choice() {
        let files = offers(&["read"]);
        let seen = [Seen { server: "files", offers: &files }];
        let style = Style::names(true);
        assert_eq!(shown(style, &seen, 0, "read"), "files.read");
        assert_eq!(address(style, &seen, "read"), Addressed::Nobody);
    }

    /// A3: a resource is its owner's: by its list, or by its templates.
    #[test]
    fn resources_have_owners() {
        let (mut files, mut git) = (offers(&["file:///readme"]), offers(&["git+ssh://x", "memo://1"]));
        files.add_template("file:///{+path}");
        git.add_template("memo://{id}");
        git.add_template("file:///repo/{path}");
        let seen = [Seen { server: "files", offers: &files }, Seen { server: "git", offers: &git }];
        let style = Style::URIS;
        assert_eq!(address(style, &seen, "file:///etc"), one(0, "file:///etc"));
        assert_eq!(address(style, &seen, "memo://77"), one(1, "memo://77"));
        assert_eq!(address(style, &seen, "file:///repo/a"), Addressed::Several(vec![0, 1]));
        assert_eq!(shown(style, &seen, 1, "git+ssh://x"), "git+git+ssh://x");
        assert_eq!(address(style, &seen, "git+git+ssh://x"), one(1, "git+ssh://x"));
        assert_eq!(shown_template(&seen, 1, "memo://{id}"), "memo://{id}");
        assert_eq!(shown_template(&seen, 1, "file:///repo/{path}"), "git+file:///repo/{path}");
        assert_eq!(shown_template(&seen, 0, "file:///{+path}"), "files+file:///{+path}");
    }
}
