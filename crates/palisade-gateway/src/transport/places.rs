//! Places for connections: how many there are, how many one address holds, and who gives way when none is left.
//!
//! A connection is a stranger until a call on it was authenticated. Where no place is left, a newcomer takes that of the
//! stranger who has been here longest; where there are no strangers any more, the newcomer is turned away. So whoever
//! opens connections and says nothing, or says it slowly, makes room for whoever says who it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_guard::limit::subject::Subject;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All places of one listener.
#[derive(Default)]
pub(crate) struct Places {
    table: Mutex<Table>,
    /// Somebody who gave way has gone.
    gone: Notify,
}

/// How many places there are, by the configuration in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// For all.
    pub(crate) all: usize,
    /// For one address; `None` for those that speak for many.
    pub(crate) one: Option<usize>,
    /// Whether something else is used up, so that a newcomer needs the place of somebody.
    pub(crate) is_short: bool,
}

/// Why a newcomer is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Its address has as many connections as it may.
    Address,
    /// Everybody who is here has authenticated.
    All,
}

/// The place of one connection, given back when it is dropped.
pub(crate) struct Place {
    number: u64,
    address: Subject,
    known: AtomicBool,
    /// Cancelled when the connection must give way, or the gateway stops.
    leave: CancellationToken,
    places: Arc<Places>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: usize,
    /// Connections that were told to give way and have not gone yet.
    leaving: usize,
    addresses: HashMap<Subject, Address>,
    /// By arrival.
    strangers: BTreeMap<u64, Stranger>,
}

#[derive(Default)]
struct Address {
    open: usize,
    strangers: BTreeSet<u64>,
}

struct Stranger {
    address: Subject,
    leave: CancellationToken,
}

/// Connections beyond the room that may be on their way out.
const LEAVING: usize = 16;

impl Places {
    /// Waits until most of those who gave way have gone: newcomers do not run ahead of them.
    pub(crate) async fn settled(&self) {
        loop {
            // Asked for before the look, or one who goes in between would not be noticed.
            let gone = self.gone.notified();
            if self.lock().leaving < LEAVING {
                return;
            }
            gone.await;
        }
    }

    /// A place for a connection from `address`, if need be that of a stranger. `stop` ends every connection.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        room: Room,
        stop: &CancellationToken,
    ) -> Result<Arc<Place>, Full> {
        let address = Subject::address(address);
        let mut table = self.lock();
        let here = table.addresses.get(&address);
        if let (Some(most), Some(here)) = (room.one, here)
            && here.open >= most
        {
            let oldest = here.strangers.first().copied();
            table.make_way(oldest).ok_or(Full::Address)?;
        } else if room.is_short || table.open >= room.all {
            let oldest = table.strangers.keys().next().copied();
            table.make_way(oldest).ok_or(Full::All)?;
        }
        let number = table.next;
        table.next += 1;
        table.open += 1;
        let leave = stop.child_token();
        table.strangers.insert(number, Stranger { address, leave: leave.clone() });
        let here = table.addresses.entry(address).or_default();
        here.open += 1;
        here.strangers.insert(number);
        drop(table);
        Ok(Arc::new(Place { number, address, known: AtomicBool::new(false), leave, places: Arc::clone(self) }))
    }

    /// Connections open now, and how many of them are strangers.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let table = self.lock();
        (table.open, table.strangers.len())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Tells a stranger to leave; from now on it counts no more.
    fn make_way(&mut self, number: Option<u64>) -> Option<()> {
        let stranger = self.forget(number?)?;
        stranger.leave.cancel();
        self.leaving += 1;
        self.gone(stranger.address);
        Some(())
    }

    /// A stranger is none any more.
    fn forget(&mut self, number: u64) -> Option<Stranger> {
        let stranger = self.strangers.remove(&number)?;
        if let Some(here) = self.addresses.get_mut(&stranger.address) {
            here.strangers.remove(&number);
        }
        Some(stranger)
    }

    /// A place is free.
    fn gone(&mut self, address: Subject) {
        self.open = self.open.saturating_sub(1);
        if let Some(here) = self.addresses.get_mut(&address) {
            here.open = here.open.saturating_sub(1);
            if here.open == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

impl Place {
    /// A call on this connection was authenticated: it gives way to nobody.
    pub(crate) fn is_known(&self) {
        if !self.known.load(Ordering::Relaxed) && self.places.lock().forget(self.number).is_some() {
            self.known.store(true, Ordering::Relaxed);
        }
    }

    /// Cancelled when the connection must end.
    pub(crate) const fn leave(&self) -> &CancellationToken {
        &self.leave
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let known = *self.known.get_mut();
        let mut table = self.places.lock();
        if known || table.forget(self.number).is_some() {
            table.gone(self.address);
        } else {
            table.leaving = table.leaving.saturating_sub(1);
            self.places.gone.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, LEAVING, Place, Places, Room};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    fn from(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn enter(places: &Arc<Places>, last: u8, all: usize, one: usize) -> Result<Arc<Place>, Full> {
        let room = Room { all, one: Some(one), is_short: false };
        places.enter(from(last), room, &CancellationToken::new())
    }

    /// A8: where no place is left, the stranger who came first gives way; who is known never does.
    #[test]
    fn strangers_give_way() {
        let places = Arc::new(Places::default());
        let known = enter(&places, 1, 3, 9).unwrap();
        known.is_known();
        let first = enter(&places, 2, 3, 9).unwrap();
        let second = enter(&places, 3, 3, 9).unwrap();
        let third = enter(&places, 4, 3, 9).unwrap();
        assert!(first.leave().is_cancelled() && !second.leave().is_cancelled() && !known.leave().is_cancelled());
        assert_eq!(places.counts(), (3, 2));
        second.is_known();
        third.is_known();
        // Too late to say who it is.
        first.is_known();
        assert_eq!(enter(&places, 5, 3, 9).err(), Some(Full::All));
        drop((known, first, second, third));
        assert_eq!(places.counts(), (0, 0));
        let table = places.lock();
        assert!(table.leaving == 0 && table.addresses.is_empty(), "nothing is kept of who has gone");
    }

    /// A8: one address cannot have all places, and its own strangers are the ones who give way.
    #[test]
    fn an_address_has_its_share() {
        let places = Arc::new(Places::default());
        let other = enter(&places, 9, 100, 2).unwrap();
        let first = enter(&places, 1, 100, 2).unwrap();
        let second = enter(&places, 1, 100, 2).unwrap();
        let third = enter(&places, 1, 100, 2).unwrap();
        assert!(first.leave().is_cancelled() && !other.leave().is_cancelled());
        second.is_known();
        third.is_known();
        assert_eq!(enter(&places, 1, 100, 2).err(), Some(Full::Address));
        assert!(enter(&places, 2, 100, 2).is_ok(), "another address is not touched");
        drop(third);
        assert!(enter(&places, 1, 100, 2).is_ok());
    }

    /// A8: newcomers do not run ahead of those who leave.
    #[tokio::test]
    async fn leaving_takes_its_time() {
        let places = Arc::new(Places::default());
        let mut here = Vec::new();
        for _ in 0..10 + LEAVING {
            places.settled().await;
            here.push(enter(&places, 1, 10, 99).unwrap());
        }
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, places.settled());
        assert!(waiting.await.is_err());
        here.remove(0);
        places.settled().await;
    }
}
