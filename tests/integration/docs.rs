//! The documents say what the code does: settings, error reasons, wire words and links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use zentra_sidecar::cli::Cli;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// The cells of each table row, without the marks around code.
fn rows(markdown: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|---");
    markdown.lines().filter(is_row).map(cells).collect()
}

/// Flag, variable and default of each setting of a command, as its `--help` shows them.
fn settings(command: &str) -> Vec<[String; 3]> {
    let cli = Cli::command();
    let command = cli.find_subcommand(command).unwrap();
    let setting = |argument: &clap::Arg| {
        let switch = !argument.get_action().takes_values();
        let default = argument.get_default_values().first().filter(|_| !switch);
        Some([
            format!("--{}", argument.get_long().filter(|name| *name != "help")?),
            argument.get_env().map_or_else(String::new, |it| it.to_string_lossy().into_owned()),
            default.map_or_else(String::new, |it| it.to_string_lossy().into_owned()),
        ])
    };
    command.get_arguments().filter_map(setting).collect()
}

/// The texts between double quotes in code; comments are left out.
fn quoted(code: &str) -> Vec<&str> {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    code.lines()
        .filter(|line| !is_comment(line))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect()
}

fn markdown_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules"
            {
                folders.push(path);
            } else if name.ends_with(".md") {
                files.push(path);
            }
        }
    }
    files
}

/// The document without its code blocks.
fn prose(markdown: &str) -> String {
    markdown.split("\n```").step_by(2).collect()
}

/// The anchors that headings get where the document is shown.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| {
        let kept = |it: &char| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_');
        heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    prose(markdown)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_setting_stands_in_the_table_with_its_variable_and_default() {
    let document = text("docs/SETTINGS.md");
    let documented = rows(&document);
    for command in ["serve", "config", "health", "dev"] {
        for setting in settings(command) {
            let found = documented.iter().any(|row| row.starts_with(&setting));
            assert!(found, "docs/SETTINGS.md has no row {setting:?} of {command}");
        }
    }
}

#[test]
fn the_readme_shows_settings_as_they_are() {
    let known = settings("serve");
    let readme = rows(&text("README.md"));
    let shown: Vec<_> = readme.iter().filter(|row| row[0].starts_with("--")).collect();
    assert!(!shown.is_empty());
    for row in shown {
        assert!(known.iter().any(|setting| row.starts_with(setting)), "{row:?}");
    }
}

#[test]
fn every_setting_in_the_table_is_one() {
    let known: BTreeSet<_> = ["serve", "health", "dev"].into_iter().flat_map(settings).collect();
    for row in rows(&text("docs/SETTINGS.md")).iter().filter(|row| row[0].starts_with("--")) {
        assert!(known.iter().any(|setting| row.starts_with(setting)), "{row:?}");
    }
}

/// Every reason of an error, as the code calls it.
pub(crate) fn error_reasons() -> BTreeSet<String> {
    let code = text("src/error/reason.rs");
    let reasons: BTreeSet<String> = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""))
        .map(|(_, word)| word.trim_end_matches("\",").to_owned())
        .filter(|word| word.chars().all(|it| it.is_ascii_uppercase() || it == '_'))
        .collect();
    assert!(reasons.len() >= 19, "{reasons:?}");
    reasons
}

#[test]
fn every_error_reason_is_documented_and_no_other() {
    let reasons = error_reasons();
    let errors = text("docs/ERRORS.md");
    let headings: BTreeSet<String> =
        errors.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    assert_eq!(headings, reasons);

    let readme = rows(&text("README.md"));
    let in_readme: BTreeSet<String> = readme
        .iter()
        .filter_map(|row| row.get(1))
        .flat_map(|cell| cell.split(", "))
        .filter(|word| !word.is_empty() && word.chars().all(|it| it == '_' || it.is_uppercase()))
        .filter(|word| !word.starts_with("SIDECAR_") && !word.starts_with("ZENTRA_"))
        .map(str::to_owned)
        .collect();
    assert_eq!(in_readme, reasons);
}

#[test]
fn every_word_of_the_wire_is_documented() {
    let code = text("src/zentra/wire.rs");
    let document = text("docs/ZENTRA.md");
    let documented: BTreeSet<&str> = document.split('`').skip(1).step_by(2).collect();
    let is_word = |word: &&str| {
        !word.is_empty()
            && word.chars().all(|it| it.is_ascii_lowercase() || matches!(it, '_' | '-' | '0'..='9'))
    };
    // How serde spells the names of fields, and what objects are called in messages.
    let not_on_the_wire = ["snake_case", "charge", "refund", "exposed", "exposed_option"];
    let words: BTreeSet<&str> = quoted(&code)
        .into_iter()
        .filter(is_word)
        .filter(|word| !not_on_the_wire.contains(word))
        .collect();
    assert!(words.len() > 60, "{words:?}");
    let missing: Vec<_> = words.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/ZENTRA.md lacks {missing:?}");
}

#[test]
fn every_stored_field_stands_in_the_document_on_card_data() {
    let code = text("src/idempotency/redis/codec.rs");
    let document = text("docs/PCI.md");
    let documented: BTreeSet<&str> = document.split('`').skip(1).step_by(2).collect();
    let is_name = |word: &&str| {
        !word.is_empty() && word.chars().all(|it| it.is_ascii_lowercase() || it == '_')
    };
    let fields: BTreeSet<&str> = quoted(&code).into_iter().filter(is_name).collect();
    assert!(fields.len() > 25, "{fields:?}");
    // What is unreadable where no field of it can be named.
    let missing: Vec<_> = fields.difference(&documented).filter(|it| **it != "record").collect();
    assert!(missing.is_empty(), "docs/PCI.md lacks {missing:?}");
}

#[test]
fn every_relative_link_leads_somewhere() {
    for file in markdown_files() {
        let markdown = fs::read_to_string(&file).unwrap();
        for link in prose(&markdown).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{} links to {link}", file.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap()).contains(anchor);
                assert!(there, "{} links to {link}, which has no such heading", file.display());
            }
        }
    }
}
