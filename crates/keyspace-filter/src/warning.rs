//! What a user should know about rules that are valid.

use std::fmt;

use crate::ranges::Terms;
use crate::rule::Rule;
use crate::spec::{Action, Preset};
use crate::{Source, preset};

/// Something about the rules that is valid and probably not meant. `Display` tells it on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    source: Source,
    kind: WarningKind,
}

/// What a [`Warning`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// The rule before matches everything that this one does.
    Shadowed {
        /// Where the rule before stands.
        by: Source,
    },
    /// The same keys as an earlier rule's, and the other action: the earlier one decides.
    Contradicts {
        /// Where the earlier rule stands.
        other: Source,
    },
    /// No key in scope can match.
    NeverMatches,
    /// The rule names keys that are hard-local and lacks `unsafe: true`.
    HardLocal,
    /// The rule has `unsafe: true` and admits keys that are hard-local.
    Unsafe,
    /// The rule names no resource, so it re-admits what the preset leaves local for good reasons.
    NamesNoResource,
    /// A namespace of `include_namespaces` that the preset doesn't leave local.
    IncludedAnyway {
        /// The namespace.
        namespace: String,
    },
}

impl Warning {
    /// Returns what the warning is about.
    #[must_use]
    pub fn kind(&self) -> &WarningKind {
        &self.kind
    }

    /// Returns where the rule stands that it is about; for [`WarningKind::IncludedAnyway`] this is
    /// the preset.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source;
        match &self.kind {
            WarningKind::Shadowed { by } => {
                write!(
                    f,
                    "{source} never decides: {by} matches all of its keys first; move or remove it"
                )
            }
            WarningKind::Contradicts { other } => {
                write!(
                    f,
                    "{source} never decides: {other} says the opposite of the same keys; keep one of them"
                )
            }
            WarningKind::NeverMatches => {
                write!(
                    f,
                    "{source} matches no key of the scope: compare it with prefixes and etcd_prefix"
                )
            }
            WarningKind::HardLocal => {
                write!(
                    f,
                    "{source} names keys that stay local all the same, as they act on real infrastructure or on the control plane: add `unsafe: true` if that is what you want"
                )
            }
            WarningKind::Unsafe => {
                write!(
                    f,
                    "{source} admits keys that act on real infrastructure or on the standby's control plane"
                )
            }
            WarningKind::NamesNoResource => {
                write!(
                    f,
                    "{source} names no resource, so it admits pods, leases, events and whatever else the preset leaves local: name the resources you want"
                )
            }
            WarningKind::IncludedAnyway { namespace } => {
                write!(
                    f,
                    "include_namespaces: {namespace:?} has no effect, the preset doesn't leave it local; to mirror nothing else, end `rules` with a local rule for the rest"
                )
            }
        }
    }
}

/// Looks at every rule that a user wrote.
pub(crate) fn of(terms: &Terms<'_>, include_namespaces: &[String]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (place, rule) in terms.rules.iter().enumerate() {
        if rule.source == Source::Preset {
            continue;
        }
        let earlier = terms.rules.get(..place).unwrap_or_default();
        // What never decides needs no second word.
        let kind = never_decides(terms, earlier, rule).or_else(|| against_preset(terms, rule));
        warnings.extend(kind.map(|kind| Warning { source: rule.source, kind }));
    }
    for namespace in include_namespaces {
        let known =
            terms.preset == Preset::Kubernetes && preset::NAMESPACES.contains(&namespace.as_str());
        if !known {
            let kind = WarningKind::IncludedAnyway { namespace: namespace.clone() };
            warnings.push(Warning { source: Source::Preset, kind });
        }
    }
    warnings
}

fn never_decides(terms: &Terms<'_>, earlier: &[Rule], rule: &Rule) -> Option<WarningKind> {
    let reachable = |base: &[u8]| match std::str::from_utf8(base) {
        Ok(base) => terms.reaches(rule, base),
        Err(_) => true,
    };
    let own_only =
        rule.pattern.prefix.as_deref().is_some_and(|prefix| prefix.starts_with(crate::OWN_PREFIX));
    let torn = match (rule.pattern.prefix.as_deref(), rule.pattern.exact_resource()) {
        (Some(prefix), Some(resource)) => {
            let home = format!("{}{resource}/", terms.grammar.root());
            !home.starts_with(prefix) && !prefix.starts_with(&home)
        }
        _ => false,
    };
    if own_only || torn || !terms.bases.iter().any(|base| reachable(base)) {
        return Some(WarningKind::NeverMatches);
    }
    let by = earlier.iter().find(|other| shadows(terms, other, rule))?;
    let opposite = by.action != rule.action && by.pattern == rule.pattern;
    Some(match opposite {
        true => WarningKind::Contradicts { other: by.source },
        false => WarningKind::Shadowed { by: by.source },
    })
}

/// Tells whether `rule` can never decide after `earlier`. An include that spares hard-local keys
/// leaves those to the rules after it.
fn shadows(terms: &Terms<'_>, earlier: &Rule, rule: &Rule) -> bool {
    let leaves_hard = terms.preset == Preset::Kubernetes
        && earlier.spares_hard()
        && !rule.spares_hard()
        && rule.pattern.resource.as_ref().is_none_or(preset::is_hard);
    earlier.pattern.covers(&rule.pattern) && !leaves_hard
}

fn against_preset(terms: &Terms<'_>, rule: &Rule) -> Option<WarningKind> {
    if terms.preset == Preset::None || rule.action == Action::Local {
        return None;
    }
    let pattern = &rule.pattern;
    let named_by_prefix = pattern.prefix.as_deref().filter(|prefix| {
        prefix.strip_prefix(terms.grammar.root()).is_some_and(|path| !path.is_empty())
    });
    let hard_prefix = named_by_prefix.is_some_and(|prefix| {
        preset::hard_resources()
            .any(|hard| prefix.starts_with(&format!("{}{hard}/", terms.grammar.root())))
    });
    let names_hard = hard_prefix
        || pattern
            .resource
            .as_ref()
            .is_some_and(|glob| glob.as_str() != "*" && preset::is_hard(glob));
    let names_none = pattern.resource.as_ref().is_none_or(|glob| glob.as_str() == "*")
        && named_by_prefix.is_none();
    // Hard-local objects have no namespace.
    let reaches_hard = pattern.namespace.is_none() && (names_hard || names_none);
    if rule.traits.allow_unsafe && reaches_hard {
        return Some(WarningKind::Unsafe);
    }
    if names_hard {
        return Some(WarningKind::HardLocal);
    }
    names_none.then_some(WarningKind::NamesNoResource)
}
