//! The files of a policy, as they stand on disk: read once, in a fixed order, within limits.
//!
//! Links are followed, as a mounted ConfigMap is made of them. What is read is one state of the
//! folder: the caller reads it twice where it may be being written.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::complaint::Complaints;

/// The most files of one kind.
const MOST_FILES: usize = 100;
/// The most entries of a folder that are looked at.
const MOST_ENTRIES: usize = 1000;
/// The largest file, in bytes.
const MOST_FILE_BYTES: u64 = 256 * 1024;
/// The most bytes of all files together.
const MOST_BYTES: usize = 1024 * 1024;
/// The file of limits.
pub(super) const LIMITS: &str = "limits.toml";
/// The folder of scenarios.
pub(super) const TESTS: &str = "tests";

/// Files of one kind, and what else may stand beside them.
struct Kind {
    extension: &'static str,
    beside: &'static [&'static str],
    /// What is told of anything else.
    complaint: &'static str,
}

/// The folder itself. Whatever is passed over in silence would be a rule that somebody wrote and
/// nobody enforces.
const RULES: Kind = Kind {
    extension: "cedar",
    beside: &[LIMITS, TESTS],
    complaint: "is no part of a policy: rules stand in *.cedar, limits in limits.toml, scenarios in \
                tests; what is not to be read begins with a dot",
};

/// The folder of scenarios.
const SCENARIOS: Kind = Kind {
    extension: "toml",
    beside: &[],
    complaint: "is no scenario: they stand in tests/*.toml; what is not to be read begins with a dot",
};

/// The rules' files and the limits' file of one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Name and text of each `*.cedar` file, by name.
    pub rules: Vec<(String, String)>,
    /// The text of `limits.toml`, where there is one.
    pub limits: Option<String>,
}

impl Files {
    /// Reads a policy's folder.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, Complaints> {
        let mut complaints = Complaints::default();
        let mut left = MOST_BYTES;
        let rules = read_kind(folder, &RULES, &mut left, &mut complaints);
        if !folder.is_dir() {
            return complaints.or(Self::default());
        }
        let limits = read_text(&folder.join(LIMITS), &mut left, LIMITS, &mut complaints);
        if folder.join(TESTS).is_file() {
            complaints.about(TESTS, "is a file: scenarios stand in a folder of this name");
        }
        if rules.is_empty() && complaints.is_empty() {
            let text = "holds no rules: no file ends in .cedar; a policy without rules would \
                        refuse everything";
            complaints.about(folder.display().to_string(), text);
        }
        complaints.or(Self { rules, limits })
    }

    /// The policy's name by its content: SHA-256 over names and texts, in hex.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        let limits = self.limits.as_ref().map(|text| (LIMITS, text.as_str()));
        let rules = self.rules.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for part in rules.chain(limits).flat_map(|(name, text)| [name, text]) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        hex::encode(digest.finalize())
    }
}

/// The scenarios of a policy's folder, name and text of each.
///
/// # Errors
/// All that is wrong with the files.
pub fn read_scenarios(folder: &Path) -> Result<Vec<(String, String)>, Complaints> {
    let (mut complaints, mut left) = (Complaints::default(), MOST_BYTES);
    let tests = folder.join(TESTS);
    let scenarios = read_kind(&tests, &SCENARIOS, &mut left, &mut complaints);
    if scenarios.is_empty() && complaints.is_empty() {
        complaints.about(tests.display().to_string(), "holds no scenarios: no file ends in .toml");
    }
    let named = |(name, text)| (format!("{TESTS}/{name}"), text);
    complaints.or(scenarios.into_iter().map(named).collect())
}

/// Every file of a kind in a folder, by name.
fn read_kind(
    folder: &Path,
    kind: &Kind,
    left: &mut usize,
    complaints: &mut Complaints,
) -> Vec<(String, String)> {
    let shown = folder.display().to_string();
    let names = match names(folder, kind, complaints) {
        Ok(names) => names,
        Err(fault) => {
            complaints.about(shown, format!("cannot be read: {fault}"));
            return Vec::new();
        }
    };
    if names.len() > MOST_FILES {
        let extension = kind.extension;
        complaints
            .about(shown, format!("holds more than {MOST_FILES} files ending in .{extension}"));
        return Vec::new();
    }
    let read = |name: String| {
        let text = read_text(&folder.join(&name), left, &name, complaints)?;
        Some((name, text))
    };
    names.into_iter().filter_map(read).collect()
}

/// The names of a kind; each that is of none is complained of.
fn names(folder: &Path, kind: &Kind, complaints: &mut Complaints) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for (seen, entry) in fs::read_dir(folder)?.enumerate() {
        if seen == MOST_ENTRIES {
            return Err(io::Error::other(format!("it holds more than {MOST_ENTRIES} entries")));
        }
        let name = entry?.file_name();
        // A mounted ConfigMap keeps its own state in names that begin with a dot.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_kind = Path::new(&name).extension().is_some_and(|it| it == kind.extension);
        match name.to_str() {
            Some(name) if is_kind => names.push(name.to_owned()),
            Some(name) if kind.beside.contains(&name) => {}
            Some(name) => complaints.about(shown(name), kind.complaint),
            None => {
                complaints.about(shown(&name.to_string_lossy()), "has a name that is not UTF-8");
            }
        }
    }
    names.sort();
    Ok(names)
}

/// A name that anybody may have given, as it can be written to a terminal.
fn shown(name: &str) -> String {
    name.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

/// The text of a file; none where there is none, or where there is a complaint about it.
fn read_text(
    path: &Path,
    left: &mut usize,
    name: &str,
    complaints: &mut Complaints,
) -> Option<String> {
    match read_bounded(path) {
        Ok(text) if text.len() > *left => {
            complaints.about(name, format!("the files hold more than {MOST_BYTES} bytes together"));
        }
        Ok(text) => {
            *left -= text.len();
            // A file that somebody is about to write, or that a full disk has cut off: what it
            // forbade would be permitted.
            if text.trim().is_empty() {
                complaints.about(name, "is empty; delete a file that is to say nothing");
                return None;
            }
            return Some(text);
        }
        // A link to nothing is no missing file, but a folder that is not whole.
        Err(fault)
            if fault.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() =>
        {
            if name != LIMITS {
                complaints.about(name, "is gone");
            }
        }
        Err(fault) => complaints.about(name, format!("cannot be read: {fault}")),
    }
    None
}

fn read_bounded(path: &Path) -> io::Result<String> {
    // Asked before it is opened: opening a pipe waits for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MOST_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}
