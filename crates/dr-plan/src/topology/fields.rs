//! Takes a mapping apart, field by field, and remembers everything that is wrong on the way.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::mistake::{EMPTY, Mistake, PLACEHOLDER};
use super::nearest::nearest;

/// What was wrong so far.
pub(super) type Found = RefCell<Vec<Mistake>>;

/// One mapping of the file.
///
/// A field that is missing or wrong is remembered as a mistake and read as empty, so that reading
/// goes on and tells the next one too.
pub(super) struct Fields<'a> {
    path: String,
    /// `None`: the mapping itself is missing, which has been told already.
    map: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
    found: &'a Found,
}

impl<'a> Fields<'a> {
    /// Takes the whole file.
    pub(super) fn root(value: &'a Value, found: &'a Found) -> Self {
        Self::of(String::new(), Some(value), found)
    }

    fn of(path: String, value: Option<&'a Value>, found: &'a Found) -> Self {
        let map = value.and_then(Value::as_object);
        if value.is_some() && map.is_none() {
            let named = if path.is_empty() { "the file" } else { &path };
            let wrong = "is no mapping of fields to values";
            found.borrow_mut().push(Mistake::new(named, wrong, "write `field: value` lines"));
        }
        Self { path, map, known: Vec::new(), found }
    }

    /// Returns the path of a field in it.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Remembers a mistake in a field.
    pub(super) fn wrong(&self, name: &str, wrong: impl Into<String>, mend: impl Into<String>) {
        if self.map.is_some() {
            self.found.borrow_mut().push(Mistake::new(self.path(name), wrong, mend));
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.map?.get(name).filter(|value| !value.is_null())
    }

    /// Reads a text that has to be there.
    pub(super) fn text(&mut self, name: &'static str, mend: &str) -> String {
        match self.take(name) {
            Some(Value::String(text)) if text.trim().is_empty() => {
                self.wrong(name, EMPTY, mend);
                String::new()
            }
            Some(value) => self.text_of(name, value),
            None => {
                self.wrong(name, "is missing", mend);
                String::new()
            }
        }
    }

    /// Reads a text that may be left out.
    pub(super) fn text_or(&mut self, name: &'static str, default: &str) -> String {
        self.take(name).map_or_else(|| default.to_owned(), |value| self.text_of(name, value))
    }

    fn text_of(&self, name: &str, value: &Value) -> String {
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                self.wrong(name, "is no text", "write one value, in quotes if in doubt");
                return String::new();
            }
        };
        if text.starts_with('<') && text.ends_with('>') {
            self.wrong(name, format!("{PLACEHOLDER} {text}"), "fill it in");
            return String::new();
        }
        if text.starts_with("~/") {
            self.wrong(name, "begins with `~`, and no shell fills that in", "write the whole path");
            return String::new();
        }
        if text.chars().any(|c| c.is_control() || "'\"`$\\".contains(c)) {
            // These texts end up in command lines that somebody pastes.
            self.wrong(name, "has a quote, `$`, `\\` or control character", "leave it out");
            return String::new();
        }
        text
    }

    /// Reads a list of texts that may be left out.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<String> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let Some(values) = value.as_array() else {
            self.wrong(name, "is no list", "write it as `[one, two]`");
            return Vec::new();
        };
        let texts = values.iter().enumerate();
        texts
            .map(|(index, value)| self.text_of(&format!("{name}[{index}]"), value))
            .filter(|text| !text.is_empty())
            .collect()
    }

    /// Reads a yes or no.
    pub(super) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.take(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.wrong(name, "is neither true nor false", "write `true` or `false`");
                default
            }
        }
    }

    /// Reads a number.
    pub(super) fn number(&mut self, name: &'static str, default: u64) -> u64 {
        let Some(value) = self.take(name) else { return default };
        value.as_u64().unwrap_or_else(|| {
            self.wrong(name, "is no whole number", format!("write one, such as {default}"));
            default
        })
    }

    /// Goes into a mapping that has to be there.
    pub(super) fn group(&mut self, name: &'static str, mend: &str) -> Self {
        let value = self.take(name);
        if value.is_none() {
            self.wrong(name, "is missing", mend);
        }
        Self::of(self.path(name), value, self.found)
    }

    /// Goes into a mapping that may be left out.
    pub(super) fn group_or_empty(&mut self, name: &'static str) -> Option<Self> {
        let value = self.take(name)?;
        Some(Self::of(self.path(name), Some(value), self.found))
    }

    /// Goes into every mapping of a list.
    pub(super) fn groups(&mut self, name: &'static str) -> Vec<Self> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let Some(values) = value.as_array() else {
            self.wrong(name, "is no list", "begin each of its entries with `- `");
            return Vec::new();
        };
        let path = self.path(name);
        let entries = values.iter().enumerate();
        entries
            .map(|(index, value)| Self::of(format!("{path}[{index}]"), Some(value), self.found))
            .collect()
    }

    /// Refuses the fields that nobody has read.
    pub(super) fn finish(self) {
        for name in self.map.into_iter().flat_map(Map::keys) {
            if self.known.contains(&name.as_str()) {
                continue;
            }
            match nearest(name, &self.known) {
                Some(near) => {
                    self.wrong(name, "is no field here", format!("did you mean `{near}`?"));
                }
                None => {
                    let known = self.known.join(", ");
                    self.wrong(name, "is no field here", format!("known are {known}"));
                }
            }
        }
    }
}
