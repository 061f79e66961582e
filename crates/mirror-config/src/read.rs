//! Reads YAML, and says on one line which field is wrong.

use std::path::Path;

use keyspace_filter::RuleSpec;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::exit::Failure;
use crate::file::FileConfig;
use crate::unknown;

/// A configuration larger than this is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl FileConfig {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It can't be read, or says what can't be meant: a usage error that names file and field.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let text = text_of("--config", file)?;
        Self::parse(&text)
            .map_err(|why| Failure::usage(format!("--config: {}: {why}", file.display())))
    }

    /// Parses YAML.
    ///
    /// # Errors
    ///
    /// The text names the field, or line and column, on one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        // An empty document, or one of comments only, says: all defaults.
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let value: Value = yaml(text)?;
        unknown::refuse(&value, &Self::schema(), "")?;
        yaml(text).map_err(|why| match culprit(&value) {
            Some(field) => format!("{field}: {why}"),
            None => why,
        })
    }

    /// Returns the JSON Schema of the file.
    #[must_use]
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

/// Reads a file of ordered rules.
pub(crate) fn rules(file: &Path) -> Result<Vec<RuleSpec>, Failure> {
    parse_rules(&text_of("--rules", file)?)
        .map_err(|why| Failure::usage(format!("--rules: {}: {why}", file.display())))
}

/// Tells where in a file of rules the one with this place in the list begins.
pub(crate) fn place_of_rule(file: &Path, index: usize) -> Option<String> {
    let rules: Vec<Spanned<Value>> = yaml(&text_of("--rules", file).ok()?).ok()?;
    let begin = rules.get(index)?.referenced;
    Some(format!("line {}, column {}", begin.line(), begin.column()))
}

fn parse_rules(text: &str) -> Result<Vec<RuleSpec>, String> {
    yaml(text).map_err(|why| {
        // The parser tells the place of a strange field, the schema what was probably meant.
        let place = why.rsplit_once(" at line ").filter(|_| why.starts_with("unknown field"));
        let schema = schemars::schema_for!(Vec<RuleSpec>).to_value();
        let advice = yaml(text).and_then(|value| unknown::refuse(&value, &schema, "rules"));
        match (place, advice) {
            (Some((_, place)), Err(advice)) => format!("{advice} at line {place}"),
            _ => why,
        }
    })
}

pub(crate) fn text_of(flag: &str, file: &Path) -> Result<String, Failure> {
    let unreadable =
        |why: String| Failure::usage(format!("{flag}: can't read {} ({why})", file.display()));
    let size = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable("larger than 1 MiB".to_owned()));
    }
    std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))
}

/// The one call into the YAML parser.
fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // The parser's advice is for programmers.
        let text = error.to_string();
        text.replace(", set DuplicateKeyPolicy in Options if acceptable", "")
    })
}

/// The parser tells a wrong value's line, not its field: the field is the one that is wrong alone.
fn culprit(value: &Value) -> Option<String> {
    let wrong_alone = |fields: Map<String, Value>| {
        serde_json::from_value::<FileConfig>(Value::Object(fields)).is_err()
    };
    let single = |name: &str, value: &Value| Map::from_iter([(name.to_owned(), value.clone())]);
    let (name, group) =
        value.as_object()?.iter().find(|(name, value)| wrong_alone(single(name, value)))?;
    let inner = group
        .as_object()
        .into_iter()
        .flatten()
        .find(|(inner, value)| wrong_alone(single(name, &Value::Object(single(inner, value)))));
    Some(match inner {
        Some((inner, _)) => format!("{name}.{inner}"),
        None => name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        FileConfig::parse(text).unwrap_err()
    }

    #[test]
    fn a_wrong_value_is_told_with_its_field_and_place() {
        let told = complaint("standby:\n  endpoints: 3\n");
        assert!(told.starts_with("standby.endpoints: "), "{told}");
        assert!(told.contains("line 2"), "{told}");
        assert!(complaint("listen: nowhere").starts_with("listen: `nowhere` is not an address"));
        assert!(complaint("check_interval: 5").starts_with("check_interval: "));
        assert!(complaint("log: {level: loud}").starts_with("log.level: "));
    }

    #[test]
    fn an_unknown_field_is_told_with_its_path_and_the_nearest_name() {
        for (text, told) in [
            ("mirorname: a", "unknown field `mirorname` (did you mean `mirror_name`?)"),
            (
                "primary: {endpoint: [a]}",
                "unknown field `primary.endpoint` (did you mean `endpoints`?)",
            ),
            (
                "scope: {rules: [{action: local, ressource: pods}]}",
                "unknown field `scope.rules[0].ressource` (did you mean `resource`?)",
            ),
        ] {
            assert_eq!(complaint(text), told);
        }
        assert!(complaint("guard: {weather: 1}").ends_with(
            "(known here: allow, assume_distinct_clusters, max_deletes, max_deletes_percent)"
        ));
    }

    #[test]
    fn a_mistake_in_a_file_of_rules_is_told_with_its_place() {
        for (text, told) in [
            (
                "- {action: local, name: x}\n- action: include\n  ressource: pods\n",
                "unknown field `rules[1].ressource` (did you mean `resource`?) at line 3, column 3",
            ),
            (
                "- action: remove\n",
                "unknown variant `remove`, expected one of include, hold-until-promote, local at line 1",
            ),
            ("- name: x\n", "missing field `action` at line 1"),
            ("- action: local\n  unsafe: perhaps\n", "invalid boolean at line 2, column 11"),
            ("- action: local\n  name: [a\n", "line 2"),
            ("action: local\n", "line 1"),
        ] {
            let found = parse_rules(text).unwrap_err();
            assert!(found.contains(told) && !found.contains('\n'), "{found}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused_on_one_line() {
        for text in ["[", "3", "- a", "a: b: c", "rev: 1\nrev: 2", "\u{0}", "&a [*a]"] {
            let told = complaint(text);
            assert!(!told.contains('\n'), "{told}");
        }
    }

    #[test]
    fn an_empty_file_says_all_defaults() {
        for text in ["", "\n", "# nothing\n", "---\n{}\n"] {
            assert!(FileConfig::parse(text).unwrap().mirror_name.is_none());
        }
    }
}
