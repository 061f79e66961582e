//! What is wrong with a file.

use std::fmt;

/// One thing that is wrong: where, what, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The field's path, such as `standby.nodes[2].address`.
    pub field: String,
    /// What is wrong with it.
    pub wrong: String,
    /// What mends it.
    pub mend: String,
}

/// How what is wrong with a text that is not filled in begins.
pub(super) const PLACEHOLDER: &str = "is still the placeholder";
/// What is wrong with a text or a list that has nothing in it.
pub(super) const EMPTY: &str = "is empty";

impl Mistake {
    pub(super) fn new(
        field: impl Into<String>,
        wrong: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), wrong: wrong.into(), mend: mend.into() }
    }

    /// Returns whether the field is left to fill in, in contrast to one that is filled in wrong.
    #[must_use]
    pub fn is_left_open(&self) -> bool {
        self.wrong.starts_with(PLACEHOLDER) || self.wrong == EMPTY
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.wrong, self.mend)
    }
}

/// Everything that is wrong with a file, at once; one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            // A name that was typed wrong is printed, whatever is in it.
            let line: String =
                mistake.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            f.write_str(&line)?;
        }
        Ok(())
    }
}
