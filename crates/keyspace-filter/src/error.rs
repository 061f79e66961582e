//! Why a scope can't be used.

/// Why a [`crate::ScopeSpec`] can't be used: which field, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Both ways to rewrite at once.
    #[error("dest_prefix and no_dest_prefix contradict each other: give one of them")]
    BothRewrites,
    /// A rewrite needs to know what to replace.
    #[error("{field} replaces the prefix of every key: give exactly one prefix, not {prefixes}")]
    RewriteWithoutPrefix {
        /// The field that asks for rewriting.
        field: &'static str,
        /// How many prefixes there are.
        prefixes: usize,
    },
    /// The standby's keys would land among this software's own.
    #[error("dest_prefix {dest:?} lies under {own:?}, which this software keeps for itself: choose another", own = crate::OWN_PREFIX)]
    DestIsOwn {
        /// The prefix asked for.
        dest: String,
    },
    /// A prefix that lies outside the preset's keys.
    #[error(
        "prefixes[{index}] {prefix:?} lies outside {root:?}, to which preset `kubernetes` is confined: use preset `none`, or set etcd_prefix"
    )]
    PrefixOutsidePreset {
        /// Its place in the list.
        index: usize,
        /// The prefix.
        prefix: String,
        /// What the preset is confined to.
        root: String,
    },
    /// An exclusion of every key.
    #[error("exclude_prefixes[{index}] is empty, which would leave out every key: remove it")]
    EmptyExcludePrefix {
        /// Its place in the list.
        index: usize,
    },
    /// Not the name of a namespace.
    #[error(
        "{field}[{index}] {namespace:?} is no namespace name: for a pattern use a rule with `namespace`"
    )]
    BadNamespace {
        /// The field.
        field: &'static str,
        /// Its place in the list.
        index: usize,
        /// What stands there.
        namespace: String,
    },
    /// A namespace that is both in and out.
    #[error(
        "namespace {namespace:?} is in both include_namespaces and exclude_namespaces: remove it from one"
    )]
    NamespaceInAndOut {
        /// The namespace.
        namespace: String,
    },
    /// A rule without a pattern.
    #[error(
        "rules[{index}] says nothing about the keys it is for: give prefix, resource, namespace or name (`prefix: \"\"` for every key)"
    )]
    EmptyRule {
        /// Its place in the list.
        index: usize,
    },
    /// Haste for what isn't copied at all.
    #[error(
        "rules[{index}] is urgent and leaves its keys local: `urgent` says what is copied first, so remove it or make the action `include`"
    )]
    UrgentLocal {
        /// Its place in the list.
        index: usize,
    },
    /// A pattern that can't be read.
    #[error("rules[{index}].{field} {pattern:?} {problem}")]
    BadPattern {
        /// The rule's place in the list.
        index: usize,
        /// The field.
        field: &'static str,
        /// What stands there.
        pattern: String,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// More rules than places for them.
    #[error(
        "rules has {rules} rules with those of the flags and the preset: give fewer than 65536, by using patterns"
    )]
    TooManyRules {
        /// How many there are.
        rules: usize,
    },
    /// Nothing is left.
    #[error("the scope admits no key: {because}")]
    AdmitsNothing {
        /// What leaves nothing, and how to mend it.
        because: &'static str,
    },
}

impl ScopeError {
    /// Returns the place in `rules` of the one rule that is to blame, if one is.
    #[must_use]
    pub fn rule(&self) -> Option<usize> {
        if let Self::EmptyRule { index }
        | Self::UrgentLocal { index }
        | Self::BadPattern { index, .. } = self
        {
            return Some(*index);
        }
        None
    }
}
