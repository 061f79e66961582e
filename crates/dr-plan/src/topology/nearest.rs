//! Which name was probably meant.

/// Returns the known name that takes the fewest edits, if that is few enough to be a slip.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let meant = plain(name);
    known
        .iter()
        .map(|near| (edits(&meant, &plain(near)), *near))
        .filter(|(edits, near)| *edits <= near.len().max(name.len()) / 3 + 1)
        .min()
        .map(|(_, near)| near)
}

/// The edit distance by Levenshtein: one row of the table at a time.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let best = (diagonal + usize::from(from != to)).min(left + 1).min(*cell + 1);
            (diagonal, left) = (*cell, best);
            *cell = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["endpoints", "cacert", "ssh_user"];
        assert_eq!(nearest("endpoint", &known), Some("endpoints"));
        assert_eq!(nearest("sshUser", &known), Some("ssh_user"));
        assert_eq!(nearest("weather", &known), None);
    }

    #[test]
    fn edits_are_counted_as_levenshtein_counts_them() {
        for (a, b, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0)] {
            assert_eq!(edits(a, b), expected, "{a} → {b}");
            assert_eq!(edits(b, a), expected, "{b} → {a}");
        }
    }
}
