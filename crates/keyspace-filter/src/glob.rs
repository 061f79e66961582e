//! Patterns in which only `*` is special.

/// A pattern over one part of a key. `*` alone stands for anything; elsewhere it stands for any
/// bytes within a segment, so it never crosses a `/`. Always matches the whole part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Glob {
    Any,
    Exact(Box<str>),
    Starred(Box<str>),
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Says what is wrong and how to mend it, as a fragment that follows the pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() {
            return Err("is empty: leave the field out to match anything");
        }
        if pattern.contains("**") {
            return Err("has `**`: write one `*`, which stays within a segment");
        }
        if pattern.contains(['?', '[', ']', '{', '}', '\\']) {
            return Err("has a character that is no glob here: only `*` is special");
        }
        Ok(match pattern {
            "*" => Self::Any,
            _ if pattern.contains('*') => Self::Starred(pattern.into()),
            _ => Self::Exact(pattern.into()),
        })
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(literal) => literal.as_bytes() == text,
            Self::Starred(pattern) => starred(pattern.as_bytes(), text),
        }
    }

    /// Tells whether this pattern matches everything that `other` matches. Never wrongly says so.
    ///
    /// Reading the other pattern's stars as ordinary bytes is enough: only a star of ours can have
    /// matched them, and it matches whatever they stand for.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.matches(other.as_str().as_bytes())
    }

    /// Returns what everything that the pattern matches begins with.
    pub(crate) fn literal_head(&self) -> &str {
        let text = self.as_str();
        text.split_once('*').map_or(text, |(head, _)| head)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Exact(text) | Self::Starred(text) => text,
        }
    }
}

/// Matches greedily from the left and, on a mismatch, lets the last star take one byte more. Only
/// the last star ever has to grow, so the work is bounded by the product of the lengths.
fn starred(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, seen));
                at += 1;
                continue;
            }
            Some(&wanted) if wanted == byte => {
                at += 1;
                seen += 1;
                continue;
            }
            _ => {}
        }
        let Some((after_star, taken)) = retry else { return false };
        if text.get(taken) == Some(&b'/') {
            return false;
        }
        retry = Some((after_star, taken + 1));
        (at, seen) = (after_star, taken + 1);
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(pattern).unwrap().matches(text.as_bytes())
    }

    /// The definition, as slow as it is plain.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => {
                let reach = text.iter().position(|&b| b == b'/').unwrap_or(text.len());
                (0..=reach).any(|taken| defined(rest, &text[taken..]))
            }
            Some((byte, rest)) => text.first() == Some(byte) && defined(rest, &text[1..]),
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_part() {
        assert!(matches("system:*", "system:node"));
        assert!(matches("system:*", "system:"));
        assert!(!matches("system:*", "my-system:node"));
        assert!(!matches("default", "defaults"));
        assert!(matches("*-ca-*.crt", "kube-ca-root-ca-x.crt"));
        assert!(!matches("*-ca-*.crt", "kube-ca.crt"));
    }

    #[test]
    fn a_star_stays_within_a_segment() {
        assert!(matches("*.x-k8s.io/*", "cluster.x-k8s.io/machines"));
        assert!(!matches("*machines", "cluster.x-k8s.io/machines"));
        assert!(matches("*", "cluster.x-k8s.io/machines"));
    }

    #[test]
    fn what_is_no_glob_here_is_refused() {
        for pattern in ["", "a**", "a?", "[ab]", "{a,b}", r"a\*"] {
            assert!(Glob::new(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[ab/*]{1,7}", text in "[ab/]{0,9}") {
            prop_assume!(!pattern.contains("**") && pattern != "*");
            prop_assert_eq!(matches(&pattern, &text), defined(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_pattern_that_covers_another_matches_what_it_matches(
            wide in "[ab/*]{1,5}",
            narrow in "[ab/*]{1,5}",
            text in "[ab/]{0,6}",
        ) {
            let (Ok(wide), Ok(narrow)) = (Glob::new(&wide), Glob::new(&narrow)) else {
                return Ok(());
            };
            if wide.covers(&narrow) && narrow.matches(text.as_bytes()) {
                prop_assert!(wide.matches(text.as_bytes()));
            }
        }
    }
}
