//! `etcd-sync plan --explain`: which rule decides a key, and why. Asks no cluster.

use etcd_mvcc::Key;
use keyspace_filter::grammar::Shape;
use keyspace_filter::{Decision, Explanation, Rule, Scope, Turn};
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use serde_json::{Value, json};

use crate::table;

/// Shows what the rules say of each of `keys`, spelt as on the primary.
pub(crate) fn explain(config: &Config, keys: &[String], format: Format) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    match format {
        Format::Json => output::json(&as_json(&scope, keys))?,
        Format::Text => {
            let texts: Vec<String> = keys.iter().map(|key| as_text(&scope, key)).collect();
            output::result(&texts.join("\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn as_json(scope: &Scope, keys: &[String]) -> Value {
    let warnings: Vec<String> = scope.warnings().iter().map(ToString::to_string).collect();
    json!({
        "verdict": "ok",
        "reason": "the rules are asked as they stand; no cluster is",
        "next_steps": ["etcd-sync plan"],
        "scope_hash": scope.hash().to_string(),
        "warnings": warnings,
        "keys": keys.iter().map(|key| one_as_json(scope, key)).collect::<Vec<_>>(),
    })
}

fn one_as_json(scope: &Scope, key: &str) -> Value {
    let told = scope.explain(key.as_bytes());
    let rule = told.decision.rule;
    let placed = scope.place(&Key::from(key));
    let object = match &told.shape {
        Shape::Object(object) => json!({
            "resource": text(object.resource),
            "namespace": object.namespace.map(text),
            "name": text(object.name),
        }),
        Shape::Unknown | Shape::Outside => Value::Null,
    };
    json!({
        "key": key,
        "object": object,
        "in_scope": told.decision.admitted,
        "parked": told.decision.parked,
        "rule": rule.to_string(),
        "rule_place": rule.index(),
        "rule_source": rule.source().to_string(),
        "reason": rule.why(),
        "hard_local": rule.is_hard(),
        "standby_key": placed.as_ref().map(ToString::to_string),
        "turn": placed.map(|placed| turn(scope.turn(placed.as_bytes()))),
        "passed_over": told.passed_over.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "shadowed": told.shadowed.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn as_text(scope: &Scope, key: &str) -> String {
    let told = scope.explain(key.as_bytes());
    let rule = told.decision.rule;
    let reason = if rule.why().is_empty() { "none is given" } else { rule.why() };
    let mut lines = vec![
        ("key", Key::from(key).to_string()),
        ("object", object(&told)),
        ("verdict", verdict(told.decision).to_owned()),
        ("rule", rule.to_string()),
        ("place", place(scope, rule)),
        ("reason", reason.to_owned()),
        ("hard-local", if rule.is_hard() { "yes" } else { "no" }.to_owned()),
    ];
    match scope.place(&Key::from(key)) {
        Some(placed) => {
            lines.push(("standby", placed.to_string()));
            lines.push(("turn", turn(scope.turn(placed.as_bytes())).to_owned()));
        }
        None => lines.push(("standby", "the key is never written there".to_owned())),
    }
    for rule in &told.passed_over {
        lines.push(("passed over", format!("{rule}: lacks `unsafe: true`")));
    }
    for rule in &told.shadowed {
        lines.push(("shadowed", rule.to_string()));
    }
    table::aligned(&lines)
}

fn verdict(decision: Decision<'_>) -> &'static str {
    match (decision.admitted, decision.parked) {
        (false, _) => "local",
        (true, false) => "in scope",
        (true, true) => "in scope, and parked until the standby is promoted",
    }
}

fn object(told: &Explanation<'_, '_>) -> String {
    let Shape::Object(object) = &told.shape else {
        return "spelt as no Kubernetes object is".to_owned();
    };
    let home = match object.namespace {
        Some(namespace) => format!("in namespace {}", text(namespace)),
        None => "cluster-scoped".to_owned(),
    };
    format!("{} {}, {home}", text(object.resource), text(object.name))
}

/// Counted from 1, as people do.
fn place(scope: &Scope, rule: &Rule) -> String {
    format!("{} of {}, from: {}", rule.index() + 1, scope.rules().count(), rule.source())
}

fn turn(turn: Turn) -> &'static str {
    match turn {
        Turn::First => "first",
        Turn::Usual => "usual",
        Turn::Last => "last",
    }
}

fn text(part: &[u8]) -> String {
    String::from_utf8_lossy(part).into_owned()
}
