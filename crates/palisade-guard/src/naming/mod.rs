//! Names in the aggregate of several servers: one rule, for tools, prompts and resources.
//!
//! 1. `server.tool` (of a resource, `server+uri`) addresses that server, always: what stands before the first mark is
//!    the name of a server, and server names never hold a mark.
//! 2. A bare name is shown only where no other server offers, or ever offered, the same, and where it cannot be read by
//!    rule 1.
//! 3. A bare name addresses the one server that offers it, or ever did. What several offer addresses none of them, and
//!    as long as a server's list was never read, it may offer anything that the others were not known for before it
//!    came. So a call never moves from one server to another: not when one is down, not when one comes, not when one
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
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Its name.
    pub server: &'a str,
    /// What it offers, or ever did.
    pub offers: &'a Offers,
    /// What is not known of it.
    pub unread: Option<Unread<'a>>,
}

/// A server whose list was never read.
#[derive(Debug, Clone, Default)]
pub struct Unread<'a> {
    /// What other servers, by name, were known to offer before this one came: that it does not claim.
    pub earlier: Vec<(&'a str, &'a Offers)>,
}

impl Unread<'_> {
    /// Whether `offered` to the `owner` was not yet when this one came.
    fn may_claim(&self, owner: &str, offered: impl Fn(&Offers) -> bool) -> bool {
        !self.earlier.iter().any(|(server, offers)| *server == owner && offered(offers))
    }
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
    /// What this server offers, and perhaps one whose list was never read.
    Unsettled {
        /// The place of the server that is known to offer it.
        server: usize,
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
        [server] if may_be_anothers(seen, *server, |offers| offers.may_hold(name)) => {
            Addressed::Unsettled { server: *server }
        }
        [server] => Addressed::One { server: *server, name },
        _ => Addressed::Several(offering),
    }
}

/// Whether somebody else may have what the server at this place offers, and has not said so yet.
fn may_be_anothers(seen: &[Seen<'_>], owner: usize, offered: impl Fn(&Offers) -> bool + Copy) -> bool {
    let name = seen.get(owner).map_or("", |owner| owner.server);
    let others = seen.iter().enumerate().filter(|(place, _)| *place != owner);
    others.filter_map(|(_, other)| other.unread.as_ref()).any(|unread| unread.may_claim(name, offered))
}

/// The name in full, which always addresses the server at this place.
pub fn in_full<'n>(style: Style, seen: &[Seen<'_>], server: usize, name: &'n str) -> Cow<'n, str> {
    seen.get(server).map_or(Cow::Borrowed(name), |own| Cow::Owned(format!("{}{}{name}", own.server, style.mark)))
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
    let unsettled = may_be_anothers(seen, server, |offers| offers.has_template(template));
    if shared || unsettled || !known || prefixed(style, seen, template).is_some() {
        in_full(style, seen, server, template)
    } else {
        Cow::Borrowed(template)
    }
}

/// The server that a name says it is for, and the rest of the name.
fn prefixed<'n>(style: Style, seen: &[Seen<'_>], name: &'n str) -> Option<(usize, &'n str)> {
    let (server, rest) = name.split_once(style.mark)?;
    let place = seen.iter().position(|other| other.server == server)?;
    (!rest.is_empty()).then_some((place, rest))
}

#[cfg(test)]
mod tests {
    use super::{Addressed, Offers, Seen, Style, Unread, address, shown, shown_template};

    fn offers(names: &[&str]) -> Offers {
        let mut offers = Offers::default();
        for name in names {
            offers.add(name);
        }
        offers
    }

    fn seen<'a>(server: &'a str, offers: &'a Offers) -> Seen<'a> {
        Seen { server, offers, unread: None }
    }

    fn one(server: usize, name: &str) -> Addressed<'_> {
        Addressed::One { server, name }
    }

    /// A3: prefixed on conflict, bare where that is one thing only.
    #[test]
    fn names_are_prefixed_where_they_must_be() {
        let (files, search) = (offers(&["read", "write", "search.all"]), offers(&["read", "find"]));
        let seen = [seen("files", &files), seen("search", &search)];
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
        let seen = [seen("files", &files)];
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
        let seen = [seen("files", &files), seen("git", &git)];
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
    /// A3, P-D27: while a list was never read, a bare name is nobody's that this server may own too; what others were
    /// known for before it came is not.
    #[test]
    fn a_list_that_was_never_read_may_hold_any_name() {
        let (mut files, none) = (offers(&["read", "new"]), Offers::default());
        files.add_template("file:///{path}");
        let mut before = offers(&["read"]);
        before.add_template("file:///{path}");
        let style = Style::names(false);
        let with = |unread| [seen("files", &files), Seen { server: "late", offers: &none, unread }];
        let [from_the_start, came_later] =
            [Vec::new(), vec![("files", &before)]].map(|earlier| with(Some(Unread { earlier })));
        for (seen, name, wanted) in [
            (&from_the_start, "read", Addressed::Unsettled { server: 0 }),
            (&from_the_start, "files.read", one(0, "read")),
            (&from_the_start, "other", Addressed::Nobody),
            (&came_later, "read", one(0, "read")),
            (&came_later, "new", Addressed::Unsettled { server: 0 }),
            (&with(None), "new", one(0, "new")),
        ] {
            assert_eq!(address(style, seen, name), wanted, "{name}");
        }
        assert_eq!(shown(style, &from_the_start, 0, "read"), "files.read");
        assert_eq!(shown(style, &came_later, 0, "read"), "read");
        assert_eq!(shown_template(&from_the_start, 0, "file:///{path}"), "files+file:///{path}");
        assert_eq!(shown_template(&came_later, 0, "file:///{path}"), "file:///{path}");
    }
}
