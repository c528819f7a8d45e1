//! The naming rule of the aggregate: what is shown leads back, and no name ever moves to another server.

use palisade_guard::naming::{Addressed, Offers, Seen, Style, Unread, address, shown};
use proptest::prelude::*;

/// Server names, some of which begin others or look like the beginning of a tool's name.
fn servers() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["a", "a-b", "b", "features", "git"], 1..5)
}

/// Names that collide often, with marks in all places.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{1,2}",
        4 => "(a|b|features|git)[.+][ab]{1,2}",
        2 => "[ab.+]{1,6}",
        1 => "[ -~é]{1,8}",
    ]
}

fn offers(names: &[String]) -> Offers {
    let mut offers = Offers::default();
    for name in names {
        offers.add(name);
    }
    offers
}

fn seen<'a>(servers: &[&'a str], offered: &'a [Offers]) -> Vec<Seen<'a>> {
    servers.iter().zip(offered).map(|(server, offers)| Seen { server, offers, unread: None }).collect()
}

fn style() -> impl Strategy<Value = Style> {
    prop::sample::select(vec![Style::names(false), Style::names(true), Style::URIS])
}

/// What each of up to five servers offers.
fn offered() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec(name(), 0..6), 5)
}

proptest! {
    /// A3: whatever is shown addresses the server and the name it was shown for, so no two things are shown alike;
    /// that a server is down, or its list not noted, changes nothing.
    #[test]
    fn what_is_shown_leads_back(style in style(), servers in servers(), lists in offered(), noted in any::<bool>()) {
        let offered: Vec<Offers> = lists.iter().map(|list| offers(if noted { list } else { &[] })).collect();
        let seen = seen(&servers, &offered);
        for (server, list) in lists.iter().enumerate().take(seen.len()) {
            for name in list {
                let shown = shown(style, &seen, server, name);
                prop_assert_eq!(address(style, &seen, &shown), Addressed::One { server, name }, "{}", &shown);
            }
        }
    }

    /// A3: a name with a server in front addresses that server, whatever anybody offers.
    #[test]
    fn a_full_name_always_addresses(servers in servers(), lists in offered(), name in name()) {
        let offered: Vec<Offers> = lists.iter().map(|list| offers(list)).collect();
        let seen = seen(&servers, &offered);
        for (place, server) in servers.iter().enumerate() {
            let full = format!("{server}.{name}");
            prop_assert_eq!(address(Style::names(false), &seen, &full), Addressed::One { server: place, name: &name });
        }
    }

    /// A3: when servers come to offer more, a name may become ambiguous, but it never moves to another server.
    #[test]
    fn no_name_moves(style in style(), servers in servers(), lists in offered(), more in offered(), name in name()) {
        let before: Vec<Offers> = lists.iter().map(|list| offers(list)).collect();
        let after: Vec<Offers> = lists.iter().zip(&more).map(|(a, b)| offers(&[&a[..], &b[..]].concat())).collect();
        let (before, after) = (address(style, &seen(&servers, &before), &name), address(style, &seen(&servers, &after), &name));
        match (&before, &after) {
            (Addressed::One { .. }, Addressed::Nobody) => prop_assert!(false, "{name} was lost"),
            (Addressed::One { .. }, Addressed::One { .. }) => prop_assert_eq!(before, after),
            (Addressed::Several(_), after) => prop_assert!(matches!(after, Addressed::Several(_))),
            _ => {}
        }
    }

    /// A3, P-D27: a bare name that addresses a server while some lists were not read yet addresses no other one when all
    /// are, and is not lost to several.
    #[test]
    fn no_name_depends_on_the_moment(
        style in style(), servers in servers(), lists in offered(), read in any::<[bool; 5]>(), name in name(),
    ) {
        let all: Vec<Offers> = lists.iter().map(|list| offers(list)).collect();
        let now: Vec<Offers> = all.iter().zip(read).map(|(offers, read)| if read { offers.clone() } else { Offers::default() }).collect();
        let mut partly = seen(&servers, &now);
        for (seen, read) in partly.iter_mut().zip(read) {
            seen.unread = (!read).then(Unread::default);
        }
        if let found @ Addressed::One { .. } = address(style, &partly, &name) {
            prop_assert_eq!(found, address(style, &seen(&servers, &all), &name));
        }
    }
}
