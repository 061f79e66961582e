//! Rules, ready to be matched.

use std::cmp::Ordering;
use std::fmt;

use crate::glob::Glob;
use crate::grammar::ObjectKey;
use crate::spec::Action;

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// Holds for every scope: this software's own keys, keys outside the prefixes, and what no
    /// other rule matches.
    BuiltIn,
    /// `rules[…]` of the user, with its place there.
    User(usize),
    /// `exclude_namespaces`.
    ExcludeNamespaces,
    /// `exclude_prefixes[…]`, with its place there.
    ExcludePrefix(usize),
    /// The preset.
    Preset,
}

/// One rule in effect. `Display` tells the whole of it on one line.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) index: usize,
    pub(crate) source: Source,
    pub(crate) action: Action,
    pub(crate) pattern: Pattern,
    pub(crate) traits: Traits,
    /// Built-in rules match by code and say here what; others say why they stand.
    pub(crate) why: Box<str>,
}

/// What sets a rule apart beside its pattern and action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    /// Only a user's rule with `unsafe` may come before it.
    pub(crate) hard: bool,
    /// Comes before hard rules too.
    pub(crate) allow_unsafe: bool,
    /// What it admits goes first in a copy.
    pub(crate) urgent: bool,
    /// There are clusters for which the other action is right.
    pub(crate) choice: bool,
    /// Holds so much that reading around it is worth a range more.
    pub(crate) bulky: bool,
}

/// What a rule matches: every part that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) prefix: Option<Box<str>>,
    pub(crate) resource: Option<Glob>,
    pub(crate) namespace: Option<Namespaces>,
    pub(crate) name: Option<Glob>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Namespaces {
    Like(Glob),
    /// Sorted as [`by_length`] does.
    In(Box<[Box<str>]>),
}

/// An order in which most comparisons need no look at the bytes.
pub(crate) fn by_length(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl Rule {
    /// Returns the rule's place among [`crate::Scope::rules`].
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns where the rule comes from.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Tells whether the keys that the rule decides are in scope.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.action == Action::Include
    }

    /// Tells whether only a rule with `unsafe: true` can re-admit what this one leaves local.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        self.traits.hard
    }

    /// Tells whether the preset's answer is one of several that are right for some cluster, so
    /// that an operator should know of it.
    #[must_use]
    pub fn is_choice(&self) -> bool {
        self.traits.choice
    }

    /// Tells whether the keys that the rule admits go first in a copy.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.traits.urgent
    }

    /// Returns why the rule stands; empty if nobody said.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Tells whether the rule can match keys of which nothing but the bytes is known.
    pub(crate) fn matches_any_shape(&self) -> bool {
        self.pattern.is_bytes_only()
    }

    /// Tells whether the rule leaves the keys of a hard rule as they are.
    pub(crate) fn spares_hard(&self) -> bool {
        self.admits() && !self.traits.allow_unsafe
    }
}

impl Pattern {
    /// Tells whether the pattern asks for nothing that only an object has.
    pub(crate) fn is_bytes_only(&self) -> bool {
        self.resource.is_none() && self.namespace.is_none() && self.name.is_none()
    }

    pub(crate) fn matches_prefix(&self, key: &[u8]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_bytes()))
    }

    pub(crate) fn matches_resource(&self, resource: &[u8]) -> bool {
        self.resource.as_ref().is_none_or(|glob| glob.matches(resource))
    }

    /// Tells whether all but the resource matches.
    pub(crate) fn matches_rest(&self, key: &[u8], object: &ObjectKey<'_>) -> bool {
        self.name.as_ref().is_none_or(|glob| glob.matches(object.name))
            && self.namespace.as_ref().is_none_or(|wanted| {
                object.namespace.is_some_and(|namespace| wanted.matches(namespace))
            })
            && self.matches_prefix(key)
    }

    /// Tells whether this pattern matches everything that `other` matches. Never wrongly says so.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let objects_only =
            other.resource.is_some() || other.namespace.is_some() || other.name.is_some();
        let part = |wide: &Option<Glob>, narrow: &Option<Glob>| match (wide, narrow) {
            (None, _) => true,
            (Some(Glob::Any), None) => objects_only,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => wide.covers(narrow),
        };
        let prefix = match (&self.prefix, &other.prefix) {
            (None, _) => true,
            (Some(wide), None) => wide.is_empty(),
            (Some(wide), Some(narrow)) => narrow.starts_with(&**wide),
        };
        let namespace = match (&self.namespace, &other.namespace) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => wide.covers(narrow),
        };
        let resource = part(&self.resource, &other.resource);
        prefix && namespace && resource && part(&self.name, &other.name)
    }

    /// Returns the resource if the pattern is for one only.
    pub(crate) fn exact_resource(&self) -> Option<&str> {
        match &self.resource {
            Some(Glob::Exact(resource)) => Some(resource),
            _ => None,
        }
    }

    /// Tells whether the pattern is for every object of every resource.
    pub(crate) fn is_every_object(&self) -> bool {
        let open = |part: &Option<Glob>| matches!(part, None | Some(Glob::Any));
        self.prefix.is_none()
            && self.namespace.is_none()
            && open(&self.resource)
            && open(&self.name)
    }

    /// Returns the resource if the pattern is for every object of exactly one.
    pub(crate) fn whole_resource(&self) -> Option<&str> {
        let whole = self.prefix.is_none()
            && self.namespace.is_none()
            && matches!(self.name, None | Some(Glob::Any));
        self.exact_resource().filter(|_| whole)
    }
}

impl Namespaces {
    fn matches(&self, namespace: &[u8]) -> bool {
        match self {
            Self::Like(glob) => glob.matches(namespace),
            Self::In(names) => {
                names.binary_search_by(|name| by_length(name.as_bytes(), namespace)).is_ok()
            }
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Like(wide), Self::Like(narrow)) => wide.covers(narrow),
            (_, Self::In(names)) => names.iter().all(|name| self.matches(name.as_bytes())),
            (Self::In(_), Self::Like(Glob::Exact(name))) => self.matches(name.as_bytes()),
            (Self::In(_), Self::Like(_)) => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        let mut part = |f: &mut fmt::Formatter<'_>, name: &str, text: &str| {
            write!(f, "{gap}{name}={text:?}")?;
            gap = " ";
            Ok::<(), fmt::Error>(())
        };
        if let Some(prefix) = &self.prefix {
            part(f, "prefix", prefix)?;
        }
        if let Some(glob) = &self.resource {
            part(f, "resource", glob.as_str())?;
        }
        match &self.namespace {
            Some(Namespaces::Like(glob)) => part(f, "namespace", glob.as_str())?,
            Some(Namespaces::In(names)) => part(f, "namespaces", &names.join(","))?,
            None => {}
        }
        if let Some(glob) = &self.name {
            part(f, "name", glob.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::User(index) => write!(f, "rules[{index}]"),
            Self::ExcludeNamespaces => f.write_str("exclude_namespaces"),
            Self::ExcludePrefix(index) => write!(f, "exclude_prefixes[{index}]"),
            Self::Preset => f.write_str("preset"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Include => "include",
            Action::Local if self.traits.hard => "hard-local",
            Action::Local => "local",
        };
        write!(f, "{}: {action}", self.source)?;
        if self.source != Source::BuiltIn {
            write!(f, " {}", self.pattern)?;
        }
        if self.traits.allow_unsafe {
            f.write_str(" unsafe")?;
        }
        if self.traits.urgent {
            f.write_str(" urgent")?;
        }
        if !self.why.is_empty() {
            write!(f, " ({})", OneLine(&self.why))?;
        }
        Ok(())
    }
}

/// A text with its control characters escaped, and nothing else: quotes are for people.
struct OneLine<'t>(&'t str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_debug()),
            false => write!(f, "{c}"),
        })
    }
}
