//! Prose with commands in backticks.

/// A stretch of prose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Words.
    Words(&'a str),
    /// A command, a name or a path, to the letter.
    Code(&'a str),
}

/// Takes prose apart. A backtick without its partner is a word.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((words, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`') else { break };
        parts.extend([Part::Words(words), Part::Code(code)]);
        rest = after;
    }
    parts.push(Part::Words(rest));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_words() {
        let expected = [Part::Words("run "), Part::Code("a b"), Part::Words(", then")];
        assert_eq!(parts("run `a b`, then"), expected);
        assert_eq!(parts("one ` alone"), [Part::Words("one ` alone")]);
    }
}
