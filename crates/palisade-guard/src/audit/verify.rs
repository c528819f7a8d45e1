//! Checking a journal, line by line: anything changed, removed, added or reordered is found, and where.
//!
//! Memory is bounded by the arrivals that are open at one time and the names of the last 65,536 closed ones; a second
//! closing line for an arrival is found within that distance.
//!
//! # Caveat
//! Whoever can write the whole journal can also chain it anew, or take whole lines off its end. That is found only
//! against a copy of the head hash kept elsewhere.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use serde::Deserialize;

use super::chain::{Chain, FORMAT, HASH_FIELD, LINE_END, link};
use crate::digest::{hex, read_lower_hex};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The segment's name.
    pub segment: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It does not end as a line does: the process or the machine stopped while it was written.
    Torn,
    /// It is no line of a journal.
    Unreadable,
    /// Its hash does not follow from it and the line before: it, or one before it, was changed.
    Hash,
    /// Its number is not the next one: lines were removed, added or reordered.
    Sequence {
        /// The number it should have.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// A segment does not begin with a segment line that goes on from the one before.
    Segment,
    /// A segment has no line at all: it was emptied, or the process stopped before it wrote the first one.
    Empty,
    /// The journal does not begin at its beginning: its oldest segments were removed.
    Beginning {
        /// The number of the first line there is.
        first: u64,
    },
    /// A segment names other open arrivals than the lines before it leave open.
    Open,
    /// An arrival has two closing lines.
    ClosedTwice,
    /// A format this version does not know.
    Format(u64),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: ", self.segment, self.line)?;
        match &self.fault {
            Fault::Torn => f.write_str("the line is cut off: writing stopped in its middle"),
            Fault::Unreadable => f.write_str("this is not a line of a journal"),
            Fault::Hash => f.write_str("the hash does not match: this line or the one before it was changed"),
            Fault::Sequence { expected, found } => {
                write!(f, "line number {found} where {expected} should stand: lines were removed, added or reordered")
            }
            Fault::Segment => f.write_str("the segment does not go on from the one before it"),
            Fault::Empty => f.write_str("the segment is empty: its lines were removed, or none was ever written"),
            Fault::Beginning { first } => {
                write!(f, "the journal begins with line number {first}: everything before it was removed")
            }
            Fault::Open => f.write_str("the segment names other open arrivals than the lines before it leave open"),
            Fault::ClosedTwice => f.write_str("this arrival was closed before"),
            Fault::Format(format) => write!(f, "format {format} is not known to this version"),
        }
    }
}

impl std::error::Error for Finding {}

/// What a sound journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files.
    pub segments: u64,
    /// Lines.
    pub lines: u64,
    /// Closed arrivals.
    pub arrivals: u64,
    /// Intents without a closing line.
    pub open: u64,
    /// The time of the first line.
    pub first: Option<String>,
    /// The time of the last line.
    pub last: Option<String>,
    /// The hash of the last line.
    pub head: [u8; 32],
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segments, lines, arrivals, open, first, last, head } = self;
        let time = |time: &Option<String>| time.clone().unwrap_or_else(|| "never".into());
        writeln!(
            f,
            "The journal is intact: {lines} lines in {segments} segments, {arrivals} arrivals closed, {open} open."
        )?;
        writeln!(f, "From {} to {}.", time(first), time(last))?;
        write!(f, "Head {}", hex(head))
    }
}

#[derive(Deserialize)]
struct Fields<'l> {
    seq: u64,
    kind: &'l str,
    time: Option<&'l str>,
    correlation: Option<&'l str>,
    format: Option<u64>,
    prev: Option<&'l str>,
    #[serde(borrow, default)]
    open: Vec<&'l str>,
    hash: &'l str,
}

/// Checks lines as they are read.
#[derive(Debug, Default)]
pub struct Verifier {
    chain: Option<Chain>,
    open: HashSet<Box<str>>,
    closed: HashSet<Box<str>>,
    closed_order: VecDeque<Box<str>>,
    report: Report,
    at_segment_start: bool,
    may_begin_anywhere: bool,
}

/// Closed arrivals whose names are compared.
const REMEMBERED: usize = 65_536;

impl Verifier {
    /// Checks the end of a journal by itself: the first segment it sees says what it goes on from, and what is open.
    pub fn of_the_end() -> Self {
        Self { may_begin_anywhere: true, ..Self::default() }
    }

    /// A new file begins.
    pub const fn begin_segment(&mut self) {
        self.at_segment_start = true;
        self.report.segments += 1;
    }

    /// The file ends.
    pub fn end_segment(&mut self, segment: &str) -> Result<(), Finding> {
        if self.at_segment_start {
            return Err(Finding { segment: segment.to_owned(), line: 1, fault: Fault::Empty });
        }
        Ok(())
    }

    /// Checks one line, its end included.
    pub fn line(&mut self, segment: &str, number: u64, line: &[u8]) -> Result<(), Finding> {
        self.judge(line).map_err(|fault| Finding { segment: segment.to_owned(), line: number, fault })
    }

    /// The end of the chain so far.
    pub fn chain(&self) -> Chain {
        self.chain.unwrap_or(Chain::GENESIS)
    }

    /// Arrivals with an intent and no closing line.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        self.open.iter().map(AsRef::as_ref)
    }

    /// What was found in a journal without a fault.
    pub fn report(&self) -> Report {
        let open = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        Report { open, head: self.chain().hash, ..self.report.clone() }
    }

    fn judge(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(body) = line.strip_suffix(LINE_END).and_then(|rest| rest.get(..rest.len().checked_sub(64)?)) else {
            return Err(if line.ends_with(b"\n") { Fault::Unreadable } else { Fault::Torn });
        };
        let body = body.strip_suffix(HASH_FIELD).ok_or(Fault::Unreadable)?;
        let text = std::str::from_utf8(line).map_err(|_| Fault::Unreadable)?;
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| Fault::Unreadable)?;
        if self.at_segment_start {
            self.segment_line(&fields)?;
        }
        let before = self.chain.ok_or(Fault::Segment)?;
        if fields.seq != before.sequence {
            return Err(Fault::Sequence { expected: before.sequence, found: fields.seq });
        }
        let hash = link(&before.hash, body);
        if read_lower_hex(fields.hash) != Some(hash) {
            return Err(Fault::Hash);
        }
        self.chain = Some(Chain { sequence: before.sequence + 1, hash });
        self.count(&fields)
    }

    fn segment_line(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        let format = fields.format.filter(|_| fields.kind == "segment").ok_or(Fault::Segment)?;
        if format != FORMAT {
            return Err(Fault::Format(format));
        }
        let prev = fields.prev.and_then(read_lower_hex).ok_or(Fault::Segment)?;
        match self.chain {
            Some(chain) if chain.hash != prev => return Err(Fault::Segment),
            Some(_) => {
                let same = fields.open.len() == self.open.len() && fields.open.iter().all(|id| self.open.contains(*id));
                if !same {
                    return Err(Fault::Open);
                }
            }
            None => {
                let chain = Chain { sequence: fields.seq, hash: prev };
                if chain != Chain::GENESIS && !self.may_begin_anywhere {
                    return Err(Fault::Beginning { first: fields.seq });
                }
                self.chain = Some(chain);
                self.open = fields.open.iter().map(|id| Box::from(*id)).collect();
            }
        }
        self.at_segment_start = false;
        Ok(())
    }

    fn count(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        self.report.lines += 1;
        if let Some(time) = fields.time {
            self.report.first.get_or_insert_with(|| time.to_owned());
            self.report.last = Some(time.to_owned());
        }
        let Some(correlation) = fields.correlation else { return Ok(()) };
        match fields.kind {
            "intent" => {
                self.open.insert(correlation.into());
            }
            "closing" | "recovered" => {
                if !self.closed.insert(correlation.into()) {
                    return Err(Fault::ClosedTwice);
                }
                self.open.remove(correlation);
                self.closed_order.push_back(correlation.into());
                if self.closed_order.len() > REMEMBERED
                    && let Some(oldest) = self.closed_order.pop_front()
                {
                    self.closed.remove(&oldest);
                }
                self.report.arrivals += 1;
            }
            _ => {}
        }
        Ok(())
    }
}
