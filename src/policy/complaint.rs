//! What is wrong with a policy, and where.

use std::fmt;
use std::ops::Range;

use miette::Diagnostic;

/// The most complaints that are told at once.
const MOST: usize = 100;
/// The longest text of one complaint, in characters. It may repeat what stands in a file.
const LONGEST_TEXT: usize = 300;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The file's name within the policy's folder, or the folder itself.
    pub file: String,
    /// Line and column, from 1; none where the file as a whole is meant.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub text: String,
}

/// All that is wrong with a policy, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaints(Vec<Complaint>);

/// A file of a policy, for complaints about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Complaints {
    /// About a file as a whole.
    pub(super) fn about(&mut self, file: impl Into<String>, text: impl fmt::Display) {
        self.push(file.into(), None, &text.to_string());
    }

    /// About what stands at `at`, in bytes.
    pub(super) fn at(&mut self, source: Source<'_>, at: usize, text: impl fmt::Display) {
        self.push(source.file.to_owned(), Some(place(source.text, at)), &text.to_string());
    }

    /// About what stands in `span`; about the file as a whole where there is none.
    pub(super) fn within(
        &mut self,
        source: Source<'_>,
        span: Option<Range<usize>>,
        text: impl fmt::Display,
    ) {
        match span {
            Some(span) => self.at(source, span.start, text),
            None => self.about(source.file, text),
        }
    }

    /// What a parser or a validator has found, with its help where it gives any.
    pub(super) fn of(&mut self, source: Source<'_>, fault: &dyn Diagnostic) {
        let mut text = without_number(&fault.to_string()).to_owned();
        if let Some(help) = fault.help() {
            text = format!("{text} ({help})");
        }
        let label = fault.labels().and_then(|mut labels| labels.next());
        let span = label.map(|label| label.offset()..label.offset() + label.len());
        self.within(source, span, text);
        for other in fault.related().into_iter().flatten() {
            self.of(source, other);
        }
    }

    /// Those of another part.
    pub(super) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// True where nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Complaint> {
        self.0.iter()
    }

    /// `value` where nothing is wrong.
    ///
    /// # Errors
    /// All that is wrong, in order.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(self)
    }

    fn push(&mut self, file: String, place: Option<(usize, usize)>, text: &str) {
        if self.0.len() < MOST {
            self.0.push(Complaint { file, place, text: one_line(text) });
        }
    }
}

/// Cedar names rules by numbers that nobody has given; the place says which one it is.
fn without_number(text: &str) -> &str {
    let rest = text.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, "));
    rest.map_or(text, |(_, rest)| rest)
}

/// On one line and bounded, as it is logged too.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|it| !it.is_control()).collect();
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Line and column of a byte, from 1; columns count characters.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => {
                write!(formatter, "{}:{line}:{column}: {}", self.file, self.text)
            }
            None => write!(formatter, "{}: {}", self.file, self.text),
        }
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Complaints {}
