//! Where each rule of a file stands, and how deep it is, before any parser sees it.

/// What stands before a `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its first byte that is neither space nor comment.
    pub(super) start: usize,
    /// Its end.
    pub(super) end: usize,
    /// How many brackets stand within one another.
    pub(super) depth: usize,
    /// Its words and the characters of its operators; texts and lists of them count for nothing.
    pub(super) words: usize,
}

/// The statements of a file, comments and texts left aside.
pub(super) fn scan(text: &str) -> Vec<Statement> {
    let bytes = text.as_bytes();
    let mut statements: Vec<Statement> = Vec::new();
    let (mut at, mut depth, mut is_open, mut in_word) = (0, 0_usize, false, false);
    while at < bytes.len() {
        let byte = bytes[at];
        if bytes[at..].starts_with(b"//") {
            // As the parser has it: either character ends a line.
            let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
            at += bytes[at..].iter().position(is_end).unwrap_or(bytes.len() - at);
            continue;
        }
        if !is_open && !byte.is_ascii_whitespace() {
            statements.push(Statement { start: at, end: at, depth: 0, words: 0 });
            (depth, is_open) = (0, true);
        }
        match byte {
            b';' => is_open = false,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at += text_length(&bytes[at..]),
            _ => {}
        }
        at += 1;
        let was_in_word = std::mem::replace(&mut in_word, is_of_word(byte));
        if let Some(statement) = statements.last_mut()
            && !byte.is_ascii_whitespace()
        {
            let begins = in_word && !was_in_word || b"&|+-*=!<>.".contains(&byte);
            statement.words += usize::from(begins);
            statement.end = at;
            statement.depth = statement.depth.max(depth);
        }
    }
    statements
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How far the end of a text in quotes is from its beginning.
fn text_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_as_the_parser_does() {
        let text = "// a; b\n f(\"x;\\\";(\"); // c\n g((()))";
        let statements = scan(text);
        let found: Vec<_> =
            statements.iter().map(|it| (&text[it.start..it.end], it.depth, it.words)).collect();
        assert_eq!(found, [("f(\"x;\\\";(\");", 1, 1), ("g((()))", 3, 1)]);
        for line_end in ["\n", "\r", "\r\n"] {
            let text = format!("// a{line_end}f();// b{line_end}g();");
            assert_eq!(scan(&text).len(), 2, "{line_end:?}");
        }
        assert_eq!(scan("a_1 && b.c in [\"d\", \"e\"]")[0].words, 7);
    }
}
