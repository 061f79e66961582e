//! Reads the patterns of a user's rule.

use crate::error::ScopeError;
use crate::glob::Glob;
use crate::rule::{Namespaces, Pattern};
use crate::spec::RuleSpec;

/// Resources that etcd spells in another way than the API does.
const SPELT: [(&str, &str); 5] = [
    ("services", "services/specs"),
    ("endpoints", "services/endpoints"),
    ("nodes", "minions"),
    ("ingresses", "ingress"),
    ("replicationcontrollers", "controllers"),
];

/// Resources that have two segments though their first has no dot.
const PAIRS: [&str; 2] = ["services/specs", "services/endpoints"];

pub(crate) fn read(index: usize, spec: &RuleSpec) -> Result<Pattern, ScopeError> {
    let RuleSpec { prefix, namespace, resource, name, .. } = spec;
    if prefix.is_none() && namespace.is_none() && resource.is_none() && name.is_none() {
        return Err(ScopeError::EmptyRule { index });
    }
    let glob = |field: &'static str, text: &Option<String>| {
        let Some(pattern) = text else { return Ok(None) };
        let bad = |problem: String| ScopeError::BadPattern {
            index,
            field,
            pattern: pattern.clone(),
            problem,
        };
        let glob = Glob::new(pattern).map_err(|problem| bad(problem.to_owned()))?;
        let problem = match field {
            "resource" => resource_problem(pattern),
            _ => segment_problem(pattern),
        };
        problem.map_or(Ok(Some(glob)), |problem| Err(bad(problem)))
    };
    Ok(Pattern {
        prefix: prefix.as_deref().map(Box::from),
        resource: glob("resource", resource)?,
        namespace: glob("namespace", namespace)?.map(Namespaces::Like),
        name: glob("name", name)?,
    })
}

fn segment_problem(pattern: &str) -> Option<String> {
    let problem = "has a `/`, which no namespace and no name has: use `resource` or `prefix`";
    pattern.contains('/').then(|| problem.to_owned())
}

/// A resource that no key can have would make a rule that silently does nothing.
fn resource_problem(pattern: &str) -> Option<String> {
    if let Some((_, etcd)) = SPELT.iter().find(|(api, _)| *api == pattern) {
        return Some(format!("is called {etcd:?} in etcd: write that"));
    }
    match pattern.split_once('/') {
        None if pattern.contains('.') => Some(
            "has a group but no resource: write `group/plural`, as in `cluster.x-k8s.io/machines`; \
             a built-in resource has no group"
                .to_owned(),
        ),
        Some((_, plural)) if plural.contains('/') || plural.is_empty() => {
            Some("is no resource: write `plural` or `group/plural`; for keys use `prefix`".to_owned())
        }
        Some((group, _)) if !group.contains(['.', '*']) && !is_pair(pattern) => {
            Some("has a group without a dot: a built-in resource has no group here".to_owned())
        }
        _ => None,
    }
}

fn is_pair(pattern: &str) -> bool {
    Glob::new(pattern).is_ok_and(|glob| PAIRS.iter().any(|pair| glob.matches(pair.as_bytes())))
}
