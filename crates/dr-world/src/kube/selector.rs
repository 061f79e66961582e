//! Label selectors, as `kubectl -l` takes them.

use serde_json::{Map, Value};

/// What labels have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    label: String,
    /// The values of which it must have one; any, if `None`.
    values: Option<Vec<String>>,
    /// Whether it must not.
    not: bool,
}

impl Selector {
    /// Reads a selector; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        split(text).into_iter().map(requirement).collect::<Option<_>>().map(Self)
    }

    /// Says whether labels are as they have to be.
    pub(super) fn fits(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.0.iter().all(|Requirement { label, values, not }| {
            let own = labels.and_then(|labels| labels.get(label)).and_then(Value::as_str);
            let has = match (own, values) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(own), Some(values)) => values.iter().any(|value| value == own),
            };
            has != *not
        })
    }
}

/// Splits at the commas that are not in parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    let parts = text.split(|c| {
        inside = (inside || c == '(') && c != ')';
        c == ',' && !inside
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Option<Requirement> {
    let (label, values, not) = if let Some((head, values)) = text.split_once('(') {
        let values = values.trim().strip_suffix(')')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (label, word) = head.trim().rsplit_once(' ')?;
        let not = match word {
            "in" => false,
            "notin" => true,
            _ => return None,
        };
        (label, Some(values), not)
    } else if let Some((label, value)) = text.split_once("!=") {
        (label, Some(vec![value.trim().to_owned()]), true)
    } else if let Some((label, value)) = text.split_once('=') {
        (label, Some(vec![value.trim_start_matches('=').trim().to_owned()]), false)
    } else {
        (text.trim_start_matches('!'), None, text.starts_with('!'))
    };
    let label = label.trim();
    let named = !label.is_empty() && !label.contains(char::is_whitespace);
    named.then(|| Requirement { label: label.to_owned(), values, not })
}
