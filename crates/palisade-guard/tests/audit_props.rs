//! The audit chain against everything that can be done to a journal: whatever is changed in it is found.

use http::{Method, Uri};
use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::chain::Chain;
use palisade_guard::audit::record::{Outcome, Record};
use palisade_guard::audit::verify::{Fault, Finding, Report, Verifier};
use palisade_guard::clock::Moment;
use palisade_guard::message::{self, Body, Facts, Message};
use palisade_guard::refusal::{Reason, Refusal};
use proptest::prelude::*;
use serde_json::Value;

const NOW: Moment = Moment { monotonic_ms: 5, unix_ms: 1_785_231_000_123 };

/// A sound journal of two segments: its files, as bytes.
fn journal() -> Vec<Vec<u8>> {
    let mut chain = Chain::GENESIS;
    let mut files = vec![Vec::new(), Vec::new()];
    let mut open = Vec::new();
    for (segment, file) in (1..).zip(&mut files) {
        chain.begin_segment(segment, "n1", open.iter().map(CorrelationId::as_str), NOW, file);
        for number in 0..6 {
            let correlation = CorrelationId::new(segment, number);
            let mut record = Record::new(correlation, NOW);
            record.set_method("tools/call");
            record.name = Some(format!("tool-{number}").into());
            record.outcome = Outcome::Answered;
            chain.seal(file, |out| record.write_intent(NOW, out));
            if number == 3 {
                open.push(correlation);
            } else {
                chain.seal(file, |out| record.write_closing(NOW, out));
            }
        }
    }
    files
}

fn verify(files: &[Vec<u8>]) -> Result<Report, Finding> {
    let mut verifier = Verifier::default();
    for (number, file) in (1..).zip(files) {
        let name = format!("audit-{number:08}.jsonl");
        verifier.begin_segment();
        for (place, line) in (1..).zip(file.split_inclusive(|byte| *byte == b'\n')) {
            verifier.line(&name, place, line)?;
        }
        verifier.end_segment(&name)?;
    }
    Ok(verifier.report())
}

/// The lines of all files, with the file each stands in.
fn lines(files: &[Vec<u8>]) -> Vec<(usize, Vec<u8>)> {
    let of_file = |(number, file): (usize, &Vec<u8>)| {
        let lines = file.split_inclusive(|byte| *byte == b'\n').map(move |line| (number, line.to_vec()));
        lines.collect::<Vec<_>>()
    };
    files.iter().enumerate().flat_map(of_file).collect()
}

fn files(lines: &[(usize, Vec<u8>)]) -> Vec<Vec<u8>> {
    let of_file = |file| lines.iter().filter(move |(number, _)| *number == file).flat_map(|(_, line)| line.clone());
    vec![of_file(0).collect(), of_file(1).collect()]
}

/// Whether a character forges lines, turns the direction of writing or shows nothing.
fn hides(ch: char) -> bool {
    ch.is_control()
        || matches!(ch, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether `written` is `said`, or as much of it as there is room for.
fn begins(said: &str, written: &str, longest: usize) -> bool {
    said.starts_with(written) && (written.len() == said.len() || written.len() > longest - 4)
}

/// A message of a batch.
fn call(body: &Value) -> Result<Message, Refusal> {
    let read = message::read(&message::Config::default(), body.to_string().into())?;
    let Body::One(envelope) = read else { panic!("one message was written") };
    let facts = Facts { headers: None, session: None, batched: true, extra_methods: &[] };
    message::agree(&message::Config::default(), envelope, facts)
}

/// G3: a sound journal is found sound, with what it holds.
#[test]
fn a_sound_journal_is_sound() {
    let report = verify(&journal()).unwrap();
    assert_eq!((report.segments, report.lines, report.arrivals, report.open), (2, 24, 10, 2));
    assert_eq!(report.first.as_deref(), Some("2026-07-28T09:30:00.123Z"));
}

/// G3: whichever byte is changed, in whichever way, it is found, in its line or the one it broke into.
#[test]
fn every_changed_byte_is_found() {
    let sound = journal();
    for (number, file) in sound.iter().enumerate() {
        for place in 0..file.len() {
            let line = u64::try_from(file[..=place].split_inclusive(|byte| *byte == b'\n').count()).unwrap();
            for flip in [0x01, 0x20, 0x80, file[place] ^ b'\n'] {
                let mut changed = sound.clone();
                changed[number][place] ^= flip;
                if changed == sound {
                    continue;
                }
                let found = verify(&changed).expect_err("a changed byte");
                assert_eq!((found.line, &*found.segment), (line, &*format!("audit-{:08}.jsonl", number + 1)));
            }
        }
    }
}

/// G3: wherever a file is cut, it is found; but between two lines at the very end, where the head differs.
#[test]
fn every_cut_is_found() {
    let sound = journal();
    let head = verify(&sound).unwrap().head;
    for (number, file) in sound.iter().enumerate() {
        for length in 0..file.len() {
            let mut cut = sound.clone();
            cut[number].truncate(length);
            let at_a_line = length > 0 && file[length - 1] == b'\n';
            match verify(&cut) {
                Ok(report) => assert!(number == 1 && at_a_line && report.head != head, "cut at {length}"),
                Err(found) if !at_a_line && number == 1 && length > 0 => assert_eq!(found.fault, Fault::Torn),
                Err(_) => {}
            }
        }
    }
}

/// G3: an arrival that is closed a second time is found, although the chain is whole.
#[test]
fn a_second_closing_line_is_found() {
    let mut chain = Chain::GENESIS;
    let mut file = Vec::new();
    chain.begin_segment(1, "n1", [], NOW, &mut file);
    let record = Record::new(CorrelationId::new(1, 1), NOW);
    chain.seal(&mut file, |out| record.write_closing(NOW, out));
    chain.recovered(NOW, record.correlation.as_str(), &mut file);
    let found = verify(&[file]).unwrap_err();
    assert_eq!((found.line, found.fault), (3, Fault::ClosedTwice));
}

/// G3: a segment that hides an open arrival, or makes one up, is found, although the chain is whole.
#[test]
fn a_wrong_list_of_open_arrivals_is_found() {
    let (one, other) = (CorrelationId::new(1, 1), CorrelationId::new(1, 2));
    for named in [vec![], vec![other.as_str()], vec![one.as_str(), other.as_str()]] {
        let mut chain = Chain::GENESIS;
        let mut files = [Vec::new(), Vec::new()];
        chain.begin_segment(1, "n1", [], NOW, &mut files[0]);
        chain.seal(&mut files[0], |out| Record::new(one, NOW).write_intent(NOW, out));
        chain.begin_segment(2, "n1", named, NOW, &mut files[1]);
        assert_eq!(verify(&files).unwrap_err().fault, Fault::Open);
    }
}

proptest! {
    /// G3: lines taken out are missed, but at the end of the last segment, where the head differs.
    #[test]
    fn removed_lines_are_missed(from in 0..24_usize, count in 1..24_usize) {
        let sound = journal();
        let mut left = lines(&sound);
        let to = (from + count).min(left.len());
        left.drain(from..to);
        if let Ok(report) = verify(&files(&left)) {
            prop_assert!(to == 24 && report.head != verify(&sound).unwrap().head);
        }
    }

    /// G3: lines in another order are found.
    #[test]
    fn reordered_lines_are_found(one in 0..24_usize, other in 0..24_usize) {
        prop_assume!(one != other);
        let mut swapped = lines(&journal());
        let (first, second) = (swapped[one].1.clone(), swapped[other].1.clone());
        (swapped[one].1, swapped[other].1) = (second, first);
        prop_assert!(verify(&files(&swapped)).is_err());
    }

    /// G3: a line that was put in is found: a copy of another, one of a chain of its own, or anything at all.
    #[test]
    fn inserted_lines_are_found(place in 0..24_usize, copied in 0..24_usize, forged in any::<u64>(), junk in "\\PC{0,40}\n") {
        let sound = lines(&journal());
        let mut own = Vec::new();
        let mut chain = Chain { sequence: u64::try_from(place).unwrap(), hash: [7; 32] };
        chain.seal(&mut own, |out| Record::new(CorrelationId::new(9, forged), NOW).write_closing(NOW, out));
        for line in [sound[copied].1.clone(), own, junk.into_bytes()] {
            let mut longer = sound.clone();
            longer.insert(place, (sound[place].0, line.clone()));
            prop_assert!(verify(&files(&longer)).is_err());
            longer = sound.clone();
            longer.push((1, line));
            prop_assert!(verify(&files(&longer)).is_err());
        }
    }

    /// G1, G3: whatever callers write, the record is one line of JSON that says it, and shows and forges nothing else.
    #[test]
    fn records_survive_what_callers_write(name in any::<String>(), principal in "[\"\\\\\n\r\u{85}\u{2028}\u{202e}\u{2066}\u{200b}\u{e0041}\u{1f600}a]*", cause in any::<String>()) {
        let mut record = Record::new(CorrelationId::new(1, 2), NOW);
        record.set_method(name.clone());
        record.set_callers_correlation(&principal);
        record.principal = Some(principal.as_str().into());
        record.refuse("parse", &Refusal::new(Reason::NotJson).because(&cause));
        let (mut chain, mut out) = (Chain::GENESIS, Vec::new());
        chain.seal(&mut out, |out| record.write_closing(NOW, out));
        let line = String::from_utf8(out).unwrap();
        let text = line.strip_suffix('\n').unwrap();
        prop_assert!(!text.chars().any(hides));
        let value: Value = serde_json::from_str(text).unwrap();
        prop_assert_eq!(value["principal"].as_str(), Some(principal.as_str()));
        for (field, said, longest) in [("method", &name, 128), ("cause", &cause, 512)] {
            let written = value[field].as_str().unwrap();
            prop_assert!(begins(said, written, longest));
        }
    }

    /// G1, G3: so it is with the path, the names, the id and every message of a batch, in both lines of an arrival.
    #[test]
    fn both_lines_say_what_was_called(path in "(/\\PC{0,300})|(/[!-~]{0,300})", name in any::<String>(), prompt in "[^\u{0}]{1,60}", id in any::<String>(), server in any::<String>()) {
        let prompts = call(&serde_json::json!({"jsonrpc": "2.0", "id": &id, "method": "prompts/get", "params": {"name": &prompt}}));
        let mut record = Record::new(CorrelationId::new(1, 2), NOW);
        let target = Uri::try_from(path.as_str()).unwrap_or_default();
        record.set_http(&Method::POST, &target);
        (record.name, record.server) = (Some(name.as_str().into()), Some(server.as_str().into()));
        record.rpc_id = prompts.as_ref().ok().and_then(Message::id);
        record.element(&prompts.as_ref().map(Some).map_err(Clone::clone));
        record.element(&Err(Refusal::new(Reason::NotAMessage)));
        let (mut chain, mut out) = (Chain::GENESIS, Vec::new());
        chain.seal(&mut out, |out| record.write_intent(NOW, out));
        chain.seal(&mut out, |out| record.write_closing(NOW, out));
        let text = String::from_utf8(out).unwrap();
        prop_assert!(!text.chars().any(|ch| ch != '\n' && hides(ch)));
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(lines.len(), 2);
        for line in &lines {
            prop_assert_eq!(line["server"].as_str(), Some(server.as_str()));
            prop_assert!(begins(&name, line["name"].as_str().unwrap(), 256));
            prop_assert_eq!(line["elements"][1]["refused"].as_str(), Some("NotAMessage"));
            if prompts.is_ok() {
                prop_assert_eq!(line["elements"][0]["name"].as_str(), Some(prompt.as_str()));
                let written: String = serde_json::from_str(line["rpc_id"].as_str().unwrap()).unwrap();
                prop_assert_eq!(&written, &id);
            }
        }
        prop_assert!(begins(target.path(), lines[1]["path"].as_str().unwrap(), 256));
    }
}
