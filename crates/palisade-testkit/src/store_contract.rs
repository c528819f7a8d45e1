//! What every kind of store must do, in words of those who use it: one suite, run against each kind.

use std::sync::Arc;
use std::time::Duration;

use palisade_gateway::config::{KeyForm, StorePlace};
use palisade_gateway::keys::{Asker, Book, Error, Rotation, State, Wanted};
use palisade_gateway::store::Store;

const BY: Asker<'_> = Asker { who: "test", holds: None };
const KEEPING: Rotation<'_> = Rotation { grace: Duration::from_hours(1), expires: None, end_older: false };

/// Everything, on an empty store at this place.
///
/// # Panics
///
/// Where the store does something else.
#[expect(clippy::expect_used, reason = "a contract that is broken ends the test")]
pub async fn run(place: StorePlace) {
    let store = Store::open(&place).await.expect("a store");
    let form = KeyForm { prefix: "mcp_".to_owned(), length: 32 };
    let book = Book::open(store.clone(), None, form).await.expect("a book");
    let contract = Contract { book: Arc::new(book) };
    contract.names_mean_one_key().await;
    contract.a_rotation_keeps_two_secrets().await;
    contract.a_revocation_is_for_good().await;
    contract.what_does_not_fit_changes_nothing().await;
    contract.writers_wait_for_one_another().await;
    contract.a_list_has_pages().await;
    store.close().await;
}

struct Contract {
    book: Arc<Book>,
}

#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a contract that is broken ends the test")]
impl Contract {
    async fn make(&self, name: &str) -> (String, String) {
        let wanted = Wanted { name: name.to_owned(), ..Wanted::default() };
        let issued = self.book.create(&wanted, &[], BY).await.expect("a key");
        (issued.about.id, issued.key)
    }

    async fn works(&self, key: &str) -> bool {
        self.book.verify(key).await.expect("an answer").works
    }

    /// A name means one key that works; when that is revoked, it is free.
    async fn names_mean_one_key(&self) {
        let (id, key) = self.make("one").await;
        assert!(self.works(&key).await);
        let wanted = Wanted { name: "one".to_owned(), ..Wanted::default() };
        assert!(matches!(self.book.create(&wanted, &[], BY).await, Err(Error::Taken(name)) if name == "one"));
        self.book.revoke(&id, BY).await.expect("a key");
        let (again, _) = self.make("one").await;
        assert_ne!(again, id);
        let listed = self.book.list(None).await.expect("a list");
        assert_eq!(
            listed.keys.iter().filter(|view| view.name == "one").count(),
            2,
            "what was revoked is still told of"
        );
    }

    /// After a rotation both secrets work for the time that was promised: another rotation is refused meanwhile, unless it
    /// is said to end the older one. Without grace one secret alone works.
    async fn a_rotation_keeps_two_secrets(&self) {
        let (id, first) = self.make("rotated").await;
        let mut keys = vec![first, self.book.rotate(&id, KEEPING, BY).await.expect("a key").key];
        let Err(Error::Overlap(until)) = self.book.rotate(&id, KEEPING, BY).await else {
            panic!("a promise was broken")
        };
        assert!(until.ends_with('Z') && self.works(&keys[0]).await && self.works(&keys[1]).await, "{until}");
        let ending = Rotation { end_older: true, ..KEEPING };
        keys.push(self.book.rotate(&id, ending, BY).await.expect("a key").key);
        let works = [self.works(&keys[0]).await, self.works(&keys[1]).await, self.works(&keys[2]).await];
        assert_eq!(works, [false, true, true]);
        let last =
            self.book.rotate(&id, Rotation { expires: Some("1d"), ..Rotation::default() }, BY).await.expect("a key");
        assert!(self.works(&last.key).await && !self.works(&keys[2]).await);
        assert!(last.about.expires_at.is_some() && last.about.previous_secret_until.is_none());
    }

    /// What was revoked does not come back, by no operation; to revoke it once more is no error.
    async fn a_revocation_is_for_good(&self) {
        let (id, key) = self.make("revoked").await;
        let first = self.book.revoke(&id, BY).await.expect("a key");
        let again = self.book.revoke(&id, BY).await.expect("a key");
        assert_eq!((first.state, first.revoked_at), (State::Revoked, again.revoked_at));
        assert!(matches!(self.book.rotate(&id, KEEPING, BY).await, Err(Error::Over(State::Revoked))));
        assert!(!self.works(&key).await);
    }

    /// What cannot be done leaves nothing behind.
    async fn what_does_not_fit_changes_nothing(&self) {
        let before = self.book.list(None).await.expect("a list").keys.len();
        let wanted = Wanted { name: "a b".to_owned(), limit_per_minute: Some(0), ..Wanted::default() };
        let Err(Error::Wrong(wrong)) = self.book.create(&wanted, &[], BY).await else { panic!("it was made") };
        assert_eq!(wrong.len(), 2, "every fault at once: {wrong:?}");
        for id in ["", "aaaaaaaaaaaa", "' OR 1=1 --"] {
            assert!(matches!(self.book.show(id).await, Err(Error::Unknown)));
            assert!(matches!(self.book.revoke(id, BY).await, Err(Error::Unknown)));
        }
        assert_eq!(self.book.list(None).await.expect("a list").keys.len(), before);
    }

    /// Of many who want one name at the same moment, one gets it.
    async fn writers_wait_for_one_another(&self) {
        let rivals: Vec<_> = (0..8)
            .map(|_| {
                let book = Arc::clone(&self.book);
                tokio::spawn(async move {
                    let wanted = Wanted { name: "wanted".to_owned(), ..Wanted::default() };
                    book.create(&wanted, &[], BY).await.is_ok()
                })
            })
            .collect();
        let mut made = 0;
        for rival in rivals {
            made += usize::from(rival.await.expect("an end"));
        }
        assert_eq!(made, 1);
    }

    /// A list goes on after any of its keys, in one order, and ends.
    async fn a_list_has_pages(&self) {
        let all = self.book.list(None).await.expect("a list").keys;
        let ids: Vec<&str> = all.iter().map(|view| view.id.as_str()).collect();
        for (place, id) in ids.iter().enumerate() {
            let rest = self.book.list(Some(id)).await.expect("a list");
            let rest: Vec<&str> = rest.keys.iter().map(|view| view.id.as_str()).collect();
            assert_eq!(rest, ids[place + 1..], "after {id}");
        }
        assert!(self.book.list(Some("aaaaaaaaaaaa")).await.expect("a list").keys.is_empty());
    }
}
