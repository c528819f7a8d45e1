//! The journal under crashes and two masters; a disk that fails is in `outage`.

mod outage;

use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::record::{Outcome, Record};
use palisade_guard::audit::verify::Fault;
use palisade_guard::clock::Moment;

use super::disk::{name, segments};
use super::{Config, Durability, Error, Journal, VerifyError, verify};

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

/// What a process killed now would leave behind.
fn killed(dir: &std::path::Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    for (number, path) in segments(dir).unwrap() {
        std::fs::copy(path, left.path().join(name(number))).unwrap();
    }
    left
}

/// G4: a call that is open over many segments is closed after a crash all the same.
#[tokio::test]
async fn an_old_intent_is_closed_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(Config { segment_bytes: 1000, ..config(dir.path()) }, now).unwrap();
    journal.intend(&mut record(1), NOW).await.unwrap();
    for number in 2..50 {
        call(&journal, number).await;
    }
    assert!(segments(dir.path()).unwrap().len() > 5);
    let left = killed(dir.path());
    let (again, recovered) = Journal::open(config(left.path()), now).unwrap();
    assert!(recovered.unclosed.contains(&CorrelationId::new(7, 1).to_string()));
    again.flush().await;
    let report = verify(left.path()).unwrap();
    assert_eq!((report.arrivals, report.open), (49, 0));
}

/// G4: however often a start ends before its first line is whole, the next one goes on where the journal ended.
#[tokio::test]
async fn starts_that_came_to_nothing_break_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(config(dir.path()), now).unwrap();
    call(&journal, 1).await;
    journal.intend(&mut record(2), NOW).await.unwrap();
    let left = killed(dir.path());
    std::fs::write(left.path().join(name(2)), b"").unwrap();
    std::fs::write(left.path().join(name(3)), b"{\"seq\":").unwrap();
    std::fs::write(left.path().join(name(4)), b"").unwrap();
    let (again, recovered) = Journal::open(config(left.path()), now).unwrap();
    assert_eq!((recovered.torn_bytes, recovered.unclosed.len()), (7, 1));
    again.flush().await;
    let report = verify(left.path()).unwrap();
    assert_eq!((report.segments, report.arrivals, report.open), (2, 2, 0));
    assert_eq!(std::fs::read(left.path().join("audit-00000003.torn")).unwrap(), b"{\"seq\":");
}

/// G3: a segment that was emptied or taken away at the beginning is missed.
#[tokio::test]
async fn removed_segments_are_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(Config { segment_bytes: 1000, ..config(dir.path()) }, now).unwrap();
    for number in 0..20 {
        call(&journal, number).await;
    }
    journal.flush().await;
    let fault_without = |change: fn(&std::path::Path)| {
        let left = killed(dir.path());
        change(left.path());
        match verify(left.path()) {
            Err(VerifyError::Finding(finding)) => (finding.segment, finding.line, finding.fault),
            other => panic!("{other:?}"),
        }
    };
    let first = fault_without(|dir| std::fs::remove_file(dir.join(name(1))).unwrap());
    assert!(matches!(first, (segment, 1, Fault::Beginning { .. }) if segment == name(2)));
    let middle = fault_without(|dir| std::fs::remove_file(dir.join(name(2))).unwrap());
    assert_eq!(middle, (name(3), 1, Fault::Segment));
    let emptied = fault_without(|dir| std::fs::write(dir.join(name(2)), b"").unwrap());
    assert_eq!(emptied, (name(2), 1, Fault::Empty));
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
