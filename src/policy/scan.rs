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
}

/// The statements of a file, comments and texts left aside.
pub(super) fn scan(text: &str) -> Vec<Statement> {
    let bytes = text.as_bytes();
    let mut statements: Vec<Statement> = Vec::new();
    let (mut at, mut depth, mut is_open) = (0, 0_usize, false);
    while at < bytes.len() {
        let byte = bytes[at];
        if bytes[at..].starts_with(b"//") {
            at += bytes[at..].iter().position(|it| *it == b'\n').unwrap_or(bytes.len() - at);
            continue;
        }
        if !is_open && !byte.is_ascii_whitespace() {
            statements.push(Statement { start: at, end: at, depth: 0 });
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
        if let Some(statement) = statements.last_mut()
            && !byte.is_ascii_whitespace()
        {
            statement.end = at;
            statement.depth = statement.depth.max(depth);
        }
    }
    statements
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
        let found: Vec<_> = statements.iter().map(|it| (&text[it.start..it.end], it.depth)).collect();
        assert_eq!(found, [("f(\"x;\\\";(\");", 1), ("g((()))", 3)]);
    }
}
