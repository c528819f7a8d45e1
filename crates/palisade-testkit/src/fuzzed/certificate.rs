//! A client's certificate: what is read of one has one meaning, and nothing hides behind it.

use palisade_guard::authenticate::Keys;
use palisade_guard::certificate::Certificate;

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some(certificate) = Certificate::read(input) else { return };
    assert_eq!(certificate.fingerprint, Keys::digest(input));
    let names = [&certificate.dns, &certificate.uris, &certificate.emails];
    assert!(names.iter().map(|names| names.len()).sum::<usize>() <= 100);
    for name in names.into_iter().flatten() {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
    if let Some(subject) = &certificate.subject {
        assert!(!subject.chars().any(char::is_control), "{subject:?}");
    }
    let shorter = input.get(..input.len() - 1).and_then(Certificate::read);
    assert!(shorter.is_none() && Certificate::read(&[input, &[0]].concat()).is_none(), "of one length");
}
