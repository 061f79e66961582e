//! What the filter promises, held against real keys, against the traps among them, and against
//! chance.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

mod errors;
mod grammar;
mod kubernetes;
mod properties;
mod ranges;
mod rewriting;
mod rules;
mod table;
mod turns;
mod warnings;

use keyspace_filter::{Action, Preset, RuleSpec, Scope, ScopeSpec};

/// The default scope.
fn kubernetes() -> Scope {
    compiled(ScopeSpec::default())
}

fn compiled(spec: ScopeSpec) -> Scope {
    Scope::compile(spec).expect("a scope that compiles")
}

/// A scope of every key, save what `spec` says.
fn bare(spec: ScopeSpec) -> Scope {
    compiled(ScopeSpec { preset: Preset::None, ..spec })
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Reads a rule as it stands in a file of rules.
fn rule(json: &str) -> RuleSpec {
    serde_json::from_str(json).expect("a rule")
}

/// A scope with these user's rules.
fn with_rules(rules: &[&str]) -> Scope {
    let rules = rules.iter().map(|text| rule(text)).collect();
    compiled(ScopeSpec { rules, ..ScopeSpec::default() })
}

/// Tells of every key whether it is in scope.
fn admitted<'k>(scope: &Scope, keys: &[&'k str]) -> Vec<&'k str> {
    keys.iter().copied().filter(|key| scope.admits(key.as_bytes())).collect()
}

#[test]
fn no_test_file_lies_beside_this_one_unlisted() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(listed.contains(&format!("mod {module};")), "{name} is not listed");
        }
    }
}

#[test]
fn a_scope_is_cheap_to_share() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Scope>();
    assert_eq!(Action::Include, rule(r#"{"action":"include","name":"x"}"#).action);
}
