//! What a crash leaves: half a line, and intents without a closing line. And the check of a whole journal.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
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

/// A line longer than this is no line of ours: the first line of a segment may name 65,536 open arrivals.
const LINE: u64 = 4 << 20;

/// Checks every segment of a folder.
pub fn verify(dir: &Path) -> Result<Report, VerifyError> {
    let segments = disk::segments(dir).map_err(|error| VerifyError::Io(dir.to_owned(), error))?;
    if segments.is_empty() {
        return Err(VerifyError::Empty);
    }
    let mut verifier = Verifier::default();
    for (_, path) in &segments {
        read(path, &mut verifier, &mut 0)?;
    }
    Ok(verifier.report())
}

/// Checks the last segment, which names what was open before it, and cuts half a line. A segment whose first line was
/// never written whole is no segment: the one before it is the last.
pub(super) fn recover(disk: &Disk) -> Result<Recovered, Error> {
    let dir = disk.dir();
    let mut segments = disk::segments(dir).map_err(|error| Error::Io(dir.to_owned(), error))?;
    let mut torn_bytes = 0;
    let mut verifier = Verifier::of_the_end();
    while let Some((_, path)) = segments.last() {
        let mut whole = 0;
        match read(path, &mut verifier, &mut whole) {
            Ok(()) => break,
            Err(VerifyError::Finding(Finding { fault: Fault::Torn | Fault::Empty, .. })) => {}
            Err(error) => return Err(Error::Broken(error)),
        }
        torn_bytes += cut(path, whole).map_err(|error| Error::Io(path.clone(), error))?;
        if whole > 0 {
            break;
        }
        verifier = Verifier::of_the_end();
        segments.pop();
    }
    Ok(Recovered {
        torn_bytes,
        unclosed: verifier.open().map(str::to_owned).collect(),
        chain: verifier.chain(),
        next_segment: segments.last().map_or(1, |(number, _)| number + 1),
    })
}

/// Has a segment checked. `whole` becomes the length of its sound lines.
fn read(path: &Path, verifier: &mut Verifier, whole: &mut u64) -> Result<(), VerifyError> {
    let failed = |error| VerifyError::Io(path.to_owned(), error);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut lines = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    let mut number = 0;
    verifier.begin_segment();
    loop {
        line.clear();
        number += 1;
        let length = lines.by_ref().take(LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if length == 0 {
            return verifier.end_segment(&name).map_err(VerifyError::Finding);
        }
        verifier.line(&name, number, &line).map_err(VerifyError::Finding)?;
        *whole += u64::try_from(length).unwrap_or(0);
    }
}

/// Moves what stands behind the last whole line into a file of its own and cuts it off; without a whole line the segment
/// is removed. Says how many bytes that were.
fn cut(path: &Path, whole: u64) -> io::Result<u64> {
    let mut file = disk::private().read(true).write(true).open(path)?;
    let torn = file.metadata()?.len().saturating_sub(whole);
    if torn > 0 {
        file.seek(SeekFrom::Start(whole))?;
        let mut kept = disk::private().create(true).append(true).open(path.with_extension("torn"))?;
        io::copy(&mut file, &mut kept)?;
        kept.sync_all()?;
    }
    if whole == 0 {
        std::fs::remove_file(path)?;
    } else {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(torn)
}
