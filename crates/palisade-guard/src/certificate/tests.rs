//! Certificates made byte by byte, right and wrong.

use super::Certificate;

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(u8::try_from(length).unwrap()),
        0x80..0x100 => out.extend([0x81, u8::try_from(length).unwrap()]),
        _ => out.extend([0x82, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 0xff).unwrap()]),
    }
    out.extend_from_slice(content);
    out
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

fn part(kind: &[u8], text: &str) -> Vec<u8> {
    element(0x31, &sequence(&[element(6, kind), element(0x0c, text.as_bytes())]))
}

fn names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|(tag, name)| element(*tag, name)).collect();
    sequence(&[element(6, &[0x55, 0x1d, 0x11]), element(4, &sequence(&names))])
}

fn certificate(until: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = sequence(&[
        element(0xa0, &element(2, &[2])),
        element(2, &[1]),
        sequence(&[]),
        sequence(&[]),
        sequence(&[element(0x17, b"250101000000Z"), element(if until.len() == 13 { 0x17 } else { 0x18 }, until)]),
        sequence(&[part(&[0x55, 4, 10], "Example, Inc."), part(&[0x55, 4, 3], "agent 7")]),
        sequence(&[]),
        element(0xa3, &sequence(extensions)),
    ]);
    sequence(&[body, sequence(&[]), element(3, &[0])])
}

/// B9: names, subject and times are read as they stand there.
#[test]
fn facts_are_read() {
    let san = names(&[
        (0x82, b"agent.example.com"),
        (0x87, &[127, 0, 0, 1]),
        (0x86, b"spiffe://example.com/agent/7"),
        (0x81, b"agent@example.com"),
    ]);
    let read = Certificate::read(&certificate(b"260302010203Z", &[san])).unwrap();
    assert_eq!(read.subject.as_deref(), Some(r"CN=agent 7,O=Example\, Inc."));
    assert_eq!((read.not_before, read.not_after), (1_735_689_600, 1_772_413_323));
    assert_eq!(&*read.dns[0], "agent.example.com");
    assert_eq!(&*read.uris[0], "spiffe://example.com/agent/7");
    assert_eq!(&*read.emails[0], "agent@example.com");
    assert!(read.is_valid_at(1_772_413_323_999) && !read.is_valid_at(1_772_413_324_000));
    let late = Certificate::read(&certificate(b"99991231235959Z", &[])).unwrap();
    assert_eq!((late.not_after, late.dns.len()), (253_402_300_799, 0));
}

/// B9: a NUL in a name, names twice over, too many, and what is cut off or longer than it says, is no certificate.
#[test]
fn what_is_doubtful_has_no_facts() {
    let read = |extensions: &[Vec<u8>]| Certificate::read(&certificate(b"260302010203Z", extensions));
    let good = names(&[(0x82, b"a.example.com")]);
    assert!(read(std::slice::from_ref(&good)).is_some());
    assert!(read(&[names(&[(0x82, b"a.example.com\0.evil.example")])]).is_none());
    assert!(read(&[names(&[(0x82, b"")])]).is_none());
    assert!(read(&[good.clone(), good.clone()]).is_none());
    let many = |count| names(&vec![(0x82, &b"a"[..]); count]);
    assert!(read(&[many(100)]).is_some());
    assert!(read(&[many(101)]).is_none());
    let whole = certificate(b"260302010203Z", &[good]);
    for end in 0..whole.len() {
        assert!(Certificate::read(&whole[..end]).is_none(), "{end}");
    }
    assert!(Certificate::read(&[whole, vec![0]].concat()).is_none());
    assert!(Certificate::read(&certificate(b"261302010203Z", &[])).is_none());
}
