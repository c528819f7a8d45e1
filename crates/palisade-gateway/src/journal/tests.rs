//! The journal under crashes, full disks and two masters.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::chain::Chain;
use palisade_guard::audit::record::{Outcome, Record};
use palisade_guard::audit::verify::{Fault, Verifier};
use palisade_guard::clock::Moment;

use super::disk::{Segment, Storage, segments};
use super::recover::Recovered;
use super::{Config, Durability, Error, Journal, JournalDown, VerifyError, verify};

const NOW: Moment = Moment { monotonic_ms: 0, unix_ms: 1_785_231_000_000 };

fn now() -> Moment {
    NOW
}

fn config(dir: &std::path::Path) -> Config {
    Config { dir: dir.to_owned(), durability: Durability::Write, segment_bytes: 1 << 20, node: "n1".into() }
}

fn record(number: u64) -> Record {
    let mut record = Record::new(CorrelationId::new(7, number), NOW);
    record.set_method("tools/call");
    record.outcome = Outcome::Answered;
    record
}

async fn call(journal: &Journal, number: u64) {
    let mut record = record(number);
    journal.intend(&mut record, NOW).await.unwrap();
    journal.close(&record, NOW);
}

/// The text of all segments, in order.
fn text(dir: &std::path::Path) -> String {
    segments(dir).unwrap().iter().map(|(_, path)| std::fs::read_to_string(path).unwrap()).collect()
}

/// G3: what was written is in order and intact, over several segments and starts.
#[tokio::test]
async fn a_journal_goes_on_over_segments_and_starts() {
    let dir = tempfile::tempdir().unwrap();
    let small = Config { segment_bytes: 2000, ..config(dir.path()) };
    for start in 0..3 {
        let (journal, recovered) = Journal::open(small.clone(), now).unwrap();
        assert!(!recovered.is_noteworthy());
        for number in 0..20 {
            call(&journal, start * 100 + number).await;
        }
        journal.flush().await;
        drop(journal);
        wait_until_free(dir.path()).await;
    }
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.arrivals, report.open), (60, 0));
    assert!(report.segments > 6);
}

async fn wait_until_free(dir: &std::path::Path) {
    for _ in 0..10_000 {
        if super::is_free(dir).unwrap() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the journal was not let go");
}

/// G4: an intent is on disk before it is acknowledged, and a crash leaves exactly one closing line for each arrival.
#[tokio::test]
async fn a_crash_is_mended_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let crashed = tempfile::tempdir().unwrap();
    {
        let (journal, _) = Journal::open(config(dir.path()), now).unwrap();
        call(&journal, 1).await;
        journal.intend(&mut record(2), NOW).await.unwrap();
        // What a killed process leaves is what is on disk now, and half a line more.
        let (_, path) = segments(dir.path()).unwrap().pop().unwrap();
        let mut left = std::fs::read(&path).unwrap();
        left.extend_from_slice(b"{\"seq\":4,\"kind\":\"clos");
        std::fs::write(crashed.path().join(path.file_name().unwrap()), left).unwrap();
    }
    assert!(matches!(verify(crashed.path()), Err(VerifyError::Finding(found)) if found.fault == Fault::Torn));
    let (journal, recovered) = Journal::open(config(crashed.path()), now).unwrap();
    assert_eq!(recovered.unclosed, [CorrelationId::new(7, 2).to_string()]);
    assert_eq!(recovered.torn_bytes, 21);
    call(&journal, 3).await;
    journal.flush().await;
    let report = verify(crashed.path()).unwrap();
    assert_eq!((report.arrivals, report.open), (3, 0));
    assert!(text(crashed.path()).contains("a torn line was cut off"));
}

/// G3: a journal that was changed is not gone on with.
#[tokio::test]
async fn a_broken_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (journal, _) = Journal::open(config(dir.path()), now).unwrap();
        call(&journal, 1).await;
        journal.flush().await;
    }
    wait_until_free(dir.path()).await;
    let (_, path) = segments(dir.path()).unwrap().pop().unwrap();
    let changed = std::fs::read_to_string(&path).unwrap().replacen("tools/call", "tools/list", 1);
    std::fs::write(&path, changed).unwrap();
    assert!(matches!(Journal::open(config(dir.path()), now), Err(Error::Broken(_))));
}

/// G4: one journal has one writer.
#[tokio::test]
async fn two_processes_do_not_share_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (_journal, _) = Journal::open(config(dir.path()), now).unwrap();
    assert!(matches!(Journal::open(config(dir.path()), now), Err(Error::Locked(_))));
}

/// G3: the files are for nobody else.
#[tokio::test]
async fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    let (_journal, _) = Journal::open(config(&dir), now).unwrap();
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for (_, path) in segments(&dir).unwrap() {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// A disk that can be full.
#[derive(Clone, Default)]
struct Flaky {
    full: Arc<AtomicBool>,
    files: Arc<Mutex<Vec<Vec<u8>>>>,
}

struct FlakyFile(Flaky, usize);

impl Storage for Flaky {
    fn create(&self, _number: u64) -> io::Result<Box<dyn Segment>> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let mut files = self.files.lock().unwrap();
        files.push(Vec::new());
        Ok(Box::new(FlakyFile(self.clone(), files.len() - 1)))
    }
    fn reserve(&self) -> io::Result<()> {
        Ok(())
    }
    fn release(&self) {}
}

impl Segment for FlakyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.0.files.lock().unwrap();
        if self.0.full.load(Ordering::SeqCst) {
            // A disk that fills up takes a part.
            files[self.1].extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        files[self.1].extend_from_slice(bytes);
        Ok(())
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.files.lock().unwrap()[self.1].truncate(usize::try_from(length).unwrap());
        Ok(())
    }
    fn sync(&self) -> io::Result<Box<dyn FnOnce() -> io::Result<()> + Send>> {
        Ok(Box::new(|| Ok(())))
    }
}

fn check(files: &[Vec<u8>]) -> palisade_guard::audit::verify::Report {
    let mut verifier = Verifier::default();
    for (number, file) in files.iter().enumerate() {
        verifier.begin_segment();
        for (place, line) in (1..).zip(file.split_inclusive(|byte| *byte == b'\n')) {
            verifier.line(&number.to_string(), place, line).unwrap_or_else(|finding| panic!("{finding}"));
        }
    }
    verifier.report()
}

/// G4: a full disk refuses what is new, loses nothing that was accepted, and the journal goes on without a restart.
#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_calls_and_loses_nothing() {
    let disk = Flaky::default();
    let recovered = Recovered { torn_bytes: 0, unclosed: Vec::new(), chain: Chain::GENESIS, next_segment: 1 };
    let journal = Journal::begin(&config("".as_ref()), Box::new(disk.clone()), &recovered, now).unwrap();
    call(&journal, 1).await;
    let mut under_way = record(2);
    journal.intend(&mut under_way, NOW).await.unwrap();

    disk.full.store(true, Ordering::SeqCst);
    assert_eq!(journal.intend(&mut record(3), NOW).await, Err(JournalDown));
    assert!(journal.is_down());
    let mut refused = record(4);
    assert_eq!(journal.intend(&mut refused, NOW).await, Err(JournalDown));
    journal.close(&under_way, NOW);
    journal.close(&refused, NOW);

    disk.full.store(false, Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(!journal.is_down());
    call(&journal, 5).await;
    journal.flush().await;
    let report = check(&disk.files.lock().unwrap());
    assert_eq!((report.arrivals, report.open), (4, 1), "3 was accepted into the chain and never done");
}

/// G4: under `strict` an intent waits for the disk.
#[tokio::test]
async fn strict_waits_for_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let strict = Config { durability: Durability::Strict, ..config(dir.path()) };
    let (journal, _) = Journal::open(strict, now).unwrap();
    for number in 0..10 {
        call(&journal, number).await;
    }
    journal.flush().await;
    assert_eq!(verify(dir.path()).unwrap().arrivals, 10);
}
