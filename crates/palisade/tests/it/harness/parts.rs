//! Where the programs are that the tests drive. What is missing fails the test that needs it and names the cure.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The folder that `scripts/test-parts.sh` fills.
pub(crate) fn parts() -> &'static Path {
    static PARTS: LazyLock<PathBuf> = LazyLock::new(|| {
        let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-parts");
        let parts = std::env::var_os("PALISADE_TEST_PARTS").map_or_else(ours, PathBuf::from);
        let installed = parts.join("stamp").is_file();
        assert!(installed, "{} holds no test parts: run scripts/test-parts.sh", parts.display());
        parts.canonicalize().unwrap()
    });
    &PARTS
}

/// An installed program: `node`, `npm`, `mcp-server-everything`, `mcp-server-time`.
pub(crate) fn program(name: &str) -> String {
    let path = parts().join("bin").join(name);
    assert!(path.exists(), "{} is missing: run scripts/test-parts.sh", path.display());
    path.into_os_string().into_string().unwrap()
}

/// The Python that has the official client. By this very path: it finds its packages beside itself.
pub(crate) fn python() -> PathBuf {
    parts().join("venv/bin/python")
}

/// A search path on which the installed programs come first.
pub(crate) fn search_path() -> String {
    format!("{}:{}", parts().join("bin").display(), std::env::var("PATH").unwrap())
}

/// A program of this workspace that another crate builds.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_palisade")).with_file_name(name);
    assert!(path.is_file(), "{} is not built: run cargo build --workspace --bins", path.display());
    path
}

/// A script of `tests/clients`, in the folder where its packages are found.
pub(crate) fn script(name: &str) -> PathBuf {
    static SCRIPTS: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = parts().join("drivers");
        fs::create_dir_all(&folder).unwrap();
        for script in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")).unwrap() {
            let script = script.unwrap();
            // Renamed into place: another run of the tests may be reading it.
            let fresh = tempfile::NamedTempFile::new_in(&folder).unwrap();
            fs::copy(script.path(), fresh.path()).unwrap();
            fresh.persist(folder.join(script.file_name())).unwrap();
        }
        folder
    });
    SCRIPTS.join(name)
}
