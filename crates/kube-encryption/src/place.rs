//! A configuration as a tree in which each place knows its path.

use serde_json::{Map, Value};

use crate::ConfigError;

/// A name of a field from this length on may be a secret in the wrong place: the shortest has as
/// many characters in base64.
const NAME_CHARS_SHOWN_MAX: usize = 23;

/// A place in a configuration.
pub(crate) struct Place<'c> {
    path: String,
    value: &'c Value,
}

impl<'c> Place<'c> {
    /// Returns the whole document.
    pub(crate) fn root(value: &'c Value) -> Self {
        Self { path: String::new(), value }
    }

    /// Returns how a user finds it: `resources[0].providers[1].aescbc`.
    pub(crate) fn path(&self) -> String {
        if self.path.is_empty() { "the document".to_owned() } else { self.path.clone() }
    }

    /// Returns the path of a field, be it there or not.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Reads a mapping that has none but the known fields. A field that is null is not there, as
    /// for the apiserver.
    ///
    /// # Errors
    ///
    /// It is something else, or has another field.
    pub(crate) fn fields(&self, known: &[&str]) -> Result<Fields<'_, 'c>, ConfigError> {
        let Value::Object(fields) = self.value else {
            return Err(ConfigError::Type {
                field: self.path(),
                expected: "a mapping of fields to values",
            });
        };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Fields { place: self, fields }),
            Some(name) => {
                let field = if name.chars().count() > NAME_CHARS_SHOWN_MAX {
                    format!("a field of {}", self.path())
                } else {
                    self.path_of(&name.escape_debug().to_string())
                };
                Err(ConfigError::Unknown { field, known: known.join(", ") })
            }
        }
    }

    /// Reads a list of one item at least.
    ///
    /// # Errors
    ///
    /// It is something else, or empty.
    pub(crate) fn items(&self, expected: &'static str) -> Result<Vec<Self>, ConfigError> {
        let Value::Array(items) = self.value else {
            return Err(ConfigError::Type { field: self.path(), expected });
        };
        if items.is_empty() {
            return Err(ConfigError::Missing { field: self.path(), expected });
        }
        let item = |(at, value)| Self { path: format!("{}[{at}]", self.path), value };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// Reads a text of one character at least.
    ///
    /// # Errors
    ///
    /// It is something else, or empty.
    pub(crate) fn text(&self) -> Result<&'c str, ConfigError> {
        let expected = "a text; put it in quotes";
        match self.value.as_str() {
            Some("") => Err(ConfigError::Missing { field: self.path(), expected }),
            Some(text) => Ok(text),
            None => Err(ConfigError::Type { field: self.path(), expected }),
        }
    }
}

/// The fields of a mapping, all of them known.
pub(crate) struct Fields<'p, 'c> {
    place: &'p Place<'c>,
    fields: &'c Map<String, Value>,
}

impl<'c> Fields<'_, 'c> {
    /// Returns a field, unless it is null.
    pub(crate) fn find(&self, name: &str) -> Option<Place<'c>> {
        let value = self.fields.get(name).filter(|value| !value.is_null())?;
        Some(Place { path: self.place.path_of(name), value })
    }

    /// Returns a field that must be there.
    ///
    /// # Errors
    ///
    /// It is not.
    pub(crate) fn need(
        &self,
        name: &str,
        expected: &'static str,
    ) -> Result<Place<'c>, ConfigError> {
        self.find(name)
            .ok_or_else(|| ConfigError::Missing { field: self.place.path_of(name), expected })
    }
}
