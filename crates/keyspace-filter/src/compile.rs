//! From what a user wrote to what is asked of every key.

use etcd_mvcc::KeyRange;

use crate::error::ScopeError;
use crate::glob::Glob;
use crate::grammar::Grammar;
use crate::hash::ScopeHash;
use crate::index::Index;
use crate::ranges::{Leave, Terms};
use crate::rewrite::Rewrite;
use crate::rule::{Namespaces, Pattern, Rule, Source, Traits, by_length};
use crate::scope::Inner;
use crate::spec::{Action, Preset, RuleSpec, ScopeSpec};
use crate::turn::Turns;
use crate::{OWN_PREFIX, patterns, preset, warning};

impl Inner {
    pub(crate) fn compile(spec: &ScopeSpec) -> Result<Self, ScopeError> {
        let grammar = Grammar::new(&spec.etcd_prefix);
        let rewrite = rewrite(spec)?;
        let bases = bases(spec, &grammar)?;
        let rules = rules(spec)?;
        let terms = Terms {
            preset: spec.preset,
            grammar: &grammar,
            bases: &bases,
            rewrite: &rewrite,
            rules: &rules,
        };
        let primary_ranges = ranges(&terms)?;
        let standby_ranges: Vec<KeyRange> =
            primary_ranges.iter().map(|range| rewrite.place_range(range)).collect();
        let turns = Turns::new(&terms, &primary_ranges);
        let warnings = warning::of(&terms, &spec.include_namespaces);
        let hull = |ranges: &[KeyRange]| KeyRange::hull(ranges).unwrap_or_else(KeyRange::all);
        let hash = ScopeHash::of(&canonical(spec.preset, &terms));
        let (own, outside) = first(&bases);
        let (unknown, rest) = last(spec.preset, rules.len() + 2);
        Ok(Self {
            index: Index::new(&rules, &grammar),
            turns,
            primary_hull: hull(&primary_ranges),
            standby_hull: hull(&standby_ranges),
            grammar,
            bases,
            rewrite,
            own,
            outside,
            rules,
            unknown,
            rest,
            primary_ranges,
            standby_ranges,
            hash,
            warnings,
        })
    }
}

fn rewrite(spec: &ScopeSpec) -> Result<Rewrite, ScopeError> {
    let (field, dest) = match (&spec.dest_prefix, spec.no_dest_prefix) {
        (Some(_), true) => return Err(ScopeError::BothRewrites),
        (None, false) => return Ok(Rewrite::Keep),
        (Some(dest), false) => ("dest_prefix", dest.as_str()),
        (None, true) => ("no_dest_prefix", ""),
    };
    if dest.starts_with(OWN_PREFIX) {
        return Err(ScopeError::DestIsOwn { dest: dest.to_owned() });
    }
    match spec.prefixes.as_slice() {
        [prefix] => Ok(Rewrite::replace(prefix, dest)),
        prefixes => Err(ScopeError::RewriteWithoutPrefix { field, prefixes: prefixes.len() }),
    }
}

/// What keys in scope begin with: sorted, none a prefix of another.
fn bases(spec: &ScopeSpec, grammar: &Grammar) -> Result<Vec<Box<[u8]>>, ScopeError> {
    let root = match spec.preset {
        Preset::Kubernetes => grammar.root(),
        Preset::None => "",
    };
    let mut bases: Vec<&str> = Vec::new();
    for (index, prefix) in spec.prefixes.iter().enumerate() {
        if prefix.starts_with(root) {
            bases.push(prefix);
        } else if root.starts_with(prefix.as_str()) {
            bases.push(root);
        } else {
            let (prefix, root) = (prefix.clone(), root.to_owned());
            return Err(ScopeError::PrefixOutsidePreset { index, prefix, root });
        }
    }
    if bases.is_empty() {
        bases.push(root);
    }
    bases.sort_unstable();
    // Sorted, a prefix stands directly before what begins with it.
    bases.dedup_by(|later, kept| later.starts_with(*kept));
    Ok(bases.into_iter().map(|base| base.as_bytes().into()).collect())
}

fn ranges(terms: &Terms<'_>) -> Result<Vec<KeyRange>, ScopeError> {
    if terms.ranges(Leave::Everything).is_empty() {
        let because = "every prefix in it stays local; widen prefixes, or remove the rule or the \
                       exclude_prefixes that cover it";
        return Err(ScopeError::AdmitsNothing { because });
    }
    Ok(terms.ranges(Leave::Bulky))
}

/// The rules in the order in which they are asked.
fn rules(spec: &ScopeSpec) -> Result<Vec<Rule>, ScopeError> {
    let mut rules = Vec::new();
    for (index, rule) in spec.rules.iter().enumerate() {
        rules.push(user_rule(index, rule)?);
    }
    rules.extend(flag_rules(spec)?);
    if spec.preset == Preset::Kubernetes {
        rules.extend(preset_rules(&spec.include_namespaces));
    }
    if u16::try_from(rules.len()).is_err() {
        return Err(ScopeError::TooManyRules { rules: rules.len() });
    }
    // Two built-in rules come before.
    for (place, rule) in rules.iter_mut().enumerate() {
        rule.index = place + 2;
    }
    Ok(rules)
}

fn user_rule(index: usize, spec: &RuleSpec) -> Result<Rule, ScopeError> {
    if spec.urgent && spec.action == Action::Local {
        return Err(ScopeError::UrgentLocal { index });
    }
    Ok(Rule {
        index: 0,
        source: Source::User(index),
        action: spec.action,
        pattern: patterns::read(index, spec)?,
        traits: Traits { allow_unsafe: spec.r#unsafe, urgent: spec.urgent, ..Traits::default() },
        why: spec.reason.as_deref().unwrap_or_default().into(),
    })
}

fn flag_rules(spec: &ScopeSpec) -> Result<Vec<Rule>, ScopeError> {
    let excluded = namespaces("exclude_namespaces", &spec.exclude_namespaces)?;
    let included = namespaces("include_namespaces", &spec.include_namespaces)?;
    if let Some(both) = excluded.iter().find(|name| included.contains(name)) {
        return Err(ScopeError::NamespaceInAndOut { namespace: both.to_string() });
    }
    let local = |source, pattern| Rule {
        index: 0,
        source,
        action: Action::Local,
        pattern,
        traits: Traits::default(),
        why: "".into(),
    };
    let mut rules = Vec::new();
    if !excluded.is_empty() {
        let namespace = Some(Namespaces::In(excluded));
        let pattern = Pattern { namespace, ..Pattern::default() };
        rules.push(local(Source::ExcludeNamespaces, pattern));
    }
    for (index, prefix) in spec.exclude_prefixes.iter().enumerate() {
        if prefix.is_empty() {
            return Err(ScopeError::EmptyExcludePrefix { index });
        }
        let pattern = Pattern { prefix: Some(prefix.as_str().into()), ..Pattern::default() };
        rules.push(local(Source::ExcludePrefix(index), pattern));
    }
    Ok(rules)
}

/// Returns the names sorted, each once.
fn namespaces(field: &'static str, names: &[String]) -> Result<Box<[Box<str>]>, ScopeError> {
    let bad = |name: &str| {
        matches!(name, "" | "." | "..") || name.contains(['*', '/', '%', '?', ',', ' '])
    };
    if let Some((index, name)) = names.iter().enumerate().find(|(_, name)| bad(name)) {
        return Err(ScopeError::BadNamespace { field, index, namespace: name.clone() });
    }
    Ok(sorted(names.iter().map(String::as_str)))
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Box<[Box<str>]> {
    let mut names: Vec<Box<str>> = names.map(Box::from).collect();
    names.sort_unstable_by(|a, b| by_length(a.as_bytes(), b.as_bytes()));
    names.dedup();
    names.into_boxed_slice()
}

fn preset_rules(include_namespaces: &[String]) -> Vec<Rule> {
    let rule = |action, pattern, traits, why: &str| Rule {
        index: 0,
        source: Source::Preset,
        action,
        pattern,
        traits,
        why: why.into(),
    };
    let local = sorted(
        preset::NAMESPACES.into_iter().filter(|name| !include_namespaces.iter().any(|i| i == name)),
    );
    let pattern = Pattern { namespace: Some(Namespaces::In(local)), ..Pattern::default() };
    let mut rules = vec![rule(Action::Local, pattern, Traits::default(), preset::NAMESPACES_WHY)];
    for row in preset::TABLE {
        // Tests hold every pattern of the table to be readable.
        let resource = Glob::new(row.0).ok();
        let name = Glob::new(row.1).ok().filter(|glob| *glob != Glob::Any);
        let pattern = Pattern { resource, name, ..Pattern::default() };
        rules.push(rule(row.action(), pattern, row.traits(), row.why()));
    }
    rules
}

fn built_in(index: usize, action: Action, why: String) -> Rule {
    Rule {
        index,
        source: Source::BuiltIn,
        action,
        pattern: Pattern::default(),
        traits: Traits::default(),
        why: why.into(),
    }
}

/// The rules that are asked before all others.
fn first(bases: &[Box<[u8]>]) -> (Rule, Rule) {
    let own = format!("keys under {OWN_PREFIX} belong to this software");
    let bases: Vec<String> =
        bases.iter().map(|base| format!("{:?}", String::from_utf8_lossy(base))).collect();
    let outside = format!("keys outside {}, or without a place on the standby", bases.join(", "));
    (built_in(0, Action::Local, own), built_in(1, Action::Local, outside))
}

/// The rules that are asked after all others.
fn last(preset: Preset, index: usize) -> (Option<Rule>, Rule) {
    match preset {
        Preset::Kubernetes => {
            let unknown = "keys that are spelt as no Kubernetes object is".to_owned();
            let rest = "every other Kubernetes object".to_owned();
            let unknown = built_in(index, Action::Local, unknown);
            (Some(unknown), built_in(index + 1, Action::Include, rest))
        }
        Preset::None => (None, built_in(index, Action::Include, "every other key".to_owned())),
    }
}

/// Everything that decides over keys, spelt in one way only. When a key is copied decides over
/// none, so a rule that becomes urgent leaves the text as it is.
fn canonical(preset: Preset, terms: &Terms<'_>) -> String {
    let mut text = format!("scope 1\nroot {:?}\n", terms.grammar.root());
    for base in terms.bases {
        text.push_str(&format!("in {:?}\n", String::from_utf8_lossy(base)));
    }
    if let Rewrite::Replace { from, to } = terms.rewrite {
        let (from, to) = (String::from_utf8_lossy(from), String::from_utf8_lossy(to));
        text.push_str(&format!("rewrite {from:?} {to:?}\n"));
    }
    for rule in terms.rules {
        let Traits { hard, allow_unsafe, .. } = rule.traits;
        let action = if rule.admits() { "include" } else { "local" };
        text.push_str(&format!("{action} {hard} {allow_unsafe} {}\n", rule.pattern));
    }
    text.push_str(match preset {
        Preset::Kubernetes => "unknown shapes local\n",
        Preset::None => "unknown shapes included\n",
    });
    text
}
