//! What a crash leaves: half a line, and intents without a closing line. And the check of a whole journal.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use palisade_guard::audit::chain::Chain;
use palisade_guard::audit::verify::{Fault, Finding, Report, Verifier};

use super::Error;
use super::disk::{self, Disk};

/// What was found when a journal was opened, and is written into its next segment.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Bytes of a half-written line that was cut off.
    pub torn_bytes: u64,
    /// Arrivals whose process ended before they did.
    pub unclosed: Vec<String>,
    pub(super) chain: Chain,
    pub(super) next_segment: u64,
}

impl Recovered {
    /// Whether the last process did not end in order.
    pub fn is_noteworthy(&self) -> bool {
        self.torn_bytes > 0 || !self.unclosed.is_empty()
    }
}

/// Why a journal is not intact, or cannot be read.
#[derive(Debug)]
pub enum VerifyError {
    /// It was changed.
    Finding(Finding),
    /// It cannot be read.
    Io(PathBuf, io::Error),
    /// There is none.
    Empty,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finding(finding) => finding.fmt(f),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Empty => f.write_str("there is no journal in this folder"),
        }
    }
}

/// A line longer than this is no line of ours.
const LINE: u64 = 1 << 20;

/// Checks every segment of a folder.
pub fn verify(dir: &Path) -> Result<Report, VerifyError> {
    let segments = disk::segments(dir).map_err(|error| VerifyError::Io(dir.to_owned(), error))?;
    if segments.is_empty() {
        return Err(VerifyError::Empty);
    }
    let mut verifier = Verifier::default();
    for (_, path) in &segments {
        read(path, &mut verifier)?;
    }
    Ok(verifier.report())
}

/// Checks the end of a journal (its last two segments: what is open can be older than the last) and cuts half a line.
pub(super) fn recover(disk: &Disk) -> Result<Recovered, Error> {
    let dir = disk.dir();
    let segments = disk::segments(dir).map_err(|error| Error::Io(dir.to_owned(), error))?;
    let mut verifier = Verifier::default();
    let mut torn_bytes = 0;
    let tail = segments.get(segments.len().saturating_sub(2)..).unwrap_or_default();
    for (_, path) in tail {
        match read(path, &mut verifier) {
            Ok(()) => {}
            Err(VerifyError::Finding(Finding { fault: Fault::Torn, .. })) if tail.last().is_some_and(|(_, last)| last == path) => {
                torn_bytes = cut(path).map_err(|error| Error::Io(path.clone(), error))?;
            }
            Err(error) => return Err(Error::Broken(error)),
        }
    }
    Ok(Recovered {
        torn_bytes,
        unclosed: verifier.open().map(str::to_owned).collect(),
        chain: verifier.chain(),
        next_segment: segments.last().map_or(1, |(number, _)| number + 1),
    })
}

fn read(path: &Path, verifier: &mut Verifier) -> Result<(), VerifyError> {
    let failed = |error| VerifyError::Io(path.to_owned(), error);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut lines = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    let mut number = 0;
    verifier.begin_segment();
    loop {
        line.clear();
        number += 1;
        if lines.by_ref().take(LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(());
        }
        verifier.line(&name, number, &line).map_err(VerifyError::Finding)?;
    }
}

/// Moves a half-written last line into a file of its own, and cuts it off.
fn cut(path: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = text.get(whole..).unwrap_or_default();
    let kept = path.with_extension("torn");
    OpenOptions::new().create(true).append(true).mode(0o600).open(kept)?.write_all(torn)?;
    let (length, cut) = (u64::try_from(whole).unwrap_or(0), u64::try_from(torn.len()).unwrap_or(0));
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    file.sync_all()?;
    Ok(cut)
}
