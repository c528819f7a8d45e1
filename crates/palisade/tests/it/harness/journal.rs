//! The audit journal of a gateway that was stopped, as its readers see it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The lines of a journal that `palisade audit verify` found intact.
pub(crate) struct Journal {
    lines: Vec<Value>,
}

impl Journal {
    /// Verifies a journal with the built program, reads it, and checks what holds for every journal: each arrival has
    /// exactly one closing line, and each intent has one.
    pub(crate) fn verified(dir: &Path) -> Self {
        let verify = Command::new(env!("CARGO_BIN_EXE_palisade")).args(["audit", "verify"]).arg(dir).output().unwrap();
        assert!(verify.status.success(), "audit verify: {}", String::from_utf8_lossy(&verify.stderr));
        let journal = Self::read(dir);
        let closed = journal.closed();
        assert_eq!(closed.len(), journal.closings().count(), "an arrival has two closing lines: {journal}");
        let unclosed: Vec<_> = journal.of("intent").filter(|intent| !closed.contains(correlation(intent))).collect();
        assert!(unclosed.is_empty(), "intents without a closing line: {unclosed:?}");
        journal
    }

    /// Reads all segments in order.
    pub(crate) fn read(dir: &Path) -> Self {
        let mut segments: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        segments.sort();
        let text: String = segments.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        Self { lines: text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() }
    }

    /// The lines of one kind: `segment`, `intent`, `closing`, ….
    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(move |line| line["kind"] == kind)
    }

    /// The lines that close arrivals.
    pub(crate) fn closings(&self) -> impl Iterator<Item = &Value> {
        self.of("closing")
    }

    /// The correlation ids of the arrivals that are closed.
    pub(crate) fn closed(&self) -> HashSet<&str> {
        self.closings().map(correlation).collect()
    }

    /// The one closing line of an MCP method and a name.
    pub(crate) fn closings_of<'j>(&'j self, method: &'j str, name: &'j str) -> impl Iterator<Item = &'j Value> {
        self.closings().filter(move |line| line["method"] == method && line["name"] == name)
    }
}

impl std::fmt::Display for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn correlation(line: &Value) -> &str {
    line["correlation"].as_str().unwrap()
}
