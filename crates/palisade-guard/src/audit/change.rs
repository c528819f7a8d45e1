//! The line of a change that somebody made to what the gateway rests on: who, what, and how it was before and after.

use super::line::Line;
use super::record::Class;
use crate::clock::Moment;

/// Somebody changed something. No text of it holds a secret.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// When, which may be before it could be written.
    pub at: Moment,
    /// Its number in the store: a line that stands twice, since a gateway died between journal and store, is known by it.
    pub number: u64,
    /// By whom.
    pub who: &'a str,
    /// What was done, like `key.create`.
    pub what: &'a str,
    /// To what.
    pub target: &'a str,
    /// How it was, as JSON.
    pub before: Option<&'a str>,
    /// How it is, as JSON.
    pub after: Option<&'a str>,
}

impl Change<'_> {
    /// The fields of its line.
    pub fn write(&self, now: Moment, out: &mut Vec<u8>) {
        let mut line = Line::open(out, "change");
        line.time(now).word("class", Class::ConfigChanges.word()).plain("at", self.at.rfc3339());
        line.number("number", self.number);
        line.text("who", self.who).text("what", self.what).text("target", self.target);
        line.maybe("before", self.before).maybe("after", self.after);
    }
}

#[cfg(test)]
mod tests {
    use super::Change;
    use crate::clock::Moment;

    /// G2: a change is one JSON object, whatever its texts hold.
    #[test]
    fn a_change_is_one_line() {
        let at = Moment { monotonic_ms: 0, unix_ms: 0 };
        let change = Change {
            at,
            number: 7,
            who: "uid 0\n\"",
            what: "key.create",
            target: "managed:x",
            before: None,
            after: Some("{\"name\":\"a\\n\"}"),
        };
        let mut out = b"{".to_vec();
        change.write(at, &mut out);
        out.push(b'}');
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert!(!out.contains(&b'\n'));
        assert_eq!((&line["class"], &line["who"]), (&"config_changes".into(), &"uid 0\n\"".into()));
        assert_eq!(line["number"], 7);
        assert_eq!(line["after"], "{\"name\":\"a\\n\"}");
    }
}
