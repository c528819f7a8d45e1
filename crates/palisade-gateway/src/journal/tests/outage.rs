//! The journal on a disk that fails.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palisade_guard::audit::chain::Chain;
use palisade_guard::audit::verify::{Report, Verifier};
use palisade_guard::refusal::{Reason, Refusal};

use super::super::disk::{Segment, Storage};
use super::super::recover::Recovered;
use super::super::{BUFFERED, Config, Durability, Journal, JournalDown};
use super::{NOW, call, config, now, record};

/// A disk with so much space, on which some things fail.
#[derive(Default)]
struct State {
    space: usize,
    reserved: usize,
    cut_fails: bool,
    sync_fails: bool,
    files: BTreeMap<u64, Vec<u8>>,
    synced: BTreeMap<u64, usize>,
}

#[derive(Clone)]
struct Disk(Arc<Mutex<State>>);

struct File(Disk, u64);

const PLENTY: usize = 1 << 30;
const RESERVED: usize = 10_000;

impl Disk {
    fn with(space: usize) -> Self {
        Self(Arc::new(Mutex::new(State { space, ..State::default() })))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self, config: &Config) -> io::Result<Journal> {
        let recovered = Recovered { torn_bytes: 0, unclosed: Vec::new(), chain: Chain::GENESIS, next_segment: 1 };
        Journal::begin(config, Box::new(self.clone()), &recovered, now)
    }

    fn text(&self) -> String {
        self.change(|disk| disk.files.values().map(|file| String::from_utf8_lossy(file).into_owned()).collect())
    }

    /// Verifies what is on the disk.
    fn report(&self) -> Report {
        let mut verifier = Verifier::default();
        for (number, file) in self.change(|disk| disk.files.clone()) {
            verifier.begin_segment();
            for (place, line) in (1..).zip(file.split_inclusive(|byte| *byte == b'\n')) {
                verifier.line(&number.to_string(), place, line).unwrap_or_else(|finding| panic!("{finding}"));
            }
            verifier.end_segment(&number.to_string()).unwrap();
        }
        verifier.report()
    }
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Storage for Disk {
    fn create(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        // A full disk still has names for files.
        self.change(|disk| assert!(disk.files.insert(number, Vec::new()).is_none(), "segment {number} exists"));
        Ok(Box::new(File(self.clone(), number)))
    }

    fn discard(&self, number: u64) {
        self.change(|disk| {
            disk.space += disk.files.remove(&number).map_or(0, |file| file.len());
        });
    }

    fn reserve(&self) -> io::Result<()> {
        self.change(|disk| {
            let wanted = RESERVED - disk.reserved;
            disk.space = disk.space.checked_sub(wanted).ok_or_else(full)?;
            disk.reserved = RESERVED;
            Ok(())
        })
    }

    fn release(&self) {
        self.change(|disk| disk.space += std::mem::take(&mut disk.reserved));
    }
}

impl Segment for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.change(|disk| {
            // A disk that fills up takes a part.
            let taken = bytes.len().min(disk.space);
            disk.space -= taken;
            disk.files.get_mut(&self.1).unwrap().extend_from_slice(&bytes[..taken]);
            if taken < bytes.len() { Err(full()) } else { Ok(()) }
        })
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.change(|disk| {
            if disk.cut_fails {
                return Err(io::Error::other("no cut"));
            }
            let file = disk.files.get_mut(&self.1).unwrap();
            let length = usize::try_from(length).unwrap();
            disk.space += file.len() - length;
            file.truncate(length);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<Box<dyn FnOnce() -> io::Result<()> + Send>> {
        let (disk, number) = (self.0.clone(), self.1);
        Ok(Box::new(move || {
            disk.change(|disk| {
                if disk.sync_fails {
                    return Err(io::Error::other("no sync"));
                }
                let length = disk.files[&number].len();
                disk.synced.insert(number, length);
                Ok(())
            })
        }))
    }
}

/// Until the journal takes calls again: time is paused, so this waits for no clock.
async fn until_up(journal: &Journal) {
    for _ in 0..20 {
        if !journal.is_down() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("not up after 5 s");
}

/// Takes all space but so much, and gives it back with what else there is to have.
fn leave(disk: &Disk, space: usize) {
    disk.change(|disk| disk.space = space);
}

/// G4: a full disk refuses what is new, loses nothing that was accepted, and the journal goes on without a restart.
#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_calls_and_loses_nothing() {
    for left in [0, 1, 100, 1000, 3000] {
        let disk = Disk::with(PLENTY);
        let journal = disk.begin(&config("".as_ref())).unwrap();
        let mut under_way = record(1);
        journal.intend(&mut under_way, NOW).await.unwrap();

        leave(&disk, left);
        let mut accepted = 0;
        let mut last = loop {
            let mut next = record(100 + accepted);
            if journal.intend(&mut next, NOW).await.is_err() {
                break next;
            }
            journal.close(&next, NOW);
            accepted += 1;
        };
        assert!(journal.is_down());
        last.refuse("intend", &Refusal::new(Reason::JournalUnavailable));
        journal.close(&last, NOW);
        journal.close(&under_way, NOW);
        let files = disk.change(|disk| disk.files.len());
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(journal.is_down(), "there is no space: {left}");
        assert_eq!(disk.change(|disk| disk.files.len()), files, "a full disk is not littered with segments");
        assert_eq!(journal.intend(&mut record(99), NOW).await, Err(JournalDown));
        assert!(disk.text().contains("the journal stopped"));

        leave(&disk, PLENTY);
        until_up(&journal).await;
        call(&journal, 2).await;
        journal.flush().await;
        let report = disk.report();
        assert_eq!((report.arrivals, report.open), (accepted + 3, 0), "with {left} left");
        assert!(disk.text().contains("the journal goes on"));
    }
}

/// G4: what waits for a disk is bounded, and what is only counted is counted exactly.
#[tokio::test(start_paused = true)]
async fn an_outage_does_not_fill_the_memory() {
    let disk = Disk::with(PLENTY);
    let journal = disk.begin(&config("".as_ref())).unwrap();
    leave(&disk, 0);
    journal.intend(&mut record(0), NOW).await.unwrap_err();
    let arrivals = 100_000;
    for number in 1..=arrivals {
        let mut refused = record(number);
        refused.refuse("authenticate", &Refusal::new(Reason::Unauthenticated).because("x".repeat(500)));
        journal.close(&refused, NOW);
        if number % 10_000 == 0 {
            // Enough to begin a segment, and not enough for what waits.
            leave(&disk, RESERVED + 2000);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    assert!(journal.is_down() && journal.status().buffered_bytes <= BUFFERED + 1000);

    leave(&disk, PLENTY);
    until_up(&journal).await;
    journal.flush().await;
    let text = disk.text();
    assert!(text.len() < 2 * BUFFERED, "more waited than is allowed");
    let counted: u64 = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["note"] == "refusals without lines of their own")
        .map(|line| line["count"].as_u64().unwrap())
        .sum();
    assert!(counted > 0);
    assert_eq!(disk.report().arrivals + counted, arrivals);
}

/// G4: half a line that cannot be cut off stops the journal, and is never left inside it.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_behind_half_a_line() {
    let disk = Disk::with(PLENTY);
    let journal = disk.begin(&config("".as_ref())).unwrap();
    leave(&disk, 50);
    disk.change(|disk| disk.cut_fails = true);
    journal.intend(&mut record(1), NOW).await.unwrap_err();
    leave(&disk, PLENTY);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(journal.is_down());
    disk.change(|disk| disk.cut_fails = false);
    until_up(&journal).await;
    call(&journal, 2).await;
    journal.flush().await;
    assert_eq!(disk.report().arrivals, 1);
}

/// G4: under `strict`, whatever was acknowledged is synced, also where a segment ends.
#[tokio::test]
async fn strict_acknowledges_what_is_synced() {
    let disk = Disk::with(PLENTY);
    let strict = Config { durability: Durability::Strict, segment_bytes: 700, ..config("".as_ref()) };
    let journal = disk.begin(&strict).unwrap();
    for number in 0..50 {
        let mut next = record(number);
        journal.intend(&mut next, NOW).await.unwrap();
        let synced: String = disk.change(|disk| {
            let synced = |(number, file): (&u64, &Vec<u8>)| {
                String::from_utf8_lossy(&file[..disk.synced.get(number).copied().unwrap_or(0)]).into_owned()
            };
            disk.files.iter().map(synced).collect()
        });
        let intent =
            format!("\"kind\":\"intent\",\"time\":\"{}\",\"correlation\":\"{}\"", NOW.rfc3339(), next.correlation);
        assert!(synced.contains(&intent), "intent {number} is acknowledged and not synced");
        journal.close(&next, NOW);
    }
    assert!(disk.change(|disk| disk.files.len()) > 10);
}

/// G4: a segment whose sync failed is not trusted again; who waited for it is told.
#[tokio::test(start_paused = true)]
async fn a_failed_sync_begins_a_new_segment() {
    let disk = Disk::with(PLENTY);
    let strict = Config { durability: Durability::Strict, ..config("".as_ref()) };
    let journal = disk.begin(&strict).unwrap();
    call(&journal, 1).await;
    disk.change(|disk| disk.sync_fails = true);
    let mut failed = record(2);
    assert_eq!(journal.intend(&mut failed, NOW).await, Err(JournalDown));
    journal.close(&failed, NOW);
    disk.change(|disk| disk.sync_fails = false);
    until_up(&journal).await;
    call(&journal, 3).await;
    journal.flush().await;
    let report = disk.report();
    assert_eq!((report.segments, report.arrivals, report.open), (2, 3, 0));
    assert!(disk.text().contains("a sync failed"));
}

/// G4: a start on a full disk fails, and leaves nothing that a later start would stumble over.
#[tokio::test]
async fn a_start_on_a_full_disk_leaves_nothing() {
    let disk = Disk::with(20);
    assert_eq!(disk.begin(&config("".as_ref())).err().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
    assert!(disk.change(|disk| disk.files.is_empty()));
}

/// I7: a journal that nobody uses any more ends, also on a disk that never comes back.
#[tokio::test(start_paused = true)]
async fn a_left_journal_ends_on_a_full_disk() {
    let disk = Disk::with(PLENTY);
    let journal = disk.begin(&config("".as_ref())).unwrap();
    leave(&disk, 0);
    let mut refused = record(1);
    journal.intend(&mut refused, NOW).await.unwrap_err();
    journal.close(&refused, NOW);
    journal.flush().await;
    drop(journal);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&disk.0), 1, "the task that writes has ended");
}
