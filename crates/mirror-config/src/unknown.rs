//! Refuses fields that nobody reads, and says which name was probably meant.

use serde_json::Value;

/// Checks that `value`, which is told as `name`, has only fields that `schema` knows.
pub(crate) fn refuse(value: &Value, schema: &Value, name: &str) -> Result<(), String> {
    within(value, schema, schema, name)
}

fn within(value: &Value, schema: &Value, root: &Value, path: &str) -> Result<(), String> {
    if let (Value::Array(values), Some(schema)) = (value, described(schema, root, "items")) {
        for (index, value) in values.iter().enumerate() {
            within(value, schema, root, &format!("{path}[{index}]"))?;
        }
    }
    let known = described(schema, root, "properties").and_then(Value::as_object);
    let (Value::Object(fields), Some(known)) = (value, known) else { return Ok(()) };
    for (name, field) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some(schema) = known.get(name) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(match nearest(name, &names) {
                Some(near) => format!("unknown field `{path}` (did you mean `{near}`?)"),
                None => format!("unknown field `{path}` (known here: {})", names.join(", ")),
            });
        };
        within(field, schema, root, &path)?;
    }
    Ok(())
}

/// What a schema says under `keyword`: itself, by reference, or in one of its alternatives.
fn described<'a>(schema: &'a Value, root: &'a Value, keyword: &str) -> Option<&'a Value> {
    if let Some(found) = schema.get(keyword) {
        return Some(found);
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return described(root.pointer(target.strip_prefix('#')?)?, root, keyword);
    }
    let alternatives = schema.get("anyOf").and_then(Value::as_array)?;
    alternatives.iter().find_map(|schema| described(schema, root, keyword))
}

/// The known name that takes the fewest edits, if that is few enough to be a slip.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|near| (edits(&name, &near.replace('-', "_")), *near))
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
    fn edits_are_counted_as_levenshtein_counts_them() {
        for (a, b, expected) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("same", "same", 0)]
        {
            assert_eq!(edits(a, b), expected, "{a} → {b}");
            assert_eq!(edits(b, a), expected, "{b} → {a}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["endpoints", "cacert", "password_file"];
        assert_eq!(nearest("endpoint", &known), Some("endpoints"));
        assert_eq!(nearest("passwordFile", &known), Some("password_file"));
        assert_eq!(nearest("password-file", &known), Some("password_file"));
        assert_eq!(nearest("weather", &known), None);
    }
}
